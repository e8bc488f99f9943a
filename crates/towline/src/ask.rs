//! Requests to S3 that are no transfers: sent, and sent again where that may
//! help. Only such as may safely be sent twice.

use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use towline_core::{
    ConnectError, Connection, ErrorRecord, Failure, Fix, GroupId, History, Operation, Reaction, S3,
    S3Error, S3ErrorKind, react,
};
use towline_s3::S3Client;

use crate::place::Place;
use crate::{Error, TransferUtility};

/// A request that S3 throttles is given up after this.
const PATIENCE: Duration = Duration::from_secs(300);

/// Why S3 did not do what a request asked for, after all attempts.
#[derive(Debug, thiserror::Error)]
#[error("{}", record.message)]
pub struct RequestError {
    record: ErrorRecord,
    /// Asked again later, S3 may do it.
    passes: bool,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl RequestError {
    pub(crate) fn of(failure: Failure, attempts: u32) -> Self {
        let record = ErrorRecord::of(&failure, attempts);
        let reaction = react(&failure, History::new(History::DEFAULT_LIMIT));
        let passes = matches!(
            reaction,
            Reaction::Retry { .. } | Reaction::Fix(_) | Reaction::Park(_)
        );
        let source = match failure {
            Failure::S3(error) => error.source,
            _ => None,
        };
        Self {
            record,
            passes,
            source,
        }
    }

    /// It will be the same later.
    pub(crate) fn for_good(mut self) -> Self {
        self.passes = false;
        self
    }

    /// S3's own code, such as `NoSuchBucket`; `Http404` and the like for an
    /// answer without one; what did not work (`Connect`, `Credentials`, …)
    /// where there was no answer.
    pub fn code(&self) -> &str {
        &self.record.code
    }

    /// What happened, in words, without a final stop.
    pub fn message(&self) -> &str {
        &self.record.message
    }

    /// The HTTP status, if there was an answer.
    pub fn http_status(&self) -> Option<u16> {
        self.record.http_status
    }

    /// `x-amz-request-id`, for S3's support.
    pub fn request_id(&self) -> Option<&str> {
        self.record.request_id.as_deref()
    }

    /// All of this as it is kept of a transfer's errors.
    pub fn record(&self) -> &ErrorRecord {
        &self.record
    }

    /// Whether a transfer would wait, or try again, for the same.
    pub(crate) fn passes(&self) -> bool {
        self.passes
    }

    /// The bucket, the object or the upload is not there (status 404).
    pub fn is_not_found(&self) -> bool {
        self.record.http_status == Some(404)
    }
}

/// What became of a request.
pub(crate) struct Asked<T> {
    pub(crate) result: Result<T, Failure>,
    pub(crate) attempts: u32,
    /// What had to be put right.
    pub(crate) fixes: Vec<Fix>,
}

/// Sends requests to where one connection leads.
///
/// They run where the transfers run: a caller needs no runtime of its own, and
/// connections are shared.
#[derive(Clone)]
pub(crate) struct Asker {
    runtime: Handle,
    s3: Arc<S3Client>,
    limit: u32,
    /// For one attempt, its whole answer included.
    time: Duration,
}

impl Asker {
    /// Sends a request until S3 did it, or it is of no use to send it again.
    pub(crate) async fn ask<T, Sending>(
        &self,
        operation: Operation,
        send: impl Fn(Arc<S3Client>) -> Sending + Send + Sync + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        Sending: Future<Output = Result<T, S3Error>> + Send,
    {
        let asked = self.ask_and_tell(operation, send).await?;
        let attempts = asked.attempts;
        Ok(asked
            .result
            .map_err(|failure| RequestError::of(failure, attempts))?)
    }

    /// The same, with what had to be put right for it.
    pub(crate) async fn ask_and_tell<T, Sending>(
        &self,
        operation: Operation,
        send: impl Fn(Arc<S3Client>) -> Sending + Send + Sync + 'static,
    ) -> Result<Asked<T>, Error>
    where
        T: Send + 'static,
        Sending: Future<Output = Result<T, S3Error>> + Send,
    {
        let this = self.clone();
        self.run(async move { this.attempts(operation, send).await })
            .await
    }

    /// Does something with the client itself, where the transfers run.
    pub(crate) async fn with_client<T, Working>(
        &self,
        work: impl FnOnce(Arc<S3Client>) -> Working + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        Working: Future<Output = T> + Send,
    {
        let s3 = self.s3.clone();
        self.run(async move { work(s3).await }).await
    }

    async fn attempts<T, Sending>(
        &self,
        operation: Operation,
        send: impl Fn(Arc<S3Client>) -> Sending,
    ) -> Asked<T>
    where
        Sending: Future<Output = Result<T, S3Error>>,
    {
        let began = Instant::now();
        let mut history = History::new(self.limit);
        let mut fixes = Vec::new();
        loop {
            let error = match tokio::time::timeout(self.time, send(self.s3.clone())).await {
                Ok(Ok(done)) => {
                    return Asked {
                        result: Ok(done),
                        attempts: history.in_a_row + 1,
                        fixes,
                    };
                }
                Ok(Err(error)) => error,
                Err(_) => {
                    let why = format!("no answer within {} s", self.time.as_secs());
                    S3Error::new(operation, S3ErrorKind::Stalled, why)
                }
            };
            let failure = Failure::from(error);
            tracing::debug!(%operation, error = %failure, attempt = history.in_a_row + 1, "a request failed");
            let reaction = react(&failure, history);
            history = history.and(&failure, &reaction);
            match reaction {
                Reaction::Retry {
                    up_to, at_least, ..
                } if began.elapsed() < PATIENCE => {
                    tokio::time::sleep(jitter(at_least, up_to)).await;
                }
                Reaction::Fix(fix) => {
                    fixes.push(fix.clone());
                    match fix {
                        Fix::Credentials => self.s3.refresh_credentials(),
                        Fix::Clock(server) => self.s3.set_clock(server),
                        Fix::Region(region) => self.s3.set_region(&region),
                        Fix::Redirect(location) => self.s3.set_redirect(&location),
                    }
                }
                _ => {
                    return Asked {
                        result: Err(failure),
                        attempts: history.in_a_row,
                        fixes,
                    };
                }
            }
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Error> {
        let mut task = Cut(self.runtime.spawn(work));
        match (&mut task.0).await {
            Ok(done) => Ok(done),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Error::Closed), // it was closed meanwhile
            },
        }
    }
}

/// A task that ends with whoever waits for it.
struct Cut<T>(JoinHandle<T>);

impl<T> Drop for Cut<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl TransferUtility {
    /// Who asks S3 about a bucket.
    pub(crate) fn asker(&self, place: &Place) -> Result<Asker, Error> {
        let client = self.connector().client(&place.connection);
        self.asker_with(client)
    }

    /// Who asks for a group, with what was handed over for it.
    fn asker_of_group(&self, group: GroupId, place: &Place) -> Result<Asker, Error> {
        let client = self.connector().client_of_group(group, &place.connection);
        self.asker_with(client)
    }

    /// Where a bucket is, and who asks there: for a group over the connection that was
    /// settled for it.
    pub(crate) fn place_and_asker(
        &self,
        bucket: &str,
        connection: Option<&Connection>,
        group: Option<GroupId>,
    ) -> Result<(Place, Asker), Error> {
        match (group, connection) {
            (Some(group), Some(connection)) => {
                let place = self.place_as_it_stands(bucket, connection)?;
                let asker = self.asker_of_group(group, &place)?;
                Ok((place, asker))
            }
            (_, connection) => {
                let place = self.place(bucket, connection)?;
                let asker = self.asker(&place)?;
                Ok((place, asker))
            }
        }
    }

    fn asker_with(&self, client: Result<Arc<S3Client>, ConnectError>) -> Result<Asker, Error> {
        let config = self.config();
        Ok(Asker {
            runtime: self.engine().runtime().ok_or(Error::Closed)?,
            s3: client.map_err(crate::SubmitError::from)?,
            limit: config.retry_limit,
            time: config.first_byte_timeout + config.stall_timeout,
        })
    }
}

/// A random wait between two bounds. The hasher's keys differ each time.
fn jitter(at_least: Duration, up_to: Duration) -> Duration {
    let random = RandomState::new().hash_one(Instant::now());
    let fraction = (random >> 11) as f64 / (1u64 << 53) as f64;
    at_least + up_to.saturating_sub(at_least).mul_f64(fraction)
}
