//! `upload`: files, or one stream, to objects, to the end.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use towline::{Direction, GroupRequest, TransferOptions, TransferRequest};

use super::{carry, key_in_file};
use crate::args::{Common, OnChange, Upload};
use crate::error::Error;
use crate::exit::Exit;
use crate::from_list::{self, Bad, List, Pair, PairOptions};
use crate::group;
use crate::identity;
use crate::output::Output;
use crate::stream;
use crate::url::S3Url;

pub(crate) async fn run(
    mut args: Upload,
    common: &Common,
    output: &mut Output,
) -> Result<Exit, Error> {
    if let Some(file) = &args.from_list {
        let list = List {
            file,
            direction: Direction::Upload,
            running: &args.running,
            waiting: &args.waiting,
        };
        let like = options(&args)?;
        return list
            .run(|pair| of_pair(&args, &like, pair), common, output)
            .await;
    }
    let url = destination(&mut args.paths)?;
    if args.paths.iter().any(|path| stream::is_dash(path.as_ref())) {
        return stream::upload(&args, &url, common, output).await;
    }
    if args.expected_size.is_some() {
        let words = "--expected-size is for a stream ('-'): files tell their size".into();
        return Err(Error::Usage(words));
    }
    if let [dir] = &args.paths[..]
        && Path::new(dir).is_dir()
        && url.is_prefix()
    {
        let mut request = GroupRequest::upload(dir, url.bucket.as_str(), url.rest.as_str());
        request.options = options(&args)?;
        request.restart = args.restart;
        return group::run(request, (&args.running, &args.waiting), common, output).await;
    }
    let mut files = Files::default();
    for path in args.paths.iter().map(Path::new) {
        collect(path, &url, args.paths.len(), &mut files, output)?;
    }
    let identity = identity::connection(common)?;
    let requests: Result<Vec<TransferRequest>, Error> = files
        .found
        .into_iter()
        .map(|(path, key)| request(&args, &url, &path, key))
        .collect();
    let how = (&args.running, &args.waiting);
    let exit = carry(requests?, identity, how, common, output).await?;
    Ok(match exit {
        Exit::Done if files.lacks_some => Exit::Failed,
        exit => exit,
    })
}

/// What the paths stand for.
#[derive(Default)]
struct Files {
    /// Each with its key.
    found: Vec<(PathBuf, String)>,
    /// Some have no name that is a key.
    lacks_some: bool,
}

fn destination(paths: &mut Vec<OsString>) -> Result<S3Url, Error> {
    let last = paths.pop().unwrap_or_default();
    last.to_string_lossy().parse().map_err(Error::Usage)
}

/// The files that a path stands for, each with its key.
fn collect(
    path: &Path,
    url: &S3Url,
    paths: usize,
    files: &mut Files,
    output: &mut Output,
) -> Result<(), Error> {
    if path.is_dir() {
        if !url.is_prefix() {
            return Err(towline::SubmitError::Directory {
                path: path.to_owned(),
            }
            .into());
        }
        return walk(path, &url.rest, files, output);
    }
    if !url.is_prefix() {
        if paths > 1 {
            return Err(Error::Usage(format!(
                "{paths} files need a prefix ending in '/', not the one key s3://{}/{}",
                url.bucket, url.rest
            )));
        }
        files.found.push((path.to_owned(), url.rest.clone()));
        return Ok(());
    }
    let key = below(path, url).map_err(Error::Usage)?;
    files.found.push((path.to_owned(), key));
    Ok(())
}

/// The key of a file below a prefix.
fn below(path: &Path, url: &S3Url) -> Result<String, String> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(|name| format!("{}{name}", url.rest))
        .ok_or_else(|| {
            let path = path.display();
            format!("{path} has no name that could be a key; give one")
        })
}

/// What a line of a list asks for.
fn of_pair(args: &Upload, like: &TransferOptions, pair: Pair) -> Result<TransferRequest, Bad> {
    let bad = |why: String| ("BadLine".to_owned(), why);
    let PairOptions {
        content_type,
        metadata,
        version_id,
        priority,
    } = pair.options;
    if version_id.is_some() {
        return Err(bad(
            "version_id is of an object, and this is an upload".into()
        ));
    }
    let url: S3Url = from_list::url(&pair.target).map_err(bad)?;
    let path = std::path::absolute(&pair.source).map_err(|error| bad(error.to_string()))?;
    // The owner looks again; here it costs no question of which of many is bad.
    let unreadable = |error: std::io::Error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let code = if missing {
            "SourceMissing"
        } else {
            "SourceUnreadable"
        };
        (
            code.to_owned(),
            format!("cannot read {}: {error}", path.display()),
        )
    };
    if std::fs::metadata(&path).map_err(unreadable)?.is_dir() {
        let why = format!("{} is a directory", path.display());
        return Err(("IsDirectory".into(), why));
    }
    let key = match url.is_prefix() {
        true => below(&path, &url).map_err(bad)?,
        false => url.rest,
    };
    let mut request = TransferRequest::upload(url.bucket.as_str(), key, path);
    request.restart = args.restart;
    request.options = like.clone();
    request.options.priority = priority.unwrap_or(like.priority);
    let object = &mut request.options.object;
    object.content_type = content_type.or(object.content_type.take());
    object.metadata.extend(metadata);
    Ok(request)
}

/// The files below a directory, in the order of their names. Links are not
/// followed.
fn walk(dir: &Path, prefix: &str, files: &mut Files, output: &mut Output) -> Result<(), Error> {
    let failed =
        |error: std::io::Error| Error::Failed(format!("cannot read {}: {error}", dir.display()));
    let mut entries = std::fs::read_dir(dir)
        .and_then(|entries| entries.collect::<Result<Vec<_>, _>>())
        .map_err(failed)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let kind = entry.file_type().map_err(failed)?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            files.lacks_some = true;
            output.error(&format!(
                "left out {}: its name is not UTF-8",
                path.display()
            ));
            continue;
        };
        if name.starts_with(".towline-") && name.ends_with(".part") {
            continue; // a download of ours under way
        }
        if kind.is_dir() {
            walk(&path, &format!("{prefix}{name}/"), files, output)?;
        } else if kind.is_file() {
            files.found.push((path, format!("{prefix}{name}")));
        } else {
            output.remark(&format!(
                "left out {}: it is no regular file",
                path.display()
            ));
        }
    }
    Ok(())
}

fn request(args: &Upload, url: &S3Url, path: &Path, key: String) -> Result<TransferRequest, Error> {
    let path = std::path::absolute(path)
        .map_err(|error| Error::Failed(format!("{}: {error}", path.display())))?;
    let mut request = TransferRequest::upload(url.bucket.as_str(), key, path);
    request.restart = args.restart;
    request.options = options(args)?;
    Ok(request)
}

/// All that the object is to carry, and how it is to be moved.
pub(crate) fn options(args: &Upload) -> Result<TransferOptions, Error> {
    let mut options = TransferOptions::default();
    options.if_absent = args.if_absent;
    options.when_source_changes = args.on_change.unwrap_or(OnChange::Restart).into();
    options.checksum = args.checksum.into();
    options.part_size = args.part_size;
    options.priority = args.running.priority();
    options.object = args.storing.options();
    options.object.content_type.clone_from(&args.content_type);
    options.access.customer_key = key_in_file(args.sse_c_key_file.as_deref())?;
    Ok(options)
}
