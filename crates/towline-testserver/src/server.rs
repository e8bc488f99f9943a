//! Starting and stopping: the sockets, and what a test may ask of a running server.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use s3s::auth::{S3Auth, SecretKey};
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::crypto::{Checksum as _, Sha256};
use s3s::service::S3ServiceBuilder;
use s3s::{S3Error, S3Result, s3_error};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::connection::{accept, listen};
use crate::faults::Faults;
use crate::history::History;
use crate::ops::{Backend, replace};
use crate::service::Service;
use crate::storage::{OpenUpload, ReadError, Snapshot, Storage, StoredVersion, Versioning};
use crate::tls::Identity;

/// How a server is to be. In memory, on a free port, unless said otherwise.
#[derive(Clone, Debug)]
pub struct Builder {
    directory: Option<PathBuf>,
    buckets: Vec<String>,
    requester_pays: Vec<String>,
    versioned: Vec<String>,
    access_key: String,
    secret_key: String,
    port: u16,
    tls: Option<Identity>,
}

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The port is taken, or no socket is to be had.
    #[error("cannot listen on 127.0.0.1:{port}")]
    Listen {
        /// The port asked for; 0 is any.
        port: u16,
        /// What the operating system said.
        source: io::Error,
    },
    /// The directory cannot be read or written, or holds something else.
    #[error("cannot keep objects in {}", path.display())]
    Directory {
        /// The directory asked for.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The certificate or its key is not to be used.
    #[error("cannot speak TLS with this certificate and key")]
    Certificate {
        /// What is wrong with them.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A bucket asked for cannot be made.
    #[error("cannot create the bucket {bucket}: {reason}")]
    Bucket {
        /// Its name.
        bucket: String,
        /// S3's error code.
        reason: String,
    },
}

/// An object could not be stored.
#[derive(Debug, thiserror::Error)]
#[error("cannot store {bucket}/{key}: {code}")]
#[non_exhaustive]
pub struct WriteError {
    /// The bucket asked for.
    pub bucket: String,
    /// The key asked for.
    pub key: String,
    /// S3's error code.
    pub code: String,
}

impl Builder {
    /// Keeps everything in memory. This is the default.
    pub fn memory(mut self) -> Self {
        self.directory = None;
        self
    }

    /// Keeps everything in `path`, made if missing, and goes on with what an
    /// earlier server left there. One server at a time.
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
    }

    /// Makes sure that this bucket exists. May be called for several.
    pub fn bucket(mut self, name: impl Into<String>) -> Self {
        self.buckets.push(name.into());
        self
    }

    /// Makes sure that this bucket exists and that who asks pays: requests for
    /// its objects and uploads without `x-amz-request-payer: requester` are
    /// answered with 403 `AccessDenied`, the owner's own too.
    pub fn requester_pays(mut self, bucket: impl Into<String>) -> Self {
        let bucket = bucket.into();
        self.requester_pays.push(bucket.clone());
        self.bucket(bucket)
    }

    /// Makes sure that this bucket exists and keeps every version.
    pub fn versioned(mut self, bucket: impl Into<String>) -> Self {
        let bucket = bucket.into();
        self.versioned.push(bucket.clone());
        self.bucket(bucket)
    }

    /// The only credentials accepted. Default: `test`, `testsecret`.
    pub fn credentials(
        mut self,
        access_key: impl Into<String>,
        secret_key: impl Into<String>,
    ) -> Self {
        self.access_key = access_key.into();
        self.secret_key = secret_key.into();
        self
    }

    /// Listens on this port of 127.0.0.1. Default: 0, a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Speaks TLS, with this certificate and those that vouch for it, and its
    /// key, all as PEM. Default: plain HTTP.
    pub fn tls(mut self, chain_pem: impl Into<String>, key_pem: impl Into<String>) -> Self {
        self.tls = Some(Identity {
            chain_pem: chain_pem.into(),
            key_pem: key_pem.into(),
        });
        self
    }

    /// Starts the server on the current tokio runtime, which needs time and I/O enabled.
    pub async fn start(self) -> Result<TestServer, StartError> {
        self.serve()
    }

    /// Not `async`, so that the server is compiled here and not in each test that
    /// starts one.
    fn serve(self) -> Result<TestServer, StartError> {
        let storage = match &self.directory {
            None => Storage::in_memory(),
            Some(path) => Storage::in_directory(path).map_err(|source| StartError::Directory {
                path: path.clone(),
                source,
            })?,
        };
        for bucket in &self.buckets {
            let failed = |error: S3Error| StartError::Bucket {
                bucket: bucket.clone(),
                reason: error.code().as_str().to_owned(),
            };
            if storage.bucket(bucket).is_err() {
                storage.create_bucket(bucket).map_err(failed)?;
            }
            if self.requester_pays.contains(bucket) {
                storage
                    .change_bucket(bucket, |bucket| bucket.requester_pays = true)
                    .map_err(failed)?;
            }
            if self.versioned.contains(bucket) {
                storage
                    .change_bucket(bucket, |bucket| bucket.versioning = Versioning::Enabled)
                    .map_err(failed)?;
            }
        }
        let storage = Arc::new(storage);
        let mut s3 = S3ServiceBuilder::new(Backend::new(Arc::clone(&storage)));
        let faults = Faults::new();
        s3.set_auth(OneKey {
            access_key: self.access_key,
            secret_key: SecretKey::from(self.secret_key),
            faults: faults.clone(),
        });
        // The service has a clock of its own, which may be wrong.
        let mut config = S3Config::default();
        config.presigned_url_max_skew_time_secs = u32::MAX;
        s3.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        let service = Service {
            s3: s3.build(),
            storage: Arc::clone(&storage),
            history: History::default(),
            faults,
        };
        let tls = self.tls.map(|identity| identity.acceptor()).transpose();
        let tls = tls.map_err(|error| StartError::Certificate {
            source: error.into(),
        })?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listen_error = |source| StartError::Listen {
            port: self.port,
            source,
        };
        let listener = listen(self.port).map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        let (stop, stopped) = watch::channel(false);
        Ok(TestServer {
            address,
            scheme,
            history: service.history.clone(),
            faults: service.faults.clone(),
            storage,
            stop,
            accepting: tokio::spawn(accept(listener, address.port(), service, tls, stopped)),
        })
    }
}

/// A running S3 server on 127.0.0.1. It stops when dropped.
#[derive(Debug)]
pub struct TestServer {
    address: SocketAddr,
    scheme: &'static str,
    history: History,
    faults: Faults,
    storage: Arc<Storage>,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl TestServer {
    /// Says how a server is to be, before it starts.
    pub fn builder() -> Builder {
        Builder {
            directory: None,
            buckets: Vec::new(),
            requester_pays: Vec::new(),
            versioned: Vec::new(),
            access_key: "test".to_owned(),
            secret_key: "testsecret".to_owned(),
            port: 0,
            tls: None,
        }
    }

    /// `http://127.0.0.1:PORT`, or `https://`, for path-style requests.
    pub fn endpoint(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What was asked of it so far.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The faults it shows from now on.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Puts an object into the storage without a request.
    ///
    /// Fails when the bucket does not exist, or its directory cannot be written.
    pub async fn put_object(
        &self,
        bucket: &str,
        key: &str,
        bytes: Vec<u8>,
    ) -> Result<(), WriteError> {
        let written = replace(&self.storage, bucket, key, bytes).await;
        written.map_err(|error| WriteError {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            code: error.code().as_str().to_owned(),
        })
    }

    /// What it holds at this moment: what has arrived whole and was applied.
    /// `None` where the bytes are in a directory.
    pub fn snapshot(&self) -> Option<Snapshot> {
        self.storage.snapshot()
    }

    /// Holds this from now on, and nothing else. Requests that are under way may
    /// still add to it.
    pub fn restore(&self, snapshot: &Snapshot) {
        self.storage.restore(snapshot);
    }

    /// The uploads that are neither completed nor aborted, by key and age.
    pub fn open_uploads(&self, bucket: &str) -> Vec<OpenUpload> {
        self.storage.open_uploads(bucket)
    }

    /// Every version of a key with its delete markers, oldest first.
    pub fn versions(&self, bucket: &str, key: &str) -> Vec<StoredVersion> {
        self.storage.versions(bucket, key)
    }

    /// The bytes of the current version, read from the storage without a request.
    pub fn object_bytes(&self, bucket: &str, key: &str) -> Result<Vec<u8>, ReadError> {
        self.storage.object_bytes(bucket, key)
    }

    /// The SHA-256 of the current version, in hexadecimal digits.
    pub fn object_sha256(&self, bucket: &str, key: &str) -> Result<String, ReadError> {
        let bytes = self.object_bytes(bucket, key)?;
        Ok(hex::encode(Sha256::checksum(&bytes)))
    }

    /// Cuts every connection and frees the port.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        // It only fails if it panicked, which its own test would show.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// Accepts one pair of keys, and the one that a script puts in its place.
struct OneKey {
    access_key: String,
    secret_key: SecretKey,
    faults: Faults,
}

#[async_trait::async_trait]
impl S3Auth for OneKey {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let then = self.faults.globals().credentials.and_then(|it| it.then);
        if access_key == self.access_key {
            Ok(self.secret_key.clone())
        } else if let Some(keys) = then.filter(|keys| access_key == keys.access_key) {
            Ok(SecretKey::from(keys.secret_key))
        } else {
            Err(s3_error!(
                InvalidAccessKeyId,
                "The AWS Access Key Id you provided does not exist in our records."
            ))
        }
    }
}
