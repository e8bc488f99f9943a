//! What an earlier run left unfinished, and this one has no need of: the file and
//! the object are the same by now, or the file is gone.

use towline::{Query, Reason, SqliteReader, State, Transfer, TransferId};
use towline_daemon::{Steer, Verb};

use super::run::{Run, TOGETHER};
use crate::attach::{Attachment, Stay, Stayed};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::reach::Reach;
use crate::steering::unfinished;

impl Run<'_> {
    /// Ends it, so that no upload stays open: goes on with it, or cancels it where
    /// there is no file any more.
    pub(super) async fn end_the_rest(
        &self,
        reach: &mut Option<Reach>,
        stay: &mut Stay,
        output: &mut Output,
    ) -> Result<Stayed, Error> {
        let (carry, cancel) = self.rest().await?;
        let mut exit = Exit::Done;
        for (verb, ids, goal) in [
            (Verb::Carry, carry, State::Completed),
            (Verb::Cancel, cancel, State::Canceled),
        ] {
            if ids.is_empty() {
                continue;
            }
            let reach = self.reached(reach).await?;
            let steer = Steer {
                ids,
                credentials: self.credentials.clone(),
                ..Steer::default()
            };
            let steered = reach.steer(verb, &steer).await?;
            let attached = Attachment {
                transfers: unfinished(reach, &steered).await?,
                cursor: steered.cursor,
                credentials: self.credentials.clone(),
                waiting: &self.args.waiting,
                goal,
            };
            let counted = std::mem::take(&mut stay.tally);
            let stayed = attached.stay(reach, stay, output).await?;
            if verb == Verb::Cancel {
                stay.tally = counted; // nothing was to come of these
            } else {
                stay.tally.add(counted);
            }
            match stayed {
                Stayed::Ended(Exit::Done) => {}
                Stayed::Ended(other) => exit = other,
                other => return Ok(other),
            }
        }
        Ok(Stayed::Ended(exit))
    }

    /// What is unfinished of this group: to go on with, and to be canceled.
    async fn rest(&self) -> Result<(Vec<TransferId>, Vec<TransferId>), Error> {
        if !self.dir.join("towline.db").exists() {
            return Ok(Default::default());
        }
        let query = Query {
            group: Some(self.plan.group().into()),
            states: vec![State::Waiting, State::InProgress, State::WaitingForNetwork],
            limit: TOGETHER,
            ..Query::default()
        };
        let found = SqliteReader::open(&self.dir)?.find(query).await?;
        let (mut carry, mut cancel) = (Vec::new(), Vec::new());
        for transfer in found.transfers.into_iter().map(Transfer::at_rest) {
            let is_moot = self.ends.is_upload() && !transfer.path.exists();
            if is_moot || transfer.reason == Some(Reason::Canceling) {
                cancel.push(transfer.id);
            } else {
                carry.push(transfer.id);
            }
        }
        Ok((carry, cancel))
    }
}
