//! `--detach`: hands transfers to a process in the background, and returns.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use towline_daemon::{Client, ClientError, Mode, Submit};

use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

/// How long a process in the background may take to start.
const START: Duration = Duration::from_secs(10);

/// What the process in the background says, in the state directory.
const LOG: &str = "towline.log";

/// Submits, prints what was made of it, and makes sure that somebody goes on
/// with it.
pub(crate) async fn detach(
    dir: &Path,
    submit: &Submit,
    output: &mut Output,
) -> Result<Exit, Error> {
    let start = Instant::now();
    let mut started = false;
    let submitted = loop {
        let error = match Client::connect(dir).await {
            Ok((client, about)) => {
                // A command leaves when it is done; somebody has to come after it.
                if about.mode == Mode::Command && !started {
                    started = true;
                    spawn(dir)?;
                }
                match client.submit(submit).await {
                    Ok(submitted) => break submitted,
                    Err(error) if error.is_gone() => error,
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error @ ClientError::Gone(_)) => {
                if !started {
                    started = true;
                    spawn(dir)?;
                }
                error
            }
            Err(error) => return Err(error.into()),
        };
        if start.elapsed() > START {
            return Err(Error::Failed(format!(
                "{error}; see {}",
                dir.join(LOG).display()
            )));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    for seen in submitted.transfers {
        let transfer = seen.transfer;
        if output.is_json() {
            output.transfer(&transfer);
        } else {
            output.line(&transfer.id.to_string());
        }
    }
    Ok(Exit::Done)
}

/// Starts a process that waits for the state, owns it, and leaves when nothing
/// is left to do.
fn spawn(dir: &Path) -> Result<(), Error> {
    let failed =
        |error: std::io::Error| Error::Failed(format!("cannot start in the background: {error}"));
    std::fs::create_dir_all(dir).map_err(failed)?;
    let log = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(dir.join(LOG))
        .map_err(failed)?;
    Command::new(std::env::current_exe().map_err(failed)?)
        .args(["daemon", "run", "--until-idle", "--state-dir"])
        .arg(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map_err(failed)?;
    Ok(())
}
