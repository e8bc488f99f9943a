//! The events of one client that follows some transfers only: read from the store
//! for it alone, so that what it does not want costs next to nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;
use towline::{ChangeFilter, Cursor, Error};

use crate::Problem;
use crate::api::Event;
use crate::breath::Breath;
use crate::feed::QUIET;
use crate::hub::Hub;
use crate::routes::App;
use crate::sse;

/// What one client follows.
pub(crate) struct Selected {
    hub: Arc<Hub>,
    filter: ChangeFilter,
    /// Everything up to here was read...
    cursor: Cursor,
    /// ...and so much of that the client knows of.
    reached: Cursor,
    durable: watch::Receiver<u64>,
    leaving: watch::Receiver<bool>,
    to_tell: VecDeque<Bytes>,
    breath: Breath,
    ended: bool,
}

impl Selected {
    pub(crate) async fn start(
        app: App,
        after: Option<Cursor>,
        filter: ChangeFilter,
    ) -> Result<Self, Problem> {
        let utility = app.utility;
        let durable = utility.durable();
        // A cursor that is no good is answered as such, not by an empty stream.
        let cursor = match after {
            Some(cursor) => utility.changes(after, 1).await.map(|_| cursor)?,
            None => utility.changes(None, 0).await?.1,
        };
        Ok(Self {
            hub: app.hub,
            filter,
            cursor,
            reached: cursor,
            durable,
            leaving: app.leaving,
            to_tell: [sse::write(&Event::Reached(cursor))].into(),
            breath: Breath::default(),
            ended: false,
        })
    }

    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(event) = self.to_tell.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            if *self.leaving.borrow() {
                self.ended = true;
                return Some(sse::write(&Event::Handover));
            }
            self.durable.mark_unchanged();
            match self.read().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    if !matches!(error, Error::Closed) {
                        tracing::warn!(%error, "an event stream ends");
                    }
                    self.ended = true;
                    continue;
                }
            }
            tokio::select! {
                biased;
                _ = self.leaving.changed() => {}
                changed = self.durable.changed() => match changed {
                    Ok(()) => self.breath.take().await,
                    Err(_) => self.ended = true,
                },
                () = tokio::time::sleep(QUIET) => return Some(self.sign_of_life()),
            }
        }
    }

    /// Reads a page; whether there was anything to tell.
    async fn read(&mut self) -> Result<bool, Error> {
        let (frames, cursor) = self.hub.page_of(self.cursor, self.filter).await?;
        self.cursor = cursor;
        if frames.is_empty() {
            return Ok(false);
        }
        self.to_tell
            .extend(frames.into_iter().map(|(_, frame)| frame));
        self.to_tell.push_back(sse::write(&Event::Reached(cursor)));
        self.reached = cursor;
        Ok(true)
    }

    /// Where it stands, if that is news, so that it is not read once more.
    fn sign_of_life(&mut self) -> Bytes {
        if self.reached == self.cursor {
            return Bytes::from_static(b":\n\n");
        }
        self.reached = self.cursor;
        sse::write(&Event::Reached(self.cursor))
    }
}
