//! `upload -` and `download … -`: bytes from standard input and to standard output.
//!
//! Nobody else has these bytes, so the command carries its transfer itself, in a
//! state of its own, whoever owns that of the user.

mod down;
mod state;
mod up;

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant};

use towline::{Transfer, TransferObserver};

use crate::args::Waiting;
use crate::attach::{REFRESH, Signals, never_answered, too_long, too_long_silent};
use crate::error::Error;
use crate::exit::Exit;
use crate::progress::Progress;

pub(crate) use down::run as download;
pub(crate) use state::end_those_of_the_killed;
pub(crate) use up::run as upload;

/// How long it may take until nothing is left of a stream that is given up.
const CLEAN_UP: Duration = Duration::from_secs(9);

/// Whether a path stands for standard input or output; `./-` is a file.
pub(crate) fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Stays with one stream: until it has ended, there is a reason to give it up, or
/// a signal comes.
struct Vigil<'a> {
    waiting: &'a Waiting,
    signals: Signals,
    progress: Progress,
}

/// How staying came to its end.
enum Ended<T> {
    /// By itself.
    So(T),
    /// It was waited for too long.
    GaveUp(String),
    /// By a signal.
    Interrupted(Exit),
}

impl<'a> Vigil<'a> {
    /// Signals are kept for it from now on.
    fn new(waiting: &'a Waiting, progress: Progress) -> Result<Self, Error> {
        Ok(Self {
            waiting,
            signals: Signals::new()?,
            progress,
        })
    }

    async fn keep<T>(
        &mut self,
        observer: &TransferObserver,
        work: impl Future<Output = T>,
    ) -> Ended<T> {
        let begun = Instant::now();
        // The store is asked only once there are bytes, which may be late.
        let mut silent = None;
        let mut work = pin!(work);
        let mut refresh = tokio::time::interval(REFRESH);
        let ended = loop {
            tokio::select! {
                exit = self.signals.next() => break Ended::Interrupted(exit),
                ended = &mut work => break Ended::So(ended),
                _ = refresh.tick() => {
                    let now = observer.transfer();
                    self.progress.show(std::iter::once(&now));
                    silent = match never_answered(&now) {
                        true => silent.or(Some(Instant::now())),
                        false => None,
                    };
                    let waited = silent.map(|since| since.elapsed());
                    let silence = |waited| too_long_silent(self.waiting, waited, now.error.as_ref());
                    if let Some(why) = too_long(self.waiting, begun.elapsed())
                        .or_else(|| waited.and_then(silence))
                    {
                        break Ended::GaveUp(why);
                    }
                }
            }
        };
        self.progress.clear();
        ended
    }

    /// Cancels it, and gives it once nothing of it is left. `None` when that takes
    /// too long, or another signal wants it to end at once.
    async fn give_up(&mut self, observer: &TransferObserver) -> Result<Option<Transfer>, Error> {
        let gone = async {
            observer.cancel().await?;
            observer.finished().await
        };
        tokio::select! {
            gone = tokio::time::timeout(CLEAN_UP, gone) => Ok(gone.ok().transpose()?),
            _ = self.signals.next() => Ok(None),
        }
    }
}

/// A file of its own for a standard stream: one that cannot be read is no empty
/// one, and one that cannot be written takes nothing.
fn file_of(stream: &impl AsFd) -> io::Result<File> {
    Ok(stream.as_fd().try_clone_to_owned()?.into())
}
