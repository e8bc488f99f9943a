//! What the stores of `schema-*.sql` went through: transfers in every phase,
//! with all that a transfer can have. Never changed, only added to: the stores
//! of old schemas have what was here when they were written.

use std::path::PathBuf;

use towline_core::{
    After, Asked, Change, ChecksumAlgorithm, ChecksumKind, ConnectionSource, Encryption,
    FileIdentity, Incident, NetworkPolicy, NewTransfer, ObjectIdentity, Outcome, ParkReason,
    PartNumber, PartPlan, PartSize, Phase, Remote, Request, Store, Temp, Timestamp, TransferId,
    Verified, WhenTargetExists,
};
use towline_testkit::store_contract::{Sample, completed, error, part, phase, sum};

const MIB: u64 = 1 << 20;

/// Plays it on a new store.
pub(crate) async fn play(store: &dyn Store) {
    for (new, changes) in transfers() {
        let made = store.create_many(vec![new]).await.unwrap();
        let id = made[0].record().id;
        for changes in changes {
            store.commit(vec![(id, changes)]).await.unwrap();
        }
        if id.get() % 3 == 1 {
            note(store, id).await;
        }
    }
    let gone = Sample::upload("removed").build();
    let made = store.create_many(vec![gone]).await.unwrap();
    let id = made[0].record().id;
    store.commit(vec![(id, completed())]).await.unwrap();
    assert_eq!(store.remove(vec![id]).await.unwrap(), 1);
}

async fn note(store: &dyn Store, id: TransferId) {
    for attempts in 1..=3 {
        let incident = Incident {
            at: at(attempts.into()),
            generation: 1,
            part: (attempts > 1).then_some(attempts),
            error: error(attempts),
        };
        store.note(id, incident).await.unwrap();
    }
}

/// Each transfer, and its commits.
fn transfers() -> Vec<(NewTransfer, Vec<Vec<Change>>)> {
    let plan = |parts: u64| Change::Planned {
        plan: PartPlan::recorded(parts * 5 * MIB, 5 * MIB),
        source: None,
    };
    let asked = |request| Change::Asked(Some(Asked { request, at: at(5) }));
    let opened = |id: &str| Change::Remote(Remote::Upload(id.into()));
    let moving = || phase(Phase::Moving);
    let mut all = vec![
        (Sample::upload("queued").build(), vec![]),
        (
            Sample::upload("asked to put").token("t-1").build(),
            vec![vec![plan(1), moving(), asked(Request::Put)]],
        ),
        (
            Sample::upload("asked to create").build(),
            vec![vec![
                plan(3),
                phase(Phase::Preparing),
                asked(Request::Create),
            ]],
        ),
        (
            Sample::upload("two of three parts").with(options).build(),
            vec![
                vec![plan(3), opened("upload-1"), moving()],
                vec![Change::Parts(vec![part(1)])],
                vec![Change::Parts(vec![part(3)])],
            ],
        ),
        (
            Sample::upload("asked to complete").build(),
            vec![
                vec![plan(2), opened("upload-2"), moving()],
                vec![
                    Change::Parts(vec![part(1), part(2)]),
                    phase(Phase::Finishing),
                    asked(Request::Complete),
                ],
            ],
        ),
        (
            Sample::upload("paused").build(),
            vec![
                vec![plan(2), opened("upload-3"), moving()],
                vec![Change::Parts(vec![part(2)]), phase(Phase::Paused)],
            ],
        ),
        (
            Sample::upload("being canceled").build(),
            vec![
                vec![plan(2), opened("upload-4"), moving()],
                vec![phase(Phase::Discarding(After::Cancel))],
            ],
        ),
        (
            Sample::upload("its third generation").build(),
            vec![
                vec![plan(2), opened("upload-5"), moving()],
                vec![phase(Phase::Discarding(After::Restart))],
                vec![Change::Generation(2), phase(Phase::Preparing)],
                vec![Change::Generation(3)],
            ],
        ),
        (
            Sample::upload("failed").bucket("another-bucket").build(),
            vec![
                vec![plan(2), opened("upload-6"), moving()],
                vec![
                    Change::Parts(vec![part(1)]),
                    Change::Error(Some(error(9))),
                    phase(Phase::Failed),
                ],
            ],
        ),
        (
            Sample::upload("canceled").build(),
            vec![vec![Change::Discarded, phase(Phase::Canceled)]],
        ),
        (
            Sample::upload("completed").token("t-2").with(group).build(),
            vec![completed()],
        ),
        (
            Sample::upload("a stream")
                .with(|spec| spec.path = PathBuf::new())
                .build(),
            vec![vec![plan(2), opened("upload-7"), moving()]],
        ),
        (
            Sample::upload("on cheap networks").build(),
            vec![vec![Change::Network(NetworkPolicy::Unmetered)]],
        ),
    ];
    all.extend(downloads());
    for reason in ParkReason::ALL {
        let name = format!("parked-{reason:?}");
        let parked = vec![Change::Error(Some(error(1))), phase(Phase::Parked(reason))];
        all.push((Sample::upload(&name).with(group).build(), vec![parked]));
    }
    all
}

fn downloads() -> Vec<(NewTransfer, Vec<Vec<Change>>)> {
    let found = || {
        vec![
            Change::Planned {
                plan: PartPlan::recorded(12 * MIB, 5 * MIB),
                source: None,
            },
            Change::Remote(Remote::Object(identity(), temp())),
            phase(Phase::Moving),
        ]
    };
    let sealed = Change::Sealed(FileIdentity {
        device: 7,
        inode: u64::MAX - 1,
        size: 12 * MIB,
        modified_ns: -5,
    });
    let last = towline_core::PartRow {
        number: PartNumber::new(3).unwrap(),
        len: 2 * MIB,
        etag: None,
        checksum: Some(sum(ChecksumAlgorithm::Crc32c, 3)),
    };
    let mut beside = completed();
    if let Change::Ended {
        proof: Some(proof), ..
    } = &mut beside[0]
    {
        proof.renamed = Some(4);
        proof.verified = Verified::Composite;
        proof.checksum = Some((sum(ChecksumAlgorithm::Sha256, 1), ChecksumKind::Composite));
    }
    let skipped = Change::Ended {
        outcome: Outcome::Skipped,
        proof: None,
    };
    vec![
        (
            Sample::download("one of three parts").build(),
            vec![found(), vec![Change::Parts(vec![part(2)])]],
        ),
        (
            Sample::download("about to be renamed").build(),
            vec![
                found(),
                vec![Change::Parts(vec![part(1), part(2), last])],
                vec![phase(Phase::Sealing)],
                vec![sealed, phase(Phase::Finishing)],
            ],
        ),
        (
            Sample::download("beside").with(beside_it).build(),
            vec![found(), beside],
        ),
        (
            Sample::download("skipped").build(),
            vec![vec![skipped, phase(Phase::Completed)]],
        ),
        (
            Sample::download("to a file whose name is no text")
                .with(raw_path)
                .build(),
            vec![],
        ),
    ]
}

fn options(spec: &mut towline_core::Spec) {
    spec.connection.source = ConnectionSource::Profile("work".into());
    spec.connection.endpoint = Some("https://store.example".into());
    spec.connection.region = Some("eu-west-1".into());
    let options = &mut spec.options;
    options.part_size = Some(PartSize::from_bytes(5 * MIB).unwrap());
    options.checksum = ChecksumAlgorithm::Sha256;
    options.if_absent = true;
    options.object.content_type = Some("text/plain".into());
    options.object.metadata = [("k".to_owned(), "v - w".to_owned())].into();
    options.object.tags = [("team".to_owned(), "a".to_owned())].into();
    options.object.storage_class = Some("STANDARD_IA".into());
    options.object.encryption = Some(Encryption::Kms {
        key_id: Some("alias/k".into()),
        context: Default::default(),
        bucket_key: Some(true),
    });
    group(spec);
}

fn group(spec: &mut towline_core::Spec) {
    spec.group = Some("holiday pictures".into());
}

fn beside_it(spec: &mut towline_core::Spec) {
    spec.options.when_target_exists = WhenTargetExists::Rename;
    spec.object.version_id = Some("v-1".into());
}

fn raw_path(spec: &mut towline_core::Spec) {
    use std::os::unix::ffi::OsStringExt;
    let name = std::ffi::OsString::from_vec(b"/data/\xff\xfe/\x01".to_vec());
    spec.path = PathBuf::from(name);
}

fn identity() -> ObjectIdentity {
    ObjectIdentity {
        etag: Some("\"0123\"".into()),
        version_id: Some("v-9".into()),
        last_modified: Some(at(1)),
        checksum: Some((sum(ChecksumAlgorithm::Crc32c, 9), ChecksumKind::FullObject)),
        parts: Some(3),
        part_size: None,
        encryption: Some("AES256".into()),
        range: None,
    }
}

fn temp() -> Temp {
    Temp {
        name: ".towline-0123456789abcdef.part".into(),
        boot: "5b1f6b4e-0000-4000-8000-000000000000".into(),
    }
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_millis(1_763_000_000_000).plus_secs(secs)
}
