//! Comparisons that go on behind a place tell what the whole one told from there on.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use towline_core::{Connection, ConnectionSource, Direction};
use towline_s3::{Credentials, StaticCredentials};
use towline_testserver::TestServer;

use super::{Comparison, Looked, Parts, SyncCompare, SyncDecision, SyncOptions};
use crate::group::Place;
use crate::{TransferRequest, TransferUtility};

const BUCKET: &str = "bucket";

async fn open(server: &TestServer, state: &Path) -> TransferUtility {
    TransferUtility::builder()
        .state_dir(state)
        .connection(Connection {
            source: ConnectionSource::Registered("test".into()),
            endpoint: Some(server.endpoint()),
            region: Some("us-east-1".into()),
            ..Connection::default()
        })
        .credentials(
            "test",
            StaticCredentials(Credentials::new("test", "testsecret")),
        )
        .open()
        .await
        .unwrap()
}

fn begin(dir: &Path, direction: Direction) -> Comparison {
    let like = match direction {
        Direction::Download => TransferRequest::download(BUCKET, "", ""),
        _ => TransferRequest::upload(BUCKET, "", ""),
    };
    Comparison::of(Parts {
        prefix: "p/".into(),
        dir: dir.to_owned(),
        like,
        how: SyncOptions {
            compare: SyncCompare::Size,
            ..SyncOptions::default()
        },
        delete: false,
        folds: false,
        group: None,
    })
}

/// What a comparison tells, in words, and after how much of it there is which place.
async fn told(
    utility: &TransferUtility,
    mut comparison: Comparison,
) -> (Vec<String>, Vec<(usize, Place)>) {
    let (mut told, mut places) = (Vec::new(), Vec::new());
    loop {
        let decision = match comparison.look(utility).await.unwrap() {
            Looked::End => return (told, places),
            Looked::Nothing => None,
            Looked::Decided(decision) => Some(decision),
        };
        told.extend(decision.map(|decision| match decision {
            SyncDecision::Upload { request, .. } => format!("up {}", request.key),
            SyncDecision::Download { request, .. } => format!("down {}", request.key),
            SyncDecision::Same { key, .. } => format!("same {key}"),
            SyncDecision::LeftOut(it) => format!("out {:?} {:?} {}", it.key, it.path, it.code),
            SyncDecision::Delete(_) => panic!("{decision:?}"),
        }));
        if comparison.may_stop(utility).await.unwrap() {
            places.extend(comparison.place().map(|place| (told.len(), place)));
        }
    }
}

/// A file, unless another one is in its way.
fn write(dir: &Path, path: &OsStr) {
    let path = dir.join(path);
    if std::fs::create_dir_all(path.parent().unwrap()).is_ok() && !path.exists() {
        let _ = std::fs::write(path, "content");
    }
}

#[tokio::test]
async fn behind_each_place_a_comparison_tells_what_the_whole_one_told_there_and_nothing_else() {
    let server = TestServer::builder().bucket(BUCKET).start().await.unwrap();
    let scene = tempfile::tempdir().unwrap();
    let utility = open(&server, &scene.path().join("state")).await;
    for seed in 0..6 {
        let mut random = fastrand::Rng::with_seed(seed);
        let dir = scene.path().join(format!("dir{seed}"));
        std::fs::create_dir(&dir).unwrap();
        let names: [&[u8]; 13] = [
            b"a",
            b"a-b",
            b"e-",
            b"a0",
            b"b",
            b"bad\xff",
            b"%2F",
            b"a%2Fb",
            b"%61",
            b"..b",
            b"~",
            b"B",
            "\u{e9}".as_bytes(),
        ];
        let above = ["", "a/", "b/", "b/a-b/", "c/", "c/%2F/"];
        for above in above {
            for name in names.iter().filter(|_| random.u8(0..3) > 0) {
                let path = [above.as_bytes(), name].concat();
                write(&dir, OsStr::from_bytes(&path));
            }
        }
        let _ = symlink("nowhere", dir.join("b/link"));
        for key in [
            "", "a", "a-b", "a/", "a/b", "a//b", "b/", "b/a", "b/a/b", "b/link", "b/link/x", "c/",
            "c//", "c/x", "d", "d/", "e/x", "~", "\u{e9}/x", "../b",
        ] {
            if random.u8(0..4) > 0 {
                let bytes = if random.bool() { "content" } else { "" };
                let key = format!("p/{key}");
                let put = server.put_object(BUCKET, &key, bytes.into());
                put.await.unwrap();
            }
        }
        for direction in [Direction::Upload, Direction::Download] {
            let (all, places) = told(&utility, begin(&dir, direction)).await;
            assert!(all.len() > 5 && places.len() > 5, "{all:?} {places:?}");
            for (at, place) in places {
                let behind = format!("seed {seed}, {direction:?} behind {place:?}");
                let resumed = begin(&dir, direction).behind(place);
                let (rest, _) = told(&utility, resumed).await;
                assert_eq!(rest, all[at..], "{behind}");
            }
        }
    }
    utility.close().await.unwrap();
}
