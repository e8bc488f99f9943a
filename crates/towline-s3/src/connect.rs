//! Opens connections: resolves, tries all addresses, tunnels through a proxy,
//! sets up TLS.

use std::collections::hash_map::RandomState;
use std::future::poll_fn;
use std::hash::BuildHasher;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use crate::ahead::Ahead;
use crate::proxy::{Proxy, ProxyRules};
use crate::tls::Trust;
use crate::wire::{Conn, Pool, Wire};

/// So many bytes are encrypted and sent at one go: two pieces of a body and what stands
/// before them, which is what comes at one go. rustls would take a fourth of it.
const ENCRYPTED: usize = 272 << 10;

/// The most of a proxy's answer to CONNECT.
const MAX_PROXY_ANSWER: usize = 16 << 10;

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectFailure {
    #[error("the name {host} does not resolve")]
    Dns { host: String, source: io::Error },
    #[error("cannot connect to {host}")]
    Tcp {
        host: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("no connection to {host} within {} s", limit.as_secs())]
    Timeout { host: String, limit: Duration },
    #[error("proxy {proxy} refused a tunnel: {why}")]
    Proxy { proxy: String, why: String },
    #[error("cannot set up TLS with {host}")]
    Tls { host: String, source: io::Error },
    #[error("{host} closed the connection while TLS was set up")]
    TlsCut { host: String, source: io::Error },
}

impl ConnectFailure {
    /// The host has no address, rather than no connection.
    fn of_tcp(host: &str, error: impl std::error::Error + Send + Sync + 'static) -> Self {
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(cause) = next {
            if let Some(unresolved) = cause.downcast_ref::<Unresolved>() {
                return Self::Dns {
                    host: unresolved.host.clone(),
                    source: io::Error::other(unresolved.why.clone()),
                };
            }
            next = cause.source();
        }
        Self::Tcp {
            host: host.to_owned(),
            source: Box::new(error),
        }
    }
}

/// Opens connections for hyper's pool.
#[derive(Clone)]
pub(crate) struct Connector {
    http: HttpConnector<Resolver>,
    trust: Arc<Trust>,
    proxies: Arc<ProxyRules>,
    limit: Duration,
    pool: Arc<Pool>,
    ahead: Ahead,
}

impl Connector {
    /// `limit` bounds all addresses together, and TLS on its own.
    pub(crate) fn new(trust: Arc<Trust>, proxies: Arc<ProxyRules>, limit: Duration) -> Self {
        let mut http = HttpConnector::new_with_resolver(Resolver::default());
        http.enforce_http(false);
        http.set_nodelay(true);
        // Who is gone without a word is noticed within a minute, however long an
        // answer may take.
        http.set_keepalive(Some(Duration::from_secs(30)));
        http.set_keepalive_interval(Some(Duration::from_secs(10)));
        http.set_keepalive_retries(Some(3));
        #[cfg(target_os = "linux")]
        http.set_tcp_user_timeout(Some(Duration::from_secs(60)));
        http.set_connect_timeout(Some(limit));
        Self {
            http,
            trust,
            proxies,
            limit,
            pool: Arc::default(),
            ahead: Ahead::default(),
        }
    }

    /// Counts its connections with others.
    pub(crate) fn counted(mut self, pool: &Arc<Pool>) -> Self {
        self.pool = Arc::clone(pool);
        self
    }

    /// Opens what is missing to so many.
    pub(crate) fn open_ahead(&self, target: &Uri, wanted: usize) {
        if self.ahead.are_there_for(target) {
            return;
        }
        for _ in self.pool.read().open..wanted as u64 {
            self.ahead
                .keep(target.clone(), self.clone().open(target.clone()));
        }
    }

    /// Closes those that were opened ahead.
    pub(crate) fn forget_ahead(&self) {
        self.ahead.forget();
    }

    /// What a proxy wants to see on each request over plain HTTP. Over TLS only
    /// the request for the tunnel has it.
    pub(crate) fn proxy_authorization(&self, target: &Uri) -> Option<HeaderValue> {
        let plain = target.scheme_str() == Some("http");
        let proxy = plain.then(|| self.proxies.pick(target)).flatten()?;
        proxy.authorization.clone()
    }

    async fn open(mut self, target: Uri) -> Result<Conn, ConnectFailure> {
        let host = target.host().unwrap_or_default().to_owned();
        let secure = target.scheme_str() == Some("https");
        let proxy = self.proxies.pick(&target).cloned();
        let first = proxy.as_ref().map_or(&target, |proxy| &proxy.uri).clone();
        let first_host = first.host().unwrap_or_default().to_owned();
        poll_fn(|cx| self.http.poll_ready(cx))
            .await
            .map_err(|error| ConnectFailure::of_tcp(&first_host, error))?;
        let tcp = self
            .http
            .call(first.clone())
            .await
            .map_err(|error| ConnectFailure::of_tcp(&first_host, error))?
            .into_inner();
        let limit = self.limit;
        let set_up = async {
            let mut stream = Wire::Plain(tcp);
            if let Some(proxy) = &proxy {
                if first.scheme_str() == Some("https") {
                    stream = Wire::Tls(Box::new(self.tls(stream, &first_host).await?));
                }
                if secure {
                    tunnel(&mut stream, proxy, &target).await?;
                }
            }
            if secure {
                stream = Wire::Tls(Box::new(self.tls(stream, &host).await?));
            }
            Ok(stream)
        };
        let stream =
            tokio::time::timeout(limit, set_up)
                .await
                .map_err(|_| ConnectFailure::Timeout {
                    host: host.clone(),
                    limit,
                })??;
        Ok(Conn::new(stream, proxy.is_some() && !secure, &self.pool))
    }

    async fn tls(&self, stream: Wire, host: &str) -> Result<TlsStream<Wire>, ConnectFailure> {
        let failed = |source: io::Error| {
            let host = host.to_owned();
            match source
                .get_ref()
                .is_some_and(|inner| inner.is::<rustls::Error>())
            {
                true => ConnectFailure::Tls { host, source },
                false => ConnectFailure::TlsCut { host, source },
            }
        };
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|_| failed(io::Error::other("the host is no name for TLS")))?;
        TlsConnector::from(self.trust.config())
            .connect_with(name, stream, |tls| tls.set_buffer_limit(Some(ENCRYPTED)))
            .await
            .map_err(failed)
    }
}

impl Service<Uri> for Connector {
    type Response = Conn;
    type Error = ConnectFailure;
    type Future = Pin<Box<dyn Future<Output = Result<Conn, ConnectFailure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectFailure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            if let Some(opened) = this.ahead.take(&target)
                && let Ok(opened) = opened.await
            {
                return opened;
            }
            this.open(target).await
        })
    }
}

/// Asks a proxy for a way through to `target`.
async fn tunnel(stream: &mut Wire, proxy: &Proxy, target: &Uri) -> Result<(), ConnectFailure> {
    let refused = |why: String| ConnectFailure::Proxy {
        proxy: proxy
            .uri
            .authority()
            .map(ToString::to_string)
            .unwrap_or_default(),
        why,
    };
    let host = target.host().unwrap_or_default();
    let port = target.port_u16().unwrap_or(443);
    let mut ask = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n").into_bytes();
    if let Some(authorization) = &proxy.authorization {
        ask.extend_from_slice(b"Proxy-Authorization: ");
        ask.extend_from_slice(authorization.as_bytes());
        ask.extend_from_slice(b"\r\n");
    }
    ask.extend_from_slice(b"\r\n");
    let io_failed = |error: io::Error| refused(error.to_string());
    stream.write_all(&ask).await.map_err(io_failed)?;
    stream.flush().await.map_err(io_failed)?;
    let mut answer = Vec::with_capacity(1024);
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= MAX_PROXY_ANSWER {
            return Err(refused("its answer is too long".into()));
        }
        // Byte by byte, so that nothing behind the answer is taken away.
        answer.push(stream.read_u8().await.map_err(io_failed)?);
    }
    let line = answer
        .split(|byte| *byte == b'\r')
        .next()
        .unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    match line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)) {
        Some(status) if status.starts_with('2') => Ok(()),
        Some(status) => Err(refused(format!("status {}", status.escape_debug()))),
        None => Err(refused("it does not speak HTTP".into())),
    }
}

/// Resolves anew for every connection and starts each time at another of the
/// host's addresses, so that connections spread over S3's servers.
#[derive(Clone)]
struct Resolver {
    turn: Arc<AtomicUsize>,
}

impl Default for Resolver {
    fn default() -> Self {
        let start = RandomState::new().hash_one(0u8) as usize;
        Self {
            turn: Arc::new(AtomicUsize::new(start)),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{why}")]
struct Unresolved {
    host: String,
    why: String,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Unresolved;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Unresolved>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unresolved>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let unresolved = |why: String| Unresolved {
                host: name.as_str().to_owned(),
                why,
            };
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0))
                .await
                .map_err(|error| unresolved(error.to_string()))?
                .collect();
            if found.is_empty() {
                return Err(unresolved("it has no address".into()));
            }
            Ok(spread(found, turn).into_iter())
        })
    }
}

/// The family that the system prefers stays first; within each, addresses rotate.
fn spread(found: Vec<SocketAddr>, turn: usize) -> Vec<SocketAddr> {
    let v4_first = found.first().is_some_and(SocketAddr::is_ipv4);
    let (mut first, mut second): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|addr| addr.is_ipv4() == v4_first);
    for family in [&mut first, &mut second] {
        if !family.is_empty() {
            let by = turn % family.len();
            family.rotate_left(by);
        }
    }
    first.extend(second);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_take_turns_over_a_hosts_addresses() {
        let all: Vec<SocketAddr> = ["[::1]:0", "[::2]:0", "1.1.1.1:0", "2.2.2.2:0"]
            .map(|text| text.parse().unwrap())
            .to_vec();
        let order = |turn| {
            spread(all.clone(), turn)
                .iter()
                .map(|a| a.ip().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(order(0), ["::1", "::2", "1.1.1.1", "2.2.2.2"]);
        assert_eq!(order(1), ["::2", "::1", "2.2.2.2", "1.1.1.1"]);
    }
}
