//! The only place that draws random numbers, so that a simulation can replace it.

use std::time::Duration;

fn random_u64() -> u64 {
    getrandom::u64().expect("the operating system gives random numbers")
}

/// The name of a new temporary file: `.towline-<16 hex>.part`.
pub(crate) fn temp_name() -> String {
    format!(".towline-{:016x}.part", random_u64())
}

/// A random wait between two bounds.
pub(crate) fn jitter(at_least: Duration, up_to: Duration) -> Duration {
    let span = up_to.saturating_sub(at_least);
    let fraction = (random_u64() >> 11) as f64 / (1u64 << 53) as f64;
    at_least + span.mul_f64(fraction)
}
