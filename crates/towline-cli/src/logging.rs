//! The log: on standard error, or in the file of bounded size that takes its
//! place in the background.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;

use crate::args::{Cli, DaemonVerb, LogFormat, LogLevel, Logging, Verb};
use crate::background::{log_of, open_log};

/// Sets the log up as the command line and `TOWLINE_LOG` say.
pub(crate) fn start(cli: &Cli) {
    let Verb::Daemon(daemon) = &cli.verb else {
        let filter = filter(None, by_verbosity(cli.common.verbose));
        let log = tracing_subscriber::fmt().with_env_filter(filter);
        return log.with_writer(io::stderr).init();
    };
    let DaemonVerb::Run(run) = &daemon.verb else {
        return;
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
    let log = tracing_subscriber::fmt().with_env_filter(filter);
    let dir = std::path::absolute(cli.common.state_dir()).ok();
    let place = dir
        .filter(|_| run.background)
        .map(|dir| Mutex::new(BoundedLog::at(log_of(&dir), log_max_size)));
    match (log_format, place) {
        (LogFormat::Text, Some(place)) => log.with_writer(place).init(),
        (LogFormat::Text, None) => log.with_writer(io::stderr).init(),
        (LogFormat::Json, Some(place)) => {
            let log = log.json().flatten_event(true).with_current_span(false);
            log.with_writer(place).init();
        }
        (LogFormat::Json, None) => {
            let log = log.json().flatten_event(true).with_current_span(false);
            log.with_writer(io::stderr).init();
        }
    }
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
        fs::rename(&self.path, before(&self.path))?;
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
