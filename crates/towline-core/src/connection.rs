//! How to reach the store of a transfer, without any secret.

use serde::{Deserialize, Serialize};

/// Where credentials and settings come from. Never the credentials themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionSource {
    /// The environment (`AWS_*`), else the profile `default`, as AWS's tools do.
    #[default]
    Environment,
    /// A profile of AWS's configuration files.
    Profile(String),
    /// A name under which an app registered credentials.
    Registered(String),
    /// Requests are not signed (`--no-sign-request`).
    Anonymous,
}

/// How a bucket is put into a URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Addressing {
    /// `bucket.host` at AWS where the name allows it, `host/bucket` elsewhere.
    #[default]
    Auto,
    /// `host/bucket`.
    Path,
    /// `bucket.host`.
    Virtual,
}

/// What a transfer remembers of its way to S3. Stored; secrets never are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Connection {
    /// Where credentials come from.
    pub source: ConnectionSource,
    /// `http://…` or `https://…` of a store; `None` is AWS.
    pub endpoint: Option<String>,
    /// The region that requests are signed for.
    pub region: Option<String>,
    /// How the bucket goes into the URL.
    pub addressing: Addressing,
    /// AWS only: the dual-stack (IPv6) endpoint.
    pub dual_stack: bool,
    /// AWS only: the FIPS endpoint.
    pub fips: bool,
    /// AWS only: transfer acceleration.
    pub accelerate: bool,
    /// Sign the payload hash even where a checksum of the bytes is enough.
    pub signed_payload: Option<bool>,
}
