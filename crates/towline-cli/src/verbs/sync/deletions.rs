//! Deleting what a plan found too much: asked first, done last.

use std::io::IsTerminal;

use tokio::task::JoinSet;
use towline::{SyncDeleted, SyncDeleter, SyncDeletion, SyncPlan};

use super::report::{Report, line};
use super::run::Run;
use super::spool::{Draft, Spool};
use crate::attach::Stay;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{Output, one_line};

/// So many deletions are under way together.
const TOGETHER: usize = 16;

impl Run<'_> {
    /// Whether a plan may be carried out, as people or options say. `Err` says why
    /// nothing at all is done; an exit ends the command.
    pub(super) async fn allow(
        &self,
        found: &SyncPlan,
        draft: &Draft,
        stay: &mut Stay,
        output: &mut Output,
    ) -> Result<Option<Exit>, Error> {
        let (deletions, what) = (draft.to_delete, self.what());
        if deletions == 0 {
            return Ok(None);
        }
        let refuse = |why: String| Err(Error::Failed(format!("{why}; nothing was done")));
        if !found.is_complete() {
            return refuse(
                "--delete: not all could be read, so what to delete is not known".into(),
            );
        }
        if !found.saw_source() {
            let source = self.ends.source();
            return refuse(format!(
                "--delete: {source} is empty, and all would be deleted"
            ));
        }
        if let Some(most) = self.args.max_delete.filter(|most| deletions > *most) {
            return refuse(format!(
                "{deletions} {what} would be deleted, and --max-delete is {most}"
            ));
        }
        let plan = format!(
            "{} to transfer ({}), {deletions} {what} to delete",
            draft.transfers,
            indicatif::BinaryBytes(draft.bytes)
        );
        output.remark(&plan);
        if self.args.yes {
            return Ok(None);
        }
        if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
            return refuse(format!(
                "{deletions} {what} would be deleted; --yes deletes without asking, --dry-run shows them"
            ));
        }
        eprint!("delete {deletions} {what}? [y/N] ");
        let answer = tokio::task::spawn_blocking(|| {
            let mut answer = String::new();
            let read = std::io::stdin().read_line(&mut answer);
            read.map(|_| answer)
        });
        let answer = tokio::select! {
            answer = answer => answer,
            exit = stay.signals.next() => return Ok(Some(exit)),
        };
        match answer {
            Ok(Ok(answer)) if matches!(answer.trim(), "y" | "Y" | "yes") => Ok(None),
            _ => refuse("not confirmed".into()),
        }
    }

    fn what(&self) -> &'static str {
        match self.ends.is_upload() {
            true => "objects",
            false => "files",
        }
    }
}

/// Deletes what was written down. An exit ends the command before the end.
pub(super) async fn delete(
    spool: &mut Spool,
    deleter: &SyncDeleter,
    report: &mut Report,
    stay: &mut Stay,
    output: &mut Output,
) -> Result<Option<Exit>, Error> {
    let mut under_way = JoinSet::new();
    loop {
        while under_way.len() < TOGETHER
            && let Some(deletion) = spool.next_deletion()?
        {
            let deleter = deleter.clone();
            under_way.spawn(async move {
                let became = deleter.delete(&deletion).await;
                (deletion, became)
            });
        }
        let ended = tokio::select! {
            ended = under_way.join_next() => ended,
            exit = stay.signals.next() => return Ok(Some(exit)),
        };
        let (deletion, became) = match ended {
            None => return Ok(None),
            Some(Ok(ended)) => ended,
            Some(Err(error)) => return Err(Error::Failed(format!("cannot delete: {error}"))),
        };
        match became {
            Ok(became) => tell(&deletion, became, report, output),
            Err(error) => {
                let why = error.to_string();
                let said = (error.code(), why.as_str());
                report.not_deleted(&deletion, said, &mut stay.tally, output);
                let nobody_answers =
                    matches!(&error, towline::Error::Request(it) if it.http_status().is_none());
                if nobody_answers {
                    output.error("nobody answers: the rest was not deleted");
                    return Ok(None);
                }
            }
        }
    }
}

fn tell(deletion: &SyncDeletion, became: SyncDeleted, report: &mut Report, output: &mut Output) {
    let (action, reason, words) = match became {
        SyncDeleted::Gone => ("delete", "not_at_source", "deleted"),
        SyncDeleted::Needed => (
            "left_out",
            "NeededByNow",
            "not deleted, the source has it by now:",
        ),
        _ => (
            "left_out",
            "ChangedMeanwhile",
            "not deleted, it changed meanwhile:",
        ),
    };
    match became {
        SyncDeleted::Gone => report.deleted += 1,
        _ => *report.left_out.entry(reason.into()).or_default() += 1,
    }
    if output.is_json() {
        let (key, path) = (Some(deletion.key.as_str()), Some(deletion.path.as_path()));
        output.json_line(&line(action, key, path, reason, Some(deletion.bytes), None));
    } else {
        output.line(&one_line(&format!("{words} {}", deletion.key)));
    }
}
