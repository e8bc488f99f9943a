//! `verify`: a file and an object are compared later, by the strongest that the
//! store keeps.

use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use towline::{
    Access, ChecksumAlgorithm, CustomerKey, KeyReference, Verification, VerifyDoubt, VerifyProof,
    VerifyResult,
};
use towline_testserver::{Answer, Operation, Rule, Script};

use crate::composite::put_in_parts;
use crate::{BUCKET, Scene, content};

const MIB: usize = 1 << 20;
const LARGE: usize = 11 * MIB + 5;

async fn verify(scene: &Scene, path: &Path, key: &str) -> Verification {
    scene.utility.verify(path, BUCKET, key).await.unwrap()
}

/// The store keeps no checksum, and some further headers.
fn bare(headers: &[(&str, &str)]) -> Script {
    let on = |operation| {
        let rule = ["crc64nvme", "crc32", "crc32c", "sha256"]
            .iter()
            .fold(Rule::on(operation), |rule, name| {
                rule.drop_header(&format!("x-amz-checksum-{name}"))
            });
        headers
            .iter()
            .fold(rule, |rule, (name, value)| rule.set_header(name, value))
    };
    Script::new()
        .rule(on(Operation::HeadObject))
        .rule(on(Operation::GetObject))
}

/// An equal file, one with another byte, and one that is shorter.
async fn is_told(scene: &Scene, len: usize, proof: VerifyProof) {
    scene.server.history().clear();
    let equal = scene.file("equal", &content(len));
    let told = verify(scene, &equal, "key").await;
    assert_eq!(told.result, VerifyResult::Equal, "{told:?}");
    assert_eq!((told.proof, &told.doubt), (Some(proof), &None));
    assert_eq!(told.bytes_object, Some(len as u64));
    let fetched = scene.server.history().count(Operation::GetObject);
    assert_eq!(fetched, 0, "no object was fetched");

    let other = scene.file("other", &content(len));
    let file = std::fs::File::options().write(true).open(&other).unwrap();
    file.write_all_at(&[!content(len)[len - 1]], len as u64 - 1)
        .unwrap();
    let told = verify(scene, &other, "key").await;
    assert_eq!(told.result, VerifyResult::Different, "{told:?}");
    let told_how = matches!(
        told.doubt,
        Some(VerifyDoubt::Checksum { .. } | VerifyDoubt::Part { .. })
    );
    assert!(told_how && told.proof == Some(proof), "{told:?}");

    let short = scene.file("short", &content(len - 1));
    let told = verify(scene, &short, "key").await;
    let (file, object) = (len as u64 - 1, len as u64);
    assert_eq!(told.doubt, Some(VerifyDoubt::Size { file, object }));
    assert_eq!(told.result, VerifyResult::Different);
}

async fn uploaded(len: usize, algorithm: ChecksumAlgorithm) -> Scene {
    let scene = Scene::start().await;
    let source = scene.file("source", &content(len));
    let request = scene.utility.upload(BUCKET, "key", source);
    let observer = request.checksum(algorithm).await.unwrap();
    crate::completed(observer.finished().await.unwrap());
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn t59_a_file_is_compared_by_the_checksum_of_all_bytes_and_nothing_is_fetched() {
    use ChecksumAlgorithm::{Crc32, Crc32c, Crc64Nvme, Sha256};
    for algorithm in [Crc64Nvme, Crc32c, Crc32, Sha256] {
        let scene = uploaded(1000, algorithm).await;
        is_told(&scene, 1000, VerifyProof::FullObject).await;
    }
    let scene = uploaded(LARGE, Crc64Nvme).await;
    is_told(&scene, LARGE, VerifyProof::FullObject).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t59_a_file_is_compared_by_the_checksum_of_the_parts_checksums() {
    let scene = uploaded(LARGE, ChecksumAlgorithm::Sha256).await;
    is_told(&scene, LARGE, VerifyProof::Composite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t59_a_file_is_compared_by_the_etag_where_the_store_keeps_no_checksum() {
    for len in [1000, LARGE] {
        let scene = uploaded(len, ChecksumAlgorithm::Crc64Nvme).await;
        scene.server.faults().play(bare(&[])).unwrap();
        is_told(&scene, len, VerifyProof::Md5).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_different_lengths_are_compared_each_by_its_own_bounds() {
    let scene = Scene::start().await;
    let lens = [5 * MIB + 1, 6 * MIB, 7];
    let bytes = content(lens.iter().sum());
    put_in_parts(&scene, "key", &bytes, &lens).await;
    let file = scene.file("equal", &bytes);
    let told = verify(&scene, &file, "key").await;
    assert_eq!(told.result, VerifyResult::Equal, "{told:?}");
    assert_eq!(told.proof, Some(VerifyProof::Composite));

    let mut other = bytes.clone();
    other[5 * MIB + 1] ^= 1;
    let told = verify(&scene, &scene.file("other", &other), "key").await;
    let range = 5 * MIB as u64 + 1..11 * MIB as u64 + 1;
    assert_eq!(told.doubt, Some(VerifyDoubt::Part { number: 2, range }));
    assert_eq!(told.result, VerifyResult::Different);

    // By the MD5 of the parts' MD5s, too.
    scene.server.faults().play(bare(&[])).unwrap();
    let told = verify(&scene, &file, "key").await;
    assert_eq!(
        (told.result, told.proof),
        (VerifyResult::Equal, Some(VerifyProof::Md5))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn where_only_the_lengths_agree_it_cannot_be_told_and_the_bytes_can_be_fetched() {
    for len in [1000, LARGE] {
        let scene = uploaded(len, ChecksumAlgorithm::Crc64Nvme).await;
        let kms = bare(&[("x-amz-server-side-encryption", "aws:kms")]);
        scene.server.faults().play(kms).unwrap();
        let file = scene.file("equal", &content(len));
        let told = verify(&scene, &file, "key").await;
        assert_eq!(told.result, VerifyResult::Unknown, "{told:?}");
        assert_eq!(told.proof, Some(VerifyProof::SizeOnly));
        assert_eq!(told.doubt, Some(VerifyDoubt::NothingToCompare));

        let bytes = |path| scene.utility.verify(path, BUCKET, "key").download(true);
        let told = bytes(file).await.unwrap();
        assert_eq!(
            (told.result, told.proof),
            (VerifyResult::Equal, Some(VerifyProof::Bytes))
        );
        let mut other = content(len);
        other[len - 2] ^= 1;
        let told = bytes(scene.file("other", &other)).await.unwrap();
        let at = len as u64 - 2;
        assert_eq!(told.doubt, Some(VerifyDoubt::Byte { at }));
        assert_eq!(told.result, VerifyResult::Different);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_tells_nothing_of_parts_leaves_it_open_and_not_different() {
    let scene = uploaded(LARGE, ChecksumAlgorithm::Sha256).await;
    let parts = (1..=3).fold(Script::new(), |script, number| {
        let refused = Answer::error(501, "NotImplemented");
        script.rule(Rule::on(Operation::HeadObject).part(number).answer(refused))
    });
    scene.server.faults().play(parts).unwrap();
    let mut other = content(LARGE);
    other[0] ^= 1;
    let told = verify(&scene, &scene.file("other", &other), "key").await;
    assert_eq!(told.doubt, Some(VerifyDoubt::NothingToCompare), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_told_apart() {
    let scene = uploaded(1000, ChecksumAlgorithm::Crc64Nvme).await;
    let file = scene.file("file", &content(1000));
    let told = verify(&scene, &file, "other key").await;
    assert_eq!(told.doubt, Some(VerifyDoubt::NoObject));
    assert_eq!(
        (told.result, told.bytes_object),
        (VerifyResult::Different, None)
    );

    let code = |path: &Path, bucket: &str| {
        let request = scene.utility.verify(path, bucket, "key");
        async { request.await.unwrap_err().code().to_owned() }
    };
    assert_eq!(code(&file, "no-such-bucket").await, "NoSuchBucket");
    assert_eq!(
        code(&scene.dir.path().join("none"), BUCKET).await,
        "SourceMissing"
    );
    assert_eq!(code(scene.dir.path(), BUCKET).await, "IsDirectory");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_while_it_is_read_is_said_to_have() {
    for download in [false, true] {
        let scene = uploaded(LARGE, ChecksumAlgorithm::Crc64Nvme).await;
        let path = scene.file("file", &content(LARGE));
        let once = Arc::new(std::sync::Once::new());
        let request = scene
            .utility
            .verify(&path, BUCKET, "key")
            .download(download);
        let told = request
            .progress(move |_, _| {
                once.call_once(|| {
                    let mut file = std::fs::File::options().append(true).open(&path).unwrap();
                    file.write_all(b"more").unwrap();
                });
            })
            .await
            .unwrap();
        assert_eq!(told.doubt, Some(VerifyDoubt::FileChanged), "{told:?}");
        assert_eq!(told.result, VerifyResult::Unknown);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_replaced_while_it_is_compared_is_said_to_be() {
    let scene = uploaded(LARGE, ChecksumAlgorithm::Crc64Nvme).await;
    let gone = Answer::error(412, "PreconditionFailed");
    let rule = Rule::on(Operation::GetObject).nth(3).of_all().answer(gone);
    scene
        .server
        .faults()
        .play(Script::new().rule(rule))
        .unwrap();
    let path = scene.file("file", &content(LARGE));
    let request = scene.utility.verify(path, BUCKET, "key").download(true);
    let told = request.await.unwrap();
    assert_eq!(told.doubt, Some(VerifyDoubt::ObjectChanged), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_compared_with_what_is_recorded_of_it_and_it_is_told_what_changed() {
    let scene = Scene::start().await;
    let source = scene.file("source", &content(1000));
    let transfer = scene.upload("key", &source).await;
    let verify = || async { scene.utility.verify_transfer(transfer.id).await.unwrap() };
    assert_eq!(verify().await.result, VerifyResult::Equal);

    // Its ETag tells nothing, but is the one that was recorded with a checksum.
    let kms = bare(&[("x-amz-server-side-encryption", "aws:kms")]);
    scene.server.faults().play(kms).unwrap();
    let told = verify().await;
    assert_eq!(
        (told.result, told.proof),
        (VerifyResult::Equal, Some(VerifyProof::FullObject)),
        "{told:?}"
    );
    scene.server.faults().play(Script::new()).unwrap();

    let mut other = content(1000);
    other[7] ^= 1;
    std::fs::write(&source, &other).unwrap();
    let told = verify().await;
    assert_eq!(told.result, VerifyResult::Different);
    assert!(
        told.message.ends_with("the file has changed since"),
        "{}",
        told.message
    );

    std::fs::write(&source, content(1000)).unwrap();
    scene.server.put_object(BUCKET, "key", other).await.unwrap();
    let told = verify().await;
    assert_eq!(told.result, VerifyResult::Different);
    assert!(
        told.message.contains("not the one of the transfer"),
        "{}",
        told.message
    );

    let observer = scene
        .utility
        .upload_data(BUCKET, "bytes", "abc")
        .await
        .unwrap();
    let of_bytes = crate::completed(observer.finished().await.unwrap());
    let refused = scene
        .utility
        .verify_transfer(of_bytes.id)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "BadOption");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_and_an_object_with_a_key_of_ones_own_can_be_compared() {
    let server = towline_testserver::TestServer::builder()
        .bucket(BUCKET)
        .versioned(BUCKET)
        .start()
        .await
        .unwrap();
    let state = tempfile::tempdir().unwrap();
    let utility = crate::builder(server.endpoint(), state.path().join("state"))
        .customer_key("mine", CustomerKey::new([7; 32]))
        .open()
        .await
        .unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = state.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let (old, new) = (file("old", b"old"), file("new", b"new"));
    for path in [&old, &new] {
        let observer = utility.upload(BUCKET, "key", path).await.unwrap();
        crate::completed(observer.finished().await.unwrap());
    }
    let mut versions = server
        .versions(BUCKET, "key")
        .into_iter()
        .map(|it| it.version_id);
    let mut results = Vec::new();
    for version in versions.by_ref() {
        let request = utility.verify(&old, BUCKET, "key").version_id(version);
        results.push(request.await.unwrap().result);
    }
    results.sort_by_key(|result| *result as u8);
    assert_eq!(results, [VerifyResult::Equal, VerifyResult::Different]);
    assert_eq!(
        utility.verify(&new, BUCKET, "key").await.unwrap().result,
        VerifyResult::Equal
    );

    let mine = KeyReference::Registered("mine".into());
    let request = utility
        .upload(BUCKET, "secret", &old)
        .customer_key(mine.clone());
    crate::completed(request.await.unwrap().finished().await.unwrap());
    let with_key = Access {
        customer_key: Some(mine),
        ..Access::default()
    };
    let request = utility.verify(&old, BUCKET, "secret").access(with_key);
    assert_eq!(request.await.unwrap().result, VerifyResult::Equal);
    assert!(utility.verify(&old, BUCKET, "secret").await.is_err());
}
