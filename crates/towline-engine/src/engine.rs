//! The engine as its users hold it.

use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use towline_core::{
    Command, Connector, Created, NewTransfer, Query, Refused, Store, StoreError, TransferId,
};

use crate::config::{Config, Recovery};
use crate::event_loop::{EventLoop, Message};
use crate::snapshot::{Snapshot, Watch};

/// Carries the transfers of one store. It owns its runtime: its methods can be
/// awaited on any, dropping a future of theirs cancels no transfer, and
/// dropping the engine inside an async context is fine.
///
/// Dropped without [`close`](Self::close) it ends as a crash would: nothing is
/// lost, and the next one on the same store goes on.
pub struct Engine {
    store: Arc<dyn Store>,
    inbox: mpsc::UnboundedSender<Message>,
    runtime: Option<Runtime>,
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
        // Before anything can be submitted, so that nothing new is left out.
        let left_out = match config.recovery {
            Recovery::All => None,
            Recovery::Named => Some(newest(&*store).await?),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(config.worker_threads.max(1))
            .thread_name("towline")
            .enable_all()
            .build()?;
        let (inbox, messages) = mpsc::unbounded_channel();
        let guard = runtime.enter();
        let events = EventLoop::new(
            Arc::clone(&store),
            connector,
            config,
            inbox.clone(),
            left_out,
        );
        runtime.spawn(events.run(messages));
        drop(guard);
        Ok(Self {
            store,
            inbox,
            runtime: Some(runtime),
        })
    }

    /// Records transfers, all or none. Once `Ok` is returned they survive power
    /// loss, and are carried without further calls.
    pub async fn submit(&self, new: Vec<NewTransfer>) -> Result<Vec<Created>, EngineError> {
        let created = self.store.create_many(new).await?;
        let fresh = created.iter().filter_map(|created| match created {
            Created::New(record) => Some(record.clone()),
            Created::Known(_) => None,
        });
        self.tell(Message::Added(fresh.collect()))?;
        Ok(created)
    }

    /// Steers a transfer. Whatever changed is durable when this returns.
    pub async fn command(&self, id: TransferId, command: Command) -> Result<(), EngineError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Message::Command { id, command, reply })?;
        answer.await.map_err(|_| EngineError::Closed)?.map(drop)
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
    pub async fn close(mut self) -> Result<(), EngineError> {
        let (reply, answer) = oneshot::channel();
        if self.tell(Message::Close { reply }).is_ok() {
            let _ = answer.await;
        }
        let closed = self.store.close().await;
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        Ok(closed?)
    }

    async fn snapshot(&self, id: TransferId) -> Result<Snapshot, EngineError> {
        let record = self.store.get(id).await?.ok_or(StoreError::Unknown(id))?;
        Ok(Snapshot::at_rest(record))
    }

    fn tell(&self, message: Message) -> Result<(), EngineError> {
        self.inbox.send(message).map_err(|_| EngineError::Closed)
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
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
