//! The command line of `copy`.

use clap::Args;
use towline::PartSize;

use super::{OnChange, PriorityName, Storing, Waiting};
use crate::parse;
use crate::url::S3Url;

#[derive(Debug, Args)]
pub(crate) struct Copy {
    /// The object to copy, or the prefix (ending in '/') of those to copy
    #[arg(value_name = "s3://BUCKET/KEY|PREFIX/")]
    pub(crate) from: S3Url,
    /// The object to make, or a prefix (ending in '/') under which each keeps its last name, or what
    /// follows the prefix to copy
    #[arg(value_name = "s3://BUCKET/KEY|PREFIX/")]
    pub(crate) to: S3Url,
    /// A version of the object to copy
    #[arg(long, value_name = "ID")]
    pub(crate) version_id: Option<String>,
    #[command(flatten)]
    pub(crate) storing: Storing,
    /// Content type [default: that of the object to copy]
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,
    /// Only where no object has the key yet
    #[arg(long)]
    pub(crate) if_absent: bool,
    /// What to do when the object is replaced before it is copied [default: restart]
    #[arg(long, value_name = "POLICY")]
    pub(crate) on_change: Option<OnChange>,
    /// Size of each part, 5MiB to 5GiB [default: 128MiB, of objects above 256MiB]
    #[arg(long, value_name = "SIZE", value_parser = parse::part_size)]
    pub(crate) part_size: Option<PartSize>,
    /// Start anew instead of going on with an unfinished transfer
    #[arg(long)]
    pub(crate) restart: bool,
    #[command(flatten)]
    pub(crate) running: Running,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// How it is run: no byte of it passes here, so there is no cap on bandwidth.
#[derive(Debug, Args)]
pub(crate) struct Running {
    /// Requests at one time [default: automatic]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) concurrency: Option<u16>,
    /// Whether it goes ahead of other transfers, or behind [default: normal]
    #[arg(long, value_name = "PRIORITY")]
    pub(crate) priority: Option<PriorityName>,
    /// Leave it to a process in the background; print the transfer's number
    #[arg(long, conflicts_with_all = ["max_wait", "ephemeral"])]
    pub(crate) detach: bool,
    /// Record it in a temporary directory: apart from all others, and gone with the command
    #[arg(long)]
    pub(crate) ephemeral: bool,
}
