//! What is measured, and what of it must be flat.

use std::fmt::Write;
use std::time::Duration;

use towline_testkit::crash::{Scene, Task};

use crate::process::{descriptors, length, resident_kib};

/// One look at one state and its owner.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// The owner's memory and descriptors; nothing while there is no owner.
    pub(super) resident_kib: Option<u64>,
    pub(super) descriptors: Option<u64>,
    pub(super) log_bytes: u64,
    pub(super) database_bytes: u64,
}

impl Sample {
    pub(super) fn of(scene: &Scene, state: &Task) -> Self {
        let owner = scene.owner(state);
        Self {
            resident_kib: owner.and_then(resident_kib),
            descriptors: owner.and_then(descriptors),
            log_bytes: length(&scene.file_of_state(state, "towline.db-wal")),
            database_bytes: length(&scene.file_of_state(state, "towline.db")),
        }
    }
}

/// What the plot and the bounds are about.
pub(super) const MEASURES: [(&str, Measure); 4] = [
    ("memory (MiB)", |s| {
        s.resident_kib.map(|kib| kib as f64 / 1024.0)
    }),
    ("descriptors", |s| s.descriptors.map(|count| count as f64)),
    ("log file (MiB)", |s| Some(s.log_bytes as f64 / MIB)),
    ("database file (MiB)", |s| {
        Some(s.database_bytes as f64 / MIB)
    }),
];
pub(super) type Measure = fn(&Sample) -> Option<f64>;
const MIB: f64 = 1024.0 * 1024.0;

/// All samples, by the name of the side.
#[derive(Debug)]
pub(super) struct Samples {
    every: Duration,
    next: Duration,
    pub(super) sides: Vec<(&'static str, Vec<(f64, Sample)>)>,
}

impl Samples {
    pub(super) fn every(every: Duration, sides: impl Iterator<Item = &'static str>) -> Self {
        Self {
            every,
            next: every,
            sides: sides.map(|name| (name, Vec::new())).collect(),
        }
    }

    pub(super) fn due(&self, now: Duration) -> bool {
        now >= self.next
    }

    pub(super) fn take(&mut self, now: Duration, side: &str, sample: Sample) {
        self.next = now + self.every;
        let of_side = self.sides.iter_mut().find(|(name, _)| *name == side);
        of_side.unwrap().1.push((now.as_secs_f64(), sample));
    }

    pub(super) fn csv(&self) -> String {
        let mut text =
            "seconds,side,resident_kib,descriptors,log_bytes,database_bytes\n".to_owned();
        for (side, samples) in &self.sides {
            for (seconds, sample) in samples {
                let number = |value: Option<u64>| value.map_or(String::new(), |v| v.to_string());
                writeln!(
                    text,
                    "{seconds:.1},{side},{},{},{},{}",
                    number(sample.resident_kib),
                    number(sample.descriptors),
                    sample.log_bytes,
                    sample.database_bytes
                )
                .unwrap();
            }
        }
        text
    }

    /// The first fifth is not looked at: pools and caches fill. Then the medians of
    /// the second and the last fifth may differ by what allocators and the moment
    /// make of it, and not by what a leak would: at 3 transfers a second, 5 KiB of
    /// each is 9 MiB in 10 minutes. In less than 2 minutes the 16 MiB of pages of
    /// the store have not all been read. What a process has that is killed within
    /// seconds is a matter of its age, and only bounded.
    pub(super) fn assert_flat(&self) {
        let long = self.every * 300 >= Duration::from_secs(120);
        let slack = [if long { 8.0 } else { 24.0 }, 12.0, 20.0, 8.0];
        let most = [128.0, 200.0, 64.0, 64.0];
        for (side, samples) in &self.sides {
            for ((name, measure), (slack, most)) in MEASURES.iter().zip(slack.into_iter().zip(most))
            {
                let values: Vec<f64> = samples.iter().filter_map(|(_, s)| measure(s)).collect();
                assert!(
                    values.len() >= 10,
                    "{side}: {name} was seen {} times",
                    values.len()
                );
                let fifth = values.len() / 5;
                let (early, late) = (
                    median(&values[fifth..2 * fifth]),
                    median(&values[values.len() - fifth..]),
                );
                let highest = values.iter().copied().fold(0.0, f64::max);
                println!("{side}: {name} {early:.1} early, {late:.1} late, {highest:.1} at most");
                let of_one_process = *side != "killed" || name.ends_with("file (MiB)");
                assert!(
                    late <= early + slack || !of_one_process,
                    "{side}: {name} grew from {early} to {late}"
                );
                assert!(highest <= most, "{side}: {name} reached {highest}");
            }
        }
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

#[test]
fn what_grows_is_not_flat() {
    let samples = |leak: u64| {
        let mut samples = Samples::every(Duration::from_secs(1), ["side"].into_iter());
        for second in 0..100 {
            let sample = Sample {
                resident_kib: Some(30_000 + second * leak),
                descriptors: Some(40 + second % 7),
                log_bytes: 4_000_000 * (second % 2),
                database_bytes: 100_000,
            };
            samples.take(Duration::from_secs(second), "side", sample);
        }
        samples
    };
    samples(0).assert_flat();
    assert!(std::panic::catch_unwind(|| samples(150).assert_flat()).is_err());
}
