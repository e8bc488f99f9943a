//! `upload`: files to objects, to the end.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use towline::{TransferUtility, UploadRequest};

use super::open;
use crate::args::{Common, Upload};
use crate::attach::attach;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::url::S3Url;

pub(crate) async fn run(
    mut args: Upload,
    common: &Common,
    output: &mut Output,
) -> Result<Exit, Error> {
    let url = destination(&mut args.paths)?;
    let mut files = Vec::new();
    for path in args.paths.iter().map(Path::new) {
        collect(path, &url, args.paths.len(), &mut files, output)?;
    }
    let utility = open(common, &args.waiting).await?;
    let requests: Vec<UploadRequest> = files
        .into_iter()
        .map(|(path, key)| request(&utility, &args, &url, path, key))
        .collect();
    // Everything is checked before anything is recorded.
    for request in &requests {
        request.check()?;
    }
    let mut observers = Vec::with_capacity(requests.len());
    for request in requests {
        observers.push(request.await?);
    }
    attach(&utility, observers, &args.waiting, output).await
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
    files: &mut Vec<(PathBuf, String)>,
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
        files.push((path.to_owned(), url.rest.clone()));
        return Ok(());
    }
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| {
            Error::Usage(format!(
                "{} has no name that could be a key; give one",
                path.display()
            ))
        })?;
    files.push((path.to_owned(), format!("{}{name}", url.rest)));
    Ok(())
}

/// The files below a directory, in the order of their names. Links are not
/// followed.
fn walk(
    dir: &Path,
    prefix: &str,
    files: &mut Vec<(PathBuf, String)>,
    output: &mut Output,
) -> Result<(), Error> {
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
            output.remark(&format!(
                "left out: {} (its name is not UTF-8)",
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
            files.push((path, format!("{prefix}{name}")));
        } else {
            output.remark(&format!(
                "left out: {} (not a regular file)",
                path.display()
            ));
        }
    }
    Ok(())
}

fn request(
    utility: &TransferUtility,
    args: &Upload,
    url: &S3Url,
    path: PathBuf,
    key: String,
) -> UploadRequest {
    let mut request = utility
        .upload(url.bucket.as_str(), key, path)
        .if_absent(args.if_absent)
        .checksum(args.checksum.into())
        .restart(args.restart);
    for (name, value) in &args.metadata {
        request = request.metadata(name, value);
    }
    for (name, value) in &args.tag {
        request = request.tag(name, value);
    }
    if let Some(content_type) = &args.content_type {
        request = request.content_type(content_type);
    }
    if let Some(acl) = &args.acl {
        request = request.acl(acl);
    }
    if let Some(class) = &args.storage_class {
        request = request.storage_class(class);
    }
    if let Some(size) = args.part_size {
        request = request.part_size(size);
    }
    request
}
