//! `download`: an object to a file or a stream, or those below a prefix to a
//! directory, to the end.

use std::path::{Path, PathBuf};

use towline::{Direction, GroupRequest, TransferOptions, TransferRequest};

use super::{carry, key_in_file};
use crate::args::{Common, Download, OnExists};
use crate::error::Error;
use crate::exit::Exit;
use crate::from_list::{self, Bad, List, Pair, PairOptions};
use crate::group;
use crate::identity;
use crate::output::Output;
use crate::stream;
use crate::url::S3Url;

pub(crate) async fn run(
    args: Download,
    common: &Common,
    output: &mut Output,
) -> Result<Exit, Error> {
    if let Some(file) = &args.from_list {
        let list = List {
            file,
            direction: Direction::Download,
            running: &args.running,
            waiting: &args.waiting,
        };
        let like = options(&args)?;
        return list
            .run(|pair| of_pair(&args, &like, pair), common, output)
            .await;
    }
    let (Some(from), Some(to)) = (&args.from, &args.to) else {
        return Err(Error::Usage("from where, and to where?".into()));
    };
    if stream::is_dash(to) {
        return stream::download(&args, from, common, output).await;
    }
    if from.is_prefix() {
        return prefix(&args, from, to, common, output).await;
    }
    let mut request = request(&args, from, to)?;
    let identity = identity::connection(common)?;
    request.version_id.clone_from(&args.version_id);
    request.options = options(&args)?;
    let how = (&args.running, &args.waiting);
    carry(vec![request], identity, how, common, output).await
}

/// All objects below a prefix, as one group.
async fn prefix(
    args: &Download,
    from: &S3Url,
    to: &Path,
    common: &Common,
    output: &mut Output,
) -> Result<Exit, Error> {
    if args.version_id.is_some() {
        let words = "--version-id is of one object, and a prefix has many".into();
        return Err(Error::Usage(words));
    }
    let mut request = GroupRequest::download(from.bucket.as_str(), from.rest.as_str(), to);
    request.options = options(args)?;
    request.restart = args.restart;
    group::run(request, (&args.running, &args.waiting), common, output).await
}

fn request(args: &Download, from: &S3Url, to: &Path) -> Result<TransferRequest, Error> {
    let key = from.key().map_err(Error::address)?;
    let path = target(from, to, key.as_str())?;
    let path = std::path::absolute(&path)
        .map_err(|error| Error::Failed(format!("{}: {error}", path.display())))?;
    let mut request = TransferRequest::download(from.bucket.as_str(), key.as_str(), path);
    request.restart = args.restart;
    Ok(request)
}

fn options(args: &Download) -> Result<TransferOptions, Error> {
    let mut options = TransferOptions::default();
    options.when_target_exists = args.on_exists.unwrap_or(OnExists::Overwrite).into();
    options.part_size = args.part_size;
    options.priority = args.running.priority();
    options.access.customer_key = key_in_file(args.sse_c_key_file.as_deref())?;
    Ok(options)
}

/// What a line of a list asks for.
fn of_pair(args: &Download, like: &TransferOptions, pair: Pair) -> Result<TransferRequest, Bad> {
    let bad = |why: String| ("BadLine".to_owned(), why);
    let PairOptions {
        content_type,
        metadata,
        version_id,
        priority,
    } = pair.options;
    if content_type.is_some() || !metadata.is_empty() {
        let why = "content_type and metadata are of an upload, and this is a download";
        return Err(bad(why.into()));
    }
    let from: S3Url = from_list::url(&pair.source).map_err(bad)?;
    if from.is_prefix() {
        return Err(bad("a prefix has many objects; name one".into()));
    }
    let request = request(args, &from, Path::new(&pair.target));
    let mut request = request.map_err(|error| bad(error.to_string()))?;
    request.version_id = version_id;
    request.options = like.clone();
    request.options.priority = priority.unwrap_or(like.priority);
    Ok(request)
}

/// The file named, or one in the directory named, called as the key's last part.
fn target(from: &S3Url, to: &Path, key: &str) -> Result<PathBuf, Error> {
    let names_directory = to.is_dir() || to.as_os_str().to_string_lossy().ends_with('/');
    if !names_directory {
        return Ok(to.to_owned());
    }
    match key.rsplit('/').next() {
        Some(name) if !matches!(name, "" | "." | "..") && !name.contains('\0') => Ok(to.join(name)),
        _ => Err(Error::Usage(format!(
            "s3://{}/{key} has no last part that could be a file name; name the file",
            from.bucket
        ))),
    }
}
