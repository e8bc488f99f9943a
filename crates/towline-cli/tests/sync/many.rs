//! Very many objects: some thousands here. With `TOWLINE_SYNC_FILES`,
//! `TOWLINE_SYNC_KILLS` and `TOWLINE_PLAN_KEYS` as many as `bench/README.md` has
//! figures of.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use towline_testserver::Operation;

use crate::common::{BUCKET, Scene, spawn, stderr, towline};
use crate::{UP, object, synced, write};

/// How many requests there are at one time, at most.
const IN_FLIGHT: usize = 32;

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |number| number.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn very_many_small_files_killed_again_and_again_are_each_sent_once_but_for_those_in_flight() {
    let scene = Scene::start().await;
    let files = number("TOWLINE_SYNC_FILES", 2000);
    let kills = number("TOWLINE_SYNC_KILLS", 4);
    let name = |n: usize| format!("{:02}/{n:06}", n % 100);
    for n in 0..files {
        write(&scene, &format!("src/{}", name(n)), format!("file {n}"));
    }
    let source = scene.path("src").to_str().unwrap().to_owned();
    let requests = IN_FLIGHT.to_string();
    let line = ["sync", &source, UP, "--concurrency", &requests];
    let sent = || {
        scene
            .server
            .history()
            .count_where(|it| it.received_whole && it.operation == Operation::PutObject)
    };
    let begun = Instant::now();
    for kill in 1..=kills {
        let mut child = spawn(scene.towline(&line));
        let deadline = Instant::now() + Duration::from_secs(600);
        while sent() < files * kill / (kills + 1) {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
            assert!(Instant::now() < deadline, "nothing is sent");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
    }
    let told = synced(&scene, "src", UP, &["--concurrency", &requests]);
    println!(
        "{files} files, {kills} kills, {} sent, {:?}",
        sent(),
        begun.elapsed()
    );
    assert!(told["failed"].as_object().unwrap().is_empty(), "{told}");
    assert!(sent() >= files);
    assert!(sent() <= files + kills * IN_FLIGHT, "{}", sent());
    for n in 0..files {
        let there = object(&scene, &name(n));
        assert_eq!(there.unwrap(), format!("file {n}").as_bytes(), "{n}");
    }
    assert_eq!(scene.server.open_uploads(BUCKET), []);
    let again = synced(&scene, "src", UP, &[]);
    assert_eq!(again["done"], 0, "{again}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_plan_of_very_many_objects_takes_no_more_memory_than_one_of_a_few() {
    let many = number("TOWLINE_PLAN_KEYS", 200_000);
    let few = planned(20_000);
    let most = planned(many);
    println!("a plan of 20,000: {few} KiB, of {many}: {most} KiB");
    assert!(most <= few + (16 << 10), "{few} KiB, then {most} KiB");
}

/// Plans to download so many objects; the most memory that it took, in KiB.
fn planned(keys: usize) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = lists(keys);
    let target = dir.path().join("dst");
    std::fs::create_dir(&target).unwrap();
    let line = ["sync", UP, target.to_str().unwrap(), "--dry-run", "--json"];
    let mut command = towline(&endpoint, &dir.path().join("state"), &line);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (pid, mut planned, mut memory) = (child.id(), 0, 0);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        planned += usize::from(line.unwrap().contains("\"action\""));
        if planned % 10_000 == 0 {
            memory = memory.max(peak_memory(pid).unwrap_or(0));
        }
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(planned, keys);
    memory
}

fn peak_memory(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// A server that has so many objects, and does nothing but list them. Gives its
/// endpoint.
fn lists(keys: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream, keys));
        }
    });
    endpoint
}

/// Answers every request of a connection with the page that it asks for: the
/// token is the number of its first key.
fn answer(stream: TcpStream, keys: usize) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.parse().ok())?
        });
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body).ok()?;
        let token = head.split_once("continuation-token=");
        let first: usize = token.map_or(0, |(_, rest)| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().unwrap()
        });
        let page = page(first, keys);
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\ncontent-length: {}\r\n\r\n",
            page.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(page.as_bytes()).ok()?;
    }
}

fn page(first: usize, keys: usize) -> String {
    use std::fmt::Write as _;

    let last = keys.min(first + 1000);
    let mut page = String::from("<ListBucketResult>");
    match last < keys {
        true => write!(
            page,
            "<IsTruncated>true</IsTruncated><NextContinuationToken>{last}</NextContinuationToken>"
        ),
        false => write!(page, "<IsTruncated>false</IsTruncated>"),
    }
    .unwrap();
    for n in first..last {
        write!(
            page,
            "<Contents><Key>p/{:04}/{n:08}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>\
             <ETag>&quot;{n:032x}&quot;</ETag><Size>4096</Size></Contents>",
            n / 5000
        )
        .unwrap();
    }
    page + "</ListBucketResult>"
}
