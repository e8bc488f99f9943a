//! `show`: one transfer, with what happened on its way.

use std::fmt::Write as _;

use indicatif::BinaryBytes;
use towline::{ErrorRecord, SqliteReader, State, StoreError, Transfer};
use towline_daemon::{Client, IncidentSeen, Shown};

use crate::args::{Common, Show};
use crate::columns::percent;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{Output, one_line, state_text};
use crate::when::{ago, date};

pub(crate) async fn run(args: Show, common: &Common, output: &mut Output) -> Result<Exit, Error> {
    let shown = look(&args, common).await?;
    if output.is_json() {
        let mut value = serde_json::to_value(&shown).unwrap_or_default();
        if let Some(fields) = value.as_object_mut() {
            fields.remove("store_answered");
        }
        output.json_line(&value);
        return Ok(Exit::Done);
    }
    let transfer = &shown.seen.transfer;
    let details = Details::read(&args, common).await;
    for (name, text) in facts(transfer, &details.unwrap_or_default()) {
        output.line(&one_line(&format!("{name:<11} {text}")));
    }
    output.line("");
    output.line(&format!("{}  asked for", date(transfer.created_at)));
    for incident in &shown.incidents {
        output.line(&one_line(&happened(incident)));
    }
    let state = state_text(transfer.state, transfer.reason);
    output.line(&format!("{}  {state}", date(transfer.updated_at)));
    Ok(Exit::Done)
}

/// As its owner sees it, or as the store has it where nobody owns it.
async fn look(args: &Show, common: &Common) -> Result<Shown, Error> {
    let dir = common.state_dir();
    if let Ok((owner, _)) = Client::connect(&dir).await {
        match owner.show(args.id).await {
            Err(error) if error.is_gone() => {} // the store has what it had
            told => return Ok(told?),
        }
    }
    let unknown = || Error::from(StoreError::Unknown(args.id));
    if !dir.join("towline.db").exists() {
        return Err(unknown());
    }
    let reader = SqliteReader::open(&dir)?;
    let record = reader.get(args.id).await?.ok_or_else(unknown)?;
    let incidents = reader.incidents(args.id).await?;
    Ok(Shown {
        seen: Transfer::at_rest(record).into(),
        incidents: incidents.into_iter().map(Into::into).collect(),
    })
}

/// What only the store tells.
#[derive(Default)]
struct Details {
    /// Those that are not as usual.
    options: Vec<(String, String)>,
    /// How many parts there are to be, and how large each is.
    plan: Option<(u32, Option<u64>)>,
    parts_there: usize,
    proof: Option<String>,
}

impl Details {
    /// Beside its owner, if it has one; nothing where it cannot be read.
    async fn read(args: &Show, common: &Common) -> Option<Self> {
        let reader = SqliteReader::open(&common.state_dir()).ok()?;
        let record = reader.get(args.id).await.ok()??;
        let parts = reader.parts(args.id).await.ok()?;
        let options = serde_json::to_value(&record.spec.options).ok()?;
        let options = options.as_object().into_iter().flatten();
        let checksum = record.proof.as_ref().and_then(|proof| proof.checksum);
        Some(Self {
            options: options
                .map(|(name, value)| (name.replace('_', " "), plain(value)))
                .collect(),
            plan: record
                .plan
                .filter(|plan| !plan.is_open())
                .map(|plan| (plan.parts(), plan.part_size())),
            parts_there: parts.len(),
            proof: checksum.map(|(checksum, _)| {
                let bytes = checksum.as_bytes().iter();
                let hex: String = bytes.map(|byte| format!("{byte:02x}")).collect();
                format!("{} {hex}", checksum.algorithm())
            }),
        })
    }
}

fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn facts(transfer: &Transfer, details: &Details) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let mut say = |name, text: String| facts.push((name, text));
    let state = state_text(transfer.state, transfer.reason);
    let outcome = transfer.outcome.map(|outcome| format!(", {outcome}"));
    say(
        "transfer",
        format!("{} {}", transfer.direction.as_str(), transfer.id),
    );
    say("state", format!("{state}{}", outcome.unwrap_or_default()));
    let version = transfer.version_id.as_ref();
    let version = version.map(|version| format!(" version {version}"));
    let version = version.unwrap_or_default();
    say(
        "object",
        format!("s3://{}/{}{version}", transfer.bucket, transfer.key),
    );
    say("file", transfer.path.display().to_string());
    if let Some(endpoint) = &transfer.endpoint {
        say("endpoint", endpoint.clone());
    }
    if let Some(group) = &transfer.group {
        say("group", group.clone());
    }
    let moved = transfer.bytes_transferred;
    say(
        "bytes",
        match transfer.bytes_total {
            Some(total) => format!(
                "{moved} of {total} ({}), {}%",
                BinaryBytes(total),
                percent(transfer)
            ),
            None => format!("{moved} of an unknown number"),
        },
    );
    if let Some((count, size)) = details.plan
        && count > 1
    {
        let there = match transfer.state {
            // They are the object or the file now.
            State::Completed => String::new(),
            _ => format!("{} of ", details.parts_there),
        };
        say(
            "parts",
            match size {
                Some(size) => format!("{there}{count} of {}", BinaryBytes(size)),
                None => format!("{there}{count}, growing"),
            },
        );
    }
    if transfer.generation > 1 {
        say(
            "generation",
            format!("{}: it was started anew", transfer.generation),
        );
    }
    for (name, value) in &details.options {
        say("option", format!("{name} {value}"));
    }
    if let Some(verified) = transfer.verified {
        let by = details.proof.as_ref().map(|proof| format!(" by {proof}"));
        say(
            "verified",
            format!("{}{}", verified.as_str(), by.unwrap_or_default()),
        );
    }
    if let Some(etag) = &transfer.etag {
        say("etag", etag.clone());
    }
    say(
        "created",
        format!(
            "{} ({})",
            date(transfer.created_at),
            ago(transfer.created_at)
        ),
    );
    say(
        "updated",
        format!(
            "{} ({})",
            date(transfer.updated_at),
            ago(transfer.updated_at)
        ),
    );
    if let Some(error) = &transfer.error {
        say("error", error_text(error));
    }
    facts
}

/// A line of the timeline.
fn happened(incident: &IncidentSeen) -> String {
    let part = incident.part.map(|part| format!("part {part}: "));
    format!(
        "{}  {}{}",
        date(incident.at),
        part.unwrap_or_default(),
        error_text(&incident.error)
    )
}

/// What happened, and what the store's support needs to find it.
fn error_text(error: &ErrorRecord) -> String {
    let mut text = format!("{}: {}", error.code, error.message);
    let mut more = Vec::new();
    more.extend(error.http_status.map(|status| format!("status {status}")));
    more.extend(error.request_id.as_ref().map(|id| format!("request {id}")));
    more.extend(error.host_id.as_ref().map(|id| format!("host {id}")));
    if error.attempts > 1 {
        more.push(format!("{} attempts in a row", error.attempts));
    }
    if !more.is_empty() {
        // Writing to a string cannot fail.
        let _ = write!(text, " ({})", more.join(", "));
    }
    text
}
