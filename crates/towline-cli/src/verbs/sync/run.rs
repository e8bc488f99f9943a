//! Carries a sync out: as one group, then deletions.

use std::path::PathBuf;

use towline::{SyncDecision, SyncDeleter};

use super::deletions::delete;
use super::report::Report;
use super::spool::{Draft, Spool};
use super::{Ends, Planned, Sync};
use crate::attach::Stay;
use crate::error::Error;
use crate::exit::Exit;
use crate::group::{Asked, GroupName, GroupStayed, Groups, exit_of};
use crate::output::Output;
use crate::progress::Progress;
use crate::reach::Reach;

/// A sync on its way.
pub(super) struct Run<'a> {
    pub(super) ends: &'a Ends,
    pub(super) args: &'a Sync,
    /// The state.
    pub(super) dir: PathBuf,
    pub(super) report: Report,
}

/// What is to be deleted once all that had to be transferred was, and by whom.
struct Deletions {
    spool: Spool,
    deleter: SyncDeleter,
    /// The plan has transfers, too.
    transfers: bool,
}

/// What became of the group.
enum Carried {
    Ended(Exit),
    GaveUp,
    /// The command ends with this.
    Left(Exit),
}

impl Run<'_> {
    /// With `--delete` there is a plan, which is shown and allowed first.
    pub(super) async fn run(
        mut self,
        asked: Asked,
        planned: Option<Planned>,
        output: &mut Output,
    ) -> Result<Exit, Error> {
        let mut stay = Stay::new(output)?;
        let Some(mut planned) = planned else {
            return self.carry_out(asked, None, stay, output).await;
        };
        stay.clear();
        let drawn = tokio::select! {
            draft = self.draw_up(&mut planned, output) => draft?,
            exit = stay.signals.next() => return Ok(exit),
        };
        if let Some(exit) = self.allow(&planned.plan, &drawn, &mut stay, output).await? {
            return Ok(exit);
        }
        if !planned.plan.saw_source() && !self.ends.is_upload() {
            return Err(nothing_there(self.ends));
        }
        let deletions = Deletions {
            transfers: drawn.transfers > 0,
            spool: drawn.finish()?,
            deleter: planned.plan.deleter(),
        };
        let exit = self.carry_out(asked, Some(deletions), stay, output).await;
        planned.lister.close().await?;
        exit
    }

    async fn carry_out(
        mut self,
        asked: Asked,
        deletions: Option<Deletions>,
        mut stay: Stay,
        output: &mut Output,
    ) -> Result<Exit, Error> {
        // Where nothing has to be moved, nobody's state is needed.
        let is_needed = match &deletions {
            Some(deletions) => deletions.transfers || self.is_unfinished(&asked).await?,
            None => true,
        };
        let mut reach = None;
        let mut exit = Exit::Done;
        if is_needed {
            let wishes = asked.wishes(&self.args.running)?;
            let reached = reach.insert(Reach::open(self.dir.clone(), wishes).await?);
            stay.progress = Progress::new(output);
            match self.carry(asked, reached, &mut stay, output).await? {
                Carried::Ended(ended) => exit = ended,
                Carried::GaveUp => {
                    let exit = self.report.end(&stay.tally, Exit::Failed, false, output);
                    if let Some(reach) = reach {
                        reach.leave().await?;
                    }
                    return Ok(exit);
                }
                Carried::Left(exit) => return leave(stay, reach, exit, output).await,
            }
        }
        if let Some(mut deletions) = deletions {
            if exit == Exit::Done && !self.report.went_wrong {
                let Deletions { spool, deleter, .. } = &mut deletions;
                let report = &mut self.report;
                let left = delete(spool, deleter, report, &mut stay, output).await?;
                if let Some(exit) = left {
                    return leave(stay, reach, exit, output).await;
                }
            } else if deletions.spool.next_deletion()?.is_some() {
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

    /// Has the group begun, or gone on with, and stays with it.
    async fn carry(
        &mut self,
        asked: Asked,
        reach: &mut Reach,
        stay: &mut Stay,
        output: &mut Output,
    ) -> Result<Carried, Error> {
        let staying = match asked.begin(reach, stay, &self.args.waiting).await? {
            Ok(staying) => staying,
            Err(exit) => return Ok(Carried::Left(exit)),
        };
        let goal = staying.goal;
        match staying.stay(reach, stay, output).await? {
            GroupStayed::Ended(group) => {
                self.count(&group, &mut stay.tally, output).await?;
                Ok(Carried::Ended(exit_of(&group, goal, output)))
            }
            GroupStayed::Removed => Ok(Carried::Ended(Exit::Failed)),
            GroupStayed::GaveUp(group) => {
                self.count(&group, &mut stay.tally, output).await?;
                Ok(Carried::GaveUp)
            }
            GroupStayed::Interrupted(exit) => Ok(Carried::Left(exit)),
        }
    }

    /// Whether an earlier run left the group unfinished.
    async fn is_unfinished(&self, asked: &Asked) -> Result<bool, Error> {
        let name = GroupName::Name(asked.name()?);
        let newest = Groups::open(&self.dir).await?.named(&name).await?;
        Ok(newest.is_some_and(|group| group.ended_at.is_none()))
    }

    /// Writes down what is to be deleted, and counts the rest.
    async fn draw_up(
        &mut self,
        planned: &mut Planned,
        output: &mut Output,
    ) -> Result<Draft, Error> {
        let mut draft = Draft::new()?;
        while let Some(decision) = planned.plan.next().await? {
            match decision {
                SyncDecision::Upload { bytes, .. } | SyncDecision::Download { bytes, .. } => {
                    draft.transfers += 1;
                    draft.bytes += bytes;
                }
                SyncDecision::Delete(deletion) => draft.delete(&deletion)?,
                SyncDecision::Same { .. } => self.report.same += 1,
                SyncDecision::LeftOut(left_out) => {
                    self.report.leave_out(self.ends.bucket(), &left_out, output);
                }
                _ => {}
            }
        }
        Ok(draft)
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
