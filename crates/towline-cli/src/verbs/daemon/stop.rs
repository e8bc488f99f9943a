//! `daemon stop`: asks the daemon to leave, and waits until it has.

use std::time::{Duration, Instant};

use serde_json::json;
use towline::SqliteReader;
use towline_daemon::{Client, ClientError, Mode};

use super::state_dir;
use crate::args::Common;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

/// It leaves within 10 s, and a slow machine has its time too.
const LEFT: Duration = Duration::from_secs(30);

pub(crate) async fn run(common: &Common, output: &mut Output) -> Result<Exit, Error> {
    let dir = state_dir(common)?;
    let (client, about) = match Client::connect(&dir).await {
        Ok(owner) => owner,
        Err(ClientError::Gone(_)) if !SqliteReader::is_owned(&dir) => {
            said(output, None, "no daemon runs");
            return Ok(Exit::Done);
        }
        Err(error) => return Err(error.into()),
    };
    let pid = about.pid;
    if about.mode == Mode::Command {
        let text = format!(
            "no daemon runs; process {pid} is a command that owns the state, and was not stopped"
        );
        said(output, None, &text);
        return Ok(Exit::Done);
    }
    match client.leave().await {
        // It is leaving already.
        Err(error) if error.is_gone() => {}
        asked => drop(asked?),
    }
    let start = Instant::now();
    loop {
        let left = match Client::connect(&dir).await {
            Ok((_, next)) => next.pid != pid,
            Err(_) => !SqliteReader::is_owned(&dir),
        };
        if left {
            said(output, Some(pid), &format!("stopped: process {pid}"));
            return Ok(Exit::Done);
        }
        if start.elapsed() > LEFT {
            return Err(Error::Failed(format!("process {pid} does not leave")));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn said(output: &mut Output, stopped: Option<u32>, text: &str) {
    if output.is_json() {
        output.json_line(&json!({ "stopped": stopped.is_some(), "pid": stopped }));
    } else {
        output.line(text);
    }
}
