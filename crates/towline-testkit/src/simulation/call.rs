//! One request on its way to a simulated store and back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};
use towline_core::{Body, Operation, S3Error, S3ErrorKind, Timestamp};

use super::Server;
use super::faults::{Applied, Fault};
use super::history::{End, Entry, Request};
use super::objects::Objects;
use super::wire::{Broken, Network};

/// A new connection has so long.
const CONNECT: Duration = Duration::from_secs(10);
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
const MOST_SKEW_MS: u64 = 900_000;

/// Why the store refuses.
pub(super) struct Refusal {
    status: u16,
    code: &'static str,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &'static str) -> Self {
        Self { status, code }
    }
}

/// The side of the client.
pub(super) struct Line {
    pub(super) server: Arc<Server>,
    signer: Mutex<Signer>,
    /// Which client it is.
    number: u32,
    /// Connections that carry nothing now.
    idle: AtomicUsize,
}

struct Signer {
    issued: Instant,
    /// Others are to be had before the next request.
    stale: bool,
    /// What is added to our clock, in milliseconds.
    offset: i64,
}

/// A request that was answered: at work until this is dropped.
pub(super) struct Answered {
    pub(super) entry: Entry,
    pub(super) fault: Option<Fault>,
    _at_work: AtWork,
}

struct AtWork(Arc<Server>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.rules().at_work -= 1;
    }
}

/// What is known of a request under way.
struct Facts {
    operation: Operation,
    entry: Entry,
    fault: Option<Fault>,
    reused: bool,
    sent: AtomicU64,
    whole: AtomicBool,
}

impl Line {
    pub(super) fn new(server: Arc<Server>) -> Self {
        let number = server.rules().next_client();
        Self {
            number,
            server,
            signer: Mutex::new(Signer {
                issued: Instant::now(),
                stale: false,
                offset: 0,
            }),
            idle: AtomicUsize::new(0),
        }
    }

    /// Asks, and lets the store answer.
    pub(super) async fn ask<T>(
        &self,
        (operation, key): (Operation, &str),
        note: impl FnOnce(&mut Request),
        body: Option<Body>,
        answer: impl Answer<T>,
    ) -> Result<(T, Answered), S3Error> {
        let taken = |idle: usize| idle.checked_sub(1);
        let facts = Facts {
            operation,
            entry: self.server.history.begin(self.number, operation, key, note),
            fault: self.server.rules().draw(operation),
            reused: self.idle.fetch_update(Relaxed, Relaxed, taken).is_ok(),
            sent: AtomicU64::new(0),
            whole: AtomicBool::new(false),
        };
        facts.entry.note(|request| request.fault = facts.fault);
        if let Err(error) = self.connect(&facts).await {
            facts.entry.end(End::NoAnswer);
            return Err(error);
        }
        let work = self.exchange(&facts, body, answer);
        match self.server.wire.on_connection(work).await {
            Ok(Ok((told, at_work))) => {
                self.idle.fetch_add(1, Relaxed);
                let Facts { entry, fault, .. } = facts;
                let _at_work = at_work;
                Ok((
                    told,
                    Answered {
                        entry,
                        fault,
                        _at_work,
                    },
                ))
            }
            Ok(Err(error)) => {
                let status = error.status.unwrap_or_default();
                let code = error.code().to_owned();
                facts.entry.end(match error.kind {
                    S3ErrorKind::Answer => End::Refused(status, code),
                    _ => End::NoAnswer,
                });
                Err(error)
            }
            Err(Broken) => {
                facts.entry.end(End::NoAnswer);
                Err(facts.error(S3ErrorKind::Transport, "the connection was reset"))
            }
        }
    }

    async fn connect(&self, facts: &Facts) -> Result<(), S3Error> {
        let wire = &self.server.wire;
        match wire.network() {
            Network::Up if facts.reused => Ok(()),
            Network::Up => {
                wire.one_way().await;
                wire.one_way().await;
                Ok(())
            }
            Network::Blackhole if facts.reused => std::future::pending().await,
            Network::Blackhole => match timeout(CONNECT, wire.opened()).await {
                Ok(()) => Ok(()),
                Err(_) => Err(facts.error(S3ErrorKind::Connect, "no address answered in 10 s")),
            },
            Network::Refused => {
                self.idle.store(0, Relaxed);
                wire.one_way().await;
                Err(facts.error(S3ErrorKind::Connect, "connection refused"))
            }
            Network::Reset => {
                self.idle.store(0, Relaxed);
                wire.one_way().await;
                Err(facts.error(S3ErrorKind::Transport, "connection reset"))
            }
        }
    }

    async fn exchange<T>(
        &self,
        facts: &Facts,
        body: Option<Body>,
        answer: impl Answer<T>,
    ) -> Result<(T, AtWork), S3Error> {
        let (server, wire) = (&self.server, &self.server.wire);
        let signed_at = self.sign(facts.entry.signed_as_of());
        facts.whole.store(body.is_none(), Relaxed);
        wire.one_way().await;
        let at_work = match self.admit(facts.operation, signed_at) {
            Ok(at_work) => at_work,
            Err(refusal) => {
                wire.one_way().await;
                return Err(facts.refused(&refusal, server.now()));
            }
        };
        if let Some(Fault::Refuse(status)) = facts.fault {
            wire.one_way().await;
            return Err(facts.refused(&Refusal::new(status, code_of(status)), server.now()));
        }
        let bytes = match body {
            Some(body) => self.receive(facts, body).await?,
            None => Bytes::new(),
        };
        let place = facts.entry.place;
        let told = match facts.fault {
            Some(Fault::CutAt(_)) => return Err(facts.cut()),
            Some(
                fault @ (Fault::RefuseAfter(_, applied)
                | Fault::CutAfter(applied)
                | Fault::Silent(applied)),
            ) => {
                match applied {
                    Applied::Yes => drop(server.apply(place, bytes, &answer)),
                    Applied::No => {}
                    Applied::Late(after) => server.apply_later(place, bytes, after, answer),
                }
                wire.one_way().await;
                return match fault {
                    Fault::RefuseAfter(status, _) => {
                        let refusal = Refusal::new(status, code_of(status));
                        Err(facts.refused(&refusal, server.now()))
                    }
                    Fault::Silent(_) => std::future::pending().await,
                    _ => Err(facts.cut()),
                };
            }
            Some(Fault::Twice(after)) => {
                let told = server.apply(place, bytes.clone(), &answer);
                server.apply_later(place, bytes, after, answer);
                told
            }
            _ => server.apply(place, bytes, &answer),
        };
        wire.one_way().await;
        match told {
            Ok(told) => Ok((told, at_work)),
            Err(refusal) => Err(facts.refused(&refusal, server.now())),
        }
    }

    /// Takes a body as a socket does: the next bytes when the last are gone.
    async fn receive(&self, facts: &Facts, mut body: Body) -> Result<Bytes, S3Error> {
        let link = &self.server.wire.up;
        let mut all = Vec::with_capacity(usize::try_from(body.len).unwrap_or_default());
        let cut_at = match facts.fault {
            Some(Fault::CutAt(percent)) => body.len * u64::from(percent) / 100,
            _ => u64::MAX,
        };
        while let Some(bytes) = std::future::poll_fn(|cx| body.stream.as_mut().poll_next(cx)).await
        {
            let bytes = bytes.map_err(|cause| {
                let mut error = facts.error(S3ErrorKind::Body, &cause.to_string());
                error.source = Some(cause);
                error
            })?;
            for piece in bytes.chunks(link.step()) {
                link.pass(piece.len()).await;
                facts.entry.moved(piece.len());
                facts.sent.fetch_add(piece.len() as u64, Relaxed);
                all.extend_from_slice(piece);
                if all.len() as u64 > cut_at {
                    return Err(facts.cut());
                }
            }
        }
        if all.len() as u64 != body.len {
            return Err(facts.error(S3ErrorKind::Body, "the body has another length"));
        }
        facts.whole.store(true, Relaxed);
        Ok(all.into())
    }

    /// Signs a request: with which credentials, and by which clock.
    fn sign(&self, as_of: Option<Timestamp>) -> (Instant, i64) {
        let mut signer = self.signer.lock().unwrap_or_else(PoisonError::into_inner);
        if signer.stale && !self.server.rules().no_credentials {
            signer.issued = Instant::now();
            signer.stale = false;
        }
        let now = self.server.our_millis() + signer.offset;
        (signer.issued, as_of.map_or(now, Timestamp::as_millis))
    }

    fn admit(
        &self,
        operation: Operation,
        (issued, signed_at): (Instant, i64),
    ) -> Result<AtWork, Refusal> {
        let now = self.server.now().as_millis();
        let mut rules = self.server.rules();
        if rules.denied.contains(&operation) {
            return Err(Refusal::new(403, "AccessDenied"));
        }
        if now.abs_diff(signed_at) > MOST_SKEW_MS {
            return Err(Refusal::new(403, "RequestTimeTooSkewed"));
        }
        if rules.lifetime.is_some_and(|most| issued.elapsed() > most) {
            return Err(Refusal::new(400, "ExpiredToken"));
        }
        if rules.most.is_some_and(|most| rules.at_work >= most) {
            return Err(Refusal::new(503, "SlowDown"));
        }
        rules.at_work += 1;
        Ok(AtWork(Arc::clone(&self.server)))
    }

    /// What a client says that does not ask.
    pub(super) fn denied(&self) -> S3Error {
        let mut error = S3Error::new(Operation::HeadObject, S3ErrorKind::Answer, "");
        error.status = Some(404);
        error
    }

    pub(super) fn refresh_credentials(&self) {
        let mut signer = self.signer.lock().unwrap_or_else(PoisonError::into_inner);
        signer.stale = true;
    }

    pub(super) fn set_clock(&self, server: Timestamp) {
        let mut signer = self.signer.lock().unwrap_or_else(PoisonError::into_inner);
        signer.offset = server.as_millis() - self.server.our_millis();
    }

    pub(super) fn clock_offset(&self) -> i64 {
        let signer = self.signer.lock();
        signer.unwrap_or_else(PoisonError::into_inner).offset
    }

    pub(super) fn reset_connections(&self) {
        self.idle.store(0, Relaxed);
    }
}

/// Answers a request: once, or once more where it is applied twice.
pub(super) trait Answer<T>:
    Fn(&mut Objects, Bytes, Timestamp) -> Result<T, Refusal> + Send + Sync + 'static
{
}

impl<T, A> Answer<T> for A where
    A: Fn(&mut Objects, Bytes, Timestamp) -> Result<T, Refusal> + Send + Sync + 'static
{
}

fn code_of(status: u16) -> &'static str {
    match status {
        429 | 503 => "SlowDown",
        408 => "ProxyTimeout", // not S3's own, which is 400 RequestTimeout
        502 => "BadGateway",
        _ => "InternalError",
    }
}

impl Facts {
    fn cut(&self) -> S3Error {
        self.error(S3ErrorKind::Transport, "the connection was reset")
    }

    fn error(&self, kind: S3ErrorKind, why: &str) -> S3Error {
        let mut error = S3Error::new(self.operation, kind, why);
        error.body_sent = self.sent.load(Relaxed);
        error.request_sent = self.whole.load(Relaxed);
        error.reused_connection = self.reused;
        error
    }

    fn refused(&self, refusal: &Refusal, now: Timestamp) -> S3Error {
        let mut error = self.error(S3ErrorKind::Answer, "");
        error.status = Some(refusal.status);
        error.request_id = Some("simulated".into());
        error.server_date = Some(now);
        // An answer to HEAD has no body to say it in.
        if self.operation != Operation::HeadObject {
            error.code = Some(refusal.code.into());
            error.message = refusal.code.into();
        }
        error
    }
}
