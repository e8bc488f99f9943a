//! `--dry-run`: prints each decision, and does nothing.

use towline::{SyncDecision, SyncPlan};

use super::Ends;
use super::report::{Report, line};
use crate::args::Common;
use crate::attach::{Signals, Tally};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{Output, one_line};

pub(super) async fn run(
    mut plan: SyncPlan,
    ends: &Ends,
    common: &Common,
    output: &mut Output,
) -> Result<Exit, Error> {
    let mut signals = Signals::new()?;
    let (mut report, mut tally) = (Report::default(), Tally::default());
    loop {
        let decision = tokio::select! {
            decision = plan.next() => decision?,
            exit = signals.next() => return Ok(exit),
        };
        match decision {
            None => break,
            Some(SyncDecision::Upload {
                request,
                bytes,
                reason,
            }) => {
                report.submitted += 1;
                tally.bytes += bytes;
                let reason = reason.as_str();
                let (key, path) = (Some(request.key.as_str()), Some(request.path.as_path()));
                say(
                    output,
                    &line("upload", key, path, reason, Some(bytes), None),
                    || format!("upload {} ({reason})", request.path.display()),
                );
            }
            Some(SyncDecision::Download {
                request,
                bytes,
                reason,
            }) => {
                report.submitted += 1;
                tally.bytes += bytes;
                let reason = reason.as_str();
                let (key, path) = (Some(request.key.as_str()), Some(request.path.as_path()));
                say(
                    output,
                    &line("download", key, path, reason, Some(bytes), None),
                    || {
                        format!(
                            "download s3://{}/{} ({reason})",
                            request.bucket, request.key
                        )
                    },
                );
            }
            Some(SyncDecision::Delete(deletion)) => {
                report.deleted += 1;
                let (key, path) = (Some(deletion.key.as_str()), Some(deletion.path.as_path()));
                let reason = "not_at_source";
                let bytes = Some(deletion.bytes);
                say(
                    output,
                    &line("delete", key, path, reason, bytes, None),
                    || match ends.is_upload() {
                        true => format!("delete s3://{}/{}", ends.bucket(), deletion.key),
                        false => format!("delete {}", deletion.path.display()),
                    },
                );
            }
            Some(SyncDecision::Same { key, path, bytes }) => {
                report.same += 1;
                // For people only where they ask for it: most files are.
                if output.is_json() || common.verbose > 0 {
                    let shown = format!("same {}", path.display());
                    let same = line("same", Some(&key), Some(&path), "same", Some(bytes), None);
                    say(output, &same, || shown);
                }
            }
            Some(SyncDecision::LeftOut(left_out)) => {
                report.leave_out(ends.bucket(), &left_out, output);
            }
            Some(_) => {}
        }
    }
    if !plan.saw_source() && !ends.is_upload() {
        return Err(super::run::nothing_there(ends));
    }
    if report.deleted > 0 && !(plan.is_complete() && plan.saw_source()) {
        output.error("nothing would be deleted: the source is empty, or not all could be read");
        report.went_wrong = true;
    }
    Ok(report.end(&tally, Exit::Done, true, output))
}

fn say(output: &mut Output, line: &serde_json::Value, words: impl FnOnce() -> String) {
    match output.is_json() {
        true => output.json_line(line),
        false => output.line(&one_line(&words())),
    }
}
