//! `download`: an object to a file, to the end.

use std::path::PathBuf;

use super::open;
use crate::args::{Common, Download};
use crate::attach::attach;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

pub(crate) async fn run(
    args: Download,
    common: &Common,
    output: &mut Output,
) -> Result<Exit, Error> {
    let key = args.from.key().map_err(Error::address)?;
    let path = target(&args, key.as_str())?;
    let utility = open(common, &args.waiting).await?;
    let mut request = utility
        .download(args.from.bucket.as_str(), key.as_str(), path)
        .when_target_exists(args.on_exists.into())
        .restart(args.restart);
    if let Some(version) = &args.version_id {
        request = request.version_id(version);
    }
    if let Some(size) = args.part_size {
        request = request.part_size(size);
    }
    let observer = request.await?;
    attach(&utility, vec![observer], &args.waiting, output).await
}

/// The file named, or one in the directory named, called as the key's last part.
fn target(args: &Download, key: &str) -> Result<PathBuf, Error> {
    let names_directory = args.to.is_dir() || args.to.as_os_str().to_string_lossy().ends_with('/');
    if !names_directory {
        return Ok(args.to.clone());
    }
    match key.rsplit('/').next() {
        Some(name) if !matches!(name, "" | "." | "..") && !name.contains('\0') => {
            Ok(args.to.join(name))
        }
        _ => Err(Error::Usage(format!(
            "s3://{}/{key} has no last part that could be a file name; name the file",
            args.from.bucket
        ))),
    }
}
