//! `doctor`: what works with a bucket, and what cannot be promised there.

use towline::Diagnosis;

use crate::apart;
use crate::args::{Common, Doctor};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

const RETRIES: u32 = 2;

pub(crate) async fn run(args: Doctor, common: &Common, output: &mut Output) -> Result<Exit, Error> {
    let (utility, _apart) = apart::open(common, RETRIES).await?;
    let diagnosis = utility
        .doctor(args.url.bucket.as_str())
        .prefix(args.url.rest)
        .read_only(args.read_only)
        .await;
    utility.close().await?;
    let diagnosis = diagnosis?;
    if output.is_json() {
        output.json_line(&diagnosis.to_json());
    } else {
        show(&diagnosis, output);
    }
    Ok(match diagnosis.is_well() {
        true => Exit::Done,
        false => Exit::Failed,
    })
}

fn show(diagnosis: &Diagnosis, output: &mut Output) {
    for check in &diagnosis.checks {
        let result = check.result.as_str();
        let line = format!(
            "{:<31} {result:<8} {}",
            check.name,
            on_one_line(&check.detail)
        );
        output.line(line.trim_end());
    }
    if let Some(verified) = diagnosis.verified {
        output.line(&format!("{:<31} {}", "verified by", verified.as_str()));
    }
    if !diagnosis.not_promised.is_empty() {
        output.line("What cannot be promised here:");
    }
    for words in &diagnosis.not_promised {
        output.line(&format!("- {}", on_one_line(words)));
    }
}

/// A store's words cannot pretend to be further checks.
fn on_one_line(text: &str) -> String {
    text.replace('\n', "\\n")
}
