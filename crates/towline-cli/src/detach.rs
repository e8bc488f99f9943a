//! `--detach`: hands transfers to a process in the background, and returns.

use std::path::Path;
use std::time::{Duration, Instant};

use towline_daemon::{Client, ClientError, Mode, Submit};

use crate::background::{log_of, spawn};
use crate::error::Error;
use crate::output::Output;

/// How long a process in the background may take to start.
const START: Duration = Duration::from_secs(10);

/// Submits, prints what was made of it, and makes sure that somebody goes on
/// with it.
pub(crate) async fn detach(dir: &Path, submit: &Submit, output: &mut Output) -> Result<(), Error> {
    let submitted = detached(dir, async |owner| owner.submit(submit).await).await?;
    for seen in submitted.transfers {
        let transfer = seen.transfer;
        if output.is_json() {
            output.transfer(&transfer);
        } else {
            output.line(&transfer.id.to_string());
        }
    }
    Ok(())
}

/// Asks whoever owns the state, and makes sure that somebody goes on with it.
pub(crate) async fn detached<T>(
    dir: &Path,
    ask: impl AsyncFn(&Client) -> Result<T, ClientError>,
) -> Result<T, Error> {
    // It waits for the state, owns it, and leaves when nothing is left to do.
    let until_idle = ["--until-idle".into()];
    let start = Instant::now();
    let mut started = false;
    loop {
        let error = match Client::connect(dir).await {
            Ok((client, about)) => {
                // A command leaves when it is done; somebody has to come after it.
                if about.mode == Mode::Command && !started {
                    started = true;
                    spawn(dir, &until_idle)?;
                }
                match ask(&client).await {
                    Ok(done) => return Ok(done),
                    Err(error) if error.is_gone() => error,
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error @ ClientError::Gone(_)) => {
                if !started {
                    started = true;
                    spawn(dir, &until_idle)?;
                }
                error
            }
            Err(error) => return Err(error.into()),
        };
        if start.elapsed() > START {
            return Err(Error::Failed(format!(
                "{error}; see {}",
                log_of(dir).display()
            )));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
