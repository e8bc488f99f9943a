//! The machine that an engine runs on: its clocks, disk and tasks, and randomness.
//! In a simulation all of it follows from a seed.

use std::sync::Arc;

use tokio::time::Instant;

use crate::clock::Clock;
use crate::files::{Disk, Files};
use crate::random::Random;
use crate::tasks::Tasks;

/// What an engine has of the machine that it runs on.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) files: Files,
    pub(crate) tasks: Tasks,
}

impl Machine {
    /// This one.
    pub(crate) fn real() -> Self {
        Self {
            clock: Clock::start(),
            random: Random::default(),
            files: Files::of_system(),
            tasks: Tasks::default(),
        }
    }
}

/// A machine of which all that an engine sees follows from a seed.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// When the wall clock began to go; restarts do not set it back.
    pub since: Instant,
    /// Its disk.
    pub disk: Arc<dyn Disk>,
    /// What random numbers follow from.
    pub seed: u64,
}

impl From<Simulated> for Machine {
    fn from(simulated: Simulated) -> Self {
        let Simulated { since, disk, seed } = simulated;
        let tasks = Tasks::mortal();
        Self {
            clock: Clock::simulated(since),
            random: Random::seeded(seed),
            files: Files::on(disk, tasks.clone()),
            tasks,
        }
    }
}
