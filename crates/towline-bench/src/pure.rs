//! What is decided and computed without asking anybody.

use std::hint::black_box;
use std::time::Duration;

use towline_core::{
    BucketName, Change, Checksum, ChecksumAlgorithm, Connection, Direction, Event, Fingerprint,
    NewTransfer, Now, ObjectAddress, ObjectKey, PartPlan, PartRow, Proof, Record, Spec, Timestamp,
    Transfer, TransferId, TransferOptions, Verified,
};

use crate::Repetition;

pub(crate) const MIB: u64 = 1 << 20;

/// Where each part of the largest upload begins and ends, and of a stream as long.
pub(crate) fn plan() -> Repetition {
    Box::new(|| {
        let even = PartPlan::new(black_box(100_000 * MIB), None).expect("S3 takes it");
        let open = PartPlan::open(None, None).expect("nothing is asked of it");
        let grown = open.ended(100_000 * MIB).expect("it has room for them");
        for plan in [even, grown] {
            plan.numbers().for_each(|part| {
                black_box(plan.range(part));
            });
        }
    })
}

pub(crate) fn small_upload() -> Repetition {
    let record = accepted(0, 4096);
    Box::new(move || {
        black_box(life_of_one_put(record.clone()));
    })
}

pub(crate) fn large_upload() -> Repetition {
    let record = accepted(0, 8000 * MIB);
    Box::new(move || {
        black_box(life_in_parts(record.clone()));
    })
}

pub(crate) fn checksum() -> Repetition {
    let bytes: Vec<u8> = (0..MIB).map(|at| (at % 251) as u8).collect();
    Box::new(move || {
        let sum = towline_engine::checksum_of(ChecksumAlgorithm::Crc64Nvme, black_box(&bytes));
        black_box(sum);
    })
}

/// The checksum of an object, out of those of its parts.
pub(crate) fn combined_checksum() -> Repetition {
    let parts: Vec<Checksum> = (0..100).map(crc).collect();
    Box::new(move || {
        let whole = parts
            .iter()
            .copied()
            .reduce(|whole, part| whole.followed_by(&part, 8 * MIB).expect("CRCs combine"));
        black_box(whole);
    })
}

/// An upload that was just asked for, as it is recorded.
pub(crate) fn accepted(number: u64, size: u64) -> Record {
    let bucket = BucketName::new("bucket").expect("S3 takes it");
    let key = ObjectKey::new(format!("photos/2026/{number:06}.jpg")).expect("S3 takes it");
    let new = NewTransfer {
        spec: Spec {
            direction: Direction::Upload,
            connection: Connection::default(),
            object: ObjectAddress::new(bucket, key),
            path: format!("/home/user/photos/2026/{number:06}.jpg").into(),
            options: TransferOptions::default(),
            token: None,
            group: None,
        },
        source: Some(Fingerprint::of_bytes(size)),
        created_at: now().wall,
    };
    Record::new(TransferId::new(number + 1), new)
}

/// What there is to commit of an upload in one request, step by step.
pub(crate) fn life_of_one_put(record: Record) -> [Vec<Change>; 2] {
    let mut transfer = Transfer::load(record, vec![], 8);
    let begun = transfer.on_event(Event::Started, now());
    transfer.take_part().expect("its bytes may be sent");
    let ended = transfer.on_event(Event::Finished(proof()), now());
    assert!(transfer.record().phase.is_final());
    [begun.changes, ended.changes]
}

/// The same of one in parts.
pub(crate) fn life_in_parts(record: Record) -> Vec<Vec<Change>> {
    let mut transfer = Transfer::load(record, vec![], 8);
    let mut commits = Vec::new();
    let mut happens = |transfer: &mut Transfer, event| {
        commits.push(transfer.on_event(event, now()).changes);
    };
    happens(&mut transfer, Event::Started);
    happens(&mut transfer, Event::UploadOpened("upload".into()));
    while let Some(number) = transfer.take_part() {
        let row = PartRow {
            number,
            len: transfer.record().plan.expect("it is cut").len(number),
            etag: Some("\"9e107d9d372bb6826bd81d3542a419d6\"".into()),
            checksum: Some(crc(number.index().into())),
        };
        happens(&mut transfer, Event::PartMoved(row));
    }
    happens(&mut transfer, Event::Finished(proof()));
    assert!(transfer.record().phase.is_final());
    commits
}

/// Some value, another one for each.
pub(crate) fn crc(of: u64) -> Checksum {
    let value = of.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Checksum::from_crc(ChecksumAlgorithm::Crc64Nvme, value).expect("it is a CRC")
}

fn proof() -> Proof {
    Proof {
        verified: Verified::FullObject,
        etag: Some("\"9e107d9d372bb6826bd81d3542a419d6\"".into()),
        version_id: None,
        checksum: None,
        renamed: None,
    }
}

fn now() -> Now {
    let wall = Timestamp::from_millis(1_790_000_000_000);
    Now {
        monotonic: Duration::from_secs(1),
        wall,
        server: wall,
    }
}
