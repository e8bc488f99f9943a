//! The command line.

mod copy;
mod daemon;
mod objects;
mod words;

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand};
use towline::{Connection, ConnectionSource, Encryption, ObjectOptions, PartSize, Priority, Rate};

use crate::group::GroupName;
use crate::parse;
use crate::steering::Target;
use crate::url::S3Url;

pub(crate) use copy::Copy;
pub(crate) use daemon::{
    Daemon, DaemonVerb, Keeping, LogFormat, LogLevel, Logging, Moving, Run, Start, Units,
};
pub(crate) use objects::{Du, Head, Ls, Presign, Rm};
pub(crate) use words::{Algorithm, Kind, OnChange, OnExists, PriorityName, Sse, StateName};

/// Moves files to and from S3 and does not lose them.
#[derive(Debug, Parser)]
#[command(
    name = "towline",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Upload files, to the end
    Upload(Upload),
    /// Download an object, or all below a prefix, to the end
    Download(Download),
    /// Copy an object to another key or bucket, by the store itself, to the end
    Copy(Box<Copy>),
    /// Bring what is below a prefix to what a directory has, or the other way round
    Sync(Box<crate::verbs::sync::Sync>),
    /// List transfers
    List(List),
    /// List the directories and prefixes that are moved, each as one group
    Groups(Groups),
    /// Show one transfer, with what happened on its way
    Show(Show),
    /// See all transfers as a table, or hear of each change of state as it happens
    Watch(Watch),
    /// Stop transfers and keep what they have moved
    Pause(Steering),
    /// Go on with paused transfers
    Resume(Steering),
    /// Go on with failed transfers, and start canceled ones anew
    Retry(Steering),
    /// Stop transfers and remove what S3 and the disk hold of them
    Cancel(Steering),
    /// Forget transfers; unfinished ones are canceled first
    Remove(Steering),
    /// Show how much is done at one time and how fast, and change it while transfers run
    Limits(Limits),
    /// See what works with a bucket, and what cannot be promised there
    Doctor(Doctor),
    /// Compare a file with its object, mostly without fetching it
    Verify(Verify),
    /// List the objects below a prefix, and the prefixes
    Ls(Ls),
    /// Count the objects below a prefix, and their bytes
    Du(Du),
    /// Show what S3 tells of an object beside its bytes
    Head(Head),
    /// Remove an object, or all below a prefix
    Rm(Rm),
    /// Print a URL with which anybody can fetch or store an object for a while
    Presign(Presign),
    /// Carry transfers without a terminal
    Daemon(Daemon),
    /// Open the service's page in a browser
    Open(Open),
    /// Print completions for a shell
    Completions(Completions),
    /// Print the manual page, or write those of all verbs
    Man(Man),
    /// See an upload and a download survive a kill; needs no account
    #[cfg(feature = "demo")]
    Demo(Demo),
}

/// Options of every verb.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// The store's URL, for stores that are not AWS
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) endpoint_url: Option<String>,
    /// The region requests are signed for
    #[arg(long, global = true, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// A profile of AWS's configuration files
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        conflicts_with = "no_sign_request"
    )]
    pub(crate) profile: Option<String>,
    /// Send requests without a signature
    #[arg(long, global = true)]
    pub(crate) no_sign_request: bool,
    /// Where transfers are recorded [default: the XDG state directory]
    #[arg(long, global = true, value_name = "DIR", env = "TOWLINE_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// One JSON object a line, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say nothing but errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Say more; twice for details
    #[arg(long, short, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

impl Common {
    pub(crate) fn connection(&self) -> Connection {
        let source = match &self.profile {
            Some(profile) => ConnectionSource::Profile(profile.clone()),
            None if self.no_sign_request => ConnectionSource::Anonymous,
            None => ConnectionSource::Environment,
        };
        Connection {
            source,
            endpoint: self.endpoint_url.clone(),
            region: self.region.clone(),
            ..Connection::default()
        }
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.state_dir
            .clone()
            .unwrap_or_else(towline::TransferUtility::default_state_dir)
    }
}

/// How long an attached command waits.
#[derive(Debug, Args)]
pub(crate) struct Waiting {
    /// Give up when the store has never answered for this long
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse::duration)]
    pub(crate) connect_timeout: Duration,
    /// Wait for the store without limit
    #[arg(long, conflicts_with = "max_wait")]
    pub(crate) wait: bool,
    /// Give up when not done after this long; the transfers stay recorded
    #[arg(long, value_name = "TIME", value_parser = parse::duration)]
    pub(crate) max_wait: Option<Duration>,
}

/// How transfers of `upload`, `download` and `sync` are run.
#[derive(Debug, Args)]
pub(crate) struct Running {
    /// Requests at one time [default: automatic]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) concurrency: Option<u16>,
    /// The most bytes a second, such as 10MiB [default: no cap]
    #[arg(long, value_name = "RATE", value_parser = parse::rate, conflicts_with = "detach")]
    pub(crate) bandwidth: Option<Rate>,
    /// The most requests a second [default: no cap]
    #[arg(long, value_name = "N", value_parser = parse::request_rate, conflicts_with = "detach")]
    pub(crate) request_rate: Option<NonZeroU32>,
    /// Whether they go ahead of other transfers, or behind [default: normal]
    #[arg(long, value_name = "PRIORITY")]
    pub(crate) priority: Option<PriorityName>,
    /// Leave it to a process in the background; print the transfers' numbers
    #[arg(long, conflicts_with_all = ["max_wait", "ephemeral"])]
    pub(crate) detach: bool,
    /// Record it in a temporary directory: apart from all others, and gone with the command
    #[arg(long)]
    pub(crate) ephemeral: bool,
}

impl Running {
    pub(crate) fn priority(&self) -> Priority {
        self.priority.map_or(Priority::Normal, Into::into)
    }
}

/// How objects are stored.
#[derive(Debug, Args)]
pub(crate) struct Storing {
    /// Own metadata of the object
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse::pair)]
    pub(crate) metadata: Vec<(String, String)>,
    /// A canned ACL, such as public-read
    #[arg(long, value_name = "ACL")]
    pub(crate) acl: Option<String>,
    /// A storage class, such as STANDARD_IA
    #[arg(long, value_name = "CLASS")]
    pub(crate) storage_class: Option<String>,
    /// A tag of the object
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse::pair)]
    pub(crate) tag: Vec<(String, String)>,
    /// How S3 encrypts the object [default: as its bucket says]
    #[arg(long, value_name = "HOW")]
    pub(crate) sse: Option<Sse>,
    /// The key in KMS [default: the account's own for S3]
    #[arg(long, value_name = "ID", requires = "sse")]
    pub(crate) sse_kms_key_id: Option<String>,
}

impl Storing {
    /// The same as options of a transfer.
    pub(crate) fn options(&self) -> ObjectOptions {
        let mut object = ObjectOptions::default();
        object.metadata.extend(self.metadata.iter().cloned());
        object.tags.extend(self.tag.iter().cloned());
        object.acl.clone_from(&self.acl);
        object.storage_class.clone_from(&self.storage_class);
        object.encryption = self.sse.map(|how| match how {
            Sse::S3 => Encryption::S3,
            Sse::Kms => Encryption::Kms {
                key_id: self.sse_kms_key_id.clone(),
                context: Default::default(),
                bucket_key: None,
            },
        });
        object
    }
}

#[derive(Debug, Args)]
pub(crate) struct Upload {
    /// Files, or '-' for standard input, and the object or prefix (ending in '/') they go to
    #[arg(
        required_unless_present = "from_list",
        num_args = 2..,
        value_name = "PATH... s3://BUCKET/KEY|PREFIX/"
    )]
    pub(crate) paths: Vec<OsString>,
    /// A file with lines of what goes where, or '-' for standard input: FILE,s3://BUCKET/KEY, or
    /// objects of JSON with source and target
    #[arg(long, value_name = "FILE|-", conflicts_with_all = ["paths", "expected_size"])]
    pub(crate) from_list: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) storing: Storing,
    /// Content type [default: by the file's extension]
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,
    /// A file with a key of 256 bits, raw or in base64, that S3 encrypts with and does not keep
    #[arg(long, value_name = "FILE", conflicts_with = "sse")]
    pub(crate) sse_c_key_file: Option<PathBuf>,
    /// Only where no object has the key yet
    #[arg(long)]
    pub(crate) if_absent: bool,
    /// What to do when the file changes before it is uploaded [default: restart]
    #[arg(long, value_name = "POLICY")]
    pub(crate) on_change: Option<OnChange>,
    /// Size of each part, 5MiB to 5GiB [default: by the file's size]
    #[arg(long, value_name = "SIZE", value_parser = parse::part_size)]
    pub(crate) part_size: Option<PartSize>,
    /// About how much standard input has; of more than 122GiB, this or the part size is needed
    #[arg(long, value_name = "SIZE", value_parser = parse::bytes)]
    pub(crate) expected_size: Option<u64>,
    /// What S3 checks the bytes with
    #[arg(long, value_name = "ALGORITHM", default_value = "crc64nvme")]
    pub(crate) checksum: Algorithm,
    /// Start anew instead of going on with an unfinished transfer
    #[arg(long)]
    pub(crate) restart: bool,
    #[command(flatten)]
    pub(crate) running: Running,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

#[derive(Debug, Args)]
pub(crate) struct Download {
    /// The object, or a prefix (ending in '/') for all objects below it
    #[arg(
        required_unless_present = "from_list",
        value_name = "s3://BUCKET/KEY|PREFIX/"
    )]
    pub(crate) from: Option<S3Url>,
    /// The file, a directory to put it into, or '-' for standard output; of a prefix always a
    /// directory
    #[arg(required_unless_present = "from_list", value_name = "PATH")]
    pub(crate) to: Option<PathBuf>,
    /// A file with lines of what goes where, or '-' for standard input: s3://BUCKET/KEY,FILE, or
    /// objects of JSON with source and target
    #[arg(long, value_name = "FILE|-", conflicts_with_all = ["from", "to", "version_id"])]
    pub(crate) from_list: Option<PathBuf>,
    /// A version of the object
    #[arg(long, value_name = "ID")]
    pub(crate) version_id: Option<String>,
    /// A file with the key of 256 bits that the object is encrypted with (SSE-C)
    #[arg(long, value_name = "FILE")]
    pub(crate) sse_c_key_file: Option<PathBuf>,
    /// What to do when the file exists [default: overwrite]
    #[arg(long, value_name = "POLICY")]
    pub(crate) on_exists: Option<OnExists>,
    /// Size of each part, 5MiB to 5GiB [default: by the object's size]
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

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only these states
    #[arg(long, value_name = "STATE", value_delimiter = ',')]
    pub(crate) state: Vec<StateName>,
    /// Only uploads, only downloads, or only copies
    #[arg(long = "type", value_name = "TYPE", default_value = "any")]
    pub(crate) kind: Kind,
    /// Only to and from this bucket
    #[arg(long, value_name = "BUCKET")]
    pub(crate) bucket: Option<String>,
    /// Only to and from objects with this key
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// At most this many, the newest
    #[arg(long, value_name = "N", default_value = "100")]
    pub(crate) limit: usize,
    /// All of them, however many
    #[arg(long, conflicts_with = "limit")]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Groups {
    /// Only this one, with what it left out: its number, or its name
    #[arg(value_name = "ID|NAME", conflicts_with_all = ["unfinished", "limit"])]
    pub(crate) group: Option<GroupName>,
    /// Only those that have not ended
    #[arg(long)]
    pub(crate) unfinished: bool,
    /// At most this many, the newest
    #[arg(long, value_name = "N", default_value = "20")]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The transfer's number
    #[arg(value_name = "ID")]
    pub(crate) id: towline::TransferId,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Their numbers; ends when all of them have ended [default: all transfers, without end]
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<towline::TransferId>,
    /// A group as one, by its number or its name, until it has ended
    #[arg(long, value_name = "ID|NAME", conflicts_with = "ids")]
    pub(crate) group: Option<GroupName>,
}

/// Which transfers are to be steered.
#[derive(Debug, Args)]
pub(crate) struct Steering {
    /// Their numbers, or objects they go to or come from
    #[arg(
        value_name = "ID|s3://BUCKET/KEY",
        required_unless_present_any = ["all", "group"]
    )]
    pub(crate) targets: Vec<Target>,
    /// All that this is meant for: pause and cancel unfinished ones, resume paused ones,
    /// retry failed ones, remove finished ones
    #[arg(long, conflicts_with = "targets")]
    pub(crate) all: bool,
    /// A group as one, by its number or its name: its listing too, if it has one
    #[arg(long, value_name = "ID|NAME", conflicts_with_all = ["targets", "all", "kind"])]
    pub(crate) group: Option<GroupName>,
    /// With --all or an object: only uploads, or only downloads
    #[arg(long = "type", value_name = "TYPE", default_value = "any")]
    pub(crate) kind: Kind,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

/// What is not given stays as it is.
#[derive(Debug, Args)]
pub(crate) struct Limits {
    /// The most bytes a second that are sent, such as 10MiB, or none
    #[arg(long, value_name = "RATE|none", value_parser = parse::cap)]
    pub(crate) upload: Option<parse::Cap>,
    /// The most bytes a second that are received, such as 10MiB, or none
    #[arg(long, value_name = "RATE|none", value_parser = parse::cap)]
    pub(crate) download: Option<parse::Cap>,
    /// Set these two for the transfers of a group [default: for all transfers]
    #[arg(long, value_name = "NAME")]
    pub(crate) group: Option<String>,
    /// Requests at one time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) requests: Option<u16>,
    /// Parts of one transfer at one time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) parts: Option<u16>,
    /// The most requests a second, or none
    #[arg(long, value_name = "N|none", value_parser = parse::request_cap)]
    pub(crate) request_rate: Option<parse::Bound<NonZeroU32>>,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The bucket, or a prefix in it
    #[arg(value_name = "s3://BUCKET[/PREFIX]")]
    pub(crate) url: S3Url,
    /// Write nothing, and so leave out what can only be seen by writing
    #[arg(long)]
    pub(crate) read_only: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The file; or, without an object, a transfer's number
    #[arg(value_name = "PATH|ID")]
    pub(crate) what: OsString,
    /// The object, or a prefix (ending in '/') that it is in under the file's name
    #[arg(value_name = "s3://BUCKET/KEY|PREFIX/")]
    pub(crate) object: Option<S3Url>,
    /// Fetch the object and compare byte by byte; nothing is stored
    #[arg(long)]
    pub(crate) download: bool,
    /// A version of the object [default: the current one, or the transfer's]
    #[arg(long, value_name = "ID")]
    pub(crate) version_id: Option<String>,
    /// A file with the key of 256 bits that the object is encrypted with (SSE-C)
    #[arg(long, value_name = "FILE")]
    pub(crate) sse_c_key_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Open {
    /// Print the address instead; it logs a browser in once, within a minute
    #[arg(long)]
    pub(crate) print: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Which shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// A directory to write the pages of all verbs to
    #[arg(value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Size of the demo's file in MiB
    #[arg(long, value_name = "MIB", default_value = "192", value_parser = clap::value_parser!(u32).range(8..=4096))]
    pub(crate) size: u32,
}
