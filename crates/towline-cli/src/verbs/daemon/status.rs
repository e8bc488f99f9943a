//! `daemon status`: whether a daemon runs, and with what.

use serde_json::json;
use towline::{SqliteReader, State};
use towline_daemon::{Client, ClientError, Mode};

use super::state_dir;
use crate::args::Common;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::when::{ago, date};

pub(crate) async fn run(common: &Common, output: &mut Output) -> Result<Exit, Error> {
    let dir = state_dir(common)?;
    let at = dir.display().to_string();
    let (client, about) = match Client::connect(&dir).await {
        Ok(owner) => owner,
        Err(ClientError::Gone(_)) if !SqliteReader::is_owned(&dir) => {
            match output.is_json() {
                true => output.json_line(&json!({ "running": false, "state_dir": at })),
                false => output.line("no daemon runs"),
            }
            return Ok(Exit::Failed);
        }
        Err(error) => return Err(error.into()),
    };
    let counts = client.counts().await?;
    let is_daemon = about.mode != Mode::Command;
    if output.is_json() {
        output.json_line(&json!({
            "running": is_daemon, "pid": about.pid, "version": about.version,
            "mode": about.mode.as_str(), "since": about.since, "transfers": counts,
            "addresses": about.addresses, "state_dir": at,
        }));
    } else {
        let what = match about.mode {
            Mode::Service => "a daemon",
            Mode::Background => "a daemon that leaves when nothing is left to do",
            Mode::Command => "no daemon, but a command that owns the state",
        };
        output.line(&format!("process    {}, {what}", about.pid));
        output.line(&format!("version    {}", about.version));
        output.line(&format!(
            "since      {} ({})",
            date(about.since),
            ago(about.since)
        ));
        output.line(&format!("state      {at}"));
        for address in &about.addresses {
            output.line(&format!("address    {address}"));
        }
        let there = |state: &State| {
            let count = counts.of(*state);
            (count > 0).then(|| format!("{count} {}", state.as_str().replace('_', " ")))
        };
        let there: Vec<String> = State::ALL.iter().filter_map(there).collect();
        let there = if there.is_empty() {
            "none".into()
        } else {
            there.join(", ")
        };
        output.line(&format!("transfers  {there}"));
    }
    Ok(if is_daemon { Exit::Done } else { Exit::Failed })
}
