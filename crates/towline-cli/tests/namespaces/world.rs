//! What a test has in the server's namespace: a server that the client's
//! namespace can reach, a name server, and commands over there.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use towline_testserver::TestServer;

use crate::common::{self, BUCKET};
use crate::dns;
use crate::moving::Moving;
use crate::namespace::{SERVER, in_namespace, run};

pub(crate) struct World {
    pub(crate) server: TestServer,
    /// As the client reaches it.
    endpoint: String,
    client: String,
    names: RefCell<Option<JoinHandle<()>>>,
    dir: TempDir,
    runtime: Runtime,
}

impl World {
    pub(crate) fn start(client: String) -> Self {
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(async {
            let server = TestServer::builder().bucket(BUCKET).start().await.unwrap();
            pass_on(server.port()).await;
            server
        });
        Self {
            endpoint: format!("http://{SERVER}:{}", server.port()),
            server,
            client,
            names: RefCell::default(),
            dir: tempfile::tempdir().unwrap(),
            runtime,
        }
    }

    /// The server is known by a name from now on, to who asks.
    pub(crate) fn has_a_name(&mut self) {
        self.endpoint = format!("http://store.test:{}", self.server.port());
    }

    pub(crate) fn start_name_server(&self) {
        let address = SERVER.parse().unwrap();
        let socket = UdpSocket::bind((SERVER, 53));
        let socket = self.runtime.block_on(socket).unwrap();
        let serving = self.runtime.spawn(dns::serve(socket, address));
        *self.names.borrow_mut() = Some(serving);
    }

    /// Nobody listens on its port when this returns.
    pub(crate) fn stop_name_server(&self) {
        if let Some(serving) = self.names.take() {
            serving.abort();
            let _ = self.runtime.block_on(serving);
        }
    }

    /// `ip` for the client's network.
    pub(crate) fn ip(&self, words: &str) {
        run(&format!("ip -n {} {words}", self.client)).unwrap();
    }

    /// `ip` for the server's network, where this process is.
    pub(crate) fn ip_of_server(&self, words: &str) {
        run(&format!("ip {words}")).unwrap();
    }

    /// Each direction of the link carries so much from now on.
    pub(crate) fn cap_link(&self, rate: &str) {
        let shape = format!("qdisc add dev eth0 root tbf rate {rate} burst 32kbit latency 400ms");
        run(&format!("tc -n {} {shape}", self.client)).unwrap();
        run(&format!("tc {shape}")).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, len: u64) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, common::bytes(len, len)).unwrap();
        path
    }

    pub(crate) fn object(&self, key: &str, len: u64) {
        let put = self.server.put_object(BUCKET, key, common::bytes(len, len));
        self.runtime.block_on(put).unwrap();
    }

    /// The command in the client's network, with a state of this name.
    pub(crate) fn towline(&self, state: &str, args: &[&str]) -> Command {
        let command = common::towline(&self.endpoint, &self.path(state), args);
        let mut command = in_namespace(&self.client, &command);
        command.current_dir(self.dir.path());
        command
    }

    /// A command that is to succeed.
    pub(crate) fn done(&self, state: &str, args: &[&str]) {
        let output = self.towline(state, args).output().unwrap();
        assert!(output.status.success(), "{}", common::stderr(&output));
    }

    /// An upload of a new file, under way.
    pub(crate) fn upload(&self, state: &str, key: &str, len: u64) -> Moving<'_> {
        self.file(key, len);
        Moving::begin(self, state, &["upload", key, &url(key)])
    }

    /// A download of a new object, under way.
    pub(crate) fn download(&self, state: &str, key: &str, len: u64) -> Moving<'_> {
        self.object(key, len);
        Moving::begin(self, state, &["download", &url(key), key])
    }

    /// The object and the file of this name have the same bytes.
    pub(crate) fn is_the_same(&self, key: &str) -> bool {
        let object = self.server.object_sha256(BUCKET, key).unwrap();
        object == common::sha256_of_file(Path::new(&self.path(key)))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop_name_server();
    }
}

pub(crate) fn url(key: &str) -> String {
    format!("s3://{BUCKET}/{key}")
}

/// Waits for what is to come in time; gives how long it took.
pub(crate) fn until(what: &str, limit: Duration, is_so: impl Fn() -> bool) -> Duration {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
    start.elapsed()
}

/// The server listens on loopback only; this lets the client's network in.
async fn pass_on(port: u16) {
    let outside = TcpListener::bind((SERVER, port)).await.unwrap();
    let server = SocketAddr::from(([127, 0, 0, 1], port));
    tokio::spawn(async move {
        while let Ok((mut client, _)) = outside.accept().await {
            tokio::spawn(async move {
                if let Ok(mut server) = TcpStream::connect(server).await {
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                }
            });
        }
    });
}
