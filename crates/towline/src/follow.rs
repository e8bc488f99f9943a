//! Following all transfers with a cursor.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::stream;
use towline_core::Cursor;

use crate::{Error, TransferChange, TransferUtility};

/// The most changes that are read at a time.
const PAGE: usize = 256;

impl TransferUtility {
    /// What changed after a cursor, of all transfers, and then what changes from
    /// now on, some at a time; `None` begins now. With them comes the cursor
    /// behind them: who keeps that together with what it made of the changes, and
    /// follows from there in a later process, is told of each end exactly once.
    ///
    /// Changes in between coalesce, and nothing is kept for one that does not
    /// read. The stream ends when the utility is closed, and after an error.
    pub fn follow(&self, after: Option<Cursor>) -> TransferChanges {
        let begin = Some((self.clone(), after));
        let changes = stream::unfold(begin, |state| async {
            let (utility, mut after) = state?;
            let mut durable = utility.durable();
            loop {
                durable.mark_unchanged();
                match utility.changes(after, PAGE).await {
                    Ok((changes, cursor)) if changes.is_empty() => {
                        after = Some(cursor);
                        durable.changed().await.ok()?;
                    }
                    Ok(page @ (_, cursor)) => {
                        return Some((Ok(page), Some((utility, Some(cursor)))));
                    }
                    Err(Error::Closed) => return None,
                    Err(error) => return Some((Err(error), None)),
                }
            }
        });
        TransferChanges(Mutex::new(Box::pin(changes)))
    }
}

/// Some changes, and the cursor behind them.
type Page = Result<(Vec<TransferChange>, Cursor), Error>;

/// The changes of all transfers, see [`TransferUtility::follow`].
pub struct TransferChanges(Mutex<Pin<Box<dyn Stream<Item = Page> + Send>>>);

impl TransferChanges {
    /// The next ones; `None` when the utility is closed.
    pub async fn next(&mut self) -> Option<Result<(Vec<TransferChange>, Cursor), Error>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl Stream for TransferChanges {
    type Item = Page;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Page>> {
        let stream = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        stream.as_mut().poll_next(context)
    }
}

impl std::fmt::Debug for TransferChanges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TransferChanges")
    }
}
