//! What is checked on this machine before anything is recorded.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use towline_core::{
    BucketName, Fingerprint, ObjectAddress, ObjectKey, ObjectOptions, PartPlan, Spec,
    TransferOptions, UploadMode,
};

use crate::SubmitError;
use crate::check_options::bad;

/// The path made absolute without resolving links: what a person named is what
/// is stored and shown.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, SubmitError> {
    std::path::absolute(path).map_err(|error| SubmitError::Target {
        path: path.to_owned(),
        why: error.to_string(),
    })
}

/// The source of an upload: there, a regular file, readable, not too large.
pub(crate) fn source(path: &Path, options: &TransferOptions) -> Result<Fingerprint, SubmitError> {
    let found = towline_engine::inspect_source(path).map_err(|failure| match path.is_dir() {
        true => SubmitError::Directory {
            path: path.to_owned(),
        },
        false => SubmitError::Source(failure),
    })?;
    PartPlan::for_upload(found.size, options)?;
    Ok(found)
}

/// The source of a copy, as it is stored.
pub(crate) fn origin(url: &Path, default: Option<&BucketName>) -> Result<PathBuf, SubmitError> {
    let (bucket, key) = bucket_of_origin(url, default)?;
    Ok(ObjectAddress::new(bucket, ObjectKey::new(key)?)
        .to_string()
        .into())
}

/// The bucket of a copy's source, and its key or prefix. `s3:///` is the default
/// bucket.
pub(crate) fn bucket_of_origin<'a>(
    url: &'a Path,
    default: Option<&BucketName>,
) -> Result<(BucketName, &'a str), SubmitError> {
    let text = url.to_str();
    let found = match (text.and_then(|text| text.strip_prefix("s3:///")), default) {
        (Some(rest), Some(bucket)) => Some((bucket.clone(), rest)),
        _ => text.and_then(BucketName::from_url),
    };
    let why = || format!("{url:?} is not the S3 URL of an object or a prefix");
    found.ok_or_else(|| bad("source", why()))
}

/// A copy: not of an object onto itself, as nothing would change.
pub(crate) fn copy(spec: &Spec, origin: &ObjectAddress) -> Result<(), SubmitError> {
    let object = &spec.object;
    let onto_itself = (&origin.bucket, &origin.key) == (&object.bucket, &object.key);
    match onto_itself && origin.version_id.is_none() {
        true => onto_itself_with(&spec.options.object),
        false => Ok(()),
    }
}

/// What an object that is copied onto itself is to have otherwise.
pub(crate) fn onto_itself_with(options: &ObjectOptions) -> Result<(), SubmitError> {
    if *options != ObjectOptions::default() {
        return Ok(());
    }
    let why = "it is what is to be written: S3 copies an object onto itself only with other \
               metadata, tags, class, redirect or encryption";
    Err(bad("source", why))
}

/// The source of an upload that is no file.
pub(crate) fn stream(
    length: Option<u64>,
    options: &TransferOptions,
) -> Result<Option<Fingerprint>, SubmitError> {
    match length {
        Some(length) => {
            PartPlan::for_upload(length, options)?;
            Ok(Some(Fingerprint::of_bytes(length)))
        }
        None if options.upload_mode == UploadMode::Single => {
            let why = "one PUT tells its length first: say the length, or let it go in parts";
            Err(bad("mode", why))
        }
        None => Ok(None),
    }
}

/// The target of a download below a directory: nothing is in its way there, and
/// no link.
pub(crate) fn beneath(path: &Path, depth: u32) -> Result<(), SubmitError> {
    towline_engine::check_beneath(path, depth).map_err(|error| SubmitError::Target {
        path: path.to_owned(),
        why: error.to_string(),
    })
}

/// The target of a download: a file name in a directory that can be written.
pub(crate) fn target(path: &Path) -> Result<(), SubmitError> {
    let unfit = |why: &str| SubmitError::Target {
        path: path.to_owned(),
        why: why.to_owned(),
    };
    if path.is_dir() {
        return Err(SubmitError::Directory {
            path: path.to_owned(),
        });
    }
    // A rename would put a file in the place of a device.
    if let Ok(meta) = std::fs::metadata(path)
        && let Some(kind) = towline_engine::kind_if_special(&meta)
    {
        return Err(unfit(&format!("it is {kind}, not a regular file")));
    }
    if path.file_name().is_none() {
        return Err(unfit("it has no file name"));
    }
    let parent = path.parent().ok_or_else(|| unfit("it has no directory"))?;
    match std::fs::metadata(parent) {
        Ok(meta) if !meta.is_dir() => return Err(unfit("its parent is not a directory")),
        Ok(_) => {}
        Err(error) => return Err(unfit(&format!("its directory: {error}"))),
    }
    access(parent, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|errno| unfit(&format!("its directory: {}", std::io::Error::from(errno))))
}
