//! The command line of the verbs about objects.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::parse;
use crate::url::S3Url;

#[derive(Debug, Args)]
pub(crate) struct Ls {
    /// The bucket, or what the keys in it begin with
    #[arg(value_name = "s3://BUCKET[/PREFIX]")]
    pub(crate) url: S3Url,
    /// All objects below it, instead of one level
    #[arg(long, short)]
    pub(crate) recursive: bool,
    /// Exact sizes
    #[arg(long)]
    pub(crate) bytes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Du {
    /// The bucket, or what the keys in it begin with
    #[arg(value_name = "s3://BUCKET[/PREFIX]")]
    pub(crate) url: S3Url,
    /// 1: each prefix of the first level too
    #[arg(long, value_name = "N", default_value = "0", value_parser = clap::value_parser!(u8).range(0..=1))]
    pub(crate) depth: u8,
    /// Exact sizes
    #[arg(long)]
    pub(crate) bytes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Head {
    /// The object
    #[arg(value_name = "s3://BUCKET/KEY")]
    pub(crate) url: S3Url,
    /// A version of the object
    #[arg(long, value_name = "ID")]
    pub(crate) version_id: Option<String>,
    /// A file with the key of 256 bits that the object is encrypted with (SSE-C)
    #[arg(long, value_name = "FILE")]
    pub(crate) sse_c_key_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// The object; with --recursive a prefix (ending in '/')
    #[arg(value_name = "s3://BUCKET/KEY|PREFIX/")]
    pub(crate) url: S3Url,
    /// A version of the object, which then is gone for good
    #[arg(long, value_name = "ID", conflicts_with = "recursive")]
    pub(crate) version_id: Option<String>,
    /// All objects below the prefix
    #[arg(long, short)]
    pub(crate) recursive: bool,
    /// With --recursive and s3://BUCKET: all objects of the bucket
    #[arg(long, requires = "recursive")]
    pub(crate) all_of_bucket: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Print what would be removed, and remove nothing
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Presign {
    /// The object
    #[arg(value_name = "s3://BUCKET/KEY")]
    pub(crate) url: S3Url,
    /// A URL that stores the object, instead of one that fetches it
    #[arg(long)]
    pub(crate) put: bool,
    /// How long it works, 1s to 7d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse::duration)]
    pub(crate) expires: Duration,
    /// A version of the object
    #[arg(long, value_name = "ID", conflicts_with = "put")]
    pub(crate) version_id: Option<String>,
    /// The content type to answer with; with --put the one that has to be sent
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,
}
