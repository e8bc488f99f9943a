//! A utility with a state of its own, for what is not to be recorded with the
//! user's transfers: whoever owns these is not needed.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;
use towline::{Config, TransferUtility};

use crate::args::Common;
use crate::error::Error;

/// Opens one for a verb that transfers nothing, and its directory, which goes when it
/// is dropped. It tries again so often: nobody waits for a store that does not get
/// better.
pub(crate) async fn open(
    common: &Common,
    retries: u32,
) -> Result<(TransferUtility, TempDir), Error> {
    let apart = dir()?;
    let mut config = Config::default();
    config.retry_limit = retries;
    let utility = open_in(apart.path(), common, config).await?;
    Ok((utility, apart))
}

/// A temporary directory, which goes when it is dropped.
pub(crate) fn dir() -> Result<TempDir, Error> {
    tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o700))
        .tempdir()
        .map_err(|error| Error::Failed(format!("cannot make a temporary directory: {error}")))
}

/// Opens one in a directory.
pub(crate) async fn open_in(
    dir: &Path,
    common: &Common,
    config: Config,
) -> Result<TransferUtility, Error> {
    let utility = TransferUtility::builder()
        .state_dir(dir)
        .connection(common.connection())
        .config(config)
        .open();
    Ok(utility.await?)
}
