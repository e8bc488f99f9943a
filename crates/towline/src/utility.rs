//! The transfer utility: submits, finds and steers transfers.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use towline_core::{
    BucketName, Command, ConnectError, Connection, Fingerprint, NewTransfer, Query, Spec,
    StoreError, Timestamp, TransferId,
};
use towline_engine::Engine;
use towline_s3::S3Connector;

use crate::again::{self, Again};
use crate::{
    Builder, DownloadRequest, Error, SubmitError, Transfer, TransferObserver, UploadRequest,
};

/// Moves files to and from S3 and does not lose them. Cheap to clone; all
/// clones are one.
///
/// Dropping the last one ends the work as a crash would, and nothing is lost;
/// [`close`](Self::close) ends it in order.
#[derive(Clone)]
pub struct TransferUtility(Arc<Inner>);

struct Inner {
    engine: tokio::sync::RwLock<Option<Engine>>,
    connector: Arc<S3Connector>,
    connection: Connection,
    default_bucket: Option<BucketName>,
    /// One submit at a time, so that none overlooks the other.
    submitting: tokio::sync::Mutex<()>,
}

impl TransferUtility {
    /// Starts building one.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Where the state is kept unless the builder is told otherwise.
    pub fn default_state_dir() -> PathBuf {
        crate::builder::default_state_dir()
    }

    pub(crate) fn new(
        engine: Engine,
        connector: Arc<S3Connector>,
        connection: Connection,
        default_bucket: Option<BucketName>,
    ) -> Self {
        Self(Arc::new(Inner {
            engine: tokio::sync::RwLock::new(Some(engine)),
            connector,
            connection,
            default_bucket,
            submitting: tokio::sync::Mutex::default(),
        }))
    }

    /// Uploads a file. Await the request to submit it: when that returns, the
    /// transfer survives power loss. The same request again, while it is
    /// unfinished, is the same transfer.
    ///
    /// An empty `bucket` is the default bucket.
    pub fn upload(
        &self,
        bucket: impl Into<String>,
        key: impl Into<String>,
        file: impl AsRef<Path>,
    ) -> UploadRequest {
        let file = file.as_ref().to_owned();
        UploadRequest::new(self.clone(), bucket.into(), key.into(), file)
    }

    /// Downloads an object to a file, which appears under its name only when it
    /// is whole and proven. Await the request to submit it.
    ///
    /// An empty `bucket` is the default bucket.
    pub fn download(
        &self,
        bucket: impl Into<String>,
        key: impl Into<String>,
        file: impl AsRef<Path>,
    ) -> DownloadRequest {
        let file = file.as_ref().to_owned();
        DownloadRequest::new(self.clone(), bucket.into(), key.into(), file)
    }

    /// A handle on a transfer, also on one of an earlier process. Fails with
    /// [`StoreError::Unknown`] when there is none.
    pub async fn observe(&self, id: TransferId) -> Result<TransferObserver, Error> {
        let engine = self.0.engine.read().await;
        let watch = engine.as_ref().ok_or(Error::Closed)?.watch(id).await?;
        Ok(TransferObserver::new(id, watch))
    }

    /// A transfer as it is now. Fails with [`StoreError::Unknown`] when there
    /// is none.
    pub async fn get(&self, id: TransferId) -> Result<Transfer, Error> {
        Ok(self.observe(id).await?.transfer())
    }

    /// One page of the transfers that match, and where the next one starts.
    pub async fn find(&self, query: Query) -> Result<(Vec<Transfer>, Option<TransferId>), Error> {
        let page = {
            let engine = self.0.engine.read().await;
            engine
                .as_ref()
                .ok_or(Error::Closed)?
                .store()
                .find(query.clone())
                .await?
        };
        let mut found = Vec::with_capacity(page.transfers.len());
        for record in page.transfers {
            // The store knows phases; what runs or waits only the engine tells.
            let transfer = if record.phase.is_final() {
                Transfer::at_rest(record)
            } else {
                self.get(record.id).await?
            };
            if query.states.is_empty() || query.states.contains(&transfer.state) {
                found.push(transfer);
            }
        }
        Ok((found, page.next))
    }

    /// Stops a transfer and keeps what it has moved.
    pub async fn pause(&self, id: TransferId) -> Result<(), Error> {
        self.command(id, Command::Pause).await
    }

    /// Goes on with a paused transfer.
    pub async fn resume(&self, id: TransferId) -> Result<(), Error> {
        self.command(id, Command::Resume).await
    }

    /// Goes on with a failed transfer; a canceled one starts anew.
    pub async fn retry(&self, id: TransferId) -> Result<(), Error> {
        self.command(id, Command::Retry).await
    }

    /// Stops a transfer and removes what S3 and the disk hold of it. It is
    /// [`Canceled`](towline_core::State::Canceled) once that is proven.
    pub async fn cancel(&self, id: TransferId) -> Result<(), Error> {
        self.command(id, Command::Cancel).await
    }

    /// Stops every act and waits until what is known is durable. Unfinished
    /// transfers go on when the state is opened again.
    pub async fn close(&self) -> Result<(), Error> {
        let engine = self.0.engine.write().await.take();
        match engine {
            Some(engine) => Ok(engine.close().await?),
            None => Ok(()),
        }
    }

    async fn command(&self, id: TransferId, command: Command) -> Result<(), Error> {
        let engine = self.0.engine.read().await;
        Ok(engine
            .as_ref()
            .ok_or(Error::Closed)?
            .command(id, command)
            .await?)
    }

    pub(crate) fn default_bucket(&self) -> Option<&BucketName> {
        self.0.default_bucket.as_ref()
    }

    pub(crate) fn default_connection(&self) -> &Connection {
        &self.0.connection
    }

    /// What a connection means here and now, so that what is stored does not
    /// change its meaning with the environment.
    pub(crate) fn resolve(
        &self,
        connection: Connection,
        bucket: &str,
    ) -> Result<Connection, ConnectError> {
        let connection = self.0.connector.resolve(connection)?;
        towline_s3::check_bucket(&connection, bucket)?;
        Ok(connection)
    }

    pub(crate) async fn submit(
        &self,
        spec: Spec,
        source: Option<Fingerprint>,
        restart: bool,
    ) -> Result<TransferObserver, Error> {
        let _one_at_a_time = self.0.submitting.lock().await;
        let id = match self.look(&spec).await? {
            Ok(Again::New) => self.create(spec, source).await?,
            Ok(Again::Attach(id) | Again::Resume(id) | Again::Retry(id)) if restart => {
                self.replace(id, spec, source).await?
            }
            // Attaching takes it up if nobody carries it yet.
            Ok(Again::Attach(id) | Again::Resume(id)) => {
                self.resume(id).await?;
                id
            }
            Ok(Again::Retry(id)) => {
                self.retry(id).await?;
                id
            }
            Err(SubmitError::OptionsDiffer { id, .. }) if restart => {
                self.replace(id, spec, source).await?
            }
            Err(error) => return Err(error.into()),
        };
        self.observe(id).await
    }

    async fn look(&self, spec: &Spec) -> Result<Result<Again, SubmitError>, StoreError> {
        match self.0.engine.read().await.as_ref() {
            Some(engine) => again::look(&**engine.store(), spec).await,
            None => Err(StoreError::Closed),
        }
    }

    async fn replace(
        &self,
        old: TransferId,
        spec: Spec,
        source: Option<Fingerprint>,
    ) -> Result<TransferId, Error> {
        let observer = self.observe(old).await?;
        self.cancel(old).await?;
        observer.finished().await?;
        self.create(spec, source).await
    }

    async fn create(&self, spec: Spec, source: Option<Fingerprint>) -> Result<TransferId, Error> {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        let new = NewTransfer {
            spec,
            source,
            created_at: Timestamp::from_millis(millis),
        };
        let engine = self.0.engine.read().await;
        let created = engine
            .as_ref()
            .ok_or(Error::Closed)?
            .submit(vec![new])
            .await?;
        created
            .first()
            .map(|created| created.record().id)
            .ok_or(Error::Closed)
    }
}

impl std::fmt::Debug for TransferUtility {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TransferUtility").finish_non_exhaustive()
    }
}
