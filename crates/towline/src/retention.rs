//! How long records of finished transfers are kept, and their removal in the
//! background.

use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use towline_core::{
    FoundCounts, GroupQuery, GroupRecord, Phase, Query, Record, Timestamp, TransferId,
};

use crate::utility::WeakUtility;
use crate::{Error, TransferUtility};

/// How long records of finished transfers are kept. What exceeds either bound is
/// forgotten in the background by whoever owns the state, oldest first.
///
/// What still holds something at S3 or on this disk (a failed transfer with an
/// open upload or a partial file) stays until somebody steers it. A group goes with
/// the last of its transfers; one that had none, by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retention {
    /// So many of those that completed or were canceled, and as many that failed.
    keep_finished: Option<u64>,
    /// So long after their end.
    keep_for: Option<Duration>,
}

/// What is asked for at an opening; what is not stays as it was.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) keep_finished: Option<Option<u64>>,
    pub(crate) keep_for: Option<Option<Duration>>,
}

impl Default for Retention {
    /// Nobody misses what ended a month ago, and a million records take about
    /// 250 MB.
    fn default() -> Self {
        Self {
            keep_finished: Some(1_000_000),
            keep_for: Some(Duration::from_secs(30 * 24 * 3600)),
        }
    }
}

impl Retention {
    const FOREVER: Self = Self {
        keep_finished: None,
        keep_for: None,
    };

    fn is_over(&self, age: i64) -> bool {
        let is_over = |most: Duration| i64::try_from(most.as_millis()).is_ok_and(|most| age > most);
        self.keep_for.is_some_and(is_over)
    }

    /// Whether a group may go once it has no transfer.
    fn lets_go(&self, group: &GroupRecord, now: Timestamp) -> bool {
        let Some(ended_at) = group.ended_at else {
            return false;
        };
        let age = now.as_millis().saturating_sub(ended_at.as_millis());
        let FoundCounts {
            entries,
            skipped,
            refused,
            ..
        } = group.found;
        !(0..GRACE_MS).contains(&age) && (entries > skipped + refused || self.is_over(age))
    }
}

/// The file, in the state directory, that has what was asked for last.
const FILE: &str = "retention.json";
/// How often it is looked for what is to be forgotten.
const EVERY: Duration = Duration::from_secs(60);
/// Groups, once in so many of these.
const GROUPS_EVERY: u32 = 60;
/// Records that are looked at together, and at most removed by one commit.
const BATCH: usize = 256;
/// Between two batches.
const BREATH: Duration = Duration::from_millis(50);
/// Who follows a transfer sees its end before its record goes.
const GRACE_MS: i64 = 600_000;

/// What holds for a state: what is asked for, which is remembered, else what was
/// asked for before. Blocks shortly.
pub(crate) fn of_state(dir: &Path, asked: Asked) -> Retention {
    let file = dir.join(FILE);
    let path = file.display();
    let read = match std::fs::read(&file) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(std::io::Error::from),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Retention::default()),
        Err(error) => Err(error),
    };
    let before = read.unwrap_or_else(|error| {
        tracing::warn!(%path, %error, "not understood, so all records are kept");
        Retention::FOREVER
    });
    let now = Retention {
        keep_finished: asked.keep_finished.unwrap_or(before.keep_finished),
        keep_for: asked.keep_for.unwrap_or(before.keep_for),
    };
    if now == before {
        return now;
    }
    let write = || {
        let new = dir.join(format!("{FILE}.new"));
        std::fs::write(&new, serde_json::to_vec(&now)?)?;
        std::fs::File::open(&new)?.sync_all()?;
        std::fs::rename(&new, &file)
    };
    if let Err(error) = write() {
        tracing::warn!(%path, %error, "how long records are kept is not remembered");
    }
    now
}

/// Forgets what is to be forgotten, until the utility is closed or gone.
pub(crate) async fn keep_to(retention: Retention, utility: WeakUtility) {
    if retention == Retention::FOREVER {
        return;
    }
    let mut begin = 0;
    for round in 0_u32.. {
        let looked = async {
            look_through(&retention, &utility, &mut begin).await?;
            match round % GROUPS_EVERY {
                0 => forget_groups(&retention, &utility).await,
                _ => Ok(()),
            }
        };
        if let Err(error) = looked.await {
            if matches!(error, Error::Closed) {
                return;
            }
            tracing::warn!(%error, "old records were not looked through");
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Forgets groups whose transfers are forgotten, and those that had none, in time.
async fn forget_groups(retention: &Retention, utility: &WeakUtility) -> Result<(), Error> {
    let mut query = GroupQuery {
        limit: BATCH,
        ..GroupQuery::default()
    };
    loop {
        let utility = utility.upgrade().ok_or(Error::Closed)?;
        let groups = utility.store().groups(query.clone()).await?;
        let Some(last) = groups.last() else {
            return Ok(());
        };
        query.after = Some(last.id);
        let now = Timestamp::from(SystemTime::now());
        for group in groups.iter().filter(|group| retention.lets_go(group, now)) {
            let of_it = Query {
                group_id: Some(group.id),
                limit: 1,
                ..Query::default()
            };
            if utility.store().find(of_it).await?.transfers.is_empty() {
                utility.store().remove_group(group.id).await?;
            }
        }
        drop(utility);
        tokio::time::sleep(BREATH).await;
    }
}

/// One look through what has ended. Nothing that ended before `begin` is there
/// any more.
async fn look_through(
    retention: &Retention,
    utility: &WeakUtility,
    begin: &mut u64,
) -> Result<(), Error> {
    let held = || utility.upgrade().ok_or(Error::Closed);
    let mut surplus = Surplus::of(retention, &held()?).await?;
    let (mut after, mut all_go) = (*begin, true);
    loop {
        // For one batch only, so that dropping the last other one ends all work.
        let utility = held()?;
        let page = utility.store().ended(after, BATCH).await?;
        let now = Timestamp::from(SystemTime::now());
        let mut going = Vec::new();
        let mut last = page.next.is_none();
        for (place, record) in &page.transfers {
            match surplus.judge(retention, record, now) {
                Verdict::Goes => going.push(record),
                Verdict::Stays => all_go = false,
                Verdict::StaysAsAllLater => {
                    (all_go, last) = (false, true);
                    break;
                }
            }
            if all_go {
                *begin = *place;
            }
        }
        utility.forget(&going).await?;
        after = page.next.unwrap_or(after);
        if last {
            return Ok(());
        }
        if all_go {
            *begin = after;
        }
        drop(utility);
        tokio::time::sleep(BREATH).await;
    }
}

impl TransferUtility {
    async fn forget(&self, records: &[&Record]) -> Result<(), Error> {
        if records.is_empty() {
            return Ok(());
        }
        let ids: Vec<TransferId> = records.iter().map(|record| record.id).collect();
        let removed = self.engine().remove(ids).await?;
        tracing::debug!(removed, "records of finished transfers were forgotten");
        for record in records.iter().filter(|it| self.is_copy(&it.spec.path)) {
            // Not that of one which was revived in between, and stays.
            if self.store().get(record.id).await?.is_none() {
                self.forget_copy(&record.spec.path);
            }
        }
        Ok(())
    }
}

/// What is to become of a record now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Goes,
    Stays,
    /// And so does all that ended after it.
    StaysAsAllLater,
}

/// How many there are more than are to be kept: so many of the oldest.
#[derive(Clone, Copy, Debug, Default)]
struct Surplus {
    done: u64,
    failed: u64,
}

impl Surplus {
    async fn of(retention: &Retention, utility: &TransferUtility) -> Result<Self, Error> {
        let Some(most) = retention.keep_finished else {
            return Ok(Self::default());
        };
        let counts = utility.store().count().await?;
        Ok(Self {
            done: (counts.completed + counts.canceled).saturating_sub(most),
            failed: counts.failed.saturating_sub(most),
        })
    }

    /// Judges the next record in the order in which they ended.
    fn judge(&mut self, retention: &Retention, record: &Record, now: Timestamp) -> Verdict {
        let age = now
            .as_millis()
            .saturating_sub(record.updated_at.as_millis());
        if (0..GRACE_MS).contains(&age) {
            return Verdict::StaysAsAllLater;
        }
        let of_its_kind = match record.phase {
            Phase::Failed => &mut self.failed,
            _ => &mut self.done,
        };
        let is_surplus = *of_its_kind > 0;
        *of_its_kind = of_its_kind.saturating_sub(1);
        let holds_something = record.remote.is_some() || record.asked.is_some();
        if record.phase != Phase::Completed && holds_something {
            return Verdict::Stays;
        }
        if is_surplus || retention.is_over(age) {
            return Verdict::Goes;
        }
        // An end that lies ahead, as the clock was put back, tells nothing of others.
        match age >= 0 && self.done == 0 && self.failed == 0 {
            true => Verdict::StaysAsAllLater,
            false => Verdict::Stays,
        }
    }
}

#[cfg(test)]
mod tests {
    use towline_core::{
        Asked, BucketName, Connection, Direction, NewTransfer, ObjectAddress, ObjectKey, Remote,
        Request, Spec, TransferOptions,
    };

    use super::*;

    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;
    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    /// One that ended so many seconds ago.
    fn ended(phase: Phase, secs_ago: i64) -> Record {
        let object = ObjectAddress::new(
            BucketName::new("bucket").unwrap(),
            ObjectKey::new("key").unwrap(),
        );
        let spec = Spec {
            direction: Direction::Upload,
            connection: Connection::default(),
            object,
            path: "/file".into(),
            options: TransferOptions::default(),
            token: None,
            group: None,
        };
        let new = NewTransfer {
            spec,
            source: None,
            created_at: Timestamp::default(),
        };
        Record {
            phase,
            updated_at: NOW.plus_secs(-secs_ago),
            ..Record::new(TransferId::new(1), new)
        }
    }

    fn keep(keep_finished: Option<u64>, days: Option<u64>) -> Retention {
        Retention {
            keep_finished,
            keep_for: days.map(|days| Duration::from_secs(days * 86_400)),
        }
    }

    /// Which of these go, from the oldest on.
    fn going(retention: Retention, records: &[Record]) -> Vec<usize> {
        let failed = records.iter().filter(|r| r.phase == Phase::Failed).count() as u64;
        let most = retention.keep_finished.unwrap_or(u64::MAX);
        let mut surplus = Surplus {
            done: (records.len() as u64 - failed).saturating_sub(most),
            failed: failed.saturating_sub(most),
        };
        let mut going = Vec::new();
        for (at, record) in records.iter().enumerate() {
            match surplus.judge(&retention, record, NOW) {
                Verdict::Goes => going.push(at),
                Verdict::Stays => {}
                Verdict::StaysAsAllLater => break,
            }
        }
        going
    }

    #[test]
    fn what_is_older_than_asked_goes_and_the_rest_stays() {
        let ages = [40 * DAY, 31 * DAY, 29 * DAY, DAY, HOUR];
        let records = ages.map(|age| ended(Phase::Completed, age));
        assert_eq!(going(keep(None, Some(30)), &records), [0, 1]);
        assert_eq!(going(Retention::default(), &records), [0, 1]);
        assert!(going(Retention::FOREVER, &records).is_empty());
    }

    #[test]
    fn the_newest_stay_of_those_that_are_done_and_as_many_that_failed() {
        use Phase::{Canceled, Completed, Failed};
        let phases = [Completed, Failed, Canceled, Failed, Failed, Completed];
        let ages = (1..).map(|n| 10 * DAY - n * HOUR);
        let records: Vec<_> = phases
            .into_iter()
            .zip(ages)
            .map(|(p, age)| ended(p, age))
            .collect();
        assert_eq!(going(keep(Some(2), None), &records), [0, 1]);
        assert_eq!(going(keep(Some(1), None), &records), [0, 1, 2, 3]);
        assert_eq!(going(keep(Some(0), None), &records), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn what_ended_just_now_stays_also_where_none_are_kept() {
        let records = [601, 599, 0].map(|age| ended(Phase::Completed, age));
        assert_eq!(going(keep(Some(0), Some(0)), &records), [0]);
    }

    #[test]
    fn what_still_holds_something_stays_and_takes_no_place_of_a_newer_one() {
        let mut open = ended(Phase::Failed, 90 * DAY);
        open.remote = Some(Remote::Upload("upload".into()));
        let mut asked = ended(Phase::Canceled, 89 * DAY);
        asked.asked = Some(Asked {
            request: Request::Create,
            at: NOW,
        });
        let newer = ended(Phase::Failed, 88 * DAY);
        let records = [
            open.clone(),
            asked,
            newer.clone(),
            ended(Phase::Completed, DAY),
        ];
        assert!(going(keep(Some(1), None), &records).is_empty());
        assert_eq!(going(keep(None, Some(30)), &records), [2]);
        assert_eq!(
            going(keep(Some(1), None), &[newer, open.clone(), open]),
            [0]
        );
    }

    #[test]
    fn an_end_in_the_future_is_no_end_of_the_search() {
        let ahead = ended(Phase::Completed, -DAY);
        let records = [ahead.clone(), ended(Phase::Completed, 40 * DAY)];
        assert_eq!(going(keep(None, Some(30)), &records), [1]);
        assert_eq!(going(keep(Some(1), None), &records), [0]);
    }

    #[test]
    fn what_was_asked_for_last_is_remembered_with_the_state() {
        let dir = tempfile::tempdir().unwrap();
        let open = |keep_finished, keep_for| {
            let asked = super::Asked {
                keep_finished,
                keep_for,
            };
            of_state(dir.path(), asked)
        };
        assert_eq!(open(None, None), Retention::default());
        assert_eq!(open(Some(Some(7)), None), keep(Some(7), Some(30)));
        assert_eq!(open(None, Some(None)), keep(Some(7), None));
        assert_eq!(open(None, None), keep(Some(7), None));
        // Whoever asked for something is not taken for one who did not.
        std::fs::write(dir.path().join(FILE), "{").unwrap();
        assert_eq!(open(None, None), Retention::FOREVER);
        assert_eq!(open(Some(Some(7)), None), keep(Some(7), None));
        assert_eq!(open(None, None), keep(Some(7), None));
    }
}
