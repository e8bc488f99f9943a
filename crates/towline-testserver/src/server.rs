//! Starting and stopping: the sockets, and what a test may ask of a running server.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::auth::{S3Auth, SecretKey};
use s3s::crypto::{Checksum as _, Sha256};
use s3s::service::S3ServiceBuilder;
use s3s::{S3Result, s3_error};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::faults::Faults;
use crate::history::History;
use crate::ops::Backend;
use crate::service::Service;
use crate::storage::{OpenUpload, ReadError, Storage, StoredVersion};

/// How a server is to be. In memory, on a free port, unless said otherwise.
#[derive(Clone, Debug)]
pub struct Builder {
    directory: Option<PathBuf>,
    buckets: Vec<String>,
    access_key: String,
    secret_key: String,
    port: u16,
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
    /// A bucket asked for cannot be made.
    #[error("cannot create the bucket {bucket}: {reason}")]
    Bucket {
        /// Its name.
        bucket: String,
        /// S3's error code.
        reason: String,
    },
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

    /// Starts the server on the current tokio runtime, which needs time and I/O enabled.
    pub async fn start(self) -> Result<TestServer, StartError> {
        let storage = match &self.directory {
            None => Storage::in_memory(),
            Some(path) => Storage::in_directory(path).map_err(|source| StartError::Directory {
                path: path.clone(),
                source,
            })?,
        };
        for bucket in &self.buckets {
            if storage.bucket(bucket).is_err() {
                storage
                    .create_bucket(bucket)
                    .map_err(|error| StartError::Bucket {
                        bucket: bucket.clone(),
                        reason: error.code().as_str().to_owned(),
                    })?;
            }
        }
        let storage = Arc::new(storage);
        let mut s3 = S3ServiceBuilder::new(Backend::new(Arc::clone(&storage)));
        s3.set_auth(OneKey {
            access_key: self.access_key,
            secret_key: SecretKey::from(self.secret_key),
        });
        let service = Service {
            s3: s3.build(),
            history: History::default(),
            faults: Faults::new(),
        };
        let listen_error = |source| StartError::Listen {
            port: self.port,
            source,
        };
        let listener = listen(self.port).map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        let (stop, stopped) = watch::channel(false);
        Ok(TestServer {
            address,
            history: service.history.clone(),
            faults: service.faults.clone(),
            storage,
            stop,
            accepting: tokio::spawn(accept(listener, service, stopped)),
        })
    }
}

/// A running S3 server on 127.0.0.1. It stops when dropped.
#[derive(Debug)]
pub struct TestServer {
    address: SocketAddr,
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
            access_key: "test".to_owned(),
            secret_key: "testsecret".to_owned(),
            port: 0,
        }
    }

    /// `http://127.0.0.1:PORT`, for path-style requests.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
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

/// Accepts one pair of keys.
struct OneKey {
    access_key: String,
    secret_key: SecretKey,
}

#[async_trait::async_trait]
impl S3Auth for OneKey {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.access_key {
            Ok(self.secret_key.clone())
        } else {
            Err(s3_error!(
                InvalidAccessKeyId,
                "The AWS Access Key Id you provided does not exist in our records."
            ))
        }
    }
}

/// Kernel buffers of a connection. Small, so that what the history counts is
/// near to what the client has, and a throttle is felt.
const SOCKET_BUFFER: u32 = 256 * 1024;
/// hyper's own buffer of a connection.
const CONNECTION_BUFFER: usize = 128 * 1024;

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    // Accepted connections inherit these.
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    socket.listen(1024)
}

async fn accept(listener: TcpListener, service: Service, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = turned_on(&mut stopped) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => { connections.spawn(serve(stream, service.clone())); }
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    connections.shutdown().await;
}

/// Waits until the switch is on, or whoever holds it is gone.
async fn turned_on(switch: &mut watch::Receiver<bool>) {
    drop(switch.wait_for(|on| *on).await);
}

/// Serves one connection until it ends, or the server goes offline.
async fn serve(stream: TcpStream, service: Service) {
    let mut offline = service.faults.watch_offline();
    if *offline.borrow() {
        let reset = stream.set_zero_linger();
        return drop((reset, stream));
    }
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "nodelay was not set");
    }
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .max_buf_size(CONNECTION_BUFFER)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(move |request| service.clone().call(request)),
        );
    tokio::select! {
        () = turned_on(&mut offline) => {}
        result = serving => {
            if let Err(error) = result {
                tracing::debug!(%error, "a connection ended early");
            }
        }
    }
}
