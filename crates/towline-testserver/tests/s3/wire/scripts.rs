//! Scripts as a whole: read, replaced while the server runs, and repeated.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use towline_testserver::{Answer, Operation, Rule, Script, TestServer};

use crate::client::{BUCKET, Client, server};

/// The faults of a run of requests, by what was asked.
async fn faults_of_a_run(script: &Script, keys: impl Iterator<Item = u32>) -> Vec<String> {
    let (server, client) = server().await;
    server.faults().play(script.clone()).unwrap();
    for key in keys {
        for _ in 0..2 {
            client.put(&format!("/{key}"), "hello").await;
        }
    }
    let requests = server.history().requests();
    let mut faults: Vec<String> = requests
        .into_iter()
        .filter_map(|request| Some(format!("{:?} {}", request.key, request.fault?)))
        .collect();
    faults.sort();
    faults
}

#[tokio::test]
async fn the_same_script_gives_the_same_faults_in_any_order() {
    let rule = |probability| Rule::on(Operation::PutObject).probability(probability);
    let script = Script::new()
        .seed(11)
        .rule(rule(0.3).answer(Answer::error(503, "SlowDown")))
        .rule(rule(0.3).answer(Answer::error(500, "InternalError")));
    let once = faults_of_a_run(&script, 0..40).await;
    let again = faults_of_a_run(&script, (0..40).rev()).await;
    assert_eq!(once, again);
    assert!((10..=70).contains(&once.len()), "{} of 80", once.len());
    assert!(once.iter().any(|fault| fault.contains("SlowDown")));
    assert!(once.iter().any(|fault| fault.contains("InternalError")));
    let other = faults_of_a_run(&script.seed(12), 0..40).await;
    assert_ne!(once, other);
}

#[tokio::test]
async fn the_history_tells_what_was_done() {
    let (server, client) = server().await;
    let rule = Rule::on(Operation::PutObject).first(1);
    let script = Script::new().rule(rule.answer(Answer::error(503, "SlowDown")));
    server.faults().play(script).unwrap();
    client.put("/key", "hello").await.expect(503);
    client.put("/key", "hello").await.expect(200);
    let faults: Vec<Option<String>> = server
        .history()
        .requests()
        .into_iter()
        .map(|request| request.fault)
        .collect();
    let first = r#"rule 1: {"answer":{"status":503,"code":"SlowDown"}}"#.to_owned();
    assert_eq!(faults, [Some(first), None]);
}

async fn ask(port: u16, line: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_script_is_replaced_and_taken_back_while_the_server_runs() {
    let (server, client) = server().await;
    let script = r#"{"rules": [{"match": {"key": "key"}, "act": {"answer": {"status": 418}}}]}"#;
    let answer = ask(server.port(), "PUT /_towline/script", script).await;
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    client.get("/key").await.expect(418);
    let answer = ask(server.port(), "PUT /_towline/script", r#"{"rule": []}"#).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(
        answer.contains("not a script: unknown field `rule`"),
        "{answer}"
    );
    client.get("/key").await.expect(418);
    let answer = ask(server.port(), "DELETE /_towline/script", "").await;
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    client.get("/key").await.expect(404);
}

/// The standalone server, ended with the test.
struct Standalone(Child);

impl Drop for Standalone {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn standalone(script: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_towline-testserver"));
    command.args(["--bucket", BUCKET, "--script"]).arg(script);
    command
}

#[tokio::test]
async fn the_standalone_server_plays_a_script_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("script.json");
    std::fs::write(
        &file,
        r#"{"rules": [{"act": {"answer": {"status": 418}}}]}"#,
    )
    .unwrap();
    let mut child = standalone(&file).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let _server = Standalone(child);
    let port = line.trim().rsplit(':').next().unwrap();
    let answer = ask(port.parse().unwrap(), "GET /bucket/key", "").await;
    assert!(answer.starts_with("HTTP/1.1 418"), "{answer}");

    std::fs::write(&file, r#"{"rules": [{"act": {"apply": "perhaps"}}]}"#).unwrap();
    let output = standalone(&file).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr.contains("script.json: not a script: unknown variant `perhaps`"),
        "{stderr}"
    );
}

#[tokio::test]
async fn a_script_that_cannot_be_played_changes_nothing() {
    let server = TestServer::builder().bucket(BUCKET).start().await.unwrap();
    server
        .faults()
        .fail_next(Operation::GetObject, 1, 418, "Teapot");
    let wrong = Script::new().rule(Rule::on_any().apply(towline_testserver::Apply::No));
    let error = server.faults().play(wrong).unwrap_err();
    assert!(error.to_string().starts_with("rule 1: "), "{error}");
    Client::of(&server).get("/key").await.expect(418);
}

fn page() -> String {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/faults.md");
    std::fs::read_to_string(page).unwrap()
}

/// The code spans in the tables of docs/faults.md.
fn examples() -> Vec<String> {
    let page = page();
    let rows = page.lines().filter(|line| line.starts_with('|'));
    rows.flat_map(|row| {
        let spans = row.split('`').skip(1).step_by(2);
        spans.map(str::to_owned).collect::<Vec<_>>()
    })
    .collect()
}

#[test]
fn every_example_of_the_page_is_a_script() {
    let (mut acts, mut globals) = (0, 0);
    for example in examples() {
        if example.starts_with('{') && !example.contains(": n}") {
            let json = format!(r#"{{"rules": [{{"act": {example}}}]}}"#);
            Script::from_json(&json).unwrap_or_else(|error| panic!("{example}: {error:?}"));
            acts += 1;
        } else if example.starts_with('"') && example.contains("\": ") {
            let json = match example.starts_with("\"match\"") {
                true => format!(r#"{{"rules": [{{{example}, "act": {{}}}}]}}"#),
                false => format!("{{{example}}}"),
            };
            Script::from_json(&json).unwrap_or_else(|error| panic!("{example}: {error:?}"));
            globals += 1;
        }
    }
    assert!(
        acts >= 35 && globals >= 10,
        "{acts} acts, {globals} globals"
    );
}
