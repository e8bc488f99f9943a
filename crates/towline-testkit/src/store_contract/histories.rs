//! Random histories of a transfer, and the reference they are compared with.

use std::collections::BTreeMap;

use fastrand::Rng;
use towline_core::{
    Asked, Change, ChecksumAlgorithm, ChecksumKind, Direction, FileIdentity, Fingerprint,
    NetworkPolicy, ObjectIdentity, Outcome, ParkReason, PartNumber, PartPlan, PartRow, Phase,
    Priority, Proof, RangeOf, Record, Remote, Request, Temp, Timestamp, Verified,
};

use super::samples::{error, sum};

/// A transfer as it should be: the fold of its changes.
#[derive(Clone, Debug)]
pub struct History {
    /// Its record.
    pub record: Record,
    /// Its part rows.
    pub parts: BTreeMap<PartNumber, PartRow>,
}

impl History {
    /// Begins with the record of a new transfer.
    pub fn of(record: Record) -> Self {
        Self {
            record,
            parts: BTreeMap::new(),
        }
    }

    /// Applies one change.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Parts(rows) => {
                self.parts
                    .extend(rows.iter().map(|row| (row.number, row.clone())));
            }
            Change::PartsLost(rows) => rows.iter().for_each(|row| {
                self.parts.remove(&row.number);
            }),
            change if change.drops_parts() => self.parts.clear(),
            _ => {}
        }
        self.record.apply(change);
    }

    /// The part rows, in order.
    pub fn rows(&self) -> Vec<PartRow> {
        self.parts.values().cloned().collect()
    }
}

/// Some change that can follow this history. Values are as odd as their types
/// allow; which change follows which is not as in a real transfer.
pub fn random_change(rng: &mut Rng, history: &History) -> Change {
    match rng.u8(0..15) {
        0 | 1 => Change::Phase {
            phase: random_phase(rng),
            at: moment(rng),
        },
        2 => Change::Planned {
            plan: match rng.u8(0..4) {
                0 => PartPlan::new(rng.u64(0..1 << 45), None).unwrap(),
                1 => PartPlan::open(None, None).unwrap(),
                2 => {
                    let open = PartPlan::open(None, None).unwrap();
                    open.ended(rng.u64(0..1 << 36)).unwrap()
                }
                _ => PartPlan::recorded(rng.u64(0..1 << 30), rng.u64(0..1 << 30)),
            },
            source: maybe(rng, fingerprint),
        },
        3 => Change::Remote(match rng.bool() {
            true => Remote::Upload(text(rng)),
            false => Remote::Object(
                object(rng),
                Temp {
                    name: text(rng),
                    boot: text(rng),
                },
            ),
        }),
        4 => Change::Asked(maybe(rng, |rng| Asked {
            request: pick(rng, &[Request::Create, Request::Put, Request::Complete]),
            at: moment(rng),
        })),
        5 | 6 => {
            let mut fresh = BTreeMap::new();
            for _ in 0..rng.usize(0..6) {
                let row = random_part(rng);
                if !history.parts.contains_key(&row.number) {
                    fresh.insert(row.number, row);
                }
            }
            let mut rows: Vec<_> = fresh.into_values().collect();
            rng.shuffle(&mut rows);
            Change::Parts(rows)
        }
        7 if can_lose(history) => {
            Change::PartsLost(history.rows().into_iter().filter(|_| rng.bool()).collect())
        }
        7 | 8 => Change::Error(maybe(rng, |rng| error(rng.u32(..)))),
        9 => Change::Sealed(FileIdentity::from(fingerprint(rng))),
        10 => Change::Generation(rng.u32(..)),
        11 => Change::Discarded,
        12 if rng.bool() => Change::Priority(pick(rng, &Priority::ALL)),
        12 => Change::Network(pick(
            rng,
            &[
                NetworkPolicy::Any,
                NetworkPolicy::Unmetered,
                NetworkPolicy::Metered,
            ],
        )),
        13 if history.record.spec.direction == Direction::Copy => Change::Origin(object(rng)),
        _ => Change::Ended {
            outcome: pick(
                rng,
                &[
                    Outcome::Transferred,
                    Outcome::Skipped,
                    Outcome::NotModified,
                    Outcome::Conflict,
                ],
            ),
            proof: maybe(rng, |rng| Proof {
                verified: pick(
                    rng,
                    &[
                        Verified::SizeOnly,
                        Verified::Md5,
                        Verified::PerPart,
                        Verified::Composite,
                    ],
                ),
                etag: maybe(rng, text),
                version_id: maybe(rng, text),
                checksum: maybe(rng, checksum),
                renamed: maybe(rng, |rng| rng.u32(..)),
            }),
        },
    }
}

fn can_lose(history: &History) -> bool {
    let sum: u64 = history.parts.values().map(|row| row.len).sum();
    sum <= history.record.bytes_done
}

fn random_part(rng: &mut Rng) -> PartRow {
    PartRow {
        number: PartNumber::new(pick(rng, &[1, 2, 3, 5, 8, 13, 9_999, 10_000])).unwrap(),
        len: rng.u64(0..6 << 30),
        etag: maybe(rng, text),
        checksum: maybe(rng, |rng| checksum(rng).0),
    }
}

fn random_phase(rng: &mut Rng) -> Phase {
    match rng.u8(0..4) {
        0 => Phase::Parked(pick(rng, &ParkReason::ALL)),
        _ => pick(rng, &Phase::ALL),
    }
}

fn object(rng: &mut Rng) -> ObjectIdentity {
    ObjectIdentity {
        etag: maybe(rng, text),
        version_id: maybe(rng, text),
        last_modified: maybe(rng, moment),
        checksum: maybe(rng, checksum),
        parts: maybe(rng, |rng| rng.u32(..)),
        part_size: maybe(rng, |rng| rng.u64(..)),
        encryption: maybe(rng, text),
        range: maybe(rng, |rng| RangeOf {
            start: rng.u64(..),
            size: rng.u64(..),
        }),
    }
}

fn checksum(rng: &mut Rng) -> (towline_core::Checksum, ChecksumKind) {
    let algorithm = pick(rng, &ChecksumAlgorithm::ALL);
    let kind = pick(rng, &[ChecksumKind::FullObject, ChecksumKind::Composite]);
    (sum(algorithm, rng.u32(..)), kind)
}

fn fingerprint(rng: &mut Rng) -> Fingerprint {
    Fingerprint {
        device: rng.u64(..),
        inode: rng.u64(..),
        size: rng.u64(0..1 << 62),
        modified_ns: rng.i64(..),
        changed_ns: rng.i64(..),
    }
}

fn moment(rng: &mut Rng) -> Timestamp {
    Timestamp::from_millis(rng.i64(..))
}

fn text(rng: &mut Rng) -> String {
    let odd = [
        "",
        "\"a\"",
        "it's",
        "ä\u{202e}\n",
        "null",
        "a;--",
        "𝄞",
        "{}",
        " ",
    ];
    (0..rng.usize(0..4)).map(|_| pick(rng, &odd)).collect()
}

fn maybe<T>(rng: &mut Rng, value: impl FnOnce(&mut Rng) -> T) -> Option<T> {
    rng.bool().then(|| value(rng))
}

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(0..from.len())]
}
