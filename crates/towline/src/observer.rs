//! A handle on one transfer.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::stream;
use towline_core::{Priority, State, TransferId};
use towline_engine::Watch;

use crate::listener::{Listener, Slot};
use crate::{Error, Transfer, TransferListener, TransferUtility};

/// Follows one transfer. Cheap to clone; dropping it changes nothing.
#[derive(Clone, Debug)]
pub struct TransferObserver {
    id: TransferId,
    watch: Watch,
    pub(crate) utility: TransferUtility,
    listener: Slot,
}

impl TransferObserver {
    pub(crate) fn new(id: TransferId, watch: Watch, utility: TransferUtility) -> Self {
        Self {
            id,
            watch,
            utility,
            listener: Slot::default(),
        }
    }

    /// Its number in the store, by which it is found again after a restart.
    pub fn id(&self) -> TransferId {
        self.id
    }

    /// The transfer as it is now.
    pub fn transfer(&self) -> Transfer {
        self.watch.now().into()
    }

    /// Where it is now.
    pub fn state(&self) -> State {
        self.watch.now().status.state
    }

    /// Bytes moved so far.
    pub fn bytes_transferred(&self) -> u64 {
        self.watch.now().bytes_transferred
    }

    /// Length in bytes, once known.
    pub fn bytes_total(&self) -> Option<u64> {
        self.watch.now().record.bytes_total()
    }

    /// Waits until it has ended: completed, failed or canceled. A paused one is
    /// waited for. Fails with [`Error::Closed`] when the utility closes first.
    pub async fn finished(&self) -> Result<Transfer, Error> {
        let mut watch = self.watch.clone();
        loop {
            let now = watch.now();
            if now.status.state.is_final() {
                return Ok(now.into());
            }
            watch.next().await.ok_or(Error::Closed)?;
        }
    }

    /// Waits until it has ended, and fails with [`Error::Ended`] unless it is
    /// completed.
    pub async fn completed(&self) -> Result<Transfer, Error> {
        let transfer = self.finished().await?;
        match transfer.state {
            State::Completed => Ok(transfer),
            _ => Err(Error::Ended(Box::new(transfer))),
        }
    }

    /// How it ended; `None` when the utility closed first.
    pub(crate) async fn ended(self) -> Option<State> {
        // Held no longer than needed: it keeps the utility open.
        let Self { watch, utility, .. } = self;
        drop(utility);
        let mut watch = watch;
        loop {
            let state = watch.now().status.state;
            if state.is_final() {
                return Some(state);
            }
            watch.next().await?;
        }
    }

    pub(crate) fn listen(&self, listener: Listener) {
        if let Some(listener) = listener.take() {
            self.set_listener(listener);
        }
    }

    /// Stops it and keeps what was moved; see [`TransferUtility::pause`].
    pub async fn pause(&self) -> Result<bool, Error> {
        self.utility.pause(self.id).await
    }

    /// Goes on after a pause; see [`TransferUtility::resume`].
    pub async fn resume(&self) -> Result<bool, Error> {
        self.utility.resume(self.id).await
    }

    /// The same, and has a listener called from now on.
    pub async fn resume_with(&self, listener: impl TransferListener) -> Result<bool, Error> {
        let resumed = self.resume().await?;
        self.set_listener(listener);
        Ok(resumed)
    }

    /// Goes on after a failure, or anew after a cancel; see
    /// [`TransferUtility::retry`]. This observer has seen the end; follow it with
    /// [`TransferUtility::observe`].
    pub async fn retry(&self) -> Result<bool, Error> {
        self.utility.retry(self.id).await
    }

    /// Forgets it, after canceling it where it is unfinished; see
    /// [`TransferUtility::remove`].
    pub async fn remove(&self) -> Result<(), Error> {
        self.utility.remove(self.id).await
    }

    /// Lets it go ahead of others, or behind them, from now on; see
    /// [`TransferUtility::prioritize`].
    pub async fn prioritize(&self, priority: Priority) -> Result<bool, Error> {
        self.utility.prioritize(self.id, priority).await
    }

    /// Stops it and removes what was moved; see [`TransferUtility::cancel`].
    pub async fn cancel(&self) -> Result<bool, Error> {
        self.utility.cancel(self.id).await
    }

    /// Has a listener called with what becomes of it, from its present state on
    /// until it is final, in place of the listener set before. Dropping the
    /// observer does not end the calls.
    pub fn set_listener(&self, listener: impl TransferListener) {
        let dispatcher = self.utility.dispatcher();
        self.listener.set(dispatcher, self.watch.clone(), listener);
    }

    /// Ends the calls to the listener; one that runs is not waited for.
    pub fn clear_listener(&self) {
        self.listener.clear();
    }

    /// Its changes from now on, the present state first. In-between ones
    /// coalesce; the last one is always given, and then the stream ends.
    pub fn updates(&self) -> Updates {
        let watch = self.watch.clone();
        Updates(Mutex::new(Box::pin(stream::unfold(
            Some((watch, true)),
            |state| async {
                let (mut watch, first) = state?;
                let now = if first {
                    watch.now()
                } else {
                    watch.next().await?
                };
                let state = (!now.status.state.is_final()).then_some((watch, false));
                Some((Transfer::from(now), state))
            },
        ))))
    }
}

/// The changes of one transfer, see [`TransferObserver::updates`].
pub struct Updates(Mutex<Pin<Box<dyn Stream<Item = Transfer> + Send>>>);

impl Updates {
    /// The next one; `None` after the last.
    pub async fn next(&mut self) -> Option<Transfer> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl Stream for Updates {
    type Item = Transfer;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Transfer>> {
        let stream = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        stream.as_mut().poll_next(context)
    }
}

impl std::fmt::Debug for Updates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Updates")
    }
}
