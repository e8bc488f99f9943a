//! `sync`: brings a prefix to what a directory has, or the other way round.

mod args;
mod deletions;
mod dry;
mod outcome;
mod report;
mod run;
mod spool;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use towline::{
    GroupRequest, SyncFilter, SyncOptions, SyncPlan, SyncRequest, TransferOptions, TransferUtility,
};

pub(crate) use args::Sync;

use super::{key_in_file, state_dir};
use crate::apart;
use crate::args::Common;
use crate::error::Error;
use crate::exit::Exit;
use crate::group::Asked;
use crate::output::Output;
use crate::url::S3Url;

/// A listing is asked for again so often.
const RETRIES: u32 = 8;

pub(crate) async fn run(args: Sync, common: &Common, output: &mut Output) -> Result<Exit, Error> {
    let ends = Ends::of(&args)?;
    check(&args, &ends)?;
    let how = how(&args)?;
    if args.dry_run {
        let planned = plan(&args, &ends, how, common).await?;
        let exit = dry::run(planned.plan, &ends, common, output).await;
        planned.lister.close().await?;
        return exit;
    }
    let request = ends.group(&args, how.clone())?;
    request.check()?;
    let asked = Asked::of(request, common)?;
    if args.running.detach {
        return asked.detach(common, output).await;
    }
    let planned = match args.delete {
        true => Some(plan(&args, &ends, how, common).await?),
        false => None,
    };
    let (_apart, dir) = state_dir(&args.running, common)?;
    let run = run::Run {
        ends: &ends,
        args: &args,
        dir,
        report: report::Report::default(),
    };
    run.run(asked, planned, output).await
}

/// A plan, and who lists for it: beside whoever owns the state.
struct Planned {
    plan: SyncPlan,
    lister: TransferUtility,
    _apart: tempfile::TempDir,
}

async fn plan(
    args: &Sync,
    ends: &Ends,
    how: SyncOptions,
    common: &Common,
) -> Result<Planned, Error> {
    let (lister, apart) = apart::open(common, RETRIES).await?;
    let plan = ends.request(args, &lister)?.how(how).plan().await?;
    Ok(Planned {
        plan,
        lister,
        _apart: apart,
    })
}

/// From where to where.
enum Ends {
    Up(PathBuf, S3Url),
    Down(S3Url, PathBuf),
}

impl Ends {
    fn of(args: &Sync) -> Result<Self, Error> {
        let url = |text: &OsStr| match text.to_str() {
            Some(text) if text.starts_with("s3://") => {
                let url: S3Url = text.parse().map_err(Error::Usage)?;
                match url.is_prefix() {
                    true => Ok(Some(url)),
                    false => Err(Error::Usage(format!("{text} is one object; write {text}/"))),
                }
            }
            _ => Ok(None),
        };
        match (url(&args.from)?, url(&args.to)?) {
            (None, Some(to)) => Ok(Self::Up(PathBuf::from(&args.from), to)),
            (Some(from), None) => Ok(Self::Down(from, PathBuf::from(&args.to))),
            _ => Err(Error::Usage(
                "one of the two has to be a directory, and the other s3://BUCKET/PREFIX/".into(),
            )),
        }
    }

    fn is_upload(&self) -> bool {
        matches!(self, Self::Up(..))
    }

    /// The source, as people know it.
    fn source(&self) -> String {
        match self {
            Self::Up(dir, _) => dir.display().to_string(),
            Self::Down(url, _) => format!("s3://{}/{}", url.bucket, url.rest),
        }
    }

    fn bucket(&self) -> &str {
        match self {
            Self::Up(_, url) | Self::Down(url, _) => url.bucket.as_str(),
        }
    }

    fn request(&self, args: &Sync, lister: &TransferUtility) -> Result<SyncRequest, Error> {
        let request = match self {
            Self::Up(dir, url) => lister.sync_up(dir, url.bucket.as_str(), url.rest.as_str()),
            Self::Down(url, dir) => lister.sync_down(url.bucket.as_str(), url.rest.as_str(), dir),
        };
        Ok(request
            .options(options(args)?)
            .delete(args.delete)
            .dry_run(args.dry_run))
    }

    fn group(&self, args: &Sync, how: SyncOptions) -> Result<GroupRequest, Error> {
        let mut request = match self {
            Self::Up(dir, url) => GroupRequest::upload(dir, url.bucket.as_str(), url.rest.as_str()),
            Self::Down(url, dir) => {
                GroupRequest::download(url.bucket.as_str(), url.rest.as_str(), dir)
            }
        };
        request.options = options(args)?;
        request.restart = args.restart;
        request.sync = Some(how);
        Ok(request)
    }
}

fn options(args: &Sync) -> Result<TransferOptions, Error> {
    let mut options = TransferOptions::default();
    options.object = args.storing.options();
    options.priority = args.running.priority();
    options.access.customer_key = key_in_file(args.sse_c_key_file.as_deref())?;
    Ok(options)
}

fn how(args: &Sync) -> Result<SyncOptions, Error> {
    let mut how = SyncOptions::default();
    how.compare = args.compare.into();
    how.filter = filter(args)?;
    how.record_mtime = !args.no_mtime;
    how.properties = args.properties;
    Ok(how)
}

fn check(args: &Sync, ends: &Ends) -> Result<(), Error> {
    if args.running.detach && (args.delete || args.dry_run) {
        let words =
            "with --detach nobody waits for the end, which --delete and --dry-run are about";
        return Err(Error::Usage(words.into()));
    }
    let stored = args.storing.options();
    if !ends.is_upload()
        && (stored != towline::ObjectOptions::default() || args.no_mtime || args.properties)
    {
        let words = "--metadata, --acl, --storage-class, --tag, --sse, --properties and --no-mtime are of uploads";
        return Err(Error::Usage(words.into()));
    }
    Ok(())
}

fn filter(args: &Sync) -> Result<SyncFilter, Error> {
    let mut filter = SyncFilter::default();
    for file in &args.filter_from {
        let lines = std::fs::read_to_string(file)
            .map_err(|error| Error::Usage(format!("cannot read {}: {error}", shown(file))))?;
        filter = filter.exclude_lines(&lines).map_err(usage)?;
    }
    for pattern in &args.exclude {
        filter = filter.exclude(pattern).map_err(usage)?;
    }
    if args.no_hidden {
        filter = filter.exclude(".*").map_err(usage)?;
    }
    for pattern in &args.include {
        filter = filter.include(pattern).map_err(usage)?;
    }
    if let Some(bytes) = args.min_size {
        filter = filter.min_size(bytes);
    }
    if let Some(bytes) = args.max_size {
        filter = filter.max_size(bytes);
    }
    if let Some(age) = args.newer_than {
        filter = filter.newer_than(age);
    }
    if let Some(age) = args.older_than {
        filter = filter.older_than(age);
    }
    Ok(filter)
}

fn usage(error: towline::SubmitError) -> Error {
    Error::Usage(error.to_string())
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
