//! What a sync is to move: a directory and a prefix compared, a step at a time.

use std::time::{Duration, Instant};

use towline_core::{Direction, GroupId, NotListed};
use towline_engine::folds_names;

use super::entries::{Entry, Step, be_the_same, unreadable};
use super::{ListingRequest, Place, unusable};
use crate::sync::{Comparison, Looked, Parts, blocking};
use crate::{Error, SyncDecision, SyncLeftOut, SyncOptions, TransferUtility};

/// So much is looked at in a step,
const LOOKS: usize = 1000;
/// or for so long: files may be read to be compared.
const LONG: Duration = Duration::from_secs(5);

/// A comparison under way.
pub(super) struct Compared {
    asked: ListingRequest,
    comparison: Comparison,
}

impl Compared {
    /// From the start, or behind a place.
    pub(super) fn open(
        group: GroupId,
        (asked, how): (&ListingRequest, &SyncOptions),
        behind: Option<Place>,
    ) -> Result<Self, Error> {
        let folds = match asked.like.direction {
            Direction::Download => {
                folds_names(&asked.dir).map_err(|error| unusable(&asked.dir, &error))?
            }
            _ => be_the_same(asked).map(|()| false)?,
        };
        let comparison = Comparison::of(Parts {
            prefix: asked.prefix.clone(),
            dir: asked.dir.clone(),
            like: asked.like.clone(),
            how: how.clone(),
            delete: false,
            folds,
            group: Some(group),
        });
        Ok(Self {
            asked: asked.clone(),
            comparison: match behind {
                Some(place) => comparison.behind(place),
                None => comparison,
            },
        })
    }

    /// The next step. Whoever drops this before it is done opens it anew.
    pub(super) async fn next(&mut self, utility: &TransferUtility) -> Result<Step, Error> {
        let mut step = Step::default();
        let (begun, before) = (Instant::now(), self.comparison.found());
        let mut looks = 0;
        while !step.last {
            let is_enough = looks >= LOOKS || begun.elapsed() >= LONG;
            if is_enough && self.comparison.may_stop(utility).await? {
                step.place = self.comparison.place();
                break;
            }
            looks += 1;
            match self.comparison.look(utility).await? {
                Looked::End => step.last = true,
                Looked::Nothing => {}
                Looked::Decided(decision) => self.take(decision, &mut step)?,
            }
        }
        step.found = self.comparison.found() - before;
        if self.asked.like.direction == Direction::Upload {
            // A file system that goes away meanwhile leaves an empty directory.
            let asked = self.asked.clone();
            blocking(utility, move || be_the_same(&asked)).await??;
        }
        Ok(step)
    }

    fn take(&self, decision: SyncDecision, step: &mut Step) -> Result<(), Error> {
        match decision {
            SyncDecision::Upload { request, bytes, .. }
            | SyncDecision::Download { request, bytes, .. } => step.entries.push(Entry::Wanted {
                request,
                bytes,
                listed: None,
            }),
            SyncDecision::Same { .. } => step.same += 1,
            SyncDecision::LeftOut(left_out) if self.is_of_all(&left_out) => {
                return Err(unreadable(&self.asked, left_out.why));
            }
            SyncDecision::LeftOut(left_out) => step.entries.push(Entry::Without(NotListed {
                skipped: !left_out.is_error,
                key: left_out.key,
                path: left_out.path,
                code: left_out.code,
                why: left_out.why,
            })),
            SyncDecision::Delete(_) => {} // not asked for
        }
        Ok(())
    }

    /// The directory itself cannot be read: there may be anything in it.
    fn is_of_all(&self, left_out: &SyncLeftOut) -> bool {
        left_out.is_error && left_out.path.as_ref() == Some(&self.asked.dir)
    }
}
