//! One client's events.

use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;
use towline::{ChangeFilter, Cursor, Error, StoreError, TransferId, TransferUtility};

use crate::Problem;
use crate::api::{Event, Follow};
use crate::hub::{Frame, Hub, Message, PAGE};
use crate::routes::{App, bad};
use crate::selected::Selected;
use crate::sse;

/// A comment is sent when nothing was for this long, so that both ends notice
/// when the other is gone.
pub(crate) const QUIET: Duration = Duration::from_secs(15);

/// Follow what changes
///
/// Server-sent events. `transfer` has a transfer as it is now; `removed` the number of one whose
/// record is gone; `group` a group that is new, was steered, has been listed, or had its end (told to
/// who names no `ids`); `reached` a cursor up to which everything was told; `handover` says that the
/// owner leaves. States in between coalesce; each end is told. Who keeps the last cursor and
/// follows from there misses nothing. With `group` or `only` just those changes are told, and no
/// progress.
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "events",
    params(Follow),
    responses((status = 200, content_type = "text/event-stream", body = String)),
)]
pub(crate) async fn follow(
    State(app): State<App>,
    follow: Result<Query<Follow>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(follow) = follow.map_err(|rejection| bad(rejection.body_text()))?;
    let filter = ChangeFilter {
        group: follow.group,
        only: follow.only,
    };
    let body = if filter == ChangeFilter::default() {
        let feed = Feed::start(app, follow).await?;
        Body::from_stream(stream::unfold(feed, |mut feed| async {
            let event = feed.next().await?;
            Some((Ok::<_, Infallible>(event), feed))
        }))
    } else if follow.ids.is_some() {
        return Err(bad("`ids` goes with neither `group` nor `only`"));
    } else {
        let selected = Selected::start(app, follow.after, filter).await?;
        Body::from_stream(stream::unfold(selected, |mut selected| async {
            let event = selected.next().await?;
            Some((Ok::<_, Infallible>(event), selected))
        }))
    };
    let kind = [(header::CONTENT_TYPE, "text/event-stream")];
    Ok((kind, body).into_response())
}

/// What one client follows.
struct Feed {
    hub: Arc<Hub>,
    /// Only these; all when it is empty.
    only: HashSet<TransferId>,
    /// Everything up to here was told.
    cursor: Cursor,
    messages: broadcast::Receiver<Arc<Message>>,
    /// Messages are too old to read on with: the store has to be read first.
    behind: bool,
    /// The last that was read from the store: some of it may come once more in a
    /// message, which holds a page at most.
    read: VecDeque<Bytes>,
    leaving: watch::Receiver<bool>,
    to_tell: VecDeque<Bytes>,
    ended: bool,
}

impl Feed {
    async fn start(app: App, follow: Follow) -> Result<Self, Problem> {
        let ids = follow.ids.as_deref().unwrap_or_default().split(',');
        let only: Result<HashSet<TransferId>, _> = ids
            .filter(|id| !id.is_empty())
            .map(|id| id.parse().map_err(bad))
            .collect();
        let only = only?;
        let utility = app.utility;
        // A cursor that is no good is answered as such, not by an empty stream.
        if let Some(cursor) = follow.after {
            utility.changes(Some(cursor), 1).await?;
        }
        let messages = app.hub.join().await?;
        let (cursor, from_now) = match follow.after {
            Some(cursor) => (cursor, false),
            None => (utility.changes(None, 0).await?.1, true),
        };
        let mut feed = Self {
            hub: app.hub,
            only,
            cursor,
            messages,
            behind: true,
            read: VecDeque::new(),
            leaving: app.leaving,
            to_tell: VecDeque::new(),
            ended: false,
        };
        if from_now {
            feed.tell_present(&utility).await?;
        }
        feed.to_tell.push_back(sse::write(&Event::Reached(cursor)));
        Ok(feed)
    }

    /// The present state of the transfers that were named.
    async fn tell_present(&mut self, utility: &TransferUtility) -> Result<(), Error> {
        let mut ids: Vec<TransferId> = self.only.iter().copied().collect();
        ids.sort();
        for id in ids {
            let event = match utility.get(id).await {
                Ok(transfer) => Event::Transfer(Box::new(transfer)),
                Err(Error::Store(StoreError::Unknown(id))) => Event::Removed(id),
                Err(error) => return Err(error),
            };
            self.to_tell.push_back(sse::write(&event));
        }
        Ok(())
    }

    async fn next(&mut self) -> Option<Bytes> {
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
            if self.behind {
                if let Err(error) = self.catch_up().await {
                    if !matches!(error, Error::Closed) {
                        tracing::warn!(%error, "an event stream ends");
                    }
                    self.ended = true;
                }
                continue;
            }
            tokio::select! {
                biased;
                _ = self.leaving.changed() => {}
                message = self.messages.recv() => match message {
                    Ok(message) => self.hear(&message),
                    Err(RecvError::Lagged(_)) => self.behind = true,
                    Err(RecvError::Closed) => self.ended = true,
                },
                () = tokio::time::sleep(QUIET) => return Some(Bytes::from_static(b":\n\n")),
            }
        }
    }

    /// Reads a page from the store.
    async fn catch_up(&mut self) -> Result<(), Error> {
        let (frames, cursor, more) = self.hub.catch_up(self.cursor).await?;
        self.behind = more;
        self.read
            .extend(frames.iter().map(|(_, frame)| frame.clone()));
        let too_many = self.read.len().saturating_sub(2 * PAGE);
        self.read.drain(..too_many);
        self.tell(&frames, cursor);
        Ok(())
    }

    fn hear(&mut self, message: &Message) {
        let (after, upto) = (message.after.n, message.upto.n);
        // What was read from the store is newer.
        let old = match after == upto {
            true => upto < self.cursor.n,
            false => upto <= self.cursor.n,
        };
        if old {
            return;
        }
        if after >= self.cursor.n {
            self.read.clear();
            return self.tell(&message.frames, message.upto);
        }
        let frames = message.frames.iter();
        let new = frames.filter(|(_, frame)| !self.read.contains(frame));
        let new: Vec<Frame> = new.cloned().collect();
        self.tell(&new, message.upto);
    }

    fn tell(&mut self, frames: &[Frame], upto: Cursor) {
        let before = self.to_tell.len();
        // Groups are told to who follows all.
        let mine = |of: &Option<TransferId>| {
            self.only.is_empty() || of.is_some_and(|id| self.only.contains(&id))
        };
        let mine = frames.iter().filter(|(id, _)| mine(id));
        self.to_tell.extend(mine.map(|(_, frame)| frame.clone()));
        let moved = upto != self.cursor;
        self.cursor = upto;
        if moved && self.to_tell.len() > before {
            self.to_tell.push_back(sse::write(&Event::Reached(upto)));
        }
    }
}
