//! This machine's own faults, as the command tells them: FAILURES.md, section 5.
//! The rows themselves are shown in `towline`'s tests of the same name.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod common;

use std::io::Write;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use common::{BUCKET, Scene, bytes, json_lines, stderr};
use towline_testkit::small_disk::SmallDisk;
use towline_testserver::{Operation, Point, Rule, Script};

const MIB: u64 = 1 << 20;

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ends by itself, soon.
fn ends(mut child: Child) -> Output {
    until("the command ends", || child.try_wait().unwrap().is_some());
    child.wait_with_output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn f60_a_command_that_waits_for_room_says_how_much_is_needed_and_goes_on() {
    let Some(disk) = SmallDisk::mount(8 * MIB) else {
        return;
    };
    let scene = Scene::start().await;
    let content = bytes(6 * MIB, 1);
    let put = scene.server.put_object(BUCKET, "key", content.clone());
    put.await.unwrap();
    let filler = disk.path("filler");
    std::fs::write(&filler, bytes(4 * MIB, 2)).unwrap();
    let target = disk.path("target");
    let args = ["download", "s3://bucket/key", target.to_str().unwrap()];
    let child = scene.towline(&args).spawn().unwrap();
    let listed = || json_lines(&scene.run(&["list", "--json"])).pop();
    until("it waits for room", || {
        listed().is_some_and(|row| row["reason"] == "disk_full")
    });
    let shown = scene.run(&["show", "1"]);
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    let words = format!("{} more bytes are needed, {} are free", 6 * MIB, 4 * MIB);
    assert!(text.contains(&words), "{text}");
    std::fs::remove_file(&filler).unwrap();
    let output = ends(child);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(std::fs::read(&target).unwrap() == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn f61_a_command_whose_state_is_full_ends_with_code_1_and_the_next_one_goes_on() {
    let Some(disk) = SmallDisk::mount(4 * MIB) else {
        return;
    };
    let scene = Scene::start().await;
    let source = scene.file("source", 60 * MIB, 1);
    scene.server.faults().bandwidth(20 << 20);
    let args = ["upload", source.to_str().unwrap(), "s3://bucket/key"];
    let command = || {
        let mut command = scene.towline(&args);
        command.env("TOWLINE_STATE_DIR", disk.path("state"));
        command
    };
    let child = command().spawn().unwrap();
    let received = || scene.server.history().bytes_received();
    until("parts are sent", || received() > 12 * MIB);
    let filler = disk.fill();
    let output = ends(child);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("cannot be recorded any more"), "{said}");

    let refused = ends(command().spawn().unwrap());
    assert_eq!(refused.status.code(), Some(1));
    let said = stderr(&refused);
    assert!(
        said.contains("no space left") || said.contains("cannot be recorded"),
        "{said}"
    );

    std::fs::remove_file(filler).unwrap();
    scene.server.faults().clear();
    let output = ends(command().spawn().unwrap());
    assert!(output.status.success(), "{}", stderr(&output));
    let stored = scene.server.object_bytes(BUCKET, "key").unwrap();
    assert!(stored == std::fs::read(&source).unwrap());
    assert_eq!(scene.server.open_uploads(BUCKET), []);
}

/// An upload whose last part is at the server, and Complete still to come.
async fn before_complete(scene: &Scene, policy: &str) -> Child {
    let source = scene.file("source", 12 * MIB, 1);
    let hold = Some(Duration::from_secs(1));
    let last = Rule::on(Operation::UploadPart).part(3).first(1);
    let held = Script::new().rule(last.stall(Point::AfterRequest, hold));
    scene.server.faults().play(held).unwrap();
    let path = source.to_str().unwrap();
    let args = [
        "upload",
        path,
        "s3://bucket/key",
        "--json",
        "--on-change",
        policy,
    ];
    let child = scene.towline(&args).spawn().unwrap();
    until("all of it is sent", || {
        scene.server.history().bytes_received() >= 12 * MIB
    });
    let mut file = std::fs::File::options().append(true).open(source).unwrap();
    file.write_all(b"more").unwrap();
    child
}

#[tokio::test(flavor = "multi_thread")]
async fn f64_on_change_says_what_becomes_of_a_source_that_changes() {
    for (policy, code, state, generation, len) in [
        ("restart", 0, "completed", 2, 12 * MIB + 4),
        ("allow-growth", 0, "completed", 1, 12 * MIB),
        ("fail", 1, "failed", 1, 0),
    ] {
        let scene = Scene::start().await;
        let output = ends(before_complete(&scene, policy).await);
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        let row = json_lines(&output).pop().unwrap();
        assert_eq!(row["state"], state, "{row}");
        assert_eq!(row["generation"], generation, "{row}");
        let stored = scene.server.object_bytes(BUCKET, "key").unwrap_or_default();
        let source = std::fs::read(scene.path("source")).unwrap();
        assert!(stored[..] == source[..len as usize], "{policy}");
        if policy == "fail" {
            assert_eq!(row["error"]["code"], "SourceChanged", "{row}");
        }
        assert_eq!(scene.server.open_uploads(BUCKET), [], "{policy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f66_a_fifo_is_refused_at_once_with_code_1_and_the_reason() {
    let scene = Scene::start().await;
    let fifo = scene.path("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let args = ["upload", fifo.to_str().unwrap(), "s3://bucket/key"];
    let output = ends(scene.towline(&args).spawn().unwrap());
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("it is a FIFO, not a regular file"),
        "{}",
        stderr(&output)
    );
    assert_eq!(json_lines(&scene.run(&["list", "--json"])).len(), 0);
    assert_eq!(scene.server.history().requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn f72_an_owner_with_few_descriptors_serves_its_socket_and_does_all_that_is_asked() {
    const FILES: usize = 60;
    let scene = Scene::start().await;
    let dir = scene.path("files");
    std::fs::create_dir(&dir).unwrap();
    for n in 0..FILES {
        std::fs::write(dir.join(format!("{n}")), bytes(6 * MIB, n as u64)).unwrap();
    }
    scene.server.faults().bandwidth(60 << 20);
    let upload = ["upload", dir.to_str().unwrap(), "s3://bucket/all/"];
    let owner = scene.towline(&[&upload[..], &["--concurrency", "256"]].concat());
    let mut limited = Command::new("prlimit");
    limited.arg("--nofile=64:64").arg(owner.get_program());
    limited.args(owner.get_args()).env_clear();
    limited.envs(
        owner
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    limited
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let child = limited.spawn().unwrap();
    let received = || scene.server.history().bytes_received();
    until("it is under way", || received() > 20 * MIB);

    // Twenty clients at once, of which each is heard.
    let source = scene.file("other", MIB, 99);
    let clients: Vec<Child> = (0..20)
        .map(|n| {
            let url = format!("s3://bucket/other/{n}");
            let args = ["upload", source.to_str().unwrap(), &url];
            scene.towline(&args).spawn().unwrap()
        })
        .collect();
    scene.server.faults().clear();
    for client in clients {
        let output = ends(client);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let output = ends(child);
    assert!(output.status.success(), "{}", stderr(&output));
    for n in 0..FILES {
        let stored = scene.server.object_bytes(BUCKET, &format!("all/{n}"));
        assert!(stored.unwrap() == bytes(6 * MIB, n as u64), "{n}");
    }
}
