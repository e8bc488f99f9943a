//! Server-side encryption: what each request must say, and what each answer tells.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use s3s::crypto::{Checksum as _, Md5};
use towline_testserver::TestServer;

use crate::client::{Answer, BUCKET, Client, Upload, server};

const METHOD: &str = "x-amz-server-side-encryption";
const KMS_KEY_ID: &str = "x-amz-server-side-encryption-aws-kms-key-id";
const CONTEXT: &str = "x-amz-server-side-encryption-context";
const BUCKET_KEY: &str = "x-amz-server-side-encryption-bucket-key-enabled";
const ALGORITHM: &str = "x-amz-server-side-encryption-customer-algorithm";
const KEY: &str = "x-amz-server-side-encryption-customer-key";
const KEY_MD5: &str = "x-amz-server-side-encryption-customer-key-md5";
const MD5_OF_HELLO: &str = "\"5d41402abc4b2a76b9719d911017c592\"";

/// A key of the client's own, as headers.
struct CustomerKey {
    key: String,
    md5: String,
}

impl CustomerKey {
    fn of(byte: u8) -> Self {
        let key = [byte; 32];
        Self {
            key: BASE64.encode(key),
            md5: BASE64.encode(Md5::checksum(&key)),
        }
    }

    fn headers(&self) -> [(&str, &str); 3] {
        [
            (ALGORITHM, "AES256"),
            (KEY, &self.key),
            (KEY_MD5, &self.md5),
        ]
    }

    #[track_caller]
    fn is_told(&self, answer: &Answer) {
        assert_eq!(answer.header(ALGORITHM), "AES256");
        assert_eq!(answer.header(KEY_MD5), self.md5);
        for absent in [KEY, METHOD] {
            assert!(!answer.headers.contains_key(absent), "{absent}");
        }
    }
}

#[track_caller]
fn told(answer: &Answer, headers: &[(&str, &str)]) {
    for (name, value) in headers {
        assert_eq!(answer.header(name), *value, "{name}");
    }
    for absent in [METHOD, KMS_KEY_ID, CONTEXT, BUCKET_KEY, ALGORITHM, KEY_MD5] {
        let expected = headers.iter().any(|(name, _)| *name == absent);
        assert_eq!(answer.headers.contains_key(absent), expected, "{absent}");
    }
}

/// Uploads in parts with these headers on Create. Gives the four answers by name.
async fn in_parts(client: &Client, headers: &[(&str, &str)]) -> (Answer, Answer, Answer) {
    let create = client.send("POST", "/multi?uploads=", headers, "").await;
    let id = create.tag("UploadId");
    let upload = Upload {
        client,
        key: "multi",
        id,
    };
    let part = upload.part(1, "hello").await.expect(200);
    let complete = upload.complete(&[(1, &part.etag())], &[]).await.expect(200);
    (create.expect(200), part, complete)
}

#[tokio::test]
async fn keys_of_s3_are_told_even_when_nobody_asked() {
    let (_server, client) = server().await;
    for headers in [&[][..], &[(METHOD, "AES256")]] {
        let put = client
            .send("PUT", "/put", headers, "hello")
            .await
            .expect(200);
        assert_eq!(put.etag(), MD5_OF_HELLO);
        told(&put, &[(METHOD, "AES256")]);
        let (create, part, complete) = in_parts(&client, headers).await;
        assert_eq!(part.etag(), MD5_OF_HELLO);
        for answer in [create, part, complete] {
            told(&answer, &[(METHOD, "AES256")]);
        }
        for key in ["/put", "/multi"] {
            let head = client.send("HEAD", key, &[], "").await.expect(200);
            told(&head, &[(METHOD, "AES256")]);
            told(&client.get(key).await.expect(200), &[(METHOD, "AES256")]);
        }
    }
}

#[tokio::test]
async fn kms_keys_are_told_on_every_answer_and_the_etag_is_no_md5() {
    let (_server, client) = server().await;
    let arn = "arn:aws:kms:us-east-1:123456789012:key/1234";
    // {"a":"b"}
    let context = "eyJhIjoiYiJ9";
    let asked = [
        (METHOD, "aws:kms"),
        (KMS_KEY_ID, arn),
        (CONTEXT, context),
        (BUCKET_KEY, "true"),
    ];
    let later = [(METHOD, "aws:kms"), (KMS_KEY_ID, arn), (BUCKET_KEY, "true")];
    let put = client
        .send("PUT", "/put", &asked, "hello")
        .await
        .expect(200);
    told(&put, &asked);
    assert_ne!(put.etag(), MD5_OF_HELLO);
    assert_eq!(put.etag().len(), MD5_OF_HELLO.len());
    let (create, part, complete) = in_parts(&client, &asked).await;
    told(&create, &asked);
    told(&part, &later);
    told(&complete, &later);
    assert_ne!(part.etag(), MD5_OF_HELLO);
    assert!(complete.tag("ETag").ends_with("-1\""));
    for (key, etag) in [("/put", put.etag()), ("/multi", complete.tag("ETag"))] {
        for method in ["HEAD", "GET"] {
            let read = client.send(method, key, &[], "").await.expect(200);
            told(&read, &later);
            assert_eq!(read.etag(), etag);
        }
    }
}

#[tokio::test]
async fn a_kms_key_is_told_by_its_arn_whatever_it_was_called_by() {
    let (_server, client) = server().await;
    let put = async |headers: &[(&str, &str)]| {
        let put = client.send("PUT", "/key", headers, "hello").await;
        put.expect(200).header(KMS_KEY_ID).to_owned()
    };
    let account = "arn:aws:kms:us-east-1:123456789012:key/";
    let by_id = put(&[(METHOD, "aws:kms:dsse"), (KMS_KEY_ID, "1234")]).await;
    assert_eq!(by_id, format!("{account}1234"));
    let of_the_account = put(&[(METHOD, "aws:kms")]).await;
    let by_alias = put(&[(METHOD, "aws:kms"), (KMS_KEY_ID, "alias/aws/s3")]).await;
    assert!(of_the_account.starts_with(account));
    assert_eq!(by_alias, of_the_account);
}

#[tokio::test]
async fn what_s3_does_not_encrypt_with_is_refused() {
    let (_server, client) = server().await;
    let customer = CustomerKey::of(1);
    let [algorithm, key, md5] = customer.headers();
    for headers in [
        &[(METHOD, "rot13")][..],
        &[(METHOD, "AES256"), (KMS_KEY_ID, "1234")],
        &[(KMS_KEY_ID, "1234")],
        &[(METHOD, "aws:kms"), (CONTEXT, "{}")],
        &[(METHOD, "aws:kms"), (CONTEXT, "WzFd")],
        &[(METHOD, "AES256"), algorithm, key, md5],
        &[algorithm],
        &[algorithm, key],
        &[algorithm, md5],
        &[key, md5],
        &[algorithm, (KEY, "dG9vIHNob3J0"), md5],
        &[algorithm, key, (KEY_MD5, "AAAAAAAAAAAAAAAAAAAAAA==")],
    ] {
        let put = client.send("PUT", "/key", headers, "hello").await;
        put.expect_error(400, "InvalidArgument");
        let create = client.send("POST", "/key?uploads=", headers, "").await;
        create.expect_error(400, "InvalidArgument");
    }
    let other = [(ALGORITHM, "AES128"), key, md5];
    let put = client.send("PUT", "/key", &other, "hello").await;
    put.expect_error(400, "InvalidEncryptionAlgorithmError");
}

#[tokio::test]
async fn an_object_under_a_customers_key_is_read_with_that_key_only() {
    let (_server, client) = server().await;
    let (right, wrong) = (CustomerKey::of(1), CustomerKey::of(2));
    let put = client
        .send("PUT", "/key", &right.headers(), "hello")
        .await
        .expect(200);
    right.is_told(&put);
    assert_ne!(put.etag(), MD5_OF_HELLO);

    let read =
        async |method, headers: &[(&str, &str)]| client.send(method, "/key", headers, "").await;
    let get = read("GET", &right.headers()).await.expect(200);
    right.is_told(&get);
    assert_eq!((get.etag(), &get.body[..]), (put.etag(), &b"hello"[..]));
    right.is_told(&read("HEAD", &right.headers()).await.expect(200));

    read("GET", &[]).await.expect_error(400, "InvalidRequest");
    read("HEAD", &[]).await.expect(400);
    read("GET", &wrong.headers())
        .await
        .expect_error(403, "AccessDenied");
    read("HEAD", &wrong.headers()).await.expect(403);
    read("GET", &right.headers()[..1])
        .await
        .expect_error(400, "InvalidArgument");

    client.put("/plain", "hello").await.expect(200);
    let plain = client.send("GET", "/plain", &right.headers(), "").await;
    plain.expect_error(400, "InvalidRequest");
    let method = client
        .send("GET", "/plain", &[(METHOD, "AES256")], "")
        .await;
    method.expect_error(400, "InvalidArgument");
}

#[tokio::test]
async fn parts_need_the_key_their_upload_was_opened_with() {
    let (_server, client) = server().await;
    let (right, wrong) = (CustomerKey::of(1), CustomerKey::of(2));
    let create = client
        .send("POST", "/key?uploads=", &right.headers(), "")
        .await
        .expect(200);
    right.is_told(&create);
    let upload = Upload {
        client: &client,
        key: "key",
        id: create.tag("UploadId"),
    };
    upload
        .part(1, "hello")
        .await
        .expect_error(400, "InvalidRequest");
    let part = upload.part_with(1, &wrong.headers(), "hello").await;
    part.expect_error(400, "InvalidRequest");
    let part = upload.part_with(1, &right.headers(), "hello").await;
    let part = part.expect(200);
    right.is_told(&part);
    assert_ne!(part.etag(), MD5_OF_HELLO);

    upload.list("").await.expect(200);
    let path = format!("/key?uploadId={}", upload.id);
    let list = client.send("GET", &path, &right.headers(), "").await;
    assert_eq!(list.expect(200).tags("ETag"), [part.etag()]);
    let list = client.send("GET", &path, &wrong.headers(), "").await;
    list.expect_error(400, "InvalidRequest");
    let parts = [(1, &*part.etag())];
    let complete = upload.complete(&parts, &wrong.headers()).await;
    complete.expect_error(400, "InvalidRequest");
    told(&upload.complete(&parts, &[]).await.expect(200), &[]);
    client.get("/key").await.expect_error(400, "InvalidRequest");
    let get = client.send("GET", "/key", &right.headers(), "").await;
    assert_eq!(get.expect(200).body, "hello");

    let plain = Upload::create(&client, "plain", &[]).await;
    let part = plain.part_with(1, &right.headers(), "hello").await;
    part.expect_error(400, "InvalidRequest");
    let part = plain.part_with(1, &[(METHOD, "AES256")], "hello").await;
    part.expect_error(400, "InvalidArgument");
}

#[tokio::test]
async fn an_upload_with_checksums_is_completed_and_listed_with_its_key() {
    let (_server, client) = server().await;
    let key = CustomerKey::of(1);
    let mut headers = key.headers().to_vec();
    headers.push(("x-amz-checksum-algorithm", "CRC64NVME"));
    let upload = Upload::create(&client, "key", &headers).await;
    let part = upload.part_with(1, &key.headers(), "hello").await;
    let etag = part.expect(200).etag();
    upload.list("").await.expect_error(400, "InvalidRequest");
    upload
        .complete(&[(1, &etag)], &[])
        .await
        .expect_error(400, "InvalidRequest");
    upload
        .complete(&[(1, &etag)], &key.headers())
        .await
        .expect(200);
}

#[tokio::test]
async fn a_customers_key_is_kept_nowhere() {
    let directory = tempfile::tempdir().unwrap();
    let server = TestServer::builder()
        .directory(directory.path())
        .bucket(BUCKET)
        .start()
        .await
        .unwrap();
    let client = Client::of(&server);
    let key = CustomerKey::of(7);
    client
        .send("PUT", "/put", &key.headers(), "hello")
        .await
        .expect(200);
    let upload = Upload::create(&client, "multi", &key.headers()).await;
    let part = upload.part_with(1, &key.headers(), "hello").await;
    part.expect(200);

    let mut files = 0;
    let mut folders = vec![directory.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let bytes = std::fs::read(&path).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains(&key.key), "{}", path.display());
            assert!(!bytes.windows(32).any(|bytes| bytes == [7; 32]));
        }
    }
    assert!(files >= 5, "{files}");
    let history = format!("{:?}", server.history().requests());
    assert!(history.contains(&key.md5) && !history.contains(&key.key));

    server.shutdown().await;
    let server = TestServer::builder()
        .directory(directory.path())
        .start()
        .await
        .unwrap();
    let client = Client::of(&server);
    client.get("/put").await.expect_error(400, "InvalidRequest");
    let get = client.send("GET", "/put", &key.headers(), "").await;
    key.is_told(&get.expect(200));
}
