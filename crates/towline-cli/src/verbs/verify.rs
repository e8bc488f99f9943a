//! `verify`: whether a file and an object are equal, mostly without fetching it.

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use towline::{
    Access, SqliteReader, StoreError, TransferId, TransferUtility, Verification, VerifyRequest,
    VerifyResult,
};

use super::key_in_file;
use crate::apart;
use crate::args::{Common, Verify};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::url::S3Url;

const RETRIES: u32 = 3;

pub(crate) async fn run(args: Verify, common: &Common, output: &mut Output) -> Result<Exit, Error> {
    let subject = Subject::of(&args, common).await?;
    let (utility, _apart) = apart::open(common, RETRIES).await?;
    let bar = bar(output);
    let request = request(&args, subject, &utility)?;
    let told = request
        .progress({
            let bar = bar.clone();
            move |done, all| {
                bar.set_length(all);
                bar.set_position(done);
            }
        })
        .await;
    bar.finish_and_clear();
    utility.close().await?;
    let told = told?;
    if output.is_json() {
        output.json_line(&serde_json::to_value(&told).unwrap_or_default());
    } else if told.result == VerifyResult::Equal {
        output.line(&sentence(&told));
    } else {
        output.error(&sentence(&told));
    }
    Ok(match told.result {
        VerifyResult::Equal => Exit::Done,
        VerifyResult::Different | VerifyResult::Unknown => Exit::Failed,
    })
}

/// What is compared.
enum Subject {
    These(PathBuf, S3Url, String),
    Transfer(Box<towline::Record>),
}

impl Subject {
    async fn of(args: &Verify, common: &Common) -> Result<Self, Error> {
        let path = Path::new(&args.what);
        if let Some(url) = &args.object {
            let key = key(url, path)?;
            return Ok(Self::These(path.to_owned(), url.clone(), key));
        }
        let text = args.what.to_string_lossy();
        let id: TransferId = text.parse().map_err(|_| {
            Error::Usage(format!(
                "{text} is no transfer's number; to compare a file, name its object too: s3://BUCKET/KEY"
            ))
        })?;
        let unknown = || Error::from(StoreError::Unknown(id));
        let dir = common.state_dir();
        if !dir.join("towline.db").exists() {
            return Err(unknown());
        }
        let record = SqliteReader::open(&dir)?.get(id).await?;
        Ok(Self::Transfer(Box::new(record.ok_or_else(unknown)?)))
    }
}

/// The key named, or the one that `upload` gives the file below a prefix.
fn key(url: &S3Url, path: &Path) -> Result<String, Error> {
    if !url.is_prefix() {
        return Ok(url.rest.clone());
    }
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(|name| format!("{}{name}", url.rest))
        .ok_or_else(|| {
            Error::Usage(format!(
                "{} has no name that could be a key; give one",
                path.display()
            ))
        })
}

fn request(
    args: &Verify,
    subject: Subject,
    utility: &TransferUtility,
) -> Result<VerifyRequest, Error> {
    let mut request = match subject {
        Subject::These(path, url, key) => utility.verify(path, url.bucket.as_str(), key),
        Subject::Transfer(record) => utility.verify_record(*record),
    };
    if let Some(version) = &args.version_id {
        request = request.version_id(version);
    }
    if let Some(key) = key_in_file(args.sse_c_key_file.as_deref())? {
        let access = Access {
            customer_key: Some(key),
            ..Access::default()
        };
        request = request.access(access);
    }
    Ok(request.download(args.download))
}

fn sentence(told: &Verification) -> String {
    let (path, object) = (
        told.path.display(),
        format!("s3://{}/{}", told.bucket, told.key),
    );
    match told.result {
        VerifyResult::Equal => format!("{path} and {object} are {}", told.message),
        VerifyResult::Different => format!("{path} and {object} differ: {}", told.message),
        VerifyResult::Unknown => {
            format!(
                "cannot tell whether {path} and {object} are equal: {}",
                told.message
            )
        }
    }
}

fn bar(output: &Output) -> ProgressBar {
    let bar = ProgressBar::no_length();
    bar.set_draw_target(match output.shows_progress() {
        true => ProgressDrawTarget::stderr_with_hz(10),
        false => ProgressDrawTarget::hidden(),
    });
    let style = ProgressStyle::with_template(
        "comparing {bar:20} {percent:>3}% {binary_bytes:>10} of {binary_total_bytes} {eta:>4} left",
    );
    if let Ok(style) = style {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}
