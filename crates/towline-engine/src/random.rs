//! The only place that draws random numbers, so that a simulation can replace it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Where they come from: the operating system, or in a simulation a seed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Random(Option<Arc<AtomicU64>>);

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(Some(Arc::new(AtomicU64::new(seed))))
    }

    fn next(&self) -> u64 {
        match &self.0 {
            None => getrandom::u64().expect("the operating system gives random numbers"),
            Some(state) => splitmix(state.fetch_add(GAMMA, Relaxed)),
        }
    }

    /// The name of a new temporary file: `.towline-<16 hex>.part`.
    pub(crate) fn temp_name(&self) -> String {
        format!(".towline-{:016x}.part", self.next())
    }

    /// A random wait between two bounds.
    pub(crate) fn jitter(&self, at_least: Duration, up_to: Duration) -> Duration {
        let span = up_to.saturating_sub(at_least);
        let fraction = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        at_least + span.mul_f64(fraction)
    }
}

/// `SplitMix64`: every number once, in an order without a pattern.
fn splitmix(state: u64) -> u64 {
    let mut z = state.wrapping_add(GAMMA);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
