//! The way in over TCP: loopback, a token, login codes.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};

use crate::files;
use crate::guard::Via;
use crate::login::Codes;
use crate::secret::Secret;
use crate::serve::Listen;

/// The way in over TCP. Fixed once it is open: nothing that can be set through
/// it changes who may.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    pub(crate) token: Secret,
    pub(crate) codes: Codes,
}

/// Accepts connections of this machine; who they are of, the guard asks.
pub(crate) struct Tcp {
    listener: TcpListener,
    pub(crate) door: Arc<Door>,
}

impl Listen for Tcp {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, Via)> {
        let (stream, peer) = self.listener.accept().await?;
        stream.set_nodelay(true)?;
        let door = Arc::clone(&self.door);
        Ok((stream, Via::Tcp { peer, door }))
    }
}

impl Tcp {
    /// Listens on an address of loopback.
    pub(crate) fn open(dir: &Path, address: SocketAddr) -> io::Result<Self> {
        if !address.ip().is_loopback() {
            let why = format!("{address} can be reached from other machines; take 127.0.0.1");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let cannot = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
        };
        let token = files::token(dir)?;
        let listener = std::net::TcpListener::bind(address).map_err(cannot)?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let door = Arc::new(Door {
            address,
            token,
            codes: Codes::default(),
        });
        Ok(Self { listener, door })
    }
}
