//! Starts a daemon in the background.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::error::Error;

/// What it says, in the state directory.
pub(crate) fn log_of(dir: &Path) -> PathBuf {
    dir.join("towline.log")
}

/// Opens the log of a state to be written on.
pub(crate) fn open_log(log: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(log)
}

/// Starts a process that waits for the state and owns it, with these options of
/// `daemon run`.
pub(crate) fn spawn(dir: &Path, options: &[OsString]) -> Result<Child, Error> {
    let failed =
        |error: io::Error| Error::Failed(format!("cannot start in the background: {error}"));
    let dir = std::path::absolute(dir).map_err(failed)?;
    let private = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
    private.map_err(failed)?;
    let log = open_log(&log_of(&dir)).map_err(failed)?;
    Command::new(std::env::current_exe().map_err(failed)?)
        .args(["daemon", "run", "--background", "--state-dir"])
        .arg(&dir)
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map_err(failed)
}
