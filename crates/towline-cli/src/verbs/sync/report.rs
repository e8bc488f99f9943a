//! What is said of a sync: decisions one by one, and one summary at the end.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use towline::{NOT_LISTED_KEPT, SyncDeletion, SyncLeftOut};

use crate::attach::Tally;
use crate::exit::Exit;
use crate::output::{Output, one_line};

/// What became of a sync, counted.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) same: u64,
    pub(super) submitted: u64,
    pub(super) deleted: u64,
    /// By the code of the reason.
    pub(super) left_out: BTreeMap<String, u64>,
    /// Something is not as it should be.
    pub(super) went_wrong: bool,
    /// What a plan told, which its group comes by too: as many as a group keeps.
    told: HashSet<(String, Option<String>, Option<PathBuf>)>,
}

impl Report {
    pub(super) fn leave_out(&mut self, bucket: &str, left_out: &SyncLeftOut, output: &mut Output) {
        let SyncLeftOut {
            code, key, path, ..
        } = left_out;
        let what = (code.clone(), key.clone(), path.clone());
        if self.told.contains(&what) {
            return;
        }
        *self.left_out.entry(left_out.code.clone()).or_default() += 1;
        if (self.told.len() as u64) < 2 * NOT_LISTED_KEPT {
            self.told.insert(what);
        }
        self.went_wrong |= left_out.is_error;
        let (key, path) = (left_out.key.as_deref(), left_out.path.as_deref());
        if output.is_json() {
            let error = Some((left_out.code.as_str(), left_out.why.as_str()));
            output.json_line(&line("left_out", key, path, &left_out.code, None, error));
        }
        let what = match (path, key) {
            (Some(path), _) => path.display().to_string(),
            (None, key) => format!("s3://{bucket}/{}", key.unwrap_or_default()),
        };
        let words = one_line(&format!("left out {what}: {}", left_out.why));
        match left_out.is_error {
            true => output.error(&words),
            false => output.remark(&words),
        }
    }

    /// So many more, of which nothing else is known.
    pub(super) fn leave_out_more(&mut self, count: u64, output: &mut Output) {
        *self.left_out.entry("NotKept".into()).or_default() += count;
        output.remark(&format!("and {count} more"));
    }

    /// A deletion that failed.
    pub(super) fn not_deleted(
        &mut self,
        deletion: &SyncDeletion,
        (code, why): (&str, &str),
        tally: &mut Tally,
        output: &mut Output,
    ) {
        tally.fail(code);
        if output.is_json() {
            let (key, path) = (Some(deletion.key.as_str()), Some(deletion.path.as_path()));
            let bytes = Some(deletion.bytes);
            output.json_line(&line("delete", key, path, code, bytes, Some((code, why))));
        }
        output.error(&one_line(&format!("cannot delete {}: {why}", deletion.key)));
    }

    /// The summary, and with what the command ends.
    pub(super) fn end(
        &self,
        tally: &Tally,
        exit: Exit,
        dry_run: bool,
        output: &mut Output,
    ) -> Exit {
        if output.is_json() {
            output.json_line(&json!({ "summary": {
                "dry_run": dry_run,
                "submitted": self.submitted,
                "done": tally.done,
                "bytes": tally.bytes,
                "same": self.same,
                "deleted": self.deleted,
                "left_out": self.left_out,
                "failed": tally.failed,
            } }));
        }
        let mut parts = vec![
            match dry_run {
                true => format!("{} to transfer", self.submitted),
                false if tally.done == 0 && tally.failed.is_empty() && self.submitted > 0 => {
                    format!("{} submitted", self.submitted)
                }
                false => format!("{} transferred", tally.done),
            } + &match tally.bytes {
                0 => String::new(),
                bytes => format!(" ({})", indicatif::BinaryBytes(bytes)),
            },
            format!("{} the same", self.same),
        ];
        if self.deleted > 0 {
            let words = if dry_run { "to delete" } else { "deleted" };
            parts.push(format!("{} {words}", self.deleted));
        }
        for (words, counts) in [("left out", &self.left_out), ("failed", &tally.failed)] {
            if !counts.is_empty() {
                let reasons: Vec<String> = counts
                    .iter()
                    .map(|(code, count)| format!("{code} {count}"))
                    .collect();
                let count: u64 = counts.values().sum();
                parts.push(format!("{count} {words} ({})", reasons.join(", ")));
            }
        }
        output.line(&parts.join(", "));
        match exit {
            Exit::Done if self.went_wrong || !tally.failed.is_empty() => Exit::Failed,
            exit => exit,
        }
    }
}

/// A decision, as programs read it.
pub(super) fn line(
    action: &str,
    key: Option<&str>,
    path: Option<&Path>,
    reason: &str,
    bytes: Option<u64>,
    error: Option<(&str, &str)>,
) -> Value {
    let mut line = json!({
        "action": action,
        "key": key,
        "path": path.map(Path::to_string_lossy),
        "reason": reason,
        "bytes": bytes,
    });
    if let (Some((code, message)), Some(fields)) = (error, line.as_object_mut()) {
        let error = json!({ "code": code, "message": message });
        fields.insert("error".into(), error);
    }
    line
}
