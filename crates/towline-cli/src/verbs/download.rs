//! `download`: an object to a file or a stream, or those below a prefix to a
//! directory, to the end.

use std::path::PathBuf;

use towline::TransferRequest;

use super::{carry, key_in_file};
use crate::args::{Common, Download, OnExists};
use crate::error::Error;
use crate::exit::Exit;
use crate::identity;
use crate::output::Output;
use crate::stream;

pub(crate) async fn run(
    args: Download,
    common: &Common,
    output: &mut Output,
) -> Result<Exit, Error> {
    if stream::is_dash(&args.to) {
        return stream::download(&args, common, output).await;
    }
    if args.from.is_prefix() {
        return crate::prefix::run(args, common, output).await;
    }
    let key = args.from.key().map_err(Error::address)?;
    let path = target(&args, key.as_str())?;
    let identity = identity::connection(common)?;
    let path = std::path::absolute(&path)
        .map_err(|error| Error::Failed(format!("{}: {error}", path.display())))?;
    let mut request = TransferRequest::download(args.from.bucket.as_str(), key.as_str(), path);
    request.version_id.clone_from(&args.version_id);
    request.restart = args.restart;
    request.options.when_target_exists = args.on_exists.unwrap_or(OnExists::Overwrite).into();
    request.options.part_size = args.part_size;
    request.options.access.customer_key = key_in_file(args.sse_c_key_file.as_deref())?;
    let how = (&args.running, &args.waiting);
    carry(vec![request], identity, how, common, output).await
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
