//! `daemon start`: a daemon in the background, once it is ready.

use std::time::{Duration, Instant};

use serde_json::json;
use towline::{Bandwidth, Rate};
use towline_daemon::{About, Client, ClientError, Mode, SetCaps, SetLimits};

use super::state_dir;
use crate::args::{Common, Start};
use crate::background::{log_of, spawn};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

/// How long it may take to be ready; longer for a large state on a slow disk.
const READY: Duration = Duration::from_secs(60);

pub(crate) async fn run(args: Start, common: &Common, output: &mut Output) -> Result<Exit, Error> {
    let dir = state_dir(common)?;
    let told = |about: &About, already: bool, output: &mut Output| {
        let (pid, at) = (about.pid, dir.display().to_string());
        if output.is_json() {
            let waits = about.mode == Mode::Command;
            output.json_line(&json!({
                "pid": pid, "state_dir": at, "already_running": already, "waits_for_owner": waits
            }));
        } else if already {
            output.line(&format!(
                "a daemon runs already: process {pid}, state in {at}"
            ));
        } else {
            output.line(&format!("a daemon runs: process {pid}, state in {at}"));
        }
    };
    match Client::connect(&dir).await {
        Ok((client, about)) if about.mode != Mode::Command => {
            // One that would leave when nothing is left to do stays from now on.
            match client.stay().await {
                Ok(about) => {
                    set_caps(&client, &args).await?;
                    told(&about, true, output);
                    if args.keeping.is_given() {
                        let words =
                            "it keeps records as it was started to; stop it first to change that";
                        output.remark(words);
                    }
                    return Ok(Exit::Done);
                }
                Err(error) if error.is_gone() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(_) | Err(ClientError::Gone(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let mut child = spawn(&dir, &args.options())?;
    let start = Instant::now();
    loop {
        if let Ok((_, about)) = Client::connect(&dir).await {
            if about.pid == child.id() {
                told(&about, false, output);
                return Ok(Exit::Done);
            }
            if about.mode == Mode::Command {
                output.remark(&format!(
                    "process {} is a command that owns the state; the daemon takes over when it has left",
                    about.pid
                ));
                let about = About {
                    pid: child.id(),
                    ..about
                };
                told(&about, false, output);
                return Ok(Exit::Done);
            }
        }
        let failed =
            |why: &str| Error::Failed(format!("the daemon {why}; see {}", log_of(&dir).display()));
        match child.try_wait() {
            // Another one was faster.
            Ok(Some(_)) => match Client::connect(&dir).await {
                Ok((client, about)) if about.mode == Mode::Service => {
                    set_caps(&client, &args).await?;
                    told(&about, true, output);
                    return Ok(Exit::Done);
                }
                _ => return Err(failed("ended at once")),
            },
            Ok(None) if start.elapsed() < READY => {}
            _ => return Err(failed("does not become ready")),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// One that runs already takes the caps that it would have been started with.
async fn set_caps(client: &Client, args: &Start) -> Result<(), Error> {
    let bytes = |rate: Option<Rate>| Some(rate.map(Rate::bytes_per_second));
    let caps = |bandwidth: Bandwidth| SetCaps {
        upload: bytes(bandwidth.upload),
        download: bytes(bandwidth.download),
    };
    let set = SetLimits {
        bandwidth: args.moving.bandwidth.map(|bandwidth| Some(caps(bandwidth))),
        request_rate: args.moving.request_rate.map(|rate| Some(rate.get())),
        ..SetLimits::default()
    };
    if set != SetLimits::default() {
        client.set_limits(&set).await?;
    }
    Ok(())
}
