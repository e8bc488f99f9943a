//! The transfer utility: submits, finds and steers transfers.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use tokio::io::AsyncRead;
use tokio::sync::watch;
use towline_core::{
    BucketName, ChangeFilter, Changed, Changes, Connection, Cursor, Incident, KeyReference, Query,
    State, Store, StoreError, TransferId,
};
use towline_engine::{Config, Engine};
use towline_s3::S3Connector;

use crate::group::Groups;
use crate::listener::Dispatcher;
use crate::overview::Counted;
use crate::{
    Builder, CopyRequest, DownloadRequest, Error, Group, StreamRequest, Transfer, TransferObserver,
    TransferRequest, UploadRequest,
};

/// Moves files to and from S3 and does not lose them. Cheap to clone; all
/// clones are one.
///
/// Dropping the last one, and the last [`TransferObserver`], ends the work as a
/// crash would, and nothing is lost; [`close`](Self::close) ends it in order.
#[derive(Clone)]
pub struct TransferUtility(Arc<Inner>);

struct Inner {
    engine: Engine,
    connector: Arc<S3Connector>,
    connection: Connection,
    default_bucket: Option<BucketName>,
    connections: HashMap<String, Connection>,
    config: Config,
    state_dir: PathBuf,
    /// One submit at a time, so that none overlooks the other.
    submitting: tokio::sync::Mutex<()>,
    dispatcher: Dispatcher,
    counted: Counted,
    groups: Groups,
}

/// A utility that this does not keep open.
pub(crate) struct WeakUtility(Weak<Inner>);

impl WeakUtility {
    pub(crate) fn upgrade(&self) -> Option<TransferUtility> {
        self.0.upgrade().map(TransferUtility)
    }
}

/// One transfer or group that changed, see [`TransferUtility::changes`].
#[derive(Clone, Debug)]
pub enum TransferChange {
    /// It is new, or in another phase.
    Changed(Box<Transfer>),
    /// Its record was removed.
    Removed(TransferId),
    /// A group is new, was steered, waits for its listing or goes on with it, has been listed,
    /// or had its end.
    Group(Box<Group>),
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
        connections: HashMap<String, Connection>,
        config: Config,
        state_dir: PathBuf,
    ) -> Self {
        Self(Arc::new(Inner {
            state_dir,
            engine,
            connector,
            connection,
            default_bucket,
            connections,
            config,
            submitting: tokio::sync::Mutex::default(),
            dispatcher: Dispatcher::default(),
            counted: Counted::default(),
            groups: Groups::default(),
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
        UploadRequest::file(self.clone(), bucket.into(), key.into(), file.as_ref())
    }

    /// Uploads bytes in memory. Await the request to submit it. The upload can
    /// be steered like any, but ends with this process, as failed with
    /// `SourceNotReopenable`, unless it is [spooled](UploadRequest::spool).
    ///
    /// An empty `bucket` is the default bucket.
    pub fn upload_data(
        &self,
        bucket: impl Into<String>,
        key: impl Into<String>,
        bytes: impl Into<Bytes>,
    ) -> UploadRequest {
        UploadRequest::bytes(self.clone(), bucket.into(), key.into(), bytes.into())
    }

    /// Uploads what a reader gives, to its end, as it comes: at most 32 MiB or one
    /// part of it are in memory, and nothing on disk. Await the request to submit
    /// it. The upload can be steered like any, but ends with this process, as
    /// failed with `SourceNotReopenable`, unless it is
    /// [spooled](UploadRequest::spool). The reader is polled on a runtime of the
    /// utility's own.
    ///
    /// An empty `bucket` is the default bucket.
    pub fn upload_stream(
        &self,
        bucket: impl Into<String>,
        key: impl Into<String>,
        reader: impl AsyncRead + Send + 'static,
    ) -> UploadRequest {
        UploadRequest::reader(self.clone(), bucket.into(), key.into(), reader)
    }

    /// Downloads an object to memory, to a writer, or as a stream:
    /// [`to_bytes`](StreamRequest::to_bytes),
    /// [`to_writer`](StreamRequest::to_writer), or await it.
    ///
    /// An empty `bucket` is the default bucket.
    pub fn download_stream(
        &self,
        bucket: impl Into<String>,
        key: impl Into<String>,
    ) -> StreamRequest {
        StreamRequest::new(self.clone(), bucket.into(), key.into())
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
        DownloadRequest::new(self.clone(), bucket.into(), key.into(), file.as_ref())
    }

    /// Copies an object to another key or bucket of the same store, which reads and
    /// writes it by itself: no byte of it comes here. Await the request to submit
    /// it: it is as durable as an upload.
    ///
    /// An empty bucket is the default bucket.
    pub fn copy(
        &self,
        source_bucket: impl Into<String>,
        source_key: impl Into<String>,
        bucket: impl Into<String>,
        key: impl Into<String>,
    ) -> CopyRequest {
        let request = TransferRequest::copy(source_bucket, source_key, bucket, key);
        CopyRequest::new(self.clone(), request)
    }

    /// A connection that the builder was given under a name, for the
    /// `connection` of a request.
    pub fn connection_named(&self, name: &str) -> Option<Connection> {
        self.0.connections.get(name).cloned()
    }

    /// A handle on a transfer, also on one of an earlier process. Fails with
    /// [`StoreError::Unknown`] when there is none.
    pub async fn observe(&self, id: TransferId) -> Result<TransferObserver, Error> {
        let watch = self.engine().watch(id).await?;
        Ok(TransferObserver::new(id, watch, self.clone()))
    }

    /// A transfer as it is now. Fails with [`StoreError::Unknown`] when there
    /// is none.
    pub async fn get(&self, id: TransferId) -> Result<Transfer, Error> {
        let record = self.store().get(id).await?.ok_or(StoreError::Unknown(id))?;
        let now = self.engine().look(vec![record]).await?.pop();
        now.map(Transfer::from).ok_or(Error::Closed)
    }

    /// One page of the transfers that match, and where the next one starts.
    pub async fn find(&self, query: Query) -> Result<(Vec<Transfer>, Option<TransferId>), Error> {
        if query.states == [State::InProgress] {
            return self.find_in_progress(&query).await;
        }
        let engine = self.engine();
        let page = self.store().find(query.clone()).await?;
        // The store knows phases; what runs or waits only the engine tells.
        let found = engine.look(page.transfers).await?.into_iter();
        let wanted =
            |transfer: &Transfer| query.states.is_empty() || query.states.contains(&transfer.state);
        Ok((
            found.map(Transfer::from).filter(wanted).collect(),
            page.next,
        ))
    }

    /// What changed after a cursor, as it is now. A cursor may be kept and read
    /// on from in a later process; one from before the last 100,000 removals fails
    /// with [`StoreError::UnknownCursor`]. `None` means from now on.
    pub async fn changes(
        &self,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<(Vec<TransferChange>, Cursor), Error> {
        self.changes_of(after, limit, ChangeFilter::default()).await
    }

    /// The same, of what a filter takes. A cursor may be read on from with another
    /// filter.
    pub async fn changes_of(
        &self,
        after: Option<Cursor>,
        limit: usize,
        filter: ChangeFilter,
    ) -> Result<(Vec<TransferChange>, Cursor), Error> {
        let engine = self.engine();
        let Changes { changed, cursor } = self.store().changes_of(after, limit, filter).await?;
        let there = changed.iter().filter_map(|changed| match changed {
            Changed::Transfer(record) => Some((**record).clone()),
            Changed::Removed(_) | Changed::Group(_) => None,
        });
        let mut looks = engine.look(there.collect()).await?.into_iter();
        let mut seen = Vec::with_capacity(changed.len());
        for changed in changed {
            seen.push(match changed {
                Changed::Removed(id) => TransferChange::Removed(id),
                Changed::Transfer(_) => match looks.next() {
                    Some(now) => TransferChange::Changed(Box::new(now.into())),
                    None => continue,
                },
                Changed::Group(group) => {
                    TransferChange::Group(Box::new(self.summed_up(*group).await?))
                }
            });
        }
        Ok((seen, cursor))
    }

    /// Changes whenever there may be new [`changes`](Self::changes).
    pub fn durable(&self) -> watch::Receiver<u64> {
        self.engine().durable()
    }

    /// The transfers that are neither at rest nor waiting for a cause outside
    /// to end.
    pub async fn under_way(&self) -> Result<Vec<Transfer>, Error> {
        let engine = self.engine();
        let moving = engine.under_way().await?;
        Ok(moving.into_iter().map(Transfer::from).collect())
    }

    /// What happened to a transfer on its way, oldest first; the last 64.
    pub async fn incidents(&self, id: TransferId) -> Result<Vec<Incident>, Error> {
        Ok(self.store().incidents(id).await?)
    }

    /// Sets, from now on, how many requests there may be at one time over all
    /// transfers, and how many parts of one transfer. `None` leaves a limit as it
    /// is; at least one of each is allowed. What is under way is not ended.
    pub fn set_limits(
        &self,
        requests: Option<usize>,
        parts_per_transfer: Option<usize>,
    ) -> Result<(), Error> {
        Ok(self.engine().set_limits(requests, parts_per_transfer)?)
    }

    /// Caps, from now on, how many requests are sent in a second, over all
    /// transfers; `None` lifts the cap. What an act needs beyond its first request
    /// is sent at once, and those after it wait the longer. It is not kept: the next
    /// utility begins with [`Config::request_rate`].
    pub fn set_request_rate(&self, cap: Option<NonZeroU32>) -> Result<(), Error> {
        Ok(self.engine().set_request_rate(cap)?)
    }

    /// That cap as it is now.
    pub fn request_rate(&self) -> Option<NonZeroU32> {
        self.engine().request_rate()
    }

    /// Stops every act and waits until what is known is durable, and until
    /// listeners were told it: 2 s at most, for one that blocks. Unfinished
    /// transfers go on when the state is opened again.
    pub async fn close(&self) -> Result<(), Error> {
        // A store that has failed, or is closed, has its copies swept at the next opening.
        let _ = self.remove_copies_of_the_ended().await;
        let closed = self.engine().close().await;
        self.groups_here().closed();
        self.dispatcher().last_calls().await;
        Ok(closed?)
    }

    pub(crate) fn default_bucket(&self) -> Option<&BucketName> {
        self.0.default_bucket.as_ref()
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn state_dir(&self) -> &Path {
        &self.0.state_dir
    }

    /// Why a key for SSE-C cannot be had here; `None` if it can.
    pub(crate) fn lacks_key(&self, key: &KeyReference) -> Option<String> {
        self.0.connector.lacks_key(key)
    }

    pub(crate) fn default_connection(&self) -> &Connection {
        &self.0.connection
    }

    /// Cancels a transfer and waits until nothing of it is left.
    pub(crate) async fn give_up(&self, id: TransferId) -> Result<(), Error> {
        self.cancel(id).await?;
        self.observe(id).await?.finished().await.map(drop)
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &**self.0.engine.store()
    }

    pub(crate) async fn one_submit_at_a_time(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.submitting.lock().await
    }

    pub(crate) fn connector(&self) -> &S3Connector {
        &self.0.connector
    }

    pub(crate) fn counted(&self) -> &Counted {
        &self.0.counted
    }

    pub(crate) fn groups_here(&self) -> &Groups {
        &self.0.groups
    }

    pub(crate) fn downgrade(&self) -> WeakUtility {
        WeakUtility(Arc::downgrade(&self.0))
    }

    pub(crate) fn dispatcher(&self) -> &Dispatcher {
        &self.0.dispatcher
    }
}

impl std::fmt::Debug for TransferUtility {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TransferUtility").finish_non_exhaustive()
    }
}
