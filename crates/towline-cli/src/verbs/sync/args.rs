//! The command line of `sync`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use towline::SyncCompare;

use crate::args::{Running, Storing, Waiting};
use crate::parse;

#[derive(Debug, Args)]
pub(crate) struct Sync {
    /// Where it is: a directory, or s3://BUCKET/PREFIX/
    #[arg(value_name = "FROM")]
    pub(crate) from: OsString,
    /// Where it is to be: the other one of the two
    #[arg(value_name = "TO")]
    pub(crate) to: OsString,
    /// What makes a file and an object the same
    #[arg(long, value_name = "HOW", default_value = "size-time")]
    pub(crate) compare: Compare,
    /// Delete what the destination has and the source does not, after all transfers
    #[arg(long)]
    pub(crate) delete: bool,
    /// Delete without asking
    #[arg(long, requires = "delete")]
    pub(crate) yes: bool,
    /// Do nothing at all if more than this would be deleted
    #[arg(long, value_name = "N", requires = "delete")]
    pub(crate) max_delete: Option<u64>,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Only what matches, as a line of a .gitignore does; may be given more than once
    #[arg(long, value_name = "PATTERN")]
    pub(crate) include: Vec<String>,
    /// Not what matches, on either side; may be given more than once
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude: Vec<String>,
    /// A file of such patterns, as a .gitignore; may be given more than once
    #[arg(long, value_name = "FILE")]
    pub(crate) filter_from: Vec<PathBuf>,
    /// Not names that begin with a dot, and what is in such directories
    #[arg(long)]
    pub(crate) no_hidden: bool,
    /// Only what has this length or more
    #[arg(long, value_name = "SIZE", value_parser = parse::bytes)]
    pub(crate) min_size: Option<u64>,
    /// Only what has this length or less
    #[arg(long, value_name = "SIZE", value_parser = parse::bytes)]
    pub(crate) max_size: Option<u64>,
    /// Only what was changed within this time
    #[arg(long, value_name = "TIME", value_parser = parse::duration)]
    pub(crate) newer_than: Option<Duration>,
    /// Only what was changed longer ago than this
    #[arg(long, value_name = "TIME", value_parser = parse::duration)]
    pub(crate) older_than: Option<Duration>,
    #[command(flatten)]
    pub(crate) storing: Storing,
    /// Uploads: also what is the same, where its metadata, tags or class are not those asked for
    #[arg(long)]
    pub(crate) properties: bool,
    /// Uploads: do not record the time of each file's last change as metadata
    #[arg(long)]
    pub(crate) no_mtime: bool,
    /// A file with the key of 256 bits that the objects are encrypted with (SSE-C)
    #[arg(long, value_name = "FILE", conflicts_with = "sse")]
    pub(crate) sse_c_key_file: Option<PathBuf>,
    /// Start anew instead of going on with unfinished transfers
    #[arg(long)]
    pub(crate) restart: bool,
    #[command(flatten)]
    pub(crate) running: Running,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Compare {
    /// The same length, and the source is not newer
    SizeTime,
    /// The same length
    Size,
    /// The same length and checksum: each file is read, each object asked about
    Checksum,
    /// Nothing: all is transferred
    Always,
}

impl From<Compare> for SyncCompare {
    fn from(how: Compare) -> Self {
        match how {
            Compare::SizeTime => Self::SizeTime,
            Compare::Size => Self::Size,
            Compare::Checksum => Self::Checksum,
            Compare::Always => Self::Always,
        }
    }
}
