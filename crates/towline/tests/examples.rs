//! Every program of `examples/` does what it says: it is run as a process, with
//! the environment that a reader would give it, against a real S3 protocol server.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use towline_testserver::{Operation, Request, TestServer};

const BUCKET: &str = "my-bucket";
const MIB: usize = 1 << 20;

type Check = fn(&Stage);

/// How each example is run, and what has to be true afterwards.
const RUNS: &[(&str, Check)] = &[
    ("acl", acl),
    ("background_and_return", background_and_return),
    ("blocking", blocking),
    ("bytes", bytes),
    ("cancel", cancel),
    ("download", download),
    ("metadata", metadata),
    ("options", options),
    ("pause_and_resume", pause_and_resume),
    ("stream", stream),
    ("track_progress", track_progress),
    ("upload", upload),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_example_does_what_it_says() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let there: BTreeSet<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let run: BTreeSet<String> = RUNS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(there, run, "the files of examples/ and those that are run");
    for (name, check) in RUNS {
        println!("== {name}");
        check(&Stage::start(name).await);
    }
}

fn upload(stage: &Stage) {
    let said = stage.run(&[&stage.file(6 * MIB), BUCKET, "photos/photo.jpg"]);
    assert!(said.contains("transfer 1 is recorded"), "{said}");
    assert!(said.contains("uploaded 6291456 bytes"), "{said}");
    assert!(said.contains("FullObject"), "{said}");
    assert!(stage.object("photos/photo.jpg") == content(6 * MIB));
    stage.fails(&["/no/such/file", BUCKET, "key"], "SourceUnreadable");
    stage.fails(&[&stage.file(10), "no-such-bucket", "key"], "NoSuchBucket");
}

fn download(stage: &Stage) {
    let bytes = content(6 * MIB);
    stage.put("photos/photo.jpg", &bytes);
    let target = stage.path("copy.jpg");
    std::fs::write(&target, "what stood there").unwrap();
    let said = stage.run(&[BUCKET, "photos/photo.jpg", &target]);
    assert!(said.contains("downloaded 6291456 bytes"), "{said}");
    assert!(std::fs::read(&target).unwrap() == bytes);
    stage.fails(&[BUCKET, "no-such-key", &target], "NoSuchKey");
    assert!(std::fs::read(&target).unwrap() == bytes);
}

fn track_progress(stage: &Stage) {
    let said = stage.run(&[&stage.file(6 * MIB), BUCKET, "key"]);
    for line in [
        "listener: 1 has moved 6291456 bytes, Some(100) %",
        "listener: 1 is completed",
        "update: completed, 6291456 of Some(6291456) bytes",
    ] {
        assert!(said.contains(line), "{said}");
    }
    assert!(stage.object("key") == content(6 * MIB));
}

fn pause_and_resume(stage: &Stage) {
    stage.server.faults().bandwidth(4 << 20);
    let said = stage.run(&[&stage.file(12 * MIB), BUCKET, "key"]);
    for line in ["paused with ", "resumed\n", "completed: 12582912 bytes"] {
        assert!(said.contains(line), "{said}");
    }
    assert!(stage.object("key") == content(12 * MIB));
    assert!(stage.server.open_uploads(BUCKET).is_empty());
}

fn cancel(stage: &Stage) {
    stage.server.faults().bandwidth(1 << 20);
    let said = stage.run(&[&stage.file(12 * MIB), BUCKET, "key"]);
    assert!(said.contains("transfer 1 is canceled"), "{said}");
    assert!(stage.server.versions(BUCKET, "key").is_empty());
    assert!(stage.server.open_uploads(BUCKET).is_empty());
}

fn background_and_return(stage: &Stage) {
    stage.server.faults().bandwidth(2 << 20);
    let said = stage.run(&[&stage.file(12 * MIB), BUCKET, "key"]);
    assert!(said.contains("transfer 1 is left"), "{said}");
    assert!(stage.server.versions(BUCKET, "key").is_empty());
    stage.server.faults().bandwidth(0);
    let said = stage.run(&["1"]);
    for line in [
        "1 transfers are unfinished",
        "transfer 1 completed: 12582912",
    ] {
        assert!(said.contains(line), "{said}");
    }
    assert!(stage.object("key") == content(12 * MIB));
    stage.fails(&["2"], "Unknown(TransferId(2))");
}

fn metadata(stage: &Stage) {
    let said = stage.run(&[&stage.file(10), BUCKET, "reports/2026.pdf"]);
    for line in [
        "Some(\"application/pdf\")",
        "author: Ada\nreviewed: yes\n",
        "not modified: nothing was fetched",
    ] {
        assert!(said.contains(line), "{said}");
    }
    assert!(!Path::new(&stage.path("report.pdf")).exists());
    let put = stage.request(Operation::PutObject);
    for (header, value) in [
        ("x-amz-meta-author", "Ada"),
        ("x-amz-meta-reviewed", "yes"),
        ("content-type", "application/pdf"),
        ("content-disposition", "attachment; filename=\"report.pdf\""),
        ("content-language", "en"),
        ("cache-control", "max-age=3600"),
        ("x-amz-tagging", "project=a%20b"),
    ] {
        assert_eq!(put.header(header), Some(value), "{header}");
    }
    assert_eq!(stage.server.history().count(Operation::GetObject), 0);
}

fn acl(stage: &Stage) {
    let said = stage.run(&[&stage.file(10), BUCKET, "logo.png"]);
    assert!(said.contains("refused: ACL: \"public\" is none"), "{said}");
    let puts = stage.server.history().requests();
    let of = |key| puts.iter().find(|put| put.key.as_deref() == Some(key));
    let canned = of("logo.png").unwrap();
    assert_eq!(canned.header("x-amz-acl"), Some("public-read"));
    let granted = of("logo.png-granted").unwrap().header("x-amz-grant-read");
    assert!(granted.unwrap().contains("AllUsers"), "{granted:?}");
}

fn options(stage: &Stage) {
    let said = stage.run(&[&stage.file(9 * MIB), BUCKET, "key"]);
    assert!(said.contains("uploaded to s3://my-bucket/key"), "{said}");
    let create = stage.request(Operation::CreateMultipartUpload);
    for (header, value) in [
        ("x-amz-checksum-algorithm", "CRC32C"),
        ("x-amz-server-side-encryption", "AES256"),
        ("x-amz-storage-class", "STANDARD_IA"),
    ] {
        assert_eq!(create.header(header), Some(value), "{header}");
    }
    assert_eq!(stage.server.history().count(Operation::UploadPart), 2);
    assert!(stage.object("key") == content(9 * MIB));
}

fn bytes(stage: &Stage) {
    let said = stage.run(&[BUCKET, "note.txt", "what is to be done"]);
    assert!(
        said.contains("18 bytes went to my-bucket/note.txt and back"),
        "{said}"
    );
    assert_eq!(stage.object("note.txt"), b"what is to be done");
    let put = stage.request(Operation::PutObject);
    assert_eq!(put.header("content-type"), Some("text/plain"));
    let copies = Path::new(&stage.path("state/spool")).read_dir().unwrap();
    assert!(copies.count() <= 1, "swept at the next opening, if not now");
}

fn stream(stage: &Stage) {
    let said = stage.run(&[BUCKET, "key", "800000"]);
    for line in [
        "uploaded 6400000 bytes",
        "took 6400000 bytes",
        "wrote 6400000 bytes, completed",
    ] {
        assert!(said.contains(line), "{said}");
    }
    let expected: Vec<u8> = (0..800_000u64).flat_map(u64::to_le_bytes).collect();
    assert!(stage.object("key") == expected);
}

fn blocking(stage: &Stage) {
    let said = stage.run(&[&stage.file(6 * MIB), BUCKET, "key"]);
    assert!(said.contains("uploaded 6291456 bytes"), "{said}");
    assert!(said.contains("downloaded 6291456 bytes"), "{said}");
    assert!(stage.object("key") == content(6 * MIB));
}

/// A server, a directory, and the example that is run there.
struct Stage {
    server: TestServer,
    dir: tempfile::TempDir,
    example: PathBuf,
}

impl Stage {
    async fn start(name: &str) -> Self {
        let server = TestServer::builder().bucket(BUCKET).start();
        Self {
            server: server.await.unwrap(),
            dir: tempfile::tempdir().unwrap(),
            example: built(name),
        }
    }

    /// Runs it, which has to succeed; gives what it printed.
    fn run(&self, args: &[&str]) -> String {
        let (success, said, errors) = self.output(args);
        assert!(success, "{args:?}: {said}{errors}");
        said
    }

    /// Runs it, which has to fail with these words.
    fn fails(&self, args: &[&str], words: &str) {
        let (success, said, errors) = self.output(args);
        assert!(
            !success && errors.contains(words),
            "{args:?}: {said}{errors}"
        );
    }

    fn output(&self, args: &[&str]) -> (bool, String, String) {
        let output = Command::new(&self.example)
            .args(args)
            .env_clear()
            .env("AWS_ENDPOINT_URL_S3", self.server.endpoint())
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "testsecret")
            .env("TOWLINE_STATE_DIR", self.path("state"))
            .env("HOME", self.dir.path())
            .env("TMPDIR", self.dir.path())
            .current_dir(&self.dir)
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", self.example.display()));
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.success(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// A file with so many bytes.
    fn file(&self, len: usize) -> String {
        let path = self.path(&format!("{len}.bin"));
        std::fs::write(&path, content(len)).unwrap();
        path
    }

    fn put(&self, key: &str, bytes: &[u8]) {
        let put = self.server.put_object(BUCKET, key, bytes.to_vec());
        futures_util::FutureExt::now_or_never(put).unwrap().unwrap();
    }

    fn object(&self, key: &str) -> Vec<u8> {
        self.server.object_bytes(BUCKET, key).unwrap()
    }

    /// The only request of this kind.
    fn request(&self, operation: Operation) -> Request {
        let all = self.server.history().requests().into_iter();
        let mut of = all.filter(|request| request.operation == operation);
        let request = of.next().unwrap();
        assert!(of.next().is_none(), "more than one {operation:?}");
        request
    }
}

/// Cargo builds examples beside the directory of the tests, unless it is told to
/// build certain targets only (`--test examples`).
fn built(name: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let profile = this.parent().and_then(Path::parent).unwrap();
    let program = profile.join("examples").join(name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{name}.rs"));
    let modified = |path: &Path| {
        std::fs::metadata(path)
            .and_then(|meta| meta.modified())
            .ok()
    };
    assert!(
        modified(&program) >= modified(&source),
        "{} is not there or out of date: cargo build -p towline --examples",
        program.display()
    );
    program
}

fn content(len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| (i % 247) as u8 ^ (i >> 15) as u8)
        .collect()
}
