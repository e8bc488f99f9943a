//! What an earlier run left unfinished, and this one has no need of: the file and
//! the object are the same by now, one of them is gone, or a filter leaves it out.

use towline::{Query, SqliteReader, State, Transfer, TransferId};
use towline_daemon::{Steer, Verb};

use super::run::{Run, TOGETHER};
use crate::attach::{Attachment, Stay, Stayed};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::reach::Reach;
use crate::steering::unfinished;

impl Run<'_> {
    /// Cancels it, so that no upload stays open and nothing is replaced that nobody
    /// asked for. One whose object was made is completed all the same.
    pub(super) async fn end_the_rest(
        &self,
        reach: &mut Option<Reach>,
        stay: &mut Stay,
        output: &mut Output,
    ) -> Result<Stayed, Error> {
        let ids = self.rest().await?;
        if ids.is_empty() {
            return Ok(Stayed::Ended(Exit::Done));
        }
        let reach = self.reached(reach).await?;
        let steer = Steer {
            ids,
            credentials: self.credentials.clone(),
            ..Steer::default()
        };
        let steered = reach.steer(Verb::Cancel, &steer).await?;
        let attached = Attachment {
            transfers: unfinished(reach, &steered).await?,
            cursor: steered.cursor,
            credentials: self.credentials.clone(),
            waiting: &self.args.waiting,
            goal: State::Canceled,
        };
        let counted = std::mem::take(&mut stay.tally);
        let stayed = attached.stay(reach, stay, output).await?;
        stay.tally = counted; // nothing was to come of these
        Ok(match stayed {
            Stayed::Ended(_) => Stayed::Ended(Exit::Done),
            other => other,
        })
    }

    /// What is unfinished of this group and was there before this run: what this
    /// one asked for has ended.
    async fn rest(&self) -> Result<Vec<TransferId>, Error> {
        if !self.dir.join("towline.db").exists() {
            return Ok(Vec::new());
        }
        let query = Query {
            group: Some(self.plan.group().into()),
            states: vec![State::Waiting, State::InProgress, State::WaitingForNetwork],
            limit: TOGETHER,
            ..Query::default()
        };
        let found = SqliteReader::open(&self.dir)?.find(query).await?;
        let transfers = found.transfers.into_iter().map(Transfer::at_rest);
        let rest = transfers.filter(|transfer| transfer.created_at < self.began);
        Ok(rest.map(|transfer| transfer.id).collect())
    }
}
