//! The engine as its users hold it.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_core::Stream;
use futures_util::StreamExt;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use towline_core::{
    Command, Connector, Created, Direction, NetworkClass, NewTransfer, PartNumber, Query, Record,
    Refused, Store, StoreError, TransferId,
};

use crate::bandwidth::{Bandwidth, Caps, Rate};
use crate::clock::Clock;
use crate::config::{Config, Recovery};
use crate::descriptors;
use crate::event_loop::{EventLoop, Message};
use crate::machine::{Machine, Simulated};
use crate::meter::{Meter, Statistics};
use crate::request_rate::RequestRate;
use crate::snapshot::{Snapshot, Watch};
use crate::stream::{self, Reading, Sink, Source};
use crate::tasks::Tasks;

/// Carries the transfers of one store. It owns its runtime: its methods can be
/// awaited on any, dropping a future of theirs cancels no transfer, and
/// dropping the engine inside an async context is fine.
///
/// Dropped without [`close`](Self::close) it ends as a crash would: nothing is
/// lost, and the next one on the same store goes on.
pub struct Engine {
    store: Arc<dyn Store>,
    inbox: mpsc::UnboundedSender<Message>,
    durable: watch::Receiver<u64>,
    meter: Arc<Meter>,
    limits: Mutex<Limits>,
    caps: Caps,
    request_rate: RequestRate,
    runtime: Mutex<Option<Runtime>>,
    tasks: Tasks,
}

/// How much is done at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests over all transfers; the most that there may be where their number is
    /// automatic.
    pub requests: usize,
    /// Parts of one transfer; `None` is automatic.
    pub parts_per_transfer: Option<usize>,
}

/// Why the engine did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The store did not.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The request does not fit the transfer's state.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The engine is closed, or its store failed.
    #[error("the engine is closed")]
    Closed,
    /// The system gave no threads.
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
}

impl Engine {
    /// Starts an engine on a store and goes on with every transfer in it that
    /// is neither final nor paused.
    pub async fn start(
        store: Arc<dyn Store>,
        connector: Arc<dyn Connector>,
        config: Config,
    ) -> Result<Self, EngineError> {
        let config = descriptors::within_limit(config);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(config.worker_threads.max(1))
            .thread_name("towline")
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        let mut engine = Self::on(store, connector, config, &handle, Machine::real()).await?;
        engine.runtime = Mutex::new(Some(runtime));
        Ok(engine)
    }

    /// Starts an engine on the runtime that this is called on, whose time may be
    /// paused: the wall clock goes with it. For simulations.
    #[doc(hidden)]
    pub async fn start_simulated(
        store: Arc<dyn Store>,
        connector: Arc<dyn Connector>,
        config: Config,
    ) -> Result<Self, EngineError> {
        let handle = tokio::runtime::Handle::current();
        let machine = Machine {
            clock: Clock::simulated(Instant::now()),
            ..Machine::real()
        };
        Self::on(store, connector, config, &handle, machine).await
    }

    /// Starts an engine on the runtime that this is called on and on a machine
    /// of which nothing is real. [`kill`](Self::kill) ends it as a crash would.
    #[doc(hidden)]
    pub async fn start_in(
        simulated: Simulated,
        store: Arc<dyn Store>,
        connector: Arc<dyn Connector>,
        config: Config,
    ) -> Result<Self, EngineError> {
        let handle = tokio::runtime::Handle::current();
        Self::on(store, connector, config, &handle, simulated.into()).await
    }

    /// In a simulation: whatever it does ends here.
    #[doc(hidden)]
    pub fn kill(&self) {
        self.tasks.kill();
    }

    async fn on(
        store: Arc<dyn Store>,
        connector: Arc<dyn Connector>,
        config: Config,
        runtime: &tokio::runtime::Handle,
        machine: Machine,
    ) -> Result<Self, EngineError> {
        // Before anything can be submitted, so that nothing new is left out.
        let left_out = match config.recovery {
            Recovery::All => None,
            Recovery::Named => Some(newest(&*store).await?),
        };
        Ok(Self::running_on(
            store, connector, config, runtime, machine, left_out,
        ))
    }

    /// Not `async`, so that the event loop is compiled here and not in each
    /// crate that starts an engine.
    fn running_on(
        store: Arc<dyn Store>,
        connector: Arc<dyn Connector>,
        config: Config,
        runtime: &tokio::runtime::Handle,
        machine: Machine,
        left_out: Option<TransferId>,
    ) -> Self {
        let (inbox, messages) = mpsc::unbounded_channel();
        let (count, durable) = watch::channel(0);
        let limits = Limits {
            requests: *descriptors::requests_of(&config).end(),
            parts_per_transfer: config.parts_per_transfer.map(|parts| parts.max(1)),
        };
        let guard = runtime.enter();
        let tasks = machine.tasks.clone();
        let events = EventLoop::new(
            Arc::clone(&store),
            connector,
            config,
            inbox.clone(),
            left_out,
            count,
            machine,
        );
        let (meter, caps) = (events.meter(), events.caps());
        let request_rate = events.request_rate();
        tasks.spawn(events.run(messages));
        drop(guard);
        Self {
            store,
            inbox,
            durable,
            meter,
            limits: Mutex::new(limits),
            caps,
            request_rate,
            runtime: Mutex::default(),
            tasks,
        }
    }

    /// Records transfers, all or none. Once `Ok` is returned they survive power
    /// loss, and are carried without further calls.
    pub async fn submit(&self, new: Vec<NewTransfer>) -> Result<Vec<Created>, EngineError> {
        let created = self.record(new).await?;
        self.begin(&created)?;
        Ok(created)
    }

    /// Records transfers, all or none, and leaves them to [`begin`](Self::begin).
    pub async fn record(&self, new: Vec<NewTransfer>) -> Result<Vec<Created>, EngineError> {
        towline_core::failpoint!("submit.begins");
        let created = self.store.create_many(new).await?;
        towline_core::failpoint!("submit.recorded");
        Ok(created)
    }

    /// Begins with those that [`record`](Self::record) recorded.
    pub fn begin(&self, created: &[Created]) -> Result<(), EngineError> {
        let fresh = created.iter().filter_map(|created| match created {
            Created::New(record) => Some(record.clone()),
            Created::Known(_) => None,
        });
        self.tell(Message::Added(fresh.collect()))?;
        self.tell(Message::StoreChanged)
    }

    /// Something was written past this engine: who waits for changes is told.
    pub fn store_changed(&self) -> Result<(), EngineError> {
        self.tell(Message::StoreChanged)
    }

    /// Sets how many requests there may be at one time, over all transfers, and
    /// how many parts of one transfer; `None` leaves a limit as it is. What is
    /// under way is not ended. At least one of each is allowed.
    pub fn set_limits(
        &self,
        requests: Option<usize>,
        parts_per_transfer: Option<usize>,
    ) -> Result<(), EngineError> {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let most = descriptors::most_requests();
        let requests = requests.map(|requests| requests.min(most).max(1));
        let parts = parts_per_transfer.map(|parts| parts.max(1));
        self.tell(Message::Limits { requests, parts })?;
        limits.requests = requests.unwrap_or(limits.requests);
        limits.parts_per_transfer = parts.or(limits.parts_per_transfer);
        Ok(())
    }

    /// The limits as they are now.
    pub fn limits(&self) -> Limits {
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Caps, from now on, how many bytes a second move in one direction, over all
    /// transfers; `None` lifts the cap.
    pub fn set_bandwidth(
        &self,
        direction: Direction,
        cap: Option<Rate>,
    ) -> Result<(), EngineError> {
        self.set_cap(None, direction, cap)
    }

    /// The same for the transfers of a group, over all of them. Their bytes count
    /// for all transfers too. Not kept: it ends with this engine.
    pub fn set_group_bandwidth(
        &self,
        group: &str,
        direction: Direction,
        cap: Option<Rate>,
    ) -> Result<(), EngineError> {
        self.set_cap(Some(group), direction, cap)
    }

    fn set_cap(
        &self,
        group: Option<&str>,
        direction: Direction,
        cap: Option<Rate>,
    ) -> Result<(), EngineError> {
        if self.inbox.is_closed() {
            return Err(EngineError::Closed);
        }
        self.caps.set(group, direction, cap);
        Ok(())
    }

    /// Caps, from now on, how many requests are sent in a second, over all
    /// transfers; `None` lifts the cap. Not kept: it ends with this engine.
    pub fn set_request_rate(&self, cap: Option<NonZeroU32>) -> Result<(), EngineError> {
        self.request_rate.set(cap);
        self.tell(Message::MayRequest)
    }

    /// That cap as it is now.
    pub fn request_rate(&self) -> Option<NonZeroU32> {
        self.request_rate.cap()
    }

    /// The caps over all transfers as they are now.
    pub fn bandwidth(&self) -> Bandwidth {
        self.caps.of_all()
    }

    /// The groups that have a cap, and which.
    pub fn group_bandwidth(&self) -> BTreeMap<String, Bandwidth> {
        self.caps.of_groups()
    }

    /// What it has done since it started.
    pub fn statistics(&self) -> Statistics {
        self.meter.read()
    }

    /// The network changed, and is of this kind now: transfers that must not use
    /// it wait, those that may again go on, and stores that could not be reached
    /// are asked at once.
    pub fn network_changed(&self, class: NetworkClass) -> Result<(), EngineError> {
        self.tell(Message::Network(class))
    }

    /// Hears of such changes from a stream, for as long as the engine is open.
    pub fn watch_network(
        &self,
        changes: impl Stream<Item = NetworkClass> + Send + 'static,
    ) -> Result<(), EngineError> {
        let inbox = self.inbox.clone();
        self.spawn(async move {
            let mut changes = std::pin::pin!(changes);
            while let Some(class) = changes.next().await {
                if inbox.send(Message::Network(class)).is_err() {
                    return;
                }
            }
        })
    }

    /// Records a transfer whose bytes are in no file, and leaves it to
    /// [`begin_upload`](Self::begin_upload) or
    /// [`begin_download`](Self::begin_download), which need what is given with it.
    pub async fn record_stream(
        &self,
        new: NewTransfer,
    ) -> Result<(Created, StreamToCome), EngineError> {
        self.tell(Message::StreamComing)?;
        let to_come = StreamToCome(self.inbox.clone());
        let created = self.store.create_many(vec![new]).await?;
        let created = created.into_iter().next().ok_or(EngineError::Closed)?;
        Ok((created, to_come))
    }

    /// Begins with an upload that was recorded, and whose
    /// bytes come from a source of this process. With a reader it begins once
    /// its length is known, or that it is a long one.
    pub fn begin_upload(
        &self,
        record: &Record,
        source: Arc<Source>,
        reader: Option<Reading>,
        to_come: StreamToCome,
    ) -> Result<(), EngineError> {
        let id = record.id;
        self.tell(Message::Stream(id, stream::Stream::Up(Arc::clone(&source))))?;
        drop(to_come);
        self.tell(Message::StoreChanged)?;
        let Some(reading) = reader else {
            return self.carry(vec![id]);
        };
        let (inbox, first) = (self.inbox.clone(), AtomicBool::new(true));
        let options = record.spec.options.clone();
        let reading = source.read(reading, options, move || {
            let _ = inbox.send(match first.swap(false, Ordering::Relaxed) {
                // It may have been steered meanwhile: what the store has counts.
                true => Message::Carry(vec![id]),
                false => Message::Wake,
            });
        });
        self.spawn(reading)
    }

    /// Begins with a download that was recorded, and whose bytes this process
    /// takes out of the sink.
    pub fn begin_download(
        &self,
        record: &Record,
        to_come: StreamToCome,
    ) -> Result<Arc<Sink>, EngineError> {
        let inbox = self.inbox.clone();
        let sink = Arc::new(Sink::new(move || drop(inbox.send(Message::Wake))));
        self.tell(Message::Stream(
            record.id,
            stream::Stream::Down(Arc::clone(&sink)),
        ))?;
        drop(to_come);
        self.tell(Message::StoreChanged)?;
        self.carry(vec![record.id])?;
        Ok(sink)
    }

    /// Runs something on the engine's own runtime, at most until it is closed.
    pub fn spawn(
        &self,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), EngineError> {
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        let runtime = runtime.as_ref().ok_or(EngineError::Closed)?;
        runtime.spawn(work);
        Ok(())
    }

    /// Goes on with unfinished transfers that nobody carries yet, and looks
    /// again at those that lacked credentials. Paused ones stay paused.
    pub fn carry(&self, ids: Vec<TransferId>) -> Result<(), EngineError> {
        self.tell(Message::Carry(ids))
    }

    /// Steers a transfer. Whatever changed is durable when this returns, and
    /// nothing of a paused transfer runs any more. Tells whether anything had
    /// to change.
    pub async fn command(&self, id: TransferId, command: Command) -> Result<bool, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Message::Command { id, command, reply })?;
        answer.await.map_err(|_| EngineError::Closed)?
    }

    /// Forgets final transfers; others are left alone. Returns how many.
    pub async fn remove(&self, ids: Vec<TransferId>) -> Result<usize, EngineError> {
        let removed = self.store.remove(ids).await?;
        self.tell(Message::StoreChanged)?;
        Ok(removed)
    }

    /// Transfers as they are now, which the store has like this.
    pub async fn look(&self, records: Vec<Record>) -> Result<Vec<Snapshot>, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Message::Look { records, reply })?;
        answer.await.map_err(|_| EngineError::Closed)
    }

    /// Which parts of a transfer are being moved, and how many bytes of each are.
    pub async fn parts_under_way(
        &self,
        id: TransferId,
    ) -> Result<BTreeMap<PartNumber, u64>, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Message::Parts { id, reply })?;
        answer.await.map_err(|_| EngineError::Closed)
    }

    /// How many transfers are in progress, and how many wait for the network.
    pub async fn tally(&self) -> Result<(u64, u64), EngineError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Message::Tally(reply))?;
        answer.await.map_err(|_| EngineError::Closed)
    }

    /// The transfers that are neither at rest nor waiting for a cause outside
    /// to end.
    pub async fn under_way(&self) -> Result<Vec<Snapshot>, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Message::UnderWay(reply))?;
        answer.await.map_err(|_| EngineError::Closed)
    }

    /// Changes whenever something became durable: time to ask the store for
    /// its [`changes`](Store::changes). Closed when the engine is, or when its store
    /// has failed.
    pub fn durable(&self) -> watch::Receiver<u64> {
        self.durable.clone()
    }

    /// Follows a transfer from now on.
    pub async fn watch(&self, id: TransferId) -> Result<Watch, EngineError> {
        let (reply, answer) = oneshot::channel();
        let at_rest = Box::new(self.snapshot(id).await?);
        self.tell(Message::Watch { at_rest, reply })?;
        let watch = answer.await.map_err(|_| EngineError::Closed)?;
        // It may have ended after it was read and before it was followed.
        let again = self.snapshot(id).await?;
        self.tell(Message::Refresh(Box::new(again)))?;
        Ok(watch)
    }

    /// The store that the engine works on.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Stops every act, waits until what is known is durable, and closes the
    /// store. Nothing is stored as paused: the next engine goes on.
    /// Closing again does nothing.
    pub async fn close(&self) -> Result<(), EngineError> {
        let (reply, answer) = oneshot::channel();
        if self.tell(Message::Close { reply }).is_ok() {
            let _ = answer.await;
        }
        towline_core::failpoint!("close.acts-ended");
        let closed = match self.store.close().await {
            Err(StoreError::Closed) => Ok(()),
            closed => closed,
        };
        self.end_runtime();
        towline_core::failpoint!("close.store-closed");
        Ok(closed?)
    }

    /// Where its acts run, for requests beside the transfers; `None` once it is
    /// closed.
    pub fn runtime(&self) -> Option<tokio::runtime::Handle> {
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        runtime.as_ref().map(|runtime| runtime.handle().clone())
    }

    fn end_runtime(&self) {
        let mut runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = runtime.take() {
            runtime.shutdown_background();
        }
    }

    async fn snapshot(&self, id: TransferId) -> Result<Snapshot, EngineError> {
        let record = self.store.get(id).await?.ok_or(StoreError::Unknown(id))?;
        Ok(Snapshot::at_rest(record))
    }

    fn tell(&self, message: Message) -> Result<(), EngineError> {
        self.inbox.send(message).map_err(|_| EngineError::Closed)
    }
}

/// The stream of a transfer that is recorded is still to come: until then, or
/// until this is dropped, nobody takes it for one whose process is gone.
#[must_use = "pass it on when the transfer begins"]
#[derive(Debug)]
pub struct StreamToCome(mpsc::UnboundedSender<Message>);

impl Drop for StreamToCome {
    fn drop(&mut self) {
        let _ = self.0.send(Message::StreamCame);
    }
}

/// The newest transfer that a store has.
async fn newest(store: &dyn Store) -> Result<TransferId, StoreError> {
    let newest = Query {
        newest_first: true,
        limit: 1,
        ..Query::default()
    };
    let page = store.find(newest).await?;
    Ok(page
        .transfers
        .first()
        .map_or(TransferId::START, |record| record.id))
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end_runtime();
    }
}
