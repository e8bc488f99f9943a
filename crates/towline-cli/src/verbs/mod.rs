//! The verbs, a file each.

pub(crate) mod cancel;
pub(crate) mod completions;
pub(crate) mod copy;
pub(crate) mod daemon;
#[cfg(feature = "demo")]
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod download;
pub(crate) mod du;
pub(crate) mod groups;
pub(crate) mod head;
pub(crate) mod limits;
pub(crate) mod list;
pub(crate) mod ls;
pub(crate) mod man;
pub(crate) mod open;
pub(crate) mod pause;
pub(crate) mod presign;
pub(crate) mod remove;
pub(crate) mod resume;
pub(crate) mod retry;
pub(crate) mod rm;
pub(crate) mod show;
pub(crate) mod sync;
pub(crate) mod upload;
pub(crate) mod verify;
pub(crate) mod watch;

use std::path::{Path, PathBuf};

use towline::{Bandwidth, Connection, Direction, HandedOver, KeyReference, State, TransferRequest};
use towline_daemon::Submit;

use crate::args::{Common, Running, Waiting};
use crate::attach::Attachment;
use crate::detach::detach;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::reach::{Reach, Wishes};

/// The SSE-C key in a file; by its whole path, since another process may read it.
pub(crate) fn key_in_file(file: Option<&Path>) -> Result<Option<KeyReference>, Error> {
    let whole = |file: &Path| {
        std::path::absolute(file)
            .map(KeyReference::File)
            .map_err(|error| Error::Failed(format!("{}: {error}", file.display())))
    };
    file.map(whole).transpose()
}

/// Where transfers are recorded; a temporary directory goes with what is given
/// beside it.
pub(crate) fn state_dir(
    running: &Running,
    common: &Common,
) -> Result<(Option<tempfile::TempDir>, PathBuf), Error> {
    if !running.ephemeral {
        return Ok((None, common.state_dir()));
    }
    let apart = tempfile::tempdir()
        .map_err(|error| Error::Failed(format!("cannot make a temporary directory: {error}")))?;
    let dir = apart.path().join("state");
    Ok((Some(apart), dir))
}

/// Submits requests and stays with them to their end, or leaves them to a
/// process in the background.
async fn carry(
    requests: Vec<TransferRequest>,
    (connection, credentials): (Connection, Option<HandedOver>),
    (running, waiting): (&Running, &Waiting),
    common: &Common,
    output: &mut Output,
) -> Result<Exit, Error> {
    let with_connection = |mut request: TransferRequest| {
        request.connection = Some(connection.clone());
        request
    };
    let submit = Submit {
        requests: requests.into_iter().map(with_connection).collect(),
        credentials: credentials.clone(),
    };
    if running.detach {
        detach(&common.state_dir(), &submit, output).await?;
        return Ok(Exit::Done);
    }
    let (_apart, dir) = state_dir(running, common)?;
    let direction = submit.requests.first().map(|request| request.direction);
    let cap_on = |way| running.bandwidth.filter(|_| direction == Some(way));
    let wishes = Wishes {
        concurrency: running.concurrency,
        bandwidth: Bandwidth {
            upload: cap_on(Direction::Upload),
            download: cap_on(Direction::Download),
        },
        request_rate: running.request_rate,
        caps: None,
    };
    let mut reach = Reach::open(dir, wishes).await?;
    let submitted = reach.submit(&submit).await?;
    let attached = Attachment {
        transfers: submitted.transfers,
        cursor: submitted.cursor,
        credentials,
        waiting,
        goal: State::Completed,
    };
    attached.attach(reach, output).await
}
