//! How many requests the API answers on loopback, and how long the slowest
//! take. The figures are printed; what is asserted is far below them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::Service;
use super::common::Scene;

/// Connections that ask without a pause.
const CONNECTIONS: usize = 8;
/// How long; `TOWLINE_LOAD` seconds for the figures.
const SECONDS: u64 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn the_api_answers_many_requests_and_lets_none_wait_long() {
    let seconds = std::env::var("TOWLINE_LOAD").map_or(SECONDS, |it| it.parse().unwrap());
    let scene = Scene::start().await;
    let args = ["daemon", "run", "--listen", "127.0.0.1:0"];
    let service = Service::start(
        scene.towline(&args),
        &scene.path("state"),
        &scene.path("log"),
    );
    for batch in 0..5 {
        let requests = (0..100).map(|n| {
            let name = format!("{batch}-{n}");
            let path = scene.file(&name, 10, n);
            serde_json::json!({ "type": "upload", "bucket": "bucket", "key": name, "path": path })
        });
        let body = serde_json::json!({ "requests": requests.collect::<Vec<_>>() });
        assert_eq!(
            service.ask("POST", "/v1/transfers", &body.to_string()).0,
            200
        );
    }
    let begun = Instant::now();
    while service.get("/v1/counts")["completed"] != 500 {
        assert!(begun.elapsed() < super::LONG);
        std::thread::sleep(Duration::from_millis(50));
    }
    for path in [
        "/v1/about",
        "/v1/counts",
        "/v1/transfers/250",
        "/v1/transfers?limit=100",
    ] {
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut times: Vec<Duration> = std::thread::scope(|scope| {
            let all = (0..CONNECTIONS).map(|_| scope.spawn(|| ask_until(&service, path, end)));
            let all: Vec<_> = all.collect();
            all.into_iter()
                .flat_map(|one| one.join().unwrap())
                .collect()
        });
        times.sort();
        let rate = times.len() as u64 / seconds;
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        println!(
            "{path}: {rate}/s; median {:?}, 99 % {:?}, 99.9 % {:?}, slowest {:?}",
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0)
        );
        assert!(rate > 20, "{path}: {rate}/s");
        assert!(at(0.99) < Duration::from_secs(5), "{path}: {:?}", at(0.99));
    }
    service.stop();
}

/// Asks again and again on one connection; how long each answer took.
fn ask_until(service: &Service, path: &str, end: Instant) -> Vec<Duration> {
    let stream = TcpStream::connect(&service.address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream);
    let (host, token) = (&service.address, &service.token);
    let ask =
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n");
    let mut times = Vec::new();
    while Instant::now() < end {
        let begun = Instant::now();
        reader.get_mut().write_all(ask.as_bytes()).unwrap();
        let mut length = 0;
        let mut first = String::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if first.is_empty() {
                first.clone_from(&line);
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        assert!(first.starts_with("HTTP/1.1 200"), "{first}");
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        times.push(begun.elapsed());
    }
    times
}
