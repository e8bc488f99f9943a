//! A world that follows from its seed: the real engine, its user, a store in a
//! network, a disk, and what happens to them. Once nothing happens any more,
//! everything must end, and the oracle judges what is left and what was seen.
//!
//! ```text
//! let outcome = world::run(4711, None);
//! assert!(outcome.violations.is_empty(), "{}", outcome.trace);
//! ```

mod facts;
mod life;
mod process;
mod shape;

use std::path::Path;
use std::time::Duration;

pub use facts::{Asked, Facts, Job, Landed, Limits, Run, Shown};

use super::oracle::{self, Violation};

/// What came of a world.
#[derive(Debug)]
pub struct Outcome {
    /// Broken promises; none, one hopes.
    pub violations: Vec<Violation>,
    /// All that happened.
    pub trace: String,
    /// What is known.
    pub facts: Facts,
    /// How much time passed in it.
    pub lasted: Duration,
}

/// What is wrong with the engine or with those it relies on, so that a check of
/// the oracle must find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// What is decided is done before it is recorded.
    ActsBeforeItsStore,
    /// Submits are confirmed and not recorded.
    DropsSubmits,
    /// Whether a source has changed is not looked at.
    SkipsTheFingerprint,
    /// Nothing reaches the disk before it is called done.
    IgnoresSyncs,
    /// A file is called done without its name.
    RenamesInWords,
    /// Uploads are never aborted.
    NeverAborts,
    /// Temporary files are never removed.
    KeepsTemporaryFiles,
    /// Of each transfer a part is forgotten by the next process.
    ForgetsParts,
    /// Bytes are believed that nothing proves.
    BelievesBytes,
    /// What is shown goes back.
    ShowsLess,
    /// The end of a transfer is told to nobody.
    HidesEnds,
    /// Nobody takes up what is unfinished.
    ForgetsTheUnfinished,
    /// More is done at one time than is allowed.
    ExceedsLimits,
    /// Another process begins while one is at work.
    TwoOwners,
    /// A request whose answer is lost is sent again without asking.
    SendsAgainUnasked,
    /// Files are put where nobody wanted them.
    LittersTheDisk,
    /// What is copied is what is there at the moment.
    CopiesWhatever,
}

/// Lives through the world of a seed.
pub fn run(seed: u64, broken: Option<Broken>) -> Outcome {
    live(seed, broken, false)
}

/// Lives through the world of a seed in which objects are copied, too.
pub fn run_with_copies(seed: u64, broken: Option<Broken>) -> Outcome {
    live(seed, broken, true)
}

fn live(seed: u64, broken: Option<Broken>, with_copies: bool) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing of the system");
    let (facts, trace, lasted) = runtime.block_on(life::live(seed, broken, with_copies));
    Outcome {
        violations: oracle::violations(&facts),
        trace,
        facts,
        lasted,
    }
}

/// `.towline-*.part`.
pub(super) fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with(".towline-") && name.ends_with(".part")
}
