//! Serves the control socket of a state, and the HTTP API where it is asked to.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use towline::TransferUtility;

use crate::api::Mode;
use crate::door::{Door, Tcp};
use crate::guard::Via;
use crate::hub::Hub;
use crate::roots::Roots;
use crate::routes::{App, Presence, Routes, router};
use crate::serve::{Listen, serve};
use crate::spool::Spool;
use crate::throughput::Throughput;
use crate::{files, place};

/// How long answers under way may take once the owner leaves.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// Connections at one time over TCP.
const TCP_CONNECTIONS: usize = 64;
/// Connections at one time over the socket.
const SOCKET_CONNECTIONS: usize = 4096;

/// How a state is served.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Service {
    /// How long the owner stays.
    pub mode: Mode,
    /// Where the HTTP API and the page are served too: an address of loopback;
    /// port 0 takes a free one. Default: nowhere.
    pub listen: Option<SocketAddr>,
    /// Where files of transfers may be that are submitted over TCP, and what
    /// is completed there. Default: anywhere.
    pub roots: Vec<PathBuf>,
    /// Bytes of files that are kept until they are uploaded. Default 10 GiB.
    pub spool_quota: u64,
}

impl Service {
    /// The socket alone.
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            listen: None,
            roots: Vec::new(),
            spool_quota: 10 << 30,
        }
    }
}

/// A control socket that is being served. Dropping it ends it at once.
#[derive(Debug)]
pub struct Server {
    dir: PathBuf,
    presence: Arc<Presence>,
    leave: watch::Sender<bool>,
    serving: Vec<JoinHandle<()>>,
    /// What runs beside them, without an end of its own.
    beside: Vec<JoinHandle<()>>,
    door: Option<Arc<Door>>,
}

impl Server {
    /// Serves a utility in its own state directory, on the current tokio
    /// runtime. Only the owner of the state may: what socket is there is taken
    /// for one that was left behind.
    pub fn start(utility: TransferUtility, dir: &Path, mode: Mode) -> io::Result<Self> {
        Self::start_with(utility, dir, &Service::new(mode))
    }

    /// The same, with all that can be said about it.
    pub fn start_with(utility: TransferUtility, dir: &Path, service: &Service) -> io::Result<Self> {
        Self::start_ready(Routes::default(), utility, dir, service)
    }

    /// The same, with routes that were made before.
    pub fn start_ready(
        routes: Routes,
        utility: TransferUtility,
        dir: &Path,
        service: &Service,
    ) -> io::Result<Self> {
        let roots = Arc::new(Roots::new(&service.roots)?);
        let tcp = service.listen.map(|address| Tcp::open(dir, address));
        let tcp = tcp.transpose()?;
        let door = tcp.as_ref().map(|tcp| Arc::clone(&tcp.door));
        let (leave, leaving) = watch::channel(false);
        let mut addresses = vec![format!("unix:{}", place::socket_path(dir).display())];
        addresses.extend(door.as_ref().map(|door| format!("http://{}", door.address)));
        let presence = Arc::new(Presence::new(service.mode, addresses));
        let throughput = Arc::new(Throughput::default());
        let spool = Arc::new(Spool::new(utility.spool_dir(), service.spool_quota));
        let app = App {
            hub: Hub::new(utility.clone()),
            utility: utility.clone(),
            presence: Arc::clone(&presence),
            leaving: leaving.clone(),
            door: door.clone(),
            throughput: Arc::clone(&throughput),
            spool: Arc::clone(&spool),
            roots,
            state_dir: Arc::new(dir.to_owned()),
        };
        let router = router(routes, app);
        let socket = Socket(place::bind(dir)?);
        match &door {
            // Last, so that who finds it finds everything.
            Some(door) => files::put(dir, files::ADDRESS, &format!("http://{}", door.address))?,
            // That of an owner that crashed leads to whoever has its port by now.
            None => drop(std::fs::remove_file(dir.join(files::ADDRESS))),
        }
        let beside = vec![
            tokio::spawn(throughput.measure(utility)),
            tokio::spawn(spool.expire()),
        ];
        let mut serving = Vec::new();
        if let Some(tcp) = tcp {
            let serve = serve(tcp, router.clone(), TCP_CONNECTIONS, leaving.clone());
            serving.push(tokio::spawn(serve));
        }
        let serve = serve(socket, router, SOCKET_CONNECTIONS, leaving);
        serving.push(tokio::spawn(serve));
        Ok(Self {
            dir: dir.to_owned(),
            presence,
            leave,
            serving,
            beside,
            door,
        })
    }

    /// Where the HTTP API is served, if it is.
    pub fn address(&self) -> Option<SocketAddr> {
        self.door.as_ref().map(|door| door.address)
    }

    /// How long the owner stays; a client may have asked for more.
    pub fn mode(&self) -> Mode {
        self.presence.mode()
    }

    /// Returns once a client has asked a daemon to leave.
    pub async fn told_to_leave(&self) {
        self.presence.told_to_leave().await;
    }

    /// Tells those who follow that another owner is to be looked for, answers
    /// what was asked, and takes the socket away. The state is still owned.
    pub async fn stop(mut self) {
        self.leave.send_replace(true);
        place::unbind(&self.dir);
        if self.door.is_some() {
            let _ = std::fs::remove_file(self.dir.join(files::ADDRESS));
        }
        let serving = std::mem::take(&mut self.serving);
        let last = tokio::time::Instant::now() + LAST_ANSWERS;
        for mut serving in serving {
            if tokio::time::timeout_at(last, &mut serving).await.is_err() {
                serving.abort();
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for task in self.serving.iter().chain(&self.beside) {
            task.abort();
        }
    }
}

/// Accepts connections of this user alone.
struct Socket(UnixListener);

impl Listen for Socket {
    type Io = UnixStream;

    async fn accept(&mut self) -> io::Result<(UnixStream, Via)> {
        loop {
            let (stream, _) = self.0.accept().await?;
            if place::is_ours(&stream) {
                return Ok((stream, Via::Socket));
            }
            tracing::warn!("another user was turned away from the control socket");
        }
    }
}
