//! Downloads are proven by what the store keeps: T59, T61. Here are the objects
//! whose checksum is one of their parts' checksums, and flipped bytes of all.

use std::sync::Arc;

use bytes::Bytes;
use towline::{ChecksumAlgorithm, ChecksumKind, PartSize, State, Transfer, Verified};
use towline_core::{
    Body, CompleteUpload, CompletedPart, Connector, CreateUpload, S3, Upload, UploadPart,
};
use towline_testserver::{Answer, Operation, Rule, Script};

use crate::{BUCKET, Scene, content, names, to};

const MIB: usize = 1 << 20;

/// An object of parts of these lengths, with the CRC-32 of their CRC-32s.
pub(crate) async fn put_in_parts(scene: &Scene, key: &str, bytes: &[u8], lens: &[usize]) {
    let connector = towline_s3::S3Connector::new();
    let credentials = towline::Credentials::new("test", "testsecret");
    connector.register("test", Arc::new(towline::StaticCredentials(credentials)));
    let connection = to(scene.server.endpoint());
    let s3: Arc<dyn S3> = connector
        .connect(towline::TransferId::START, &connection)
        .unwrap();
    let create = CreateUpload {
        bucket: BUCKET.into(),
        key: key.into(),
        checksum: Some((ChecksumAlgorithm::Crc32, ChecksumKind::Composite)),
        ..CreateUpload::default()
    };
    let upload = Upload {
        bucket: BUCKET.into(),
        key: key.into(),
        id: s3.create_multipart_upload(create).await.unwrap().id,
        ..Upload::default()
    };
    let (mut parts, mut at) = (Vec::new(), 0);
    for (number, len) in (1..).zip(lens) {
        let part = Bytes::copy_from_slice(&bytes[at..at + len]);
        at += len;
        let checksum = towline_engine::checksum_of(ChecksumAlgorithm::Crc32, &part);
        let request = UploadPart {
            upload: upload.clone(),
            number,
            checksum: Some(checksum.into()),
        };
        let body = Body {
            len: *len as u64,
            stream: Box::pin(futures_util::stream::iter([Ok(part)])),
        };
        let stored = s3.upload_part(request, body).await.unwrap();
        parts.push(CompletedPart {
            number,
            etag: stored.etag.unwrap(),
            checksum: Some(checksum),
        });
    }
    let complete = CompleteUpload {
        upload,
        parts,
        size: bytes.len() as u64,
        checksum: None,
        checksum_kind: Some(ChecksumKind::Composite),
        condition: None,
    };
    s3.complete_multipart_upload(complete).await.unwrap();
}

async fn ended(scene: &Scene, key: &str) -> Transfer {
    let target = scene.dir.path().join("target");
    let observer = scene.utility.download(BUCKET, key, target).await.unwrap();
    observer.finished().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn t59_a_download_is_proven_by_the_checksum_of_its_parts_checksums() {
    let scene = Scene::start().await;
    let bytes = content(17 * MIB + 3);
    let source = scene.file("source", &bytes);
    let request = scene.utility.upload(BUCKET, "even", source);
    let request = request.checksum(ChecksumAlgorithm::Sha256);
    let request = request.part_size(PartSize::from_bytes(6 * MIB as u64).unwrap());
    crate::completed(request.await.unwrap().finished().await.unwrap());
    put_in_parts(
        &scene,
        "uneven",
        &bytes,
        &[5 * MIB + 1, 7 * MIB, 5 * MIB + 2],
    )
    .await;
    for key in ["even", "uneven"] {
        let transfer = crate::completed(ended(&scene, key).await);
        assert_eq!(transfer.verified, Some(Verified::Composite), "{key}");
        assert!(std::fs::read(&transfer.path).unwrap() == bytes, "{key}");
    }
    // In parts of another size it is read once more.
    let target = scene.dir.path().join("target");
    let request = scene.utility.download(BUCKET, "even", target);
    let request = request.part_size(PartSize::MIN).restart(true);
    let transfer = crate::completed(request.await.unwrap().finished().await.unwrap());
    assert_eq!(transfer.verified, Some(Verified::Composite));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_reads_an_object_in_the_parts_that_it_was_made_of() {
    let scene = Scene::start().await;
    let bytes = content(14 * MIB);
    put_in_parts(&scene, "key", &bytes, &[6 * MIB, 6 * MIB, 2 * MIB]).await;
    scene.server.history().clear();
    let transfer = crate::completed(ended(&scene, "key").await);
    assert_eq!(transfer.verified, Some(Verified::Composite));
    let requests = scene.server.history().requests();
    let mut sent: Vec<u64> = requests
        .iter()
        .filter(|request| request.operation == Operation::GetObject)
        .map(|request| request.bytes_sent)
        .collect();
    sent.sort();
    assert_eq!(sent, [2 * MIB as u64, 6 * MIB as u64, 6 * MIB as u64]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_store_tells_nothing_of_parts_the_length_is_all_that_is_proven() {
    let scene = Scene::start().await;
    let bytes = content(11 * MIB);
    put_in_parts(&scene, "key", &bytes, &[6 * MIB, 5 * MIB]).await;
    let refused = Answer::error(501, "NotImplemented");
    let rule = Rule::on(Operation::HeadObject).part(1).answer(refused);
    scene
        .server
        .faults()
        .play(Script::new().rule(rule))
        .unwrap();
    let transfer = crate::completed(ended(&scene, "key").await);
    assert_eq!(transfer.verified, Some(Verified::SizeOnly));
}

#[tokio::test(flavor = "multi_thread")]
async fn t59_a_flipped_byte_fails_the_download_and_the_target_is_not_created() {
    let scene = Scene::start().await;
    let bytes = content(11 * MIB);
    let source = scene.file("source", &bytes[..1000]);
    scene.upload("full", &source).await;
    scene.upload("md5", &source).await;
    let source = scene.file("source", &bytes);
    scene.upload("full-in-parts", &source).await;
    put_in_parts(&scene, "composite", &bytes, &[6 * MIB, 5 * MIB]).await;
    put_in_parts(&scene, "uneven", &bytes, &[5 * MIB, 6 * MIB]).await;
    std::fs::remove_file(source).unwrap();
    for key in ["full", "md5", "full-in-parts", "composite", "uneven"] {
        let (mut head, mut get) = (
            Rule::on(Operation::HeadObject),
            Rule::on(Operation::GetObject),
        );
        if key == "md5" {
            // Without the checksum that the server keeps the ETag is what is left.
            head = head.drop_header("x-amz-checksum-crc64nvme");
            get = get.drop_header("x-amz-checksum-crc64nvme");
        }
        let script = Script::new().rule(head).rule(get.flip(999, 3));
        scene.server.faults().play(script).unwrap();
        let transfer = ended(&scene, key).await;
        assert_eq!(
            transfer.state,
            State::Failed,
            "{key}: {:?}",
            transfer.verified
        );
        assert_eq!(names(scene.dir.path()), ["state"], "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t59_a_byte_that_is_flipped_once_costs_a_new_start_and_the_file_is_right() {
    let scene = Scene::start().await;
    let bytes = content(11 * MIB);
    for (key, lens) in [("even", [6 * MIB, 5 * MIB]), ("uneven", [5 * MIB, 6 * MIB])] {
        put_in_parts(&scene, key, &bytes, &lens).await;
        let flip = Rule::on(Operation::GetObject).first(1).flip(999, 3);
        scene
            .server
            .faults()
            .play(Script::new().rule(flip))
            .unwrap();
        let transfer = crate::completed(ended(&scene, key).await);
        assert_eq!(transfer.verified, Some(Verified::Composite), "{key}");
        assert!(transfer.generation > 1, "{key}");
        assert!(std::fs::read(&transfer.path).unwrap() == bytes, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t61_the_body_of_an_error_never_ends_in_the_file() {
    let scene = Scene::start().await;
    let bytes = content(6 * MIB);
    let source = scene.file("source", &bytes);
    scene.upload("key", &source).await;
    std::fs::remove_file(source).unwrap();
    let old = scene.file("target", b"what was there before");
    for (status, code) in [
        (403, "AccessDenied"),
        (404, "NoSuchKey"),
        (500, "InternalError"),
    ] {
        let body = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
        let answer = Answer::status(status).body(&body, "application/xml");
        let rule = Rule::on(Operation::GetObject).answer(answer);
        let passing = status == 500;
        let rule = if passing { rule.first(3) } else { rule };
        scene
            .server
            .faults()
            .play(Script::new().rule(rule))
            .unwrap();
        let transfer = ended(&scene, "key").await;
        if passing {
            crate::completed(transfer);
            assert!(std::fs::read(&old).unwrap() == bytes);
        } else {
            assert_eq!(transfer.state, State::Failed, "{status}");
            assert_eq!(std::fs::read(&old).unwrap(), b"what was there before");
        }
        // What failed and may be retried keeps its temporary file.
        let mut names = names(scene.dir.path());
        names.retain(|name| !name.ends_with(".part"));
        assert_eq!(names, ["state", "target"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t33_an_object_that_was_replaced_during_a_pause_is_fetched_from_zero_and_never_mixed() {
    let scene = Scene::start().await;
    let (old, new) = (content(24 * MIB), vec![b'n'; 24 * MIB]);
    scene.server.put_object(BUCKET, "key", old).await.unwrap();
    scene.server.faults().bandwidth(4 << 20);
    scene.utility.set_limits(Some(1), Some(1)).unwrap(); // one part after the other
    let target = scene.dir.path().join("target");
    let observer = scene
        .utility
        .download(BUCKET, "key", &target)
        .await
        .unwrap();
    crate::until("some of it has come", || {
        observer.bytes_transferred() > 6 << 20
    })
    .await;
    observer.pause().await.unwrap();
    scene
        .server
        .put_object(BUCKET, "key", new.clone())
        .await
        .unwrap();
    scene.server.faults().play(Script::new()).unwrap();
    observer.resume().await.unwrap();
    let transfer = crate::completed(observer.finished().await.unwrap());
    assert!(transfer.generation > 1);
    assert!(std::fs::read(&target).unwrap() == new);
}
