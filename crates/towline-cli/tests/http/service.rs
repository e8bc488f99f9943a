//! One service, from its start to its end.

use std::process::Command;

use super::Service;
use super::common::{Scene, json_lines, stderr};

fn start(scene: &Scene, log: &str, args: &[&str]) -> Service {
    let args = [&["daemon", "run", "--listen", "127.0.0.1:0"], args].concat();
    Service::start(scene.towline(&args), &scene.path("state"), &scene.path(log))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_logged_in_by_open_and_stays_so_across_a_restart() {
    let scene = Scene::start().await;
    let none = scene.run(&["open", "--print"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(
        stderr(&none).contains("daemon run --listen"),
        "{}",
        stderr(&none)
    );
    let service = start(&scene, "log", &[]);
    let printed = scene.run(&["open", "--print", "--json"]);
    let printed = json_lines(&printed).remove(0);
    let url = printed["url"].as_str().unwrap();
    assert!(
        url.starts_with(&format!("http://{}/#code=", service.address)),
        "{url}"
    );
    let login = format!("{{\"code\":{}}}", printed["code"]);
    let (status, body) = service.ask("POST", "/v1/login", &login);
    assert_eq!((status, body.contains(&service.token)), (200, true));
    // A browser is started with the address; what it is told is used at once.
    let opened = scene.path("opened");
    let browser = scene.path("xdg-open");
    let script = format!("#!/bin/sh\nprintf %s \"$1\" > {}\n", opened.display());
    std::fs::write(&browser, script).unwrap();
    Command::new("chmod")
        .arg("+x")
        .arg(&browser)
        .status()
        .unwrap();
    let mut open = scene.towline(&["open"]);
    let path = format!(
        "{}:{}",
        scene.dir.path().display(),
        std::env::var("PATH").unwrap()
    );
    let output = open.env("PATH", path).output().unwrap();
    if cfg!(target_os = "linux") {
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let opened = std::fs::read_to_string(&opened).unwrap();
        assert!(opened.starts_with(&format!("http://{}/#code=", service.address)));
        let code = opened.split_once("code=").unwrap().1;
        let (status, _) = service.ask("POST", "/v1/login", &format!("{{\"code\":\"{code}\"}}"));
        assert_eq!(status, 200);
    }
    let token = service.token.clone();
    service.stop();
    let service = start(&scene, "log", &[]);
    assert_eq!(service.token, token);
    service.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_listens_nowhere_says_so_and_a_taken_port_is_an_error() {
    let scene = Scene::start().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let failed = scene.run(&["daemon", "run", "--listen", &taken]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(stderr(&failed).contains(&taken), "{}", stderr(&failed));
    for args in [
        &["--listen", "0.0.0.0:0"][..],
        &["--listen", "127.0.0.1"],
        &["--root", "/"],
        &["--listen", "127.0.0.1:0", "--spool-quota", "much"],
    ] {
        let failed = scene.run(&[&["daemon", "run"], args].concat());
        assert_eq!(
            failed.status.code(),
            Some(2),
            "{args:?}: {}",
            stderr(&failed)
        );
    }
    let missing = scene.run(&[
        "daemon",
        "run",
        "--listen",
        "127.0.0.1:0",
        "--root",
        "/missing",
    ]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        stderr(&missing).contains("/missing"),
        "{}",
        stderr(&missing)
    );
    assert!(!scene.path("state/towline.http").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_a_service_that_was_killed_goes_with_the_next_owner() {
    let scene = Scene::start().await;
    let mut service = start(&scene, "log", &[]);
    service.child.kill().unwrap();
    service.child.wait().unwrap();
    let address = scene.path("state/towline.http");
    assert!(address.exists());
    let started = scene.run(&["daemon", "start"]);
    assert!(started.status.success(), "{}", stderr(&started));
    assert!(!address.exists());
    assert!(scene.run(&["daemon", "stop"]).status.success());
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn s22_a_service_leaves_no_core_and_says_no_secret() {
    let scene = Scene::start().await;
    let service = start(&scene, "log", &["-vvvv"]);
    let limits = service.proc("limits");
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let core: Vec<_> = core.unwrap().split_ascii_whitespace().collect();
    assert_eq!(core[4..6], ["0", "0"], "{limits}");
    let printed = scene.run(&["open", "--print", "--json"]);
    let code = json_lines(&printed).remove(0)["code"]
        .as_str()
        .unwrap()
        .to_owned();
    service.ask("POST", "/v1/login", &format!("{{\"code\":\"{code}\"}}"));
    let source = scene.file("source", 10, 1);
    let request =
        serde_json::json!({ "type": "upload", "bucket": "bucket", "key": "key", "path": source });
    let body = serde_json::json!({ "requests": [request] });
    service.ask("POST", "/v1/transfers", &body.to_string());
    let begun = std::time::Instant::now();
    while service.get("/v1/counts")["completed"] != 1 {
        assert!(begun.elapsed() < super::LONG);
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    service.get("/v1/transfers?search=abc");
    let path = format!("/v1/transfers?token={}", service.token);
    assert_eq!(service.ask("GET", &path, "").0, 400);
    let token = service.token.clone();
    service.stop();
    let log = std::fs::read_to_string(scene.path("log")).unwrap();
    assert!(log.contains("TRACE"), "the log says nothing");
    assert!(!log.contains(&token), "the token is in the log");
    assert!(!log.contains(&code), "the code is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_with_open_event_streams_leaves_at_once_when_told() {
    use std::io::{Read, Write};
    let scene = Scene::start().await;
    let service = start(&scene, "log", &[]);
    let mut stream = std::net::TcpStream::connect(&service.address).unwrap();
    let ask = format!(
        "GET /v1/events HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
        service.address, service.token
    );
    stream.write_all(ask.as_bytes()).unwrap();
    let mut first = [0; 64];
    stream.read_exact(&mut first).unwrap();
    service.stop();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("event: handover"), "{rest}");
}
