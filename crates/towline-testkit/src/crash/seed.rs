//! What repeats a random test, and how long it runs.

use std::env;
use std::str::FromStr;

/// The seed of this run: `TOWLINE_SEED`, or a new one. It is printed, so that
/// whoever sees the failure can repeat it.
pub fn seed() -> u64 {
    let seed = number("TOWLINE_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("TOWLINE_SEED={seed}");
    seed
}

/// How many kills a random test makes: `TOWLINE_KILLS`, or `default`.
pub fn kill_count(default: u64) -> u64 {
    number("TOWLINE_KILLS").unwrap_or(default)
}

fn number<N: FromStr>(name: &str) -> Option<N> {
    let text = env::var(name).ok()?;
    let number = text.parse().ok();
    Some(number.unwrap_or_else(|| panic!("{name}={text} is not a number")))
}
