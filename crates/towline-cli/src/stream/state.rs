//! Where the upload of a stream is recorded: in a state of its own, below that of
//! the user. It goes with its command. That of a command that was killed stays, and
//! is how the next one knows what to end at S3.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use towline::{Query, StoreError, TransferUtility};

use crate::error::Error;

/// Below the state directory.
const STREAMS: &str = "streams";
/// How long one state of a killed command is tried for.
const LIMIT: Duration = Duration::from_secs(30);

/// A directory for the state of one stream; it goes when it is dropped.
pub(super) fn make(state: &Path) -> Result<TempDir, Error> {
    let streams = state.join(STREAMS);
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&streams)
        .and_then(|()| {
            tempfile::Builder::new()
                .prefix("stream-")
                .permissions(Permissions::from_mode(0o700))
                .tempdir_in(&streams)
        });
    made.map_err(|error| {
        Error::Failed(format!(
            "cannot make a directory in {}: {error}; see --state-dir and --ephemeral",
            streams.display()
        ))
    })
}

/// Ends what streams left whose commands were killed. Their uploads are aborted; one
/// of which all parts had arrived is completed.
pub(crate) async fn end_those_of_the_killed(state: &Path) {
    let Ok(entries) = fs::read_dir(state.join(STREAMS)) else {
        return;
    };
    for dir in entries.flatten().map(|entry| entry.path()) {
        // Whoever makes one has its lock before there is a database.
        if !dir.join("towline.db").exists() {
            continue;
        }
        let shown = dir.display();
        match tokio::time::timeout(LIMIT, end(&dir)).await {
            Ok(Ok(())) => {}
            // Its command is alive, or another one is at it.
            Ok(Err(towline::Error::Store(StoreError::Owned { .. }))) => {}
            Ok(Err(error)) => tracing::warn!(%error, state = %shown, "a stream is not ended yet"),
            Err(_) => tracing::warn!(state = %shown, "a stream could not be ended in time"),
        }
    }
}

async fn end(dir: &Path) -> Result<(), towline::Error> {
    // Without their bytes the transfers in it end by themselves.
    let utility = TransferUtility::builder().state_dir(dir).open().await?;
    let (transfers, _) = utility.find(Query::default()).await?;
    for transfer in transfers {
        let ended = utility.observe(transfer.id).await?.finished().await?;
        let why = ended.error.map(|error| error.message).unwrap_or_default();
        tracing::info!(bucket = ended.bucket, key = ended.key, state = %ended.state, why, "a stream of a killed command has ended");
    }
    utility.close().await?;
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, state = %dir.display(), "cannot be removed");
        }
        _ => {}
    }
    Ok(())
}
