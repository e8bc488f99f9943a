//! Towline's lean S3 client: one file per operation, signing, endpoints, facts
//! about failures.
//!
//! [`S3Connector`] gives an [`S3Client`] for each stored
//! [`Connection`](towline_core::Connection). A client sends one request per
//! call over HTTP/1.1; it never retries, waits or follows a redirect. What went
//! wrong is told as facts in [`S3Error`](towline_core::S3Error); what they mean
//! is decided in `towline-core`.

mod ahead;
mod body;
mod canonical;
#[cfg(feature = "aws-config")]
mod chain;
mod client;
#[cfg(feature = "cognito")]
mod cognito;
mod config_files;
mod connect;
mod connector;
mod credentials;
mod customer_key;
mod day_key;
mod endpoint;
mod environment;
mod error;
mod handed;
mod headers;
mod ops;
mod presign;
mod proxy;
mod redirect;
mod request;
mod sendfile;
mod sign;
mod signed_chunks;
mod tls;
mod trailed;
mod uri;
mod wire;
mod xml;

pub use client::S3Client;
#[cfg(feature = "cognito")]
pub use cognito::CognitoIdentity;
pub use connector::{S3Connector, check_bucket};
pub use credentials::{
    Credentials, CredentialsError, CredentialsFn, CredentialsProvider, Secret, StaticCredentials,
};
pub use customer_key::{CustomerKey, CustomerKeyError};
pub use environment::Environment;
pub use handed::HandedOver;
pub use ops::LifecycleRule;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub use ops::fuzzing;
pub use presign::{Presign, PresignError, PresignedUrl};
pub use wire::Connections;
