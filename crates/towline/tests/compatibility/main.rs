//! T56: whatever an upload may say of its object is kept, and HEAD and GET give
//! it back the same after one PUT and after a multipart upload; asked by a client
//! that is not ours, of the embedded server and of three that are not ours.
//!
//! What those three support is a table in `docs/compatibility.md`, which this test
//! holds against what they do.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod options;
mod seaweedfs;
mod verify;

use std::collections::BTreeMap;

use serde_json::Value;
use towline::{
    Connection, ConnectionSource, Credentials, CustomerKey, State, StaticCredentials,
    TransferUtility, UploadMode,
};
use towline_testkit::foreign::{ForeignServer, boto};
use towline_testserver::TestServer;

use options::{KEY, Kept, OPTIONS};

const SIZE: usize = (5 << 20) + 1;

async fn open(endpoint: &str, dir: &std::path::Path) -> TransferUtility {
    let connection = Connection {
        source: ConnectionSource::Registered("test".into()),
        endpoint: Some(endpoint.into()),
        region: Some("us-east-1".into()),
        ..Connection::default()
    };
    TransferUtility::builder()
        .state_dir(dir.join("state"))
        .connection(connection)
        .credentials(
            "test",
            StaticCredentials(Credentials::new("test", "testsecret")),
        )
        .customer_key("own", CustomerKey::new(*KEY))
        .retry_limit(2) // some options are refused as internal errors
        .open()
        .await
        .unwrap()
}

/// What a server shows of each object that was uploaded with one option, in one
/// PUT and in parts.
async fn shown(endpoint: &str) -> BTreeMap<&'static str, [Value; 2]> {
    let dir = tempfile::tempdir().unwrap();
    let utility = open(endpoint, dir.path()).await;
    let source = dir.path().join("source.txt");
    let bytes: Vec<u8> = (0..SIZE).map(|i| (i % 241) as u8).collect();
    std::fs::write(&source, &bytes).unwrap();
    let mut asked = Vec::new();
    for option in OPTIONS {
        for mode in [UploadMode::Single, UploadMode::Multipart] {
            let bucket = option.bucket(endpoint_is_ours(endpoint));
            let key = format!("{} {mode:?}", option.name);
            let request = utility.upload(bucket, &key, &source).mode(mode);
            let request = (option.set)(request);
            let observer = request.await.unwrap();
            let end = observer.finished().await.unwrap();
            if end.state != State::Completed {
                assert!(!endpoint_is_ours(endpoint), "{key}: {:?}", end.error);
                asked.push(serde_json::json!({"refused": end.error.unwrap().message}));
                continue;
            }
            let request = utility.download_stream(bucket, &key);
            let back = (option.read)(request).to_bytes().await.unwrap();
            assert!(back == bytes, "{key}: other bytes came back");
            asked.push(serde_json::json!({"bucket": bucket, "key": key, "args": (option.args)()}));
        }
    }
    utility.close().await.unwrap();
    let endpoint = endpoint.to_owned();
    let script = format!(
        "asked = json.loads({:?})\n{}",
        Value::from(asked).to_string(),
        SHOW
    );
    let output = tokio::task::spawn_blocking(move || boto(&endpoint, &script))
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let all: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let mut pairs = all.chunks_exact(2);
    OPTIONS
        .iter()
        .map(|option| {
            let pair = pairs.next().unwrap();
            (option.name, [pair[0].clone(), pair[1].clone()])
        })
        .collect()
}

fn endpoint_is_ours(endpoint: &str) -> bool {
    OURS.get().is_some_and(|ours| ours == endpoint)
}

/// The embedded server's, which has to keep every option.
static OURS: std::sync::OnceLock<String> = std::sync::OnceLock::new();

/// HEAD and GET have to say the same; then what they and the operations for tags
/// and ACLs say, without what differs between any two objects.
const SHOW: &str = r#"
def ask(operation, about, args):
    try:
        answer = operation(Bucket=about["bucket"], Key=about["key"], **args)
    except Exception as error:
        return {"error": str(error)[:200]}
    for name in ("ResponseMetadata", "ETag", "LastModified", "Body", "VersionId", "AcceptRanges",
                 "ChecksumType", "PartsCount", "TagCount"):
        answer.pop(name, None)
    return answer
out = []
for about in asked:
    if "refused" in about:
        out.append(about)
        continue
    args = dict(about["args"])
    owner = {name: args[name] for name in args if not name.startswith("SSE")}
    read = dict(args, ChecksumMode="ENABLED")
    head, get = ask(s3.head_object, about, read), ask(s3.get_object, about, read)
    head = json.loads(json.dumps(head, default=str))
    get = json.loads(json.dumps(get, default=str))
    tags = ask(s3.get_object_tagging, about, owner)
    acl = ask(s3.get_object_acl, about, owner)
    out.append({"head": head, "get": get, "tags": tags, "acl": acl})
print(json.dumps(out, default=str))
"#;

fn kept(option: &options::Tried, pair: &[Value; 2]) -> Kept {
    let [single, multipart] = pair;
    if single.get("refused").is_some() || multipart.get("refused").is_some() {
        return Kept::Refused;
    }
    let in_one = (option.is_kept)(single);
    let in_parts = (option.is_kept)(multipart);
    match (in_one, in_parts) {
        (true, true) => Kept::Yes,
        (false, false) => Kept::No,
        _ => Kept::InOneModeOnly,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t56_every_option_is_kept_in_one_put_and_in_parts_by_the_embedded_server() {
    let server = TestServer::builder()
        .bucket("bucket")
        .bucket("paid")
        .requester_pays("paid")
        .start()
        .await
        .unwrap();
    OURS.set(server.endpoint()).unwrap();
    let shown = shown(&server.endpoint()).await;
    for option in OPTIONS {
        let pair @ [single, multipart] = &shown[option.name];
        assert_eq!(kept(option, pair), Kept::Yes, "{}: {pair:#?}", option.name);
        assert_eq!(single, multipart, "{}", option.name);
        assert_eq!(single["head"], single["get"], "{}", option.name);
    }
}

/// The column of a server in the page's table.
fn documented(server: &str) -> BTreeMap<String, String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/compatibility.md");
    let page = std::fs::read_to_string(path).unwrap();
    let row = |line: &str| -> Vec<String> {
        line.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let table = page
        .lines()
        .skip_while(|line| !line.starts_with("| Option |"));
    let mut lines = table.take_while(|line| line.starts_with('|')).map(row);
    let heading = lines.next().unwrap();
    let column = heading.iter().position(|name| name == server).unwrap();
    lines
        .skip(1)
        .map(|cells| (cells[1].clone(), cells[column].clone()))
        .collect()
}

async fn is_as_documented(server: ForeignServer, name: &str) {
    let shown = shown(server.endpoint()).await;
    let found: BTreeMap<String, String> = OPTIONS
        .iter()
        .map(|option| {
            (
                option.name.into(),
                kept(option, &shown[option.name]).to_string(),
            )
        })
        .collect();
    let table: String = found
        .iter()
        .map(|(name, kept)| format!("| {name} | {kept} |\n"))
        .collect();
    assert_eq!(
        found,
        documented(name),
        "what {name} does:\n{table}\n{shown:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn t56_seaweedfs_keeps_what_the_page_says() {
    is_as_documented(ForeignServer::seaweedfs(), "SeaweedFS").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t56_moto_keeps_what_the_page_says() {
    is_as_documented(ForeignServer::moto(), "moto").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t56_ceph_keeps_what_the_page_says() {
    is_as_documented(ForeignServer::ceph(), "Ceph").await;
}
