//! What a service shows of all transfers together, and of the parts of one.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use towline_core::{
    Counts, PartNumber, Phase, Proof, Query, State, StoreError, Timestamp, TransferId,
};
use towline_engine::{Limits, Statistics};
use towline_s3::Connections;

use crate::{Error, Transfer, TransferUtility};

/// How many transfers there are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // the names are those of the states
pub struct TransferCounts {
    pub waiting: u64,
    pub in_progress: u64,
    pub waiting_for_network: u64,
    pub paused: u64,
    pub completed: u64,
    pub canceled: u64,
    pub failed: u64,
}

/// How a transfer is cut, and where its parts are.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TransferParts {
    /// How many there are, once that is known.
    pub count: Option<u32>,
    /// All of them in their order; none of a transfer that is not cut yet, or
    /// whose parts are not kept any more as it has ended.
    pub parts: Vec<TransferPart>,
    /// What its end was proven by.
    pub proof: Option<Proof>,
}

/// One part.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransferPart {
    /// From 1.
    pub number: u32,
    /// Its bytes in the file or object.
    pub range: Range<u64>,
    /// What becomes of it.
    pub state: PartState,
    /// Bytes of it that were moved.
    pub bytes: u64,
}

/// What becomes of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PartState {
    /// Its turn comes.
    Waiting,
    /// It is being moved.
    Sending,
    /// It is where it belongs, and that is recorded.
    Done,
}

/// So many unfinished ones are counted within 10 ms.
const MANY: u64 = 100_000;
/// What was counted so long ago is good enough where it takes longer...
const FRESH: Duration = Duration::from_secs(2);
/// ...and this is too long ago.
const OLD: Duration = Duration::from_secs(10);

/// What was counted last.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    last: Mutex<Option<(Instant, Counts)>>,
    counting: AtomicBool,
}

impl Counted {
    fn last(&self) -> Option<(Duration, Counts)> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.map(|(at, counts)| (at.elapsed(), counts))
    }

    fn keep(&self, counts: Counts) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some((Instant::now(), counts));
    }

    /// Whether nobody counts yet.
    fn begin(&self) -> bool {
        !self.counting.swap(true, Ordering::Relaxed)
    }

    fn end(&self) {
        self.counting.store(false, Ordering::Relaxed);
    }
}

impl TransferUtility {
    /// How many transfers there are in each state. Where very many are unfinished
    /// and it was asked lately, what is given may be some seconds old, as
    /// counting takes a tenth of a second then.
    pub async fn counts(&self) -> Result<TransferCounts, Error> {
        let (moving, unreachable) = self.engine().tally().await?;
        let Counts {
            going,
            paused,
            completed,
            canceled,
            failed,
        } = self.count().await?;
        let in_progress = moving.min(going);
        let waiting_for_network = unreachable.min(going - in_progress);
        Ok(TransferCounts {
            waiting: going - in_progress - waiting_for_network,
            in_progress,
            waiting_for_network,
            paused,
            completed,
            canceled,
            failed,
        })
    }

    async fn count(&self) -> Result<Counts, Error> {
        let kept = self.counted().last();
        let Some((age, counts)) = kept.filter(|(age, it)| it.going > MANY && *age < OLD) else {
            let counts = self.store().count().await?;
            self.counted().keep(counts);
            return Ok(counts);
        };
        if age > FRESH && self.counted().begin() {
            let utility = self.clone();
            self.engine().spawn(async move {
                match utility.store().count().await {
                    Ok(counts) => utility.counted().keep(counts),
                    Err(error) => tracing::debug!(%error, "transfers were not counted"),
                }
                utility.counted().end();
            })?;
        }
        Ok(counts)
    }

    /// How a transfer is cut, and where its parts are now.
    pub async fn parts(&self, id: TransferId) -> Result<TransferParts, Error> {
        let moving = self.engine().parts_under_way(id).await?;
        let record = self.store().get(id).await?.ok_or(StoreError::Unknown(id))?;
        let plan = record.plan.filter(|plan| !plan.is_open());
        let mut shown = TransferParts {
            count: plan.map(|plan| plan.parts()),
            parts: Vec::new(),
            proof: record.proof,
        };
        let keeps = !record.phase.is_final() || record.phase == Phase::Failed;
        let Some(plan) = plan.filter(|_| keeps) else {
            return Ok(shown);
        };
        let rows = self.store().parts(id).await?;
        let mut rows = rows.iter().map(|row| row.number).peekable();
        for number in (1..=plan.parts()).filter_map(PartNumber::new) {
            let range = plan.range(number);
            let done = rows.next_if_eq(&number).is_some();
            let (state, bytes) = match moving.get(&number) {
                // What has landed meanwhile is not being moved any more.
                _ if done => (PartState::Done, range.end - range.start),
                Some(bytes) => (PartState::Sending, *bytes),
                None => (PartState::Waiting, 0),
            };
            shown.parts.push(TransferPart {
                number: number.get(),
                range,
                state,
                bytes,
            });
        }
        Ok(shown)
    }

    /// When the oldest transfer that is unfinished and not paused was asked for.
    pub async fn oldest_unfinished(&self) -> Result<Option<Timestamp>, Error> {
        let oldest = self.store().next(TransferId::START, 1).await?;
        Ok(oldest.first().map(|record| record.created_at))
    }

    /// The limits as they are now, see [`set_limits`](Self::set_limits).
    pub fn limits(&self) -> Limits {
        self.engine().limits()
    }

    /// What was done since the utility was opened.
    pub fn statistics(&self) -> Statistics {
        self.engine().statistics()
    }

    /// How many connections to stores and proxies there are.
    pub fn connections(&self) -> Connections {
        self.connector().connections()
    }

    /// The profiles in AWS's configuration files, by name.
    pub fn profiles(&self) -> Result<Vec<String>, Error> {
        let names = self.connector().profiles();
        names.map_err(|error| crate::SubmitError::from(error).into())
    }

    /// Those in progress are the few that the engine holds: it is asked, not the
    /// store, in which they are among all that wait.
    pub(crate) async fn find_in_progress(
        &self,
        query: &Query,
    ) -> Result<(Vec<Transfer>, Option<TransferId>), Error> {
        let mut found = self.under_way().await?;
        found.retain(|transfer| transfer.state == State::InProgress && takes(query, transfer));
        found.sort_by_key(|transfer| transfer.id);
        if query.newest_first {
            found.reverse();
        }
        let limit = if query.limit == 0 { 100 } else { query.limit };
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().map(|last| last.id).filter(|_| more);
        Ok((found, next))
    }
}

fn takes(query: &Query, transfer: &Transfer) -> bool {
    let path = transfer.path.to_string_lossy();
    let contains = |name: &str, text: &String| {
        let text = text.to_ascii_lowercase();
        name.to_ascii_lowercase().contains(&text)
    };
    let holds = |text| contains(&transfer.key, text) || contains(&path, text);
    let is_beyond = |after| match query.newest_first {
        true => transfer.id < after,
        false => transfer.id > after,
    };
    query.direction.is_none_or(|it| it == transfer.direction)
        && query
            .bucket
            .as_ref()
            .is_none_or(|it| *it == transfer.bucket)
        && query.key.as_ref().is_none_or(|it| *it == transfer.key)
        && query.path.as_ref().is_none_or(|it| *it == transfer.path)
        && (query.group.is_none() || query.group == transfer.group)
        && query.search.as_ref().is_none_or(holds)
        && query.after.is_none_or(is_beyond)
}
