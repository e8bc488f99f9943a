//! Carries a plan out: transfers some thousands at a time, then deletions.

use std::path::PathBuf;

use towline::{
    Connection, Direction, HandedOver, Query, SqliteReader, State, SyncDecision, SyncLeftOut,
    SyncPlan, Timestamp, TransferRequest,
};
use towline_daemon::{Submit, Submitted};

use super::deletions::delete;
use super::report::Report;
use super::spool::{Draft, Spool};
use super::{Ends, Sync};
use crate::attach::{Attachment, Stay, Stayed};
use crate::error::Error;
use crate::exit::Exit;
use crate::halving::{Refused, detach, submit};
use crate::output::Output;
use crate::reach::{Reach, Wishes};

/// So many transfers are under way together, at most.
pub(super) const TOGETHER: usize = 5000;

/// A sync on its way.
pub(super) struct Run<'a> {
    pub(super) plan: SyncPlan,
    pub(super) ends: &'a Ends,
    pub(super) args: &'a Sync,
    pub(super) connection: Connection,
    pub(super) credentials: Option<HandedOver>,
    /// The state.
    pub(super) dir: PathBuf,
    /// With `--delete`: the whole plan, which was allowed.
    pub(super) spool: Option<Spool>,
    pub(super) report: Report,
    /// When this run did.
    pub(super) began: Timestamp,
}

impl Run<'_> {
    pub(super) async fn run(mut self, output: &mut Output) -> Result<Exit, Error> {
        let mut stay = Stay::new(output)?;
        stay.clear();
        if self.args.delete {
            let drawn = tokio::select! {
                draft = self.draw_up(output) => draft?,
                exit = stay.signals.next() => return Ok(exit),
            };
            if let Some(exit) = self.allow(&drawn, &mut stay, output).await? {
                return Ok(exit);
            }
            self.spool = Some(drawn.finish()?);
        }
        // Where nothing has to be moved, nobody's state is needed.
        let mut reach: Option<Reach> = None;
        let mut exit = Exit::Done;
        loop {
            let step = tokio::select! {
                requests = self.collect(output) => requests?,
                exit = stay.signals.next() => return leave(stay, reach, exit, output).await,
            };
            let Some(requests) = step else { break };
            self.report.submitted += requests.len() as u64;
            if self.args.running.detach {
                self.leave_to_the_background(requests, output).await?;
                continue;
            }
            let reached = self.reached(&mut reach).await?;
            let Some(submitted) = self.submit(reached, requests, output).await? else {
                continue;
            };
            let attached = Attachment {
                transfers: submitted.transfers,
                cursor: submitted.cursor,
                credentials: self.credentials.clone(),
                waiting: &self.args.waiting,
                goal: State::Completed,
            };
            match attached.stay(reached, &mut stay, output).await? {
                Stayed::Ended(Exit::Done) => {}
                Stayed::Ended(other) => exit = other,
                Stayed::GaveUp(exit) => {
                    if let Some(reach) = reach {
                        reach.leave().await?;
                    }
                    return Ok(self.report.end(&stay.tally, exit, false, output));
                }
                Stayed::Interrupted(exit) => return leave(stay, reach, exit, output).await,
            }
        }
        if !self.plan.saw_source() && !self.ends.is_upload() {
            return Err(nothing_there(self.ends));
        }
        if !self.args.running.detach {
            match self.end_the_rest(&mut reach, &mut stay, output).await? {
                Stayed::Ended(Exit::Done) => {}
                Stayed::Ended(other) => exit = other,
                Stayed::GaveUp(gave_up) => exit = gave_up,
                Stayed::Interrupted(exit) => return leave(stay, reach, exit, output).await,
            }
        }
        if let Some(mut spool) = self.spool.take() {
            if exit == Exit::Done && !self.report.went_wrong {
                let deleter = self.plan.deleter();
                let report = &mut self.report;
                let left = delete(&mut spool, deleter, report, &mut stay, output).await?;
                if let Some(exit) = left {
                    return leave(stay, reach, exit, output).await;
                }
            } else if spool.next_deletion()?.is_some() {
                output.error("nothing was deleted: not all that had to be transferred was");
                exit = Exit::Failed;
            }
        }
        let exit = self.report.end(&stay.tally, exit, false, output);
        match reach {
            Some(mut reach) => {
                reach.lift_caps().await;
                stay.end(reach, exit, output).await
            }
            None => Ok(exit),
        }
    }

    /// Whoever owns the state; this process, where nobody does.
    pub(super) async fn reached<'r>(
        &self,
        reach: &'r mut Option<Reach>,
    ) -> Result<&'r mut Reach, Error> {
        match reach {
            Some(reach) => Ok(reach),
            none => {
                let direction = match self.ends.is_upload() {
                    true => Direction::Upload,
                    false => Direction::Download,
                };
                let wishes = Wishes::of_group(self.plan.group(), direction, &self.args.running);
                Ok(none.insert(Reach::open(self.dir.clone(), wishes).await?))
            }
        }
    }

    /// Writes the whole plan down.
    async fn draw_up(&mut self, output: &mut Output) -> Result<Draft, Error> {
        let mut draft = Draft::new()?;
        while let Some(decision) = self.plan.next().await? {
            match decision {
                SyncDecision::Upload { request, bytes, .. }
                | SyncDecision::Download { request, bytes, .. } => {
                    draft.transfer(&request, bytes)?;
                }
                SyncDecision::Delete(deletion) => draft.delete(&deletion)?,
                other => self.pass_over(other, output),
            }
        }
        Ok(draft)
    }

    /// The next requests; `None` behind the last.
    async fn collect(
        &mut self,
        output: &mut Output,
    ) -> Result<Option<Vec<TransferRequest>>, Error> {
        let mut requests = Vec::new();
        while requests.len() < TOGETHER {
            match self.next_request(output).await? {
                Some(request) => requests.push(request),
                None => break,
            }
        }
        Ok(Some(requests).filter(|requests| !requests.is_empty()))
    }

    async fn next_request(
        &mut self,
        output: &mut Output,
    ) -> Result<Option<TransferRequest>, Error> {
        if let Some(spool) = &mut self.spool {
            return spool.next_request();
        }
        while let Some(decision) = self.plan.next().await? {
            match decision {
                SyncDecision::Upload { request, .. } | SyncDecision::Download { request, .. } => {
                    return Ok(Some(*request));
                }
                other => self.pass_over(other, output),
            }
        }
        Ok(None)
    }

    fn pass_over(&mut self, decision: SyncDecision, output: &mut Output) {
        match decision {
            SyncDecision::Same { .. } => self.report.same += 1,
            SyncDecision::LeftOut(left_out) => {
                self.report.leave_out(self.ends.bucket(), &left_out, output);
            }
            _ => {}
        }
    }

    fn submit_of(&self, requests: Vec<TransferRequest>) -> Submit {
        let with_connection = |mut request: TransferRequest| {
            request.connection = Some(self.connection.clone());
            request
        };
        Submit {
            requests: requests.into_iter().map(with_connection).collect(),
            credentials: self.credentials.clone(),
        }
    }

    /// Submits requests; what is refused is left out. An unfinished transfer of an
    /// earlier sync that was asked for otherwise, as the file had another time, is
    /// started anew.
    async fn submit(
        &mut self,
        reach: &mut Reach,
        requests: Vec<TransferRequest>,
        output: &mut Output,
    ) -> Result<Option<Submitted>, Error> {
        let (mut submitted, refused) = submit(reach, self.submit_of(requests)).await?;
        let anew = self.begun_otherwise(refused, output).await?;
        let (started, refused) = submit(reach, self.submit_of(anew)).await?;
        for refused in refused {
            self.refuse(refused, output);
        }
        if let Some(started) = started {
            match &mut submitted {
                Some(submitted) => submitted.transfers.extend(started.transfers),
                None => submitted = Some(started),
            }
        }
        Ok(submitted)
    }

    /// The same with `--detach`.
    async fn leave_to_the_background(
        &mut self,
        requests: Vec<TransferRequest>,
        output: &mut Output,
    ) -> Result<(), Error> {
        let refused = detach(&self.dir, self.submit_of(requests), output).await?;
        let anew = self.begun_otherwise(refused, output).await?;
        for refused in detach(&self.dir, self.submit_of(anew), output).await? {
            self.refuse(refused, output);
        }
        Ok(())
    }

    /// Of what was refused, what an earlier sync had asked for otherwise.
    async fn begun_otherwise(
        &mut self,
        refused: Vec<Refused>,
        output: &mut Output,
    ) -> Result<Vec<TransferRequest>, Error> {
        let mut anew = Vec::new();
        for mut refused in refused {
            if refused.code == "OptionsDiffer" && self.is_of_earlier(&refused.request).await? {
                refused.request.restart = true;
                anew.push(refused.request);
            } else {
                self.refuse(refused, output);
            }
        }
        Ok(anew)
    }

    fn refuse(&mut self, refused: Refused, output: &mut Output) {
        self.report.submitted -= 1;
        let left_out = SyncLeftOut::refused(&refused.request, refused.code, refused.why);
        self.report.leave_out(self.ends.bucket(), &left_out, output);
    }

    /// Whether what is unfinished was asked for by the same sync.
    async fn is_of_earlier(&self, request: &TransferRequest) -> Result<bool, Error> {
        let (key, path) = match self.ends.is_upload() {
            true => (Some(request.key.clone()), None),
            false => (None, Some(request.path.clone())),
        };
        let query = Query {
            direction: Some(request.direction),
            bucket: Some(request.bucket.clone()),
            key,
            path,
            newest_first: true,
            limit: 1,
            ..Query::default()
        };
        let found = SqliteReader::open(&self.dir)?.find(query).await?;
        let newest = found.transfers.first();
        Ok(newest.is_some_and(|record| record.spec.group == request.group))
    }
}

/// Leaves before the end.
async fn leave(
    stay: Stay,
    reach: Option<Reach>,
    exit: Exit,
    output: &mut Output,
) -> Result<Exit, Error> {
    match reach {
        Some(reach) => stay.leave(reach, exit, output).await,
        None => Ok(exit),
    }
}

pub(super) fn nothing_there(ends: &Ends) -> Error {
    Error::Failed(format!(
        "there is no object to take below {}",
        ends.source()
    ))
}
