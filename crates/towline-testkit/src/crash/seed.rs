//! What repeats a random test, and how long it runs.

use std::env;
use std::str::FromStr;
use std::time::Duration;

/// The seed of this run: `TOWLINE_SEED`, or a new one. It is printed, so that
/// whoever sees the failure can repeat it.
pub fn seed() -> u64 {
    let seed = number("TOWLINE_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("TOWLINE_SEED={seed}");
    seed
}

/// How many kills a random test makes: so many of a hundred of `TOWLINE_KILLS`,
/// which is 200 unless it is set.
pub fn kills(percent: u64) -> u64 {
    let all: u64 = number("TOWLINE_KILLS").unwrap_or(200);
    (all * percent / 100).max(1)
}

/// How long the soak test goes on: `TOWLINE_SOAK_SECONDS`, or `default`.
pub fn soak_time(default: Duration) -> Duration {
    number("TOWLINE_SOAK_SECONDS").map_or(default, Duration::from_secs)
}

fn number<N: FromStr>(name: &str) -> Option<N> {
    let text = env::var(name).ok()?;
    let number = text.parse().ok();
    Some(number.unwrap_or_else(|| panic!("{name}={text} is not a number")))
}
