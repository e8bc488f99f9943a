//! The command line of `daemon`.

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use towline::Bandwidth;

use crate::parse::{self, Bound};
use crate::serving::Serving;

#[derive(Debug, Args)]
pub(crate) struct Daemon {
    #[command(subcommand)]
    pub(crate) verb: DaemonVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DaemonVerb {
    /// In the foreground, with all that is unfinished, until it is told to go: for
    /// systemd and containers
    Run(Run),
    /// In the background; returns when it is ready
    Start(Start),
    /// Ask the daemon to leave, and wait until it has; what was moved is kept
    Stop,
    /// Say whether a daemon runs, and with what; exit code 1 if none does
    Status,
    /// Print a unit for systemd, with what to do with it
    Units(Units),
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) logging: Logging,
    /// Go when nothing is left to do
    #[arg(long, hide = true)]
    pub(crate) until_idle: bool,
    /// Nobody waits for it; standard error is the log in the state directory
    #[arg(long, hide = true)]
    pub(crate) background: bool,
    #[command(flatten)]
    pub(crate) moving: Moving,
    #[command(flatten)]
    pub(crate) keeping: Keeping,
    #[command(flatten)]
    pub(crate) serving: Serving,
}

#[derive(Debug, Args)]
pub(crate) struct Start {
    #[command(flatten)]
    pub(crate) logging: Logging,
    #[command(flatten)]
    pub(crate) moving: Moving,
    #[command(flatten)]
    pub(crate) keeping: Keeping,
    #[command(flatten)]
    pub(crate) serving: Serving,
}

impl Start {
    /// The same, as options of `daemon run`.
    pub(crate) fn options(&self) -> Vec<OsString> {
        let mut options = self.logging.options();
        options.extend(self.moving.options());
        options.extend(self.keeping.options());
        options.extend(self.serving.options());
        options
    }
}

/// How fast a daemon moves bytes.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Moving {
    /// The most bytes a second each way, such as 10MiB or up:5MiB,down:20MiB [default: no cap]
    #[arg(long, value_name = "RATE", value_parser = parse::bandwidth)]
    pub(crate) bandwidth: Option<Bandwidth>,
    /// The most requests a second [default: no cap]
    #[arg(long, value_name = "N", value_parser = parse::request_rate)]
    pub(crate) request_rate: Option<NonZeroU32>,
}

impl Moving {
    fn options(&self) -> impl Iterator<Item = OsString> {
        let bandwidth = self.bandwidth.map(|bandwidth| {
            let text = parse::bandwidth_text(bandwidth);
            format!("--bandwidth={text}").into()
        });
        let rate = self.request_rate;
        let rate = rate.map(|rate| format!("--request-rate={rate}").into());
        bandwidth.into_iter().chain(rate)
    }
}

/// How long records of finished transfers are kept.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Keeping {
    /// Forget the oldest finished transfers beyond so many [default: as said last, else 1000000]
    #[arg(long, value_name = "N|none", value_parser = parse::most)]
    pub(crate) keep_finished: Option<Bound<u64>>,
    /// Forget finished transfers so long after their end [default: as said last, else 30d]
    #[arg(long, value_name = "TIME|none", value_parser = parse::longest)]
    pub(crate) keep_for: Option<Bound<Duration>>,
}

impl Keeping {
    pub(crate) fn is_given(&self) -> bool {
        self.keep_finished.is_some() || self.keep_for.is_some()
    }

    fn options(&self) -> Vec<OsString> {
        let number = |most: Bound<u64>| most.most().map(|most| most.to_string());
        let time =
            |most: Bound<Duration>| most.most().map(|most| format!("{}ms", most.as_millis()));
        let option = |name: &str, value: Option<String>| {
            OsString::from(format!("{name}={}", value.as_deref().unwrap_or("none")))
        };
        let finished = self
            .keep_finished
            .map(|most| option("--keep-finished", number(most)));
        let age = self.keep_for.map(|most| option("--keep-for", time(most)));
        finished.into_iter().chain(age).collect()
    }
}

/// What a daemon logs.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Logging {
    /// How the log is written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
    /// What is logged [default: as TOWLINE_LOG says, else info]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<LogLevel>,
    /// Size at which the log of a daemon in the background is begun anew; the last one is kept
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = parse::log_size)]
    pub(crate) log_max_size: u64,
}

impl Logging {
    fn options(&self) -> Vec<OsString> {
        let mut options = vec![
            format!("--log-format={}", name_of(&self.log_format)),
            format!("--log-max-size={}", self.log_max_size),
        ];
        options.extend(
            self.log_level
                .map(|level| format!("--log-level={}", name_of(&level))),
        );
        options.into_iter().map(OsString::from).collect()
    }
}

#[derive(Debug, Args)]
pub(crate) struct Units {
    /// For one user, instead of for the machine
    #[arg(long)]
    pub(crate) user: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    /// What needs a person
    Error,
    /// And what went wrong and was dealt with
    Warn,
    /// And changes of state
    Info,
    /// And each part
    Debug,
    /// And all that libraries tell
    Trace,
}

/// A value's name on the command line.
fn name_of(value: &impl ValueEnum) -> String {
    let name = value.to_possible_value();
    name.map_or_else(String::new, |name| name.get_name().to_owned())
}
