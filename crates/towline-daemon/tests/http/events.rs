//! Events, to many who follow and to those who do not read.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::client::Http;
use crate::served::{LONG, Served};

fn follow(http: &Http, query: &str) -> TcpStream {
    let mut stream = TcpStream::connect(http.address).unwrap();
    let (host, token) = (http.host(), &http.token);
    let head = format!(
        "GET /v1/events{query} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_over_tcp_and_are_read_on_from_a_cursor() {
    let served = Served::start().await;
    let submitted = served.submit(&[served.upload("a", 10)]).json();
    let cursor = submitted["cursor"].as_str().unwrap().to_owned();
    let mut reader = BufReader::new(follow(&served.http, &format!("?after={cursor}")));
    reader.get_ref().set_read_timeout(Some(LONG)).unwrap();
    let mut kind = String::new();
    loop {
        let mut line = String::new();
        assert_ne!(reader.read_line(&mut line).unwrap(), 0, "the stream ended");
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-type: ") {
            kind = value.trim().to_owned();
        }
        if line.starts_with("data: {") && line.contains("\"state\":\"completed\"") {
            break;
        }
    }
    assert_eq!(kind, "text/event-stream");
}

/// Bytes of this process that are in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib << 10
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_followers_of_which_half_never_read_hold_nothing_up() {
    const FOLLOWERS: usize = 1000;
    const TRANSFERS: usize = 500;
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit {
        current: files.maximum,
        ..files
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
    if files
        .maximum
        .is_some_and(|most| most < 3 * FOLLOWERS as u64)
    {
        eprintln!("left out: only {:?} files may be open here", files.maximum);
        return;
    }
    let served = Served::start().await;
    let socket = served.path("state/towline.sock");
    let mut followers: Vec<UnixStream> = (0..FOLLOWERS)
        .map(|_| {
            let mut stream = UnixStream::connect(&socket).unwrap();
            let ask = b"GET /v1/events HTTP/1.1\r\nHost: towline\r\n\r\n";
            stream.write_all(ask).unwrap();
            // It follows once the first bytes are here.
            let mut first = [0; 16];
            stream.set_read_timeout(Some(LONG)).unwrap();
            stream.read_exact(&mut first).unwrap();
            assert!(first.starts_with(b"HTTP/1.1 200"));
            stream
        })
        .collect();
    let reading = followers.split_off(FOLLOWERS / 2);
    let before = resident();
    let requests: Vec<_> = (0..TRANSFERS)
        .map(|n| served.upload(&format!("{n}"), 10))
        .collect();
    assert_eq!(served.submit(&requests).status, 200);
    let begun = Instant::now();
    loop {
        let done = served.http.get("/v1/counts").json()["completed"]
            .as_u64()
            .unwrap();
        if done == TRANSFERS as u64 {
            break;
        }
        assert!(begun.elapsed() < LONG, "{done} of {TRANSFERS} are done");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Each that reads hears of every end.
    let heard = tokio::task::spawn_blocking(move || {
        for (n, stream) in reading.into_iter().enumerate().step_by(50) {
            let mut ends = std::collections::HashSet::new();
            for line in BufReader::new(stream).lines() {
                let line = line.unwrap_or_else(|error| panic!("follower {n}: {error}"));
                let Some(data) = line.strip_prefix("data: {") else {
                    continue;
                };
                if data.contains("\"state\":\"completed\"") {
                    let id = data.split([':', ',']).nth(1).unwrap().to_owned();
                    assert!(ends.insert(id), "follower {n} heard of an end twice");
                }
                if ends.len() == TRANSFERS {
                    break;
                }
            }
            assert_eq!(ends.len(), TRANSFERS, "follower {n}");
        }
    });
    heard.await.unwrap();
    let grown = resident().saturating_sub(before);
    println!(
        "1,000 followers: {} MiB more, {:?}",
        grown >> 20,
        begun.elapsed()
    );
    // What 500 changes are for 1,000 followers would be 500 MB, kept for each.
    assert!(grown < 150 << 20, "{} MiB more in memory", grown >> 20);
}
