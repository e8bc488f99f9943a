//! Serves the control socket of a state.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use towline::TransferUtility;

use crate::api::Mode;
use crate::place;
use crate::routes::{App, Presence, router};

/// How long answers under way may take once the owner leaves.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// A control socket that is being served. Dropping it ends it at once.
#[derive(Debug)]
pub struct Server {
    dir: PathBuf,
    presence: Arc<Presence>,
    leave: watch::Sender<bool>,
    serving: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Serves a utility in its own state directory, on the current tokio
    /// runtime. Only the owner of the state may: what socket is there is taken
    /// for one that was left behind.
    pub fn start(utility: TransferUtility, dir: &Path, mode: Mode) -> io::Result<Self> {
        let listener = Ours(place::bind(dir)?);
        let (leave, leaving) = watch::channel(false);
        let socket = format!("unix:{}", place::socket_path(dir).display());
        let presence = Arc::new(Presence::new(mode, vec![socket]));
        let app = App {
            utility,
            presence: Arc::clone(&presence),
            leaving: leaving.clone(),
        };
        let serve = axum::serve(listener, router(app)).with_graceful_shutdown(left(leaving));
        Ok(Self {
            dir: dir.to_owned(),
            presence,
            leave,
            serving: tokio::spawn(serve.into_future()),
        })
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
        if tokio::time::timeout(LAST_ANSWERS, &mut self.serving)
            .await
            .is_err()
        {
            self.serving.abort();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn left(mut leaving: watch::Receiver<bool>) {
    drop(leaving.wait_for(|leaving| *leaving).await);
}

/// Accepts connections of this user alone.
struct Ours(UnixListener);

impl Listener for Ours {
    type Io = UnixStream;
    type Addr = tokio::net::unix::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match self.0.accept().await {
                Ok((stream, address)) if place::is_ours(&stream) => return (stream, address),
                Ok(_) => tracing::warn!("another user was turned away from the control socket"),
                Err(error) => {
                    tracing::warn!(%error, "the control socket accepted nobody");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}
