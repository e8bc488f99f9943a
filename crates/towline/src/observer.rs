//! A handle on one transfer.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::stream;
use towline_core::{State, TransferId};
use towline_engine::Watch;

use crate::{Error, Transfer};

/// Follows one transfer. Cheap to clone; dropping it changes nothing.
#[derive(Clone, Debug)]
pub struct TransferObserver {
    id: TransferId,
    watch: Watch,
}

impl TransferObserver {
    pub(crate) fn new(id: TransferId, watch: Watch) -> Self {
        Self { id, watch }
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

    /// Its changes from now on, the present state first. In-between ones
    /// coalesce; the last one is always given, and then the stream ends.
    pub fn updates(&self) -> Updates {
        let watch = self.watch.clone();
        Updates(Box::pin(stream::unfold(
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
        )))
    }
}

/// The changes of one transfer, see [`TransferObserver::updates`].
pub struct Updates(Pin<Box<dyn Stream<Item = Transfer> + Send>>);

impl Stream for Updates {
    type Item = Transfer;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Transfer>> {
        self.0.as_mut().poll_next(context)
    }
}

impl std::fmt::Debug for Updates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Updates")
    }
}
