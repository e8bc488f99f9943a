//! Connections: how many, how slow they may be, and how they end.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower_service::Service as _;

use crate::guard::{self, Via};
use crate::patience::Patient;

/// How long the head of a request may take, also while a connection is idle.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a client may read nothing of what is sent to it.
const UNREAD_TIME: Duration = Duration::from_secs(30);
/// Bytes of a connection's buffers; the longest head of a request too.
const BUFFER_MAX: usize = 64 << 10;

/// What connections come from.
pub(crate) trait Listen: Send + 'static {
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection that is let in, and how it came.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Io, Via)>> + Send;
}

/// Serves every connection until it is told to leave; then answers what was
/// asked.
pub(crate) async fn serve(
    mut listener: impl Listen,
    router: Router,
    most: usize,
    mut leaving: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(most));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = left(&mut leaving) => break,
        };
        let (stream, via) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "no connection was accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Told at once, not kept waiting without a word.
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::debug!(most, "a connection too many was closed");
            continue;
        };
        let one = connection(stream, via, router.clone(), leaving.clone(), place);
        connections.spawn(one);
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn left(leaving: &mut watch::Receiver<bool>) {
    drop(leaving.wait_for(|leaving| *leaving).await);
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    via: Via,
    router: Router,
    mut leaving: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
) {
    let service = service_fn(|request: Request<Incoming>| {
        let (via, mut router) = (via.clone(), router.clone());
        async move {
            let request = guard::admit(request.map(Body::new), &via).await;
            let answer = match request {
                Ok(mut request) => {
                    request.extensions_mut().insert(via);
                    let answered: Result<_, Infallible> = router.call(request).await;
                    answered.map_err(|never| match never {})
                }
                Err(problem) => Err(problem),
            };
            Ok::<_, Infallible>(guard::release(answer))
        }
    });
    let stream = TokioIo::new(Patient::new(stream, UNREAD_TIME));
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_buf_size(BUFFER_MAX)
            .serve_connection(stream, service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = left(&mut leaving) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection was cut");
    }
}
