//! Streams of a process that is really killed: nothing is left at S3, and a
//! spooled one goes on. T5, T6.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tokio::io::AsyncWriteExt as _;
use towline::{Query, State};

use crate::{BUCKET, Scene, completed, content};

const MIB: usize = 1 << 20;
const ENDPOINT: &str = "TOWLINE_CHILD_ENDPOINT";
const STATE: &str = "TOWLINE_CHILD_STATE";
const SPOOLS: &str = "TOWLINE_CHILD_SPOOLS";

/// Uploads a stream that never ends and takes half of a download, until it is
/// killed. Spooled, the upload is of all its bytes.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by other tests, as a process of its own"]
async fn child_that_is_killed_with_streams() {
    let Ok(endpoint) = std::env::var(ENDPOINT) else {
        return;
    };
    let state = PathBuf::from(std::env::var_os(STATE).unwrap());
    let utility = crate::open_at(endpoint, state).await;
    if std::env::var_os(SPOOLS).is_some() {
        let upload = utility.upload_data(BUCKET, "spooled", content(30 * MIB));
        upload.spool(true).await.unwrap();
        return std::future::pending().await;
    }
    let (mut writer, reader) = tokio::io::duplex(1 << 20);
    let upload = utility.upload_stream(BUCKET, "endless", reader);
    upload.await.unwrap();
    writer.write_all(&content(16 * MIB)).await.unwrap();
    let mut download = utility.download_stream(BUCKET, "there").await.unwrap();
    download.next().await.unwrap().unwrap();
    std::future::pending().await
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill(); // SIGKILL
        let _ = self.0.wait();
    }
}

fn child(scene: &Scene, state: &Path, spools: bool) -> Killed {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "stream_kill::child_that_is_killed_with_streams"])
        .args(["--ignored", "--nocapture"])
        .env(ENDPOINT, scene.server.endpoint())
        .env(STATE, state)
        .stdout(Stdio::null());
    if spools {
        command.env(SPOOLS, "1");
    }
    Killed(command.spawn().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn t5_streams_of_a_process_that_was_killed_have_failed_and_left_nothing_at_s3() {
    let scene = Scene::start().await;
    let source = scene.file("source", &content(60 * MIB));
    scene.upload("there", &source).await;
    let state = scene.dir.path().join("killed");
    let process = child(&scene, &state, false);
    let parts = || {
        let requests = scene.server.history().requests();
        let sent = |key: &str| {
            let of_key = requests
                .iter()
                .filter(|request| request.key.as_deref() == Some(key));
            of_key.filter(|request| request.completed).count()
        };
        // Create and three parts; HEAD and a part.
        sent("endless") >= 4 && sent("there") >= 2
    };
    crate::until("both streams are under way", parts).await;
    assert_eq!(scene.server.open_uploads(BUCKET).len(), 1);
    drop(process);

    let utility = crate::open(&scene.server, state).await;
    let (found, _) = utility.find(Query::default()).await.unwrap();
    assert_eq!(found.len(), 2);
    for (transfer, code) in found
        .iter()
        .zip(["SourceNotReopenable", "TargetNotReopenable"])
    {
        let observer = utility.observe(transfer.id).await.unwrap();
        let end = observer.finished().await.unwrap();
        assert_eq!(
            (end.state, end.error.unwrap().code.as_str()),
            (State::Failed, code)
        );
    }
    assert!(scene.server.open_uploads(BUCKET).is_empty());
    assert!(scene.server.versions(BUCKET, "endless").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn t5_a_spooled_upload_of_a_process_that_was_killed_goes_on() {
    let scene = Scene::start().await;
    scene.server.faults().bandwidth(6 << 20);
    let state = scene.dir.path().join("killed");
    let process = child(&scene, &state, true);
    let begun = || !scene.server.open_uploads(BUCKET).is_empty();
    crate::until("it is under way", begun).await;
    drop(process);
    scene.server.faults().clear();
    let utility = crate::open(&scene.server, state.clone()).await;
    let (found, _) = utility.find(Query::default()).await.unwrap();
    let observer = utility.observe(found[0].id).await.unwrap();
    completed(observer.finished().await.unwrap());
    assert!(scene.server.object_bytes(BUCKET, "spooled").unwrap() == content(30 * MIB));
    let spool = state.join("spool");
    crate::until("the copy is gone", || crate::names(&spool).is_empty()).await;
}
