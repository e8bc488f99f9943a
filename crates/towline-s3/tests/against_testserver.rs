//! Every operation against a server that verifies every signature.

#![allow(clippy::unwrap_used)] // helpers of tests are tests too

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::StreamExt;
use towline_core::{
    Body, Checksum, ChecksumAlgorithm, ChecksumKind, CompleteUpload, CompletedPart, Connection,
    ConnectionSource, CreateUpload, DeleteObject, DeleteObjects, GetObject, ListObjects,
    ListUploads, ObjectVersion, PartChecksum, PutObject, S3, S3ErrorKind, Trailer, Unread, Upload,
    UploadPart, WriteCondition,
};
use towline_s3::{Credentials, Environment, S3Client, S3Connector, StaticCredentials};
use towline_testserver::TestServer;

const ODD_KEYS: [&str; 12] = [
    "a//b",
    "../x",
    "./y/.",
    "sp ace+plus",
    "%41",
    "ünï 😀",
    "?#",
    "/lead",
    "trail/",
    "a&b=c;d:e@f,g$h!'(i)*j",
    "<x>\"'\\^`{|}~[]",
    "tab\tnew\nline\r\u{7f}",
];

async fn server() -> (TestServer, S3Connector) {
    let server = TestServer::builder()
        .memory()
        .bucket("photos")
        .credentials("AKID", "right")
        .start()
        .await
        .unwrap();
    let connector = S3Connector::with_environment(Environment::default());
    let keys = Credentials::new("AKID", "right");
    connector.register("app", Arc::new(StaticCredentials(keys)));
    (server, connector)
}

fn connection(server: &TestServer) -> Connection {
    Connection {
        source: ConnectionSource::Registered("app".into()),
        endpoint: Some(server.endpoint()),
        ..Connection::default()
    }
}

async fn start() -> (TestServer, Arc<S3Client>) {
    let (server, connector) = server().await;
    let client = connector.client(&connection(&server)).unwrap();
    (server, client)
}

async fn open_film(client: &S3Client) -> Upload {
    let create = CreateUpload {
        bucket: "photos".into(),
        key: "film".into(),
        checksum: Some((ChecksumAlgorithm::Crc64Nvme, ChecksumKind::FullObject)),
        ..CreateUpload::default()
    };
    Upload {
        bucket: "photos".into(),
        key: "film".into(),
        id: client.create_multipart_upload(create).await.unwrap().id,
        ..Upload::default()
    }
}

fn body(bytes: &[u8]) -> Body {
    let frames: Vec<_> = bytes
        .chunks(50_000)
        .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
        .collect();
    Body {
        len: bytes.len() as u64,
        stream: Box::pin(futures_util::stream::iter(frames)),
    }
}

/// The same from a file, which nobody reads before it is sent.
fn in_file(bytes: &[u8], unread: Unread) -> Body {
    let path = std::env::temp_dir().join(format!("towline-s3-unread-{}", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    let file = Arc::new(File::open(&path).unwrap());
    std::fs::remove_file(&path).unwrap();
    let len = bytes.len() as u64;
    let frames = (0..len).step_by(50_000).map(move |at| {
        let range = at..len.min(at + 50_000);
        Ok(unread(&file, range).unwrap())
    });
    Body {
        len,
        stream: Box::pin(futures_util::stream::iter(frames)),
    }
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 % 251) as u8).collect()
}

fn crc(bytes: &[u8]) -> Checksum {
    let value = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, bytes);
    Checksum::from_crc(ChecksumAlgorithm::Crc64Nvme, value).unwrap()
}

fn put(key: &str) -> PutObject {
    PutObject {
        bucket: "photos".into(),
        key: key.into(),
        ..PutObject::default()
    }
}

fn deletion(bucket: &str, key: &str) -> DeleteObject {
    DeleteObject {
        bucket: bucket.into(),
        key: key.into(),
        ..DeleteObject::default()
    }
}

fn get(key: &str) -> GetObject {
    GetObject {
        bucket: "photos".into(),
        key: key.into(),
        ..GetObject::default()
    }
}

async fn read(client: &S3Client, request: GetObject) -> Vec<u8> {
    let mut stream = client.get_object(request).await.unwrap().stream;
    let mut all = Vec::new();
    while let Some(frame) = stream.next().await {
        all.extend_from_slice(&frame.unwrap());
    }
    all
}

#[tokio::test]
async fn an_object_comes_back_as_it_was_put() {
    let (_server, client) = start().await;
    let data = bytes(200_000);
    let mut request = put("beach.jpg");
    request.checksum = Some(crc(&data));
    request.options.content_type = Some("image/jpeg".into());
    request
        .options
        .metadata
        .insert("who".into(), "me  too".into());
    request.options.tags.insert("a b".into(), "c&d".into());
    let stored = client.put_object(request, body(&data)).await.unwrap();
    assert_eq!(
        stored.checksum,
        Some((crc(&data), ChecksumKind::FullObject))
    );

    let head = client.head_object(get("beach.jpg")).await.unwrap();
    assert_eq!(head.etag, stored.etag);
    assert_eq!(head.size, Some(200_000));
    assert_eq!(head.content_type.as_deref(), Some("image/jpeg"));
    assert_eq!(head.checksums, [(crc(&data), ChecksumKind::FullObject)]);
    assert!(head.last_modified.is_some());
    assert_eq!(read(&client, get("beach.jpg")).await, data);

    let mut range = get("beach.jpg");
    range.range = Some(1000..150_000);
    range.condition.if_match = head.etag.clone();
    let object = client.get_object(range.clone()).await.unwrap();
    assert_eq!((object.status, object.range), (206, 1000..150_000));
    assert_eq!(object.head.size, Some(200_000));
    assert_eq!(read(&client, range).await, data[1000..150_000]);

    let mut other = get("beach.jpg");
    other.condition.if_match = Some("\"0123\"".into());
    let error = client.get_object(other.clone()).await.unwrap_err();
    assert_eq!(
        (error.status, error.code()),
        (Some(412), "PreconditionFailed")
    );
    assert_eq!(
        client.head_object(other).await.unwrap_err().status,
        Some(412)
    );
}

/// What is recorded of a Create is what it is signed by, and what finds it again.
#[tokio::test]
async fn a_create_is_signed_as_of_the_time_that_is_given() {
    let (_server, client) = start().await;
    let create = |minutes: u64| {
        let at = SystemTime::now() - Duration::from_secs(minutes * 60);
        client.create_multipart_upload(CreateUpload {
            bucket: "photos".into(),
            key: "key".into(),
            signed_at: Some(at.into()),
            ..CreateUpload::default()
        })
    };
    create(10).await.unwrap();
    let error = create(20).await.unwrap_err();
    assert_eq!(error.code(), "RequestTimeTooSkewed", "{error:?}");
}

#[tokio::test]
async fn odd_keys_survive_every_operation() {
    let (_server, client) = start().await;
    for key in ODD_KEYS {
        client
            .put_object(put(key), body(key.as_bytes()))
            .await
            .unwrap();
        assert_eq!(read(&client, get(key)).await, key.as_bytes(), "{key:?}");
        client.head_object(get(key)).await.unwrap();
        let request = CreateUpload {
            bucket: "photos".into(),
            key: key.into(),
            ..CreateUpload::default()
        };
        let id = client.create_multipart_upload(request).await.unwrap().id;
        let page = client
            .list_multipart_uploads(ListUploads {
                bucket: "photos".into(),
                prefix: key.into(),
                ..ListUploads::default()
            })
            .await
            .unwrap();
        assert_eq!(page.uploads[0].key, key);
        assert_eq!(page.uploads[0].upload_id, id);
        let upload = Upload {
            bucket: "photos".into(),
            key: key.into(),
            id,
            ..Upload::default()
        };
        client.abort_multipart_upload(&upload).await.unwrap();
    }
    let page = client
        .list_objects(ListObjects {
            bucket: "photos".into(),
            ..ListObjects::default()
        })
        .await
        .unwrap();
    let mut listed: Vec<_> = page
        .objects
        .iter()
        .map(|object| object.key.as_str())
        .collect();
    let mut expected = ODD_KEYS.to_vec();
    listed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(listed, expected);
    for key in ODD_KEYS {
        client.delete_object(deletion("photos", key)).await.unwrap();
        assert!(
            client
                .head_object(get(key))
                .await
                .unwrap_err()
                .is_not_found()
        );
    }
}

#[tokio::test]
async fn objects_are_deleted_by_a_list_and_of_each_it_is_told() {
    let (server, client) = start().await;
    let keys: Vec<ObjectVersion> = ODD_KEYS.map(ObjectVersion::from).into();
    let (listed, others): (Vec<_>, Vec<_>) =
        keys.into_iter().partition(ObjectVersion::is_safe_in_xml);
    assert_eq!(others.len(), 1);
    for object in listed.iter().chain(&others) {
        let key = object.key.as_str();
        server.put_object("photos", key, vec![1]).await.unwrap();
    }
    let delete = |objects: &[ObjectVersion]| DeleteObjects {
        bucket: "photos".into(),
        objects: objects.to_vec(),
        ..DeleteObjects::default()
    };
    let told = client.delete_objects(delete(&listed)).await.unwrap();
    assert_eq!(told.deleted, listed);
    assert_eq!(told.failed, []);
    for object in &listed {
        assert!(server.object_bytes("photos", &object.key).is_err());
    }
    let refused = client.delete_objects(delete(&others)).await.unwrap_err();
    assert_eq!(refused.kind, S3ErrorKind::Invalid);
    assert!(server.object_bytes("photos", &others[0].key).is_ok());
}

#[tokio::test]
async fn a_multipart_upload_goes_from_create_to_complete() {
    let (server, client) = start().await;
    let data = bytes(6 << 20);
    let (first, second) = data.split_at(5 << 20);
    let upload = open_film(&client).await;
    let mut parts = Vec::new();
    for (number, part) in [(1, first), (2, second)] {
        let request = UploadPart {
            upload: upload.clone(),
            number,
            checksum: Some(crc(part).into()),
        };
        let stored = client.upload_part(request, body(part)).await.unwrap();
        assert_eq!(stored.checksum, Some(crc(part)));
        parts.push(CompletedPart {
            number,
            etag: stored.etag.unwrap(),
            checksum: Some(crc(part)),
        });
    }
    let listed = client.list_parts(&upload, None).await.unwrap();
    assert_eq!(listed.next, None);
    assert_eq!(listed.parts[1].size, 1 << 20);
    assert_eq!(listed.parts[1].checksum, Some(crc(second)));
    assert_eq!(
        client
            .list_parts(&upload, Some(1))
            .await
            .unwrap()
            .parts
            .len(),
        1
    );
    let complete = CompleteUpload {
        upload: upload.clone(),
        parts,
        size: data.len() as u64,
        checksum: Some(crc(&data)),
        checksum_kind: Some(ChecksumKind::FullObject),
        condition: Some(WriteCondition::Absent),
    };
    let stored = client.complete_multipart_upload(complete).await.unwrap();
    assert!(stored.etag.unwrap().ends_with("-2\""));
    assert_eq!(server.object_bytes("photos", "film").unwrap(), data);
    let error = client.list_parts(&upload, None).await.unwrap_err();
    assert_eq!((error.status, error.code()), (Some(404), "NoSuchUpload"));
}

#[tokio::test]
async fn signed_payloads_are_accepted_whole_and_in_chunks() {
    let (server, connector) = server().await;
    let client = connector
        .client(&Connection {
            signed_payload: Some(true),
            ..connection(&server)
        })
        .unwrap();
    for len in [0, 1, 131_072, 131_073, 1_000_000] {
        let data = bytes(len);
        let mut request = put("signed");
        request.checksum = Some(crc(&data));
        client.put_object(request, body(&data)).await.unwrap();
        assert_eq!(server.object_bytes("photos", "signed").unwrap(), data);
    }
}

#[tokio::test]
async fn content_md5_is_checked_by_the_server() {
    let (_server, client) = start().await;
    let mut request = put("md5");
    request.checksum = Some(Checksum::new(ChecksumAlgorithm::Md5, &[7; 16]).unwrap());
    let error = client
        .put_object(request, body(b"hello"))
        .await
        .unwrap_err();
    assert_eq!((error.status, error.code()), (Some(400), "BadDigest"));
}

#[tokio::test]
async fn a_put_that_must_not_replace_does_not() {
    let (_server, client) = start().await;
    client.put_object(put("k"), body(b"1")).await.unwrap();
    let mut again = put("k");
    again.condition = Some(WriteCondition::Absent);
    let error = client.put_object(again, body(b"2")).await.unwrap_err();
    assert_eq!(error.status, Some(412));
    assert!(error.request_sent && error.body_sent == 1);
}

#[tokio::test]
async fn a_wrong_secret_and_a_missing_bucket_are_told_by_their_codes() {
    let (server, connector) = server().await;
    let client = connector.client(&connection(&server)).unwrap();
    let mut request = put("k");
    request.bucket = "nowhere".into();
    let error = client.put_object(request, body(b"1")).await.unwrap_err();
    assert_eq!(
        (error.kind, error.code()),
        (S3ErrorKind::Answer, "NoSuchBucket")
    );
    connector.register(
        "app",
        Arc::new(StaticCredentials(Credentials::new("AKID", "wrong"))),
    );
    let error = client.put_object(put("k"), body(b"1")).await.unwrap_err();
    assert_eq!(error.code(), "SignatureDoesNotMatch");
    connector.unregister("app");
    let error = client.put_object(put("k"), body(b"1")).await.unwrap_err();
    assert_eq!(error.kind, S3ErrorKind::Credentials);
}

#[tokio::test]
async fn a_body_that_fails_or_falls_short_stores_nothing() {
    let (server, client) = start().await;
    let mut short = body(b"1234");
    short.len = 5;
    let error = client.put_object(put("short"), short).await.unwrap_err();
    assert_eq!(error.kind, S3ErrorKind::Body);
    assert_eq!(error.body_sent, 4);
    let mut long = body(b"1234");
    long.len = 3;
    let error = client.put_object(put("long"), long).await.unwrap_err();
    assert_eq!((error.kind, error.body_sent), (S3ErrorKind::Body, 0));
    let stream = futures_util::stream::iter([Ok(Bytes::from_static(b"12")), Err("disk".into())]);
    let failing = Body {
        len: 4,
        stream: Box::pin(stream),
    };
    let error = client.put_object(put("fails"), failing).await.unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (S3ErrorKind::Body, "disk")
    );
    assert!(!error.request_sent);
    for key in ["short", "long", "fails"] {
        assert!(server.versions("photos", key).is_empty());
    }
}

#[tokio::test]
async fn pages_of_a_listing_follow_each_other() {
    let (_server, client) = start().await;
    for i in 0..1005 {
        client
            .put_object(put(&format!("p/{i:04} +")), body(b"x"))
            .await
            .unwrap();
    }
    let mut request = ListObjects {
        bucket: "photos".into(),
        prefix: "p/".into(),
        ..ListObjects::default()
    };
    let first = client.list_objects(request.clone()).await.unwrap();
    assert_eq!(first.objects.len(), 1000);
    request.continuation = first.next;
    let second = client.list_objects(request).await.unwrap();
    assert_eq!(second.objects.len(), 5);
    assert_eq!(second.objects[4].key, "p/1004 +");
    assert_eq!(second.next, None);
    let grouped = client
        .list_objects(ListObjects {
            bucket: "photos".into(),
            delimiter: Some("/".into()),
            ..ListObjects::default()
        })
        .await
        .unwrap();
    assert_eq!(grouped.prefixes, ["p/"]);
}

#[tokio::test]
async fn a_checksum_behind_the_bytes_is_looked_at_and_only_where_it_needs_no_signature() {
    let (server, connector) = server().await;
    let client = connector.client(&connection(&server)).unwrap();
    let upload = open_film(&client).await;
    let request = |sum: Checksum| {
        let trailer = Trailer::new(sum.algorithm());
        trailer.tell(sum);
        UploadPart {
            upload: upload.clone(),
            number: 1,
            checksum: Some(PartChecksum::Trailer(trailer)),
        }
    };
    let data = bytes((2 << 20) + 7);
    assert!(client.sends_trailers("photos"));
    let sent = client.upload_part(request(crc(&data)), body(&data));
    assert_eq!(sent.await.unwrap().checksum, Some(crc(&data)));
    let listed = client.list_parts(&upload, None).await.unwrap();
    assert_eq!(listed.parts[0].size, data.len() as u64);
    let wrong = client.upload_part(request(crc(b"other")), body(&data));
    assert_eq!(wrong.await.unwrap_err().code(), "BadDigest");

    let unread = in_file(&data, client.unread("photos").unwrap());
    let sent = client.upload_part(request(crc(&data)), unread);
    assert_eq!(sent.await.unwrap().checksum, Some(crc(&data)));
    let unread = in_file(&data, client.unread("photos").unwrap());
    let wrong = client.upload_part(request(crc(b"other")), unread);
    assert_eq!(wrong.await.unwrap_err().code(), "BadDigest");

    let signing = Connection {
        signed_payload: Some(true),
        ..connection(&server)
    };
    let anonymous = Connection {
        source: ConnectionSource::Anonymous,
        ..connection(&server)
    };
    for connection in [signing, anonymous] {
        let client = connector.client(&connection).unwrap();
        assert!(!client.sends_trailers("photos") && client.unread("photos").is_none());
        let refused = client.upload_part(request(crc(&data)), body(&data)).await;
        assert_eq!(refused.unwrap_err().kind, S3ErrorKind::Invalid);
    }
}
