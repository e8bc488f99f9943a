//! The sockets: accepting connections, serving them, and ending them as asked.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use crate::faults::{By, Faults, Globals, Offline};
use crate::line::{Line, Socket};
use crate::service::Service;
use crate::wire::Wire;

/// Kernel buffers of a connection. Small, so that what the history counts is
/// near to what the client has, and a throttle is felt.
const SOCKET_BUFFER: u32 = 256 * 1024;
/// hyper's own buffer of a connection.
const CONNECTION_BUFFER: usize = 128 * 1024;
/// How often a port that someone else took meanwhile is asked for again.
const LISTEN_AGAIN: Duration = Duration::from_millis(50);
/// How long a client may go on sending after its connection was closed.
const CLOSING: Duration = Duration::from_secs(10);
/// What was written before a reset has this long to arrive: a reset throws
/// away what the socket still holds.
const ARRIVAL: Duration = Duration::from_millis(50);

pub(crate) fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    // Accepted connections inherit these.
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    socket.listen(1024)
}

/// Accepts until told to stop. While connections are to be refused, the port is closed.
pub(crate) async fn accept(
    mut listener: TcpListener,
    port: u16,
    service: Service,
    tls: Option<TlsAcceptor>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    let mut globals = service.faults.watch_globals();
    loop {
        tokio::select! {
            () = turned_on(&mut stopped) => break,
            () = turned(&mut globals, |offline| offline == Some(Offline::Refuse)) => {
                drop(listener);
                tokio::select! {
                    () = turned_on(&mut stopped) => break,
                    again = listen_again(port, &mut globals) => listener = again,
                }
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, tls.clone(), service.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    sleep(LISTEN_AGAIN).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    connections.shutdown().await;
}

async fn listen_again(port: u16, globals: &mut watch::Receiver<Globals>) -> TcpListener {
    loop {
        turned(globals, |offline| offline != Some(Offline::Refuse)).await;
        match listen(port) {
            Ok(listener) => return listener,
            Err(error) => tracing::warn!(%error, port, "the port is not to be had again yet"),
        }
        sleep(LISTEN_AGAIN).await;
    }
}

/// Waits until the switch is on, or whoever holds it is gone.
async fn turned_on(switch: &mut watch::Receiver<bool>) {
    drop(switch.wait_for(|on| *on).await);
}

/// Waits until `offline` is as asked.
async fn turned(globals: &mut watch::Receiver<Globals>, asked: impl Fn(Option<Offline>) -> bool) {
    if globals.wait_for(|now| asked(now.offline)).await.is_err() {
        std::future::pending().await
    }
}

/// Serves one connection until it ends, is to be cut, or the server goes out of reach.
async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, service: Service) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "nodelay was not set");
    }
    let stream = Arc::new(stream);
    let socket = Socket(Arc::clone(&stream));
    let by = match tls {
        None => serve_requests(socket, service).await,
        Some(tls) => match tls.accept(socket).await {
            Ok(inside) => serve_requests(inside, service).await,
            Err(error) => {
                tracing::debug!(%error, "there was no TLS on a connection");
                None
            }
        },
    };
    // The line went with the future that served it.
    let Some(stream) = Arc::into_inner(stream) else {
        return;
    };
    match by {
        None => {}
        Some(By::Rst) => reset(stream).await,
        Some(By::Fin) => close(stream).await,
    }
}

/// Tells how the connection is to be ended, where it has not ended by itself.
async fn serve_requests(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin,
    service: Service,
) -> Option<By> {
    let faults = service.faults.clone();
    let mut globals = faults.watch_globals();
    let wire = Wire::new();
    let line = Line::new(stream, Arc::clone(&wire), faults.clone());
    let away = |offline| matches!(offline, Some(Offline::Refuse | Offline::Reset));
    let calls = Arc::clone(&wire);
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(CONNECTION_BUFFER)
        .serve_connection(
            TokioIo::new(line),
            service_fn(move |request| service.clone().call(request, Arc::clone(&calls))),
        );
    tokio::select! {
        biased;
        () = turned(&mut globals, away) => Some(By::Rst),
        by = wire.cut_asked() => Some(by),
        () = idle_too_long(&faults, &wire) => Some(By::Fin),
        result = serving => {
            if let Err(error) = result {
                tracing::debug!(%error, "a connection ended early");
            }
            None
        }
    }
}

/// Waits until the connection has waited for a request longer than it may.
async fn idle_too_long(faults: &Faults, wire: &Wire) {
    let mut globals = faults.watch_globals();
    loop {
        let limit = globals.borrow_and_update().close_idle;
        let Some(limit) = limit else {
            if globals.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            continue;
        };
        let idle = wire
            .idle_since()
            .map(|since| Instant::from_std(since) + limit);
        match idle {
            Some(end) if end <= Instant::now() => return,
            Some(end) => sleep_until(end.min(Instant::now() + LOOK_AGAIN)).await,
            None => sleep(limit.min(LOOK_AGAIN)).await,
        }
    }
}

/// How long a change of what is idle may go unnoticed.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

async fn reset(stream: TcpStream) {
    sleep(ARRIVAL).await;
    if let Err(error) = stream.set_zero_linger() {
        tracing::warn!(%error, "a connection is closed instead of reset");
    }
}

/// Ends the stream to the client, and reads on until the client has ended
/// its own: a socket closed over unread bytes would be reset.
async fn close(mut stream: TcpStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut rest = vec![0; 64 * 1024];
    let read = async { while matches!(stream.read(&mut rest).await, Ok(read) if read > 0) {} };
    // A client that goes on and on has its reset.
    let _ = timeout(CLOSING, read).await;
}
