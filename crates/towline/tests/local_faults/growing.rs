//! Row 65: a file that is appended to all the time.

use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use towline::WhenSourceChanges;
use towline_testserver::{Operation, Point, Rule};

use crate::{BUCKET, MIB, Scene, completed, content, failed, until};

/// Appends a line every few milliseconds until dropped.
struct Logger {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Logger {
    fn start(path: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut file = std::fs::File::options().append(true).open(path).unwrap();
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                file.write_all(b"one more line\n").unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Logger {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f65_a_file_that_keeps_growing_fails_and_names_the_way_out() {
    for size in [12 * MIB, MIB] {
        let scene = Scene::start().await;
        let source = scene.file("log", &content(size));
        let logger = Logger::start(&source);
        let observer = scene.upload("key", &source).await;
        let (code, message) = failed(&observer).await;
        drop(logger);
        assert_eq!(code, "SourceChanged");
        for words in [
            "it grew from",
            "when_source_changes",
            "started from zero 3 times",
        ] {
            assert!(message.contains(words), "{message}");
        }
        assert_eq!(scene.server.open_uploads(BUCKET), []);
        let mut created = scene
            .server
            .history()
            .count(Operation::CreateMultipartUpload);
        created += scene.server.history().count(Operation::PutObject);
        assert!(created <= 4, "{created}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f65_a_file_that_may_grow_is_uploaded_as_far_as_it_went_at_first() {
    for size in [12 * MIB, MIB, 0] {
        let scene = Scene::start().await;
        let bytes = content(size);
        let source = scene.file("log", &bytes);
        let logger = Logger::start(&source);
        // What it has when the call looks at it is what is uploaded.
        let upload = scene.utility.upload(BUCKET, "key", &source);
        let observer = upload
            .when_source_changes(WhenSourceChanges::AllowGrowth)
            .await
            .unwrap();
        let done = completed(&observer).await;
        drop(logger);
        assert_eq!(done.generation, 1);
        let stored = scene.stored("key").unwrap();
        assert_eq!(Some(stored.len() as u64), done.bytes_total);
        assert!(stored.len() as u64 >= size);
        let log = std::fs::read(&source).unwrap();
        assert!(stored[..] == log[..stored.len()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f65_a_file_that_did_not_only_grow_is_never_mixed() {
    for size in [12 * MIB, MIB] {
        let scene = Scene::start().await;
        let source = scene.file("log", &content(size));
        let last = match size > 5 * MIB {
            true => Rule::on(Operation::UploadPart).part(3),
            false => Rule::on(Operation::PutObject),
        };
        let hold = Some(Duration::from_secs(1));
        scene.play(last.first(1).stall(Point::AfterRequest, hold));
        let upload = scene.utility.upload(BUCKET, "key", &source);
        let observer = upload
            .when_source_changes(WhenSourceChanges::AllowGrowth)
            .await
            .unwrap();
        until("all of it is sent", || {
            scene.server.history().bytes_received() >= size
        })
        .await;
        let file = std::fs::File::options().write(true).open(&source).unwrap();
        file.write_all_at(b"more", size).unwrap();
        file.write_all_at(b"a line that was there is another now", 77)
            .unwrap();
        let done = completed(&observer).await;
        assert_eq!(done.generation, 2);
        assert!(scene.stored("key").unwrap() == std::fs::read(&source).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f65_a_file_that_was_rotated_or_truncated_has_not_grown() {
    let changes: [fn(&Path); 2] = [
        |path| {
            std::fs::rename(path, path.with_extension("1")).unwrap();
            std::fs::write(path, content(13 * MIB)).unwrap();
        },
        |path| {
            std::fs::File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(MIB)
                .unwrap()
        },
    ];
    for change in changes {
        let scene = Scene::start().await;
        let source = scene.file("log", &content(12 * MIB));
        let hold = Some(Duration::from_secs(1));
        let last = Rule::on(Operation::UploadPart).part(3).first(1);
        scene.play(last.stall(Point::AfterRequest, hold));
        let upload = scene.utility.upload(BUCKET, "key", &source);
        let observer = upload
            .when_source_changes(WhenSourceChanges::AllowGrowth)
            .await
            .unwrap();
        until("all of it is sent", || {
            scene.server.history().bytes_received() >= 12 * MIB
        })
        .await;
        change(&source);
        assert_eq!(completed(&observer).await.generation, 2);
        assert!(scene.stored("key").unwrap() == std::fs::read(&source).unwrap());
    }
}
