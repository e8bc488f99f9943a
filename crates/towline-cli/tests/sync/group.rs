//! A sync is one group: it is looked at and steered as one, and goes on as one.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use towline_testkit::crash::bytes;
use towline_testserver::{Answer, Operation, Point, Rule, Script};

use crate::common::{BUCKET, Scene, json_lines, stderr};
use crate::{UP, object, put, summary, sync, synced, write};

fn filled(scene: &Scene, files: u64) {
    for n in 0..files {
        write(scene, &format!("src/{n:02}"), bytes(1 << 20, n));
    }
}

fn begin(scene: &Scene, more: &[&str]) -> Child {
    let mut command = scene.towline(&[&["sync", "src", UP, "--concurrency", "2"], more].concat());
    command.current_dir(scene.dir.path());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn groups(scene: &Scene) -> Vec<Value> {
    json_lines(&scene.run(&["groups", "--json"]))
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn kill(mut child: Child) {
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_line_goes_on_with_the_group_of_a_killed_sync() {
    let scene = Scene::start().await;
    filled(&scene, 12);
    scene.server.faults().bandwidth(4 << 20);
    let sent = || scene.server.history().bytes_received();
    let child = begin(&scene, &[]);
    until("some are sent", || sent() > 3 << 20).await;
    kill(child);
    let left = groups(&scene);
    assert_eq!((left.len(), &left[0]["state"]), (1, &"waiting".into()));
    assert!(left[0]["name"].as_str().unwrap().starts_with("sync "));
    scene.server.faults().bandwidth(0);
    let before = sent();
    let told = synced(&scene, "src", UP, &[]);
    assert!(sent() - before < 12 << 20, "not all of it again");
    assert_eq!(
        (&told["done"], &told["submitted"]),
        (&12.into(), &12.into())
    );
    assert_eq!(told["bytes"], 12 << 20);
    let ended = groups(&scene);
    assert_eq!((ended.len(), &ended[0]["state"]), (1, &"completed".into()));

    // It had its end: the next one compares anew.
    let told = synced(&scene, "src", UP, &[]);
    assert_eq!((&told["done"], &told["same"]), (&0.into(), &12.into()));
    let newest = groups(&scene);
    assert_eq!((newest.len(), &newest[1]["found"]["same"]), (2, &12.into()));
    let shown = scene.run(&["groups", "2"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("12 the same"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_is_paused_elsewhere_is_waited_for_and_one_that_is_canceled_says_so() {
    let scene = Scene::start().await;
    filled(&scene, 6);
    scene.server.faults().bandwidth(2 << 20);
    let child = begin(&scene, &["--json"]);
    until("it is under way", || {
        scene.server.history().bytes_received() > 1 << 20
    })
    .await;
    assert!(scene.run(&["pause", "--group", "1"]).status.success());
    assert_eq!(groups(&scene)[0]["state"], "paused");
    scene.server.faults().bandwidth(0);
    assert!(scene.run(&["resume", "--group", "1"]).status.success());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(summary(&output)["done"], 6);

    let unanswered = Rule::on(Operation::PutObject).stall(Point::AfterRequest, None);
    let script = Script::new().rule(unanswered);
    scene.server.faults().play(script).unwrap();
    write(&scene, "src/more", "more");
    let child = begin(&scene, &["--json"]);
    until("it is under way", || {
        groups(&scene).last().unwrap()["transfers"]["going"] == 1
    })
    .await;
    scene.run(&["cancel", "--group", "2"]);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let told = summary(&output);
    assert_eq!((&told["done"], &told["same"]), (&0.into(), &6.into()));
    assert_eq!(told["failed"]["Canceled"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deleted_where_not_all_was_transferred() {
    let scene = Scene::start().await;
    write(&scene, "src/a", "a");
    write(&scene, "src/b", "b");
    put(&scene, "gone", "gone").await;
    let refused = Rule::on(Operation::PutObject).key("p/b");
    let refused = refused.answer(Answer::error(403, "AccessDenied"));
    let script = Script::new().rule(refused);
    scene.server.faults().play(script).unwrap();
    let output = sync(&scene, "src", UP, &["--delete", "--yes", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("nothing was deleted"), "{said}");
    let told = summary(&output);
    assert_eq!((&told["done"], &told["deleted"]), (&1.into(), &0.into()));
    assert_eq!(told["failed"]["AccessDenied"], 1);
    assert!(object(&scene, "gone").is_some());
    scene.server.faults().play(Script::new()).unwrap();
    let told = synced(&scene, "src", UP, &["--delete", "--yes"]);
    assert_eq!((&told["done"], &told["deleted"]), (&1.into(), &1.into()));
    assert!(object(&scene, "gone").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_deletes_and_is_killed_deletes_only_once_its_group_has_its_end() {
    let scene = Scene::start().await;
    filled(&scene, 6);
    put(&scene, "gone", "gone").await;
    scene.server.faults().bandwidth(2 << 20);
    let child = begin(&scene, &["--delete", "--yes"]);
    until("some are sent", || {
        scene.server.history().bytes_received() > 2 << 20
    })
    .await;
    kill(child);
    assert!(object(&scene, "gone").is_some());
    scene.server.faults().bandwidth(0);
    let told = synced(&scene, "src", UP, &["--delete", "--yes"]);
    assert_eq!((&told["done"], &told["deleted"]), (&6.into(), &1.into()));
    assert_eq!(groups(&scene).len(), 1);
    let requests = scene.server.history().requests();
    let position = |operation| requests.iter().rposition(|it| it.operation == operation);
    let last_sent = position(Operation::PutObject).unwrap();
    assert!(last_sent < position(Operation::DeleteObject).unwrap());

    // What an earlier one left unfinished is gone on with also where all is the same.
    write(&scene, "src/more", bytes(12 << 20, 9));
    scene.server.faults().bandwidth(2 << 20);
    let child = begin(&scene, &[]);
    until("it is begun", || {
        !scene.server.open_uploads(BUCKET).is_empty()
    })
    .await;
    kill(child);
    scene.server.faults().bandwidth(0);
    std::fs::remove_file(scene.path("src/more")).unwrap();
    let output = sync(&scene, "src", UP, &["--delete", "--yes"]);
    assert_eq!(output.status.code(), Some(1), "its file is gone");
    assert_eq!(groups(&scene)[1]["state"], "failed");
    let told = synced(&scene, "src", UP, &["--delete", "--yes"]);
    assert_eq!((&told["same"], &told["done"]), (&6.into(), &0.into()));
}
