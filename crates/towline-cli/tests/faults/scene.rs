//! A transfer of 40 MiB, and what has to be true of it.

use std::path::PathBuf;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;
use towline_testserver::{Rule, Script};

use crate::common::{BUCKET, Scene, bytes, json_lines, stderr};

pub(crate) const MIB: u64 = 1 << 20;
/// Eight parts of 5 MiB.
pub(crate) const SIZE: u64 = 40 * MIB;
/// What may be under way at one time and so be sent again after a kill.
pub(crate) const IN_FLIGHT: u64 = 6 * 5 * MIB;

pub(crate) fn play(scene: &Scene, rule: Rule) {
    scene
        .server
        .faults()
        .play(Script::new().rule(rule))
        .unwrap();
}

pub(crate) fn source(scene: &Scene) -> PathBuf {
    scene.file("source", SIZE, 1)
}

/// An object that came by one PUT, so that its ETag is an MD5.
pub(crate) async fn object(scene: &Scene) -> Vec<u8> {
    let bytes = bytes(SIZE, 2);
    let put = scene.server.put_object(BUCKET, "key", bytes.clone());
    put.await.unwrap();
    bytes
}

pub(crate) fn upload(scene: &Scene) -> Command {
    let source = scene.path("source");
    scene.towline(&[
        "upload",
        source.to_str().unwrap(),
        "s3://bucket/key",
        "--json",
    ])
}

pub(crate) fn download(scene: &Scene) -> Command {
    let target = scene.path("target");
    scene.towline(&[
        "download",
        "s3://bucket/key",
        target.to_str().unwrap(),
        "--json",
    ])
}

#[track_caller]
pub(crate) fn completed(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    let row = json_lines(output).pop().unwrap();
    assert_eq!(row["state"], "completed", "{row}");
    row
}

/// The object is the source as it is now, and nothing else is left.
#[track_caller]
pub(crate) fn is_uploaded(scene: &Scene) {
    let stored = scene.server.object_bytes(BUCKET, "key").unwrap();
    let source = std::fs::read(scene.path("source")).unwrap();
    assert!(
        stored == source,
        "{} bytes stored of {}",
        stored.len(),
        source.len()
    );
    assert_eq!(scene.server.open_uploads(BUCKET), []);
}

/// The file is the object as it is now, and nothing else is left.
#[track_caller]
pub(crate) fn is_downloaded(scene: &Scene) {
    let stored = scene.server.object_bytes(BUCKET, "key").unwrap();
    let target = std::fs::read(scene.path("target")).unwrap();
    assert!(
        stored == target,
        "{} bytes here of {}",
        target.len(),
        stored.len()
    );
    assert_eq!(scene.temporary_files(), [] as [PathBuf; 0]);
}

/// Starts a command, and waits until so many bytes went through the server.
pub(crate) fn start_until(scene: &Scene, mut command: Command, moved: u64) -> Child {
    let history = scene.server.history();
    let child = command.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while history.bytes_received() + history.bytes_sent() < moved {
        assert!(Instant::now() < deadline, "it never moved {moved} bytes");
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

/// How often the fault was there.
pub(crate) fn faults(scene: &Scene) -> usize {
    scene
        .server
        .history()
        .count_where(|request| request.fault.is_some())
}
