//! A utility with a state of its own, for verbs that transfer nothing: whoever
//! owns the user's state is not needed.

use tempfile::TempDir;
use towline::{Config, TransferUtility};

use crate::args::Common;
use crate::error::Error;

/// Opens one, and its directory, which goes when it is dropped. It tries again so
/// often: nobody waits for a store that does not get better.
pub(crate) async fn open(
    common: &Common,
    retries: u32,
) -> Result<(TransferUtility, TempDir), Error> {
    let apart = tempfile::tempdir()
        .map_err(|error| Error::Failed(format!("cannot make a temporary directory: {error}")))?;
    let mut config = Config::default();
    config.retry_limit = retries;
    let utility = TransferUtility::builder()
        .state_dir(apart.path().join("state"))
        .connection(common.connection())
        .config(config)
        .open()
        .await?;
    Ok((utility, apart))
}
