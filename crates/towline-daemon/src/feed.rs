//! What changes, to those who follow: states from the store, none of them lost,
//! and how far transfers are, from the engine.

use std::collections::{HashMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::watch;
use tokio::time::Instant;
use towline::{Cursor, Error, Reason, StoreError, TransferChange, TransferId, TransferUtility};

use crate::Problem;
use crate::api::{Event, Follow};
use crate::routes::{App, bad};
use crate::sse;

/// How often progress is told.
const PROGRESS: Duration = Duration::from_millis(200);
/// The store is asked for changes at most this often.
const BREATH: Duration = Duration::from_millis(10);
/// Changes that are read at one time.
const PAGE: usize = 500;

/// `GET /v1/events`.
pub(crate) async fn follow(
    State(app): State<App>,
    follow: Result<Query<Follow>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(follow) = follow.map_err(|rejection| bad(rejection.body_text()))?;
    let feed = Feed::start(app, follow).await?;
    let events = stream::unfold(feed, |mut feed| async {
        let event = feed.next().await?;
        Some((Ok::<_, Infallible>(sse::write(event)), feed))
    });
    Ok(Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response())
}

/// What one client follows.
struct Feed {
    utility: TransferUtility,
    /// Only these; all when it is empty.
    only: HashSet<TransferId>,
    cursor: Cursor,
    durable: watch::Receiver<u64>,
    leaving: watch::Receiver<bool>,
    to_tell: VecDeque<Event>,
    /// What was told of those under way.
    told: HashMap<TransferId, (u64, Option<Reason>)>,
    next_look: Instant,
    ended: bool,
}

impl Feed {
    async fn start(app: App, follow: Follow) -> Result<Self, Problem> {
        let ids = follow.ids.as_deref().unwrap_or_default().split(',');
        let only: Result<HashSet<TransferId>, _> = ids
            .filter(|id| !id.is_empty())
            .map(|id| id.parse().map_err(bad))
            .collect();
        let utility = app.utility;
        let mut durable = utility.durable();
        durable.mark_changed();
        let (cursor, from_now) = match follow.after {
            Some(cursor) => (cursor, false),
            None => (utility.changes(None, 0).await?.1, true),
        };
        // A cursor that is no good is answered as such, not by an empty stream.
        utility.changes(Some(cursor), 1).await?;
        let mut feed = Self {
            utility,
            only: only?,
            cursor,
            durable,
            leaving: app.leaving,
            to_tell: VecDeque::new(),
            told: HashMap::new(),
            next_look: Instant::now(),
            ended: false,
        };
        if from_now {
            feed.tell_present().await?;
        }
        feed.to_tell.push_back(Event::Reached(cursor));
        Ok(feed)
    }

    /// The present state of the transfers that were named.
    async fn tell_present(&mut self) -> Result<(), Error> {
        let mut ids: Vec<TransferId> = self.only.iter().copied().collect();
        ids.sort();
        for id in ids {
            let event = match self.utility.get(id).await {
                Ok(transfer) => Event::Transfer(Box::new(transfer)),
                Err(Error::Store(StoreError::Unknown(id))) => Event::Removed(id),
                Err(error) => return Err(error),
            };
            self.to_tell.push_back(event);
        }
        Ok(())
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.to_tell.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            if *self.leaving.borrow() {
                self.ended = true;
                return Some(Event::Handover);
            }
            let looked = tokio::select! {
                biased;
                _ = self.leaving.changed() => Ok(()),
                changed = self.durable.changed() => match changed {
                    Ok(()) => self.read_changes().await,
                    Err(_) => Err(Error::Closed),
                },
                () = tokio::time::sleep_until(self.next_look) => self.look().await,
            };
            if let Err(error) = looked {
                if !matches!(error, Error::Closed) {
                    tracing::warn!(%error, "an event stream ends");
                }
                self.ended = true;
            }
        }
    }

    async fn read_changes(&mut self) -> Result<(), Error> {
        loop {
            let (changes, cursor) = self.utility.changes(Some(self.cursor), PAGE).await?;
            let more = changes.len() == PAGE;
            let before = self.to_tell.len();
            for change in changes {
                match change {
                    TransferChange::Changed(transfer) if self.follows(transfer.id) => {
                        self.told.remove(&transfer.id);
                        self.to_tell.push_back(Event::Transfer(transfer));
                    }
                    TransferChange::Removed(id) if self.follows(id) => {
                        self.to_tell.push_back(Event::Removed(id));
                    }
                    _ => {}
                }
            }
            self.cursor = cursor;
            if self.to_tell.len() > before {
                self.to_tell.push_back(Event::Reached(cursor));
            }
            if !more {
                break;
            }
        }
        // A busy store is asked for several changes at once.
        tokio::time::sleep(BREATH).await;
        Ok(())
    }

    /// How far those under way are.
    async fn look(&mut self) -> Result<(), Error> {
        self.next_look = Instant::now() + PROGRESS;
        let moving = self.utility.under_way().await?;
        let mut told = HashMap::with_capacity(moving.len());
        for transfer in moving {
            if !self.follows(transfer.id) {
                continue;
            }
            let now = (transfer.bytes_transferred, transfer.reason);
            if self.told.get(&transfer.id) != Some(&now) {
                self.to_tell
                    .push_back(Event::Transfer(Box::new(transfer.clone())));
            }
            told.insert(transfer.id, now);
        }
        self.told = told;
        Ok(())
    }

    fn follows(&self, id: TransferId) -> bool {
        self.only.is_empty() || self.only.contains(&id)
    }
}
