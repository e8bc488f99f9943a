//! Files that a browser sends.

use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::served::{BUCKET, LONG, Served};

fn spooled(served: &Served) -> usize {
    let entries = std::fs::read_dir(served.path("state/spool"));
    entries.map_or(0, Iterator::count)
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < LONG, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_file_is_uploaded_and_removed() {
    let served = Served::start().await;
    let bytes: Vec<u8> = (0..3 << 20).map(|n: u32| (n % 251) as u8).collect();
    let kept = served.http.ask("PUT", "/v1/spool?name=photo.jpg", &bytes);
    assert_eq!(kept.status, 200, "{}", kept.json());
    let kept = kept.json();
    assert_eq!(
        (&kept["bytes"], &kept["expires_in"]),
        (&json!(3 << 20), &json!(3600))
    );
    let path = Path::new(kept["path"].as_str().unwrap()).to_owned();
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    let request = json!({ "type": "upload", "bucket": BUCKET, "key": "k", "path": path });
    let id = served.submit_one(request);
    served.until(id, "completed").await;
    until("the copy goes", || spooled(&served) == 0).await;
    let stored = served.utility.head(BUCKET, "k").await.unwrap();
    assert_eq!(stored.content_type.as_deref(), Some("image/jpeg"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_cut_off_or_has_no_room_leaves_nothing() {
    let served = Served::with(|service, _| service.spool_quota = 100).await;
    let refused = served.http.ask("PUT", "/v1/spool?name=a", &[7; 101]);
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (507, "SpoolFull")
    );
    let chunked = [("Content-Length", ""), ("Transfer-Encoding", "chunked")];
    let refused = served
        .http
        .with("PUT", "/v1/spool?name=a", &chunked, b"1\r\nx\r\n0\r\n\r\n");
    assert_eq!((refused.status, refused.code().as_str()), (411, "NoLength"));
    assert_eq!(spooled(&served), 0);
    let mut stream = TcpStream::connect(served.http.address).unwrap();
    let head = format!(
        "PUT /v1/spool?name=a HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: 100\r\n\r\nhalf",
        served.http.host(),
        served.http.token
    );
    stream.write_all(head.as_bytes()).unwrap();
    until("it comes", || spooled(&served) == 1).await;
    let refused = served.http.ask("PUT", "/v1/spool?name=a", &[7; 1]);
    assert_eq!(refused.code(), "SpoolFull");
    drop(stream);
    until("it goes", || spooled(&served) == 0).await;
    assert_eq!(
        served.http.ask("PUT", "/v1/spool?name=a", &[7; 100]).status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_files_come_at_one_time() {
    let served = Served::start().await;
    let begin = || {
        let mut stream = TcpStream::connect(served.http.address).unwrap();
        let head = format!(
            "PUT /v1/spool?name=a HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/octet-stream\r\nContent-Length: 100\r\n\r\nx",
            served.http.host(),
            served.http.token
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let streams: Vec<_> = (0..8).map(|_| begin()).collect();
    until("all come", || spooled(&served) == 8).await;
    let refused = served.http.ask("PUT", "/v1/spool?name=a", b"x");
    assert_eq!((refused.status, refused.code().as_str()), (429, "TooMany"));
    drop(streams);
    until("all go", || spooled(&served) == 0).await;
    assert_eq!(served.http.ask("PUT", "/v1/spool?name=a", b"x").status, 200);
}
