//! What a download does where its target exists, and which of an object's bytes
//! and versions it is of. T60, T62.

use towline::{ByteRange, Config, Outcome, State, Timestamp, Transfer, Verified, WhenTargetExists};
use towline_testserver::{Operation, TestServer};

use crate::{BUCKET, Scene, completed, content, names};

const MIB: usize = 1 << 20;

impl Scene {
    async fn download_when(&self, policy: WhenTargetExists) -> Transfer {
        let target = self.dir.path().join("target.txt");
        let request = self.utility.download(BUCKET, "key", target);
        let observer = request.when_target_exists(policy).await.unwrap();
        observer.finished().await.unwrap()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.dir.path().join(name)).unwrap()
    }

    fn gets(&self) -> usize {
        self.server.history().count(Operation::GetObject)
    }
}

async fn with_object(size: usize) -> Scene {
    let scene = Scene::start().await;
    let path = scene.file("source", &content(size));
    scene.upload("key", &path).await;
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn t60_a_target_is_replaced_in_one_step_by_default() {
    let scene = with_object(12 * MIB).await;
    scene.file("target.txt", b"old");
    scene.server.faults().bandwidth(8 << 20);
    let target = scene.dir.path().join("target.txt");
    let observer = scene
        .utility
        .download(BUCKET, "key", &target)
        .await
        .unwrap();
    crate::until("bytes arrive", || observer.bytes_transferred() > 0).await;
    assert_eq!(
        scene.read("target.txt"),
        b"old",
        "until the new one is whole"
    );
    completed(observer.finished().await.unwrap());
    assert_eq!(scene.read("target.txt"), content(12 * MIB));
}

#[tokio::test(flavor = "multi_thread")]
async fn t60_a_target_that_must_not_be_replaced_fails_the_download() {
    let scene = with_object(100).await;
    scene.file("target.txt", b"old");
    let end = scene.download_when(WhenTargetExists::Fail).await;
    assert_eq!(end.state, State::Failed);
    assert_eq!(end.error.unwrap().code, "TargetExists");
    assert_eq!(
        (scene.read("target.txt"), scene.gets()),
        (b"old".to_vec(), 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn t60_a_target_with_the_same_bytes_is_left_alone_and_another_is_replaced() {
    // One PUT shows a CRC, and so does an object of parts.
    for size in [1000, 12 * MIB] {
        let scene = with_object(size).await;
        let bytes = content(size);
        scene.file("target.txt", &bytes);
        let before = std::fs::metadata(scene.dir.path().join("target.txt")).unwrap();
        let end = scene.download_when(WhenTargetExists::SkipIfIdentical).await;
        assert_eq!(end.state, State::Completed);
        assert_eq!(end.outcome, Some(Outcome::Skipped));
        assert_eq!(scene.gets(), 0);
        let after = std::fs::metadata(scene.dir.path().join("target.txt")).unwrap();
        assert_eq!(before.modified().unwrap(), after.modified().unwrap());

        let mut other = bytes.clone();
        other[size / 2] ^= 1;
        for there in [&other[..], &bytes[1..], b""] {
            scene.file("target.txt", there);
            let end = scene.download_when(WhenTargetExists::SkipIfIdentical).await;
            assert_eq!(end.outcome, Some(Outcome::Transferred));
            assert_eq!(scene.read("target.txt"), bytes);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t60_a_taken_name_gets_a_number() {
    let scene = with_object(100).await;
    scene.file("target.txt", b"old");
    for expected in ["target (1).txt", "target (2).txt"] {
        let end = completed(scene.download_when(WhenTargetExists::Rename).await);
        assert_eq!(end.path, scene.dir.path().join(expected));
        assert_eq!(scene.read(expected), content(100));
    }
    assert_eq!(scene.read("target.txt"), b"old");
    std::fs::remove_file(scene.dir.path().join("target.txt")).unwrap();
    let end = completed(scene.download_when(WhenTargetExists::Rename).await);
    assert_eq!(end.path, scene.dir.path().join("target.txt"));
    let here = names(scene.dir.path());
    assert!(here.iter().all(|name| !name.ends_with(".part")), "{here:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t62_a_range_gives_those_bytes_and_no_others() {
    let size = 30 * MIB;
    let scene = with_object(size).await;
    let (bytes, len) = (content(size), size as u64);
    for (range, expected) in [
        (ByteRange::From(len - 7), &bytes[size - 7..]),
        (ByteRange::Within(0, 1), &bytes[..1]),
        (ByteRange::Within(100, 12 << 20), &bytes[100..12 << 20]),
        (ByteRange::Within(len - 1, u64::MAX), &bytes[size - 1..]),
        (ByteRange::Last(9 << 20), &bytes[size - (9 << 20)..]),
        (ByteRange::Last(u64::MAX), &bytes[..]),
    ] {
        let target = scene.dir.path().join("target");
        let request = scene.utility.download(BUCKET, "key", &target).range(range);
        let end = completed(request.await.unwrap().finished().await.unwrap());
        assert_eq!(end.verified, Some(Verified::SizeOnly), "{range:?}");
        assert!(scene.read("target") == expected, "{range:?}");
        let request = scene.utility.download_stream(BUCKET, "key").range(range);
        assert!(request.to_bytes().await.unwrap() == expected, "{range:?}");
    }
    for range in [ByteRange::From(len), ByteRange::Last(0)] {
        let target = scene.dir.path().join("none");
        let request = scene.utility.download(BUCKET, "key", &target).range(range);
        let end = request.await.unwrap().finished().await.unwrap();
        assert_eq!(end.state, State::Failed, "{range:?}");
        assert_eq!(end.error.unwrap().code, "InvalidRange", "{range:?}");
        assert!(!target.exists());
    }
    let request = scene.utility.download_stream(BUCKET, "key");
    let refused = request.range(ByteRange::Within(5, 5)).await.unwrap_err();
    assert_eq!(refused.code(), "BadOption");
}

#[tokio::test(flavor = "multi_thread")]
async fn t62_a_condition_decides_and_not_modified_is_an_outcome_of_its_own() {
    let scene = with_object(100).await;
    let etag = scene.download("key", "first").await.etag.unwrap();
    let (past, future) = (
        Timestamp::from_millis(1_000_000_000_000),
        Timestamp::from_millis(4_000_000_000_000),
    );
    let asked = |name: &str| {
        scene
            .utility
            .download(BUCKET, "key", scene.dir.path().join(name))
    };
    for (name, request, expected) in [
        ("a", asked("a").if_match(&etag), Ok(Outcome::Transferred)),
        (
            "b",
            asked("b").if_match("\"other\""),
            Err("PreconditionFailed"),
        ),
        (
            "c",
            asked("c").if_none_match(&etag),
            Ok(Outcome::NotModified),
        ),
        (
            "d",
            asked("d").if_none_match("\"other\""),
            Ok(Outcome::Transferred),
        ),
        (
            "e",
            asked("e").if_modified_since(past),
            Ok(Outcome::Transferred),
        ),
        (
            "g",
            asked("g").if_unmodified_since(past),
            Err("PreconditionFailed"),
        ),
        (
            "h",
            asked("h").if_unmodified_since(future),
            Ok(Outcome::Transferred),
        ),
    ] {
        let end = request.await.unwrap().finished().await.unwrap();
        let is_there = scene.dir.path().join(name).exists();
        assert_eq!(is_there, expected == Ok(Outcome::Transferred), "{name}");
        match expected {
            Ok(outcome) => {
                assert_eq!(end.state, State::Completed, "{name}: {:?}", end.error);
                assert_eq!(end.outcome, Some(outcome), "{name}");
            }
            Err(code) => {
                let error = end.error.unwrap();
                assert_eq!(
                    (end.state, error.code.as_str()),
                    (State::Failed, code),
                    "{name}"
                );
                assert_eq!(error.http_status, Some(412), "{name}");
            }
        }
    }
    let request = scene.utility.download_stream(BUCKET, "key");
    let error = request.if_none_match(&etag).to_bytes().await.unwrap_err();
    assert_eq!(error.code(), "NotModified");
}

#[tokio::test(flavor = "multi_thread")]
async fn t62_not_modified_since_it_was_fetched_is_an_outcome_of_its_own() {
    let scene = with_object(100).await;
    let target = scene.dir.path().join("target");
    scene.download("key", "target").await;
    let fetched = std::fs::metadata(&target).unwrap().modified().unwrap();
    let millis = fetched
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let at = Timestamp::from_millis(i64::try_from(millis).unwrap());
    let request = scene.utility.download(BUCKET, "key", &target);
    let end = request
        .if_modified_since(at)
        .await
        .unwrap()
        .finished()
        .await
        .unwrap();
    assert_eq!(end.outcome, Some(Outcome::NotModified));
    assert_eq!(scene.read("target"), content(100));
}

#[tokio::test(flavor = "multi_thread")]
async fn t62_a_version_that_was_replaced_is_downloaded_by_its_id() {
    let server = TestServer::builder()
        .versioned(BUCKET)
        .start()
        .await
        .unwrap();
    let scene = Scene::on(server, Config::default()).await;
    for bytes in [&b"first"[..], b"second"] {
        let path = scene.file("source", bytes);
        scene.upload("key", &path).await;
    }
    let mut versions = scene.server.versions(BUCKET, "key");
    versions.sort_by_key(|version| version.size);
    for (version, bytes) in versions.iter().zip([&b"first"[..], b"second"]) {
        let request = scene.utility.download_stream(BUCKET, "key");
        let request = request.version_id(&version.version_id);
        assert_eq!(request.to_bytes().await.unwrap(), bytes);
    }
    let target = scene.dir.path().join("none");
    let request = scene.utility.download(BUCKET, "key", &target);
    let end = request
        .version_id("no-such")
        .await
        .unwrap()
        .finished()
        .await
        .unwrap();
    assert_eq!(end.state, State::Failed);
    assert!(!target.exists());
}
