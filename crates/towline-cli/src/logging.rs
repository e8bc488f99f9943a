//! The log: on standard error, or in the file of bounded size that takes its
//! place in the background.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::args::{Cli, DaemonVerb, LogFormat, LogLevel, Logging, Verb};
use crate::background::{log_of, open_log};

/// Sets the log up as the command line and `TOWLINE_LOG` say. What is given has
/// to be kept until the end: it writes what is left.
pub(crate) fn start(cli: &Cli) -> Option<WorkerGuard> {
    let Verb::Daemon(daemon) = &cli.verb else {
        let (writer, guard) = behind(io::stderr());
        let filter = filter(None, by_verbosity(cli.common.verbose));
        let log = tracing_subscriber::fmt().with_env_filter(filter);
        log.with_writer(writer).init();
        return Some(guard);
    };
    let DaemonVerb::Run(run) = &daemon.verb else {
        return None;
    };
    let Logging {
        log_format,
        log_level,
        log_max_size,
    } = run.logging;
    let usual = match cli.common.verbose {
        0 => by_level(LogLevel::Info),
        verbose => by_verbosity(verbose),
    };
    let filter = filter(log_level, usual);
    let dir = std::path::absolute(cli.common.state_dir()).ok();
    let (writer, guard) = match dir.filter(|_| run.background) {
        Some(dir) => behind(BoundedLog::at(log_of(&dir), log_max_size)),
        None => behind(io::stderr()),
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    match log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => {
            let log = log.json().flatten_event(true).with_current_span(false);
            log.init();
        }
    }
    Some(guard)
}

/// Writes from a thread of its own: a log that nobody reads holds up no transfer.
/// What comes while 16,384 lines wait for it is left out.
fn behind(place: impl Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default()
        .buffered_lines_limit(16_384)
        .lossy(true)
        .thread_name("towline-log")
        .finish(place)
}

fn filter(level: Option<LogLevel>, usual: &str) -> EnvFilter {
    match level {
        Some(level) => EnvFilter::new(by_level(level)),
        None => EnvFilter::try_from_env("TOWLINE_LOG").unwrap_or_else(|_| EnvFilter::new(usual)),
    }
}

const fn by_verbosity(verbose: u8) -> &'static str {
    match verbose {
        0 => by_level(LogLevel::Warn),
        1 => by_level(LogLevel::Info),
        2 => by_level(LogLevel::Debug),
        _ => by_level(LogLevel::Trace),
    }
}

const fn by_level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "towline=info,warn",
        LogLevel::Debug => "towline=debug,info",
        LogLevel::Trace => "trace",
    }
}

/// Standard error, which is a file here: at its full size it becomes the one log
/// that is kept beside it, and standard error a new one. So a panic is in it too.
struct BoundedLog {
    path: PathBuf,
    max_bytes: u64,
    bytes: u64,
}

impl BoundedLog {
    fn at(path: PathBuf, max_bytes: u64) -> Self {
        let bytes = fs::metadata(&path).map_or(0, |file| file.len());
        Self {
            path,
            max_bytes,
            bytes,
        }
    }

    fn begin_anew(&self) -> io::Result<()> {
        match fs::rename(&self.path, before(&self.path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {} // where it is gone, somebody took it, or the last try came so far
        }
        Ok(rustix::stdio::dup2_stderr(open_log(&self.path)?)?)
    }
}

/// The log that was full.
fn before(log: &Path) -> PathBuf {
    log.with_extension("log.1")
}

impl Write for BoundedLog {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let more = u64::try_from(text.len()).unwrap_or(u64::MAX);
        if self.bytes.saturating_add(more) > self.max_bytes {
            self.bytes = 0;
            if let Err(error) = self.begin_anew() {
                let _ = writeln!(io::stderr(), "the log cannot be begun anew: {error}");
            }
        }
        self.bytes += more;
        io::stderr().write_all(text)?;
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
