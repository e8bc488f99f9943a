//! `towline upload -` and `towline download … -`: streams through pipes.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod common;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::{BUCKET, Scene, bytes, json_lines, spawn, stderr};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use towline_testserver::{Event, Operation, Rule, Script, TestServer};

const MIB: u64 = 1 << 20;
const URL: &str = "s3://bucket/key";

/// The program is some 20 MiB. Of content an upload holds 32 MiB, a download five
/// parts of 8 MiB: four ahead, and the one that is written. The rest is buffers, and
/// what the allocator keeps of parts that are gone.
const BOUND_MIB: u64 = 96;

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A command with a pipe on each side.
fn begin(scene: &Scene, args: &[&str]) -> Child {
    let mut command = scene.towline(args);
    command.stdin(Stdio::piped()).spawn().unwrap()
}

/// A command that reads these bytes from a pipe, to its end.
fn feed(scene: &Scene, args: &[&str], content: Vec<u8>) -> Output {
    let mut child = begin(scene, args);
    let mut pipe = child.stdin.take().unwrap();
    // One that is refused reads nothing.
    let writer = std::thread::spawn(move || drop(pipe.write_all(&content)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// A command whose standard input or output is this.
fn with_input(scene: &Scene, input: impl Into<Stdio>, args: &[&str]) -> Output {
    scene.towline(args).stdin(input).output().unwrap()
}

fn with_output(scene: &Scene, output: impl Into<Stdio>, args: &[&str]) -> Output {
    scene.towline(args).stdout(output).output().unwrap()
}

/// An upload that has sent a part and waits for more bytes.
fn half_way(scene: &Scene, url: &str) -> Child {
    let open = scene.server.open_uploads(BUCKET).len();
    let parts = || scene.server.history().count(Operation::UploadPart);
    let sent = parts();
    let mut child = begin(scene, &["upload", "-", url]);
    let content = bytes(12 * MIB, 7);
    child.stdin.as_mut().unwrap().write_all(&content).unwrap();
    until("a part is under way", || {
        scene.server.open_uploads(BUCKET).len() > open && parts() > sent
    });
    child
}

/// The states of streams that are there.
fn states(scene: &Scene) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(scene.path("state/streams"));
    let entries = entries.into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

#[track_caller]
fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", stderr(output));
}

#[track_caller]
fn failed(output: &Output, words: &str) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(words), "{words:?} in {said}");
}

/// The last line on standard error, which is to be JSON.
#[track_caller]
fn json_said(output: &Output) -> Value {
    let said = stderr(output);
    serde_json::from_str(said.lines().last().unwrap()).unwrap()
}

/// Nothing of a stream is there: no object, no open upload, no state.
#[track_caller]
fn nothing_is_left(scene: &Scene) {
    assert!(scene.server.versions(BUCKET, "key").is_empty());
    assert_eq!(scene.server.open_uploads(BUCKET), []);
    assert_eq!(states(scene), [] as [PathBuf; 0]);
}

/// The most that a process had in memory; `None` where the system does not tell.
fn peak_mib(child: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024)
}

#[track_caller]
fn is_bounded(child: &Child, what: &str) {
    let Some(peak) = peak_mib(child) else { return };
    println!("{what}: {peak} MiB at most");
    assert!(peak < BOUND_MIB, "{what}: {peak} MiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn t5_t6_streams_of_any_length_go_there_and_back_through_pipes() {
    let scene = Scene::start().await;
    for len in [0, 1, 5 * MIB, 5 * MIB + 1, 40 * MIB] {
        let content = bytes(len, len);
        let output = feed(&scene, &["upload", "-", URL, "--json"], content.clone());
        succeeded(&output);
        let row = json_lines(&output).pop().unwrap();
        for (field, value) in [
            ("state", Value::from("completed")),
            ("type", "upload".into()),
            ("path", "".into()),
            ("key", "key".into()),
            ("bytes_total", len.into()),
            ("bytes_transferred", len.into()),
            ("verified", "full-object".into()),
        ] {
            assert_eq!(row[field], value, "{field} of {len} bytes");
        }
        assert!(scene.server.object_bytes(BUCKET, "key").unwrap() == content);

        let output = scene.run(&["download", URL, "-"]);
        succeeded(&output);
        assert!(output.stdout == content, "{} bytes", output.stdout.len());
        let said = stderr(&output);
        assert!(said.contains("downloaded s3://bucket/key to - ("), "{said}");
    }
    let said = feed(&scene, &["upload", "-", URL], b"five!".to_vec());
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("uploaded - to s3://bucket/key"), "{said}");
    // They are recorded apart from all others, and then not at all.
    assert!(!scene.path("state/towline.db").exists());
    assert_eq!(states(&scene), [] as [PathBuf; 0]);
    assert_eq!(scene.server.open_uploads(BUCKET), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_standard_input_is_read_from_where_it_stands() {
    let scene = Scene::start().await;
    let content = bytes(12 * MIB, 1);
    let path = scene.file("source", 12 * MIB, 1);
    let mut file = File::open(path).unwrap();
    file.seek(SeekFrom::Start(MIB)).unwrap();
    succeeded(&with_input(&scene, file, &["upload", "-", URL]));
    let stored = scene.server.object_bytes(BUCKET, "key").unwrap();
    assert!(stored == content[usize::try_from(MIB).unwrap()..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_carries_what_a_file_carries() {
    let scene = Scene::start().await;
    let args = [
        "upload",
        "-",
        "s3://bucket/a.txt",
        "--metadata",
        "from=a pipe",
        "--storage-class",
        "STANDARD_IA",
        "--tag",
        "a=b",
        "--sse",
        "AES256",
        "--checksum",
        "crc32c",
        "--part-size",
        "8MiB",
    ];
    succeeded(&feed(&scene, &args, bytes(12 * MIB, 1)));
    let history = scene.server.history();
    assert_eq!(history.count(Operation::UploadPart), 2);
    let requests = history.requests();
    let create = requests
        .iter()
        .find(|request| request.operation == Operation::CreateMultipartUpload)
        .unwrap();
    for (header, value) in [
        ("x-amz-meta-from", "a pipe"),
        ("x-amz-storage-class", "STANDARD_IA"),
        ("x-amz-tagging", "a=b"),
        ("x-amz-server-side-encryption", "AES256"),
        ("x-amz-checksum-algorithm", "CRC32C"),
        ("content-type", "text/plain"), // by the key
    ] {
        assert_eq!(create.header(header), Some(value), "{header}");
    }
    let args = ["upload", "-", "s3://bucket/a.txt", "--if-absent"];
    for len in [10, 6 * MIB] {
        let output = feed(&scene, &args, bytes(len, 2));
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    }
    let stored = scene.server.object_bytes(BUCKET, "a.txt").unwrap();
    assert!(stored == bytes(12 * MIB, 1));
    assert_eq!(scene.server.open_uploads(BUCKET), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_a_file_and_a_version_work_for_streams() {
    let server = TestServer::builder().versioned("kept").start();
    let server = server.await.unwrap();
    let scene = Scene {
        endpoint: server.endpoint(),
        dir: tempfile::tempdir().unwrap(),
        server,
    };
    let key = scene.path("sse-key");
    std::fs::write(&key, [b'k'; 32]).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let with_key = ["--sse-c-key-file", key.to_str().unwrap()];
    let url = "s3://kept/key";
    for content in ["first", "second"] {
        let args = [&["upload", "-", url], &with_key[..]].concat();
        succeeded(&feed(&scene, &args, content.into()));
    }
    let first = scene.server.versions("kept", "key")[0].version_id.clone();
    let of_first = ["--version-id", first.as_str()];
    let args = [&["download", url, "-"], &with_key[..], &of_first[..]].concat();
    let output = scene.run(&args);
    succeeded(&output);
    assert_eq!(output.stdout, b"first");
    let output = scene.run(&["download", url, "-"]);
    assert_eq!(output.status.code(), Some(1), "without the key");
    assert_eq!(output.stdout, b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_output_has_the_bytes_and_nothing_else_also_with_json() {
    let scene = Scene::start().await;
    let content = bytes(6 * MIB, 1);
    let put = scene.server.put_object(BUCKET, "key", content.clone());
    put.await.unwrap();
    let output = scene.run(&["download", URL, "-", "--json"]);
    succeeded(&output);
    assert!(output.stdout == content);
    let row = json_said(&output);
    assert_eq!(row["state"], "completed", "{row}");
    assert_eq!(row["path"], "", "{row}");

    let output = scene.run(&["download", "s3://bucket/none", "-", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"");
    let row = json_said(&output);
    assert_eq!(row["state"], "failed", "{row}");
    assert_eq!(row["error"]["code"], "NoSuchKey", "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_before_anything_is_read_or_sent() {
    let scene = Scene::start().await;
    let file = scene.file("file", 3, 1);
    let file = file.to_str().unwrap();
    for (args, words) in [
        (vec!["upload", "-", "s3://bucket/p/"], "give one"),
        (vec!["upload", "-", "s3://bucket"], "give one"),
        (vec!["upload", "-", file, "s3://bucket/p/"], "goes alone"),
        (vec!["upload", file, "-", "s3://bucket/p/"], "goes alone"),
        (vec!["upload", "-", URL, "--detach"], "--detach"),
        (vec!["upload", "-", URL, "--restart"], "--restart"),
        (
            vec!["upload", "-", URL, "--on-change", "restart"],
            "--on-change",
        ),
        (
            vec!["upload", file, URL, "--expected-size", "1GiB"],
            "--expected-size",
        ),
        (vec!["upload", "-", "-"], "not an S3 URL"),
        (vec!["download", "s3://bucket/p/", "-"], "name its key"),
        (vec!["download", "s3://bucket", "-"], "name its key"),
        (vec!["download", URL, "-", "--detach"], "--detach"),
        (vec!["download", URL, "-", "--restart"], "--restart"),
        (
            vec!["download", URL, "-", "--on-exists", "overwrite"],
            "--on-exists",
        ),
    ] {
        let output = feed(&scene, &args, b"not read".to_vec());
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(words), "{words:?} in {said}");
    }
    assert!(!scene.path("state").exists(), "something is recorded");
    assert!(!scene.path("-").exists());
    assert_eq!(scene.server.history().requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn t55_a_stream_of_256_mib_is_held_in_bounded_memory_both_ways() {
    let scene = Scene::start().await;
    let chunk = bytes(MIB, 3);
    let mut upload = begin(&scene, &["upload", "-", URL, "--quiet"]);
    let mut pipe = upload.stdin.take().unwrap();
    for _ in 0..256 {
        pipe.write_all(&chunk).unwrap();
    }
    // What is in the pipe still is little.
    is_bounded(&upload, "an upload of 256 MiB");
    drop(pipe);
    succeeded(&upload.wait_with_output().unwrap());

    let mut download = begin(&scene, &["download", URL, "-", "--quiet"]);
    let mut pipe = download.stdout.take().unwrap();
    let mut came = vec![0; chunk.len()];
    for n in 0..256 {
        pipe.read_exact(&mut came).unwrap();
        assert!(came == chunk, "MiB {n}");
        if n == 254 {
            is_bounded(&download, "a download of 256 MiB");
        }
    }
    assert_eq!(pipe.read(&mut came).unwrap(), 0, "it ends here");
    succeeded(&download.wait_with_output().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn t6_a_slow_reader_holds_a_download_up_and_few_bytes_in_memory() {
    let scene = Scene::start().await;
    let content = bytes(128 * MIB, 1);
    let put = scene.server.put_object(BUCKET, "key", content.clone());
    put.await.unwrap();
    let mut child = begin(&scene, &["download", URL, "-", "--quiet"]);
    let mut pipe = child.stdout.take().unwrap();
    let mut came = vec![0; 1 << 20];
    pipe.read_exact(&mut came).unwrap();
    let sent = || scene.server.history().bytes_sent();
    let mut before = 0;
    until("nothing more is fetched", || {
        std::thread::sleep(Duration::from_millis(500));
        std::mem::replace(&mut before, sent()) == sent()
    });
    // The first part, and four ahead.
    assert!(sent() <= 5 * 8 * MIB, "{} bytes were fetched", sent());
    is_bounded(&child, "a download that is read slowly");
    pipe.read_to_end(&mut came).unwrap();
    assert!(came == content, "{} bytes", came.len());
    succeeded(&child.wait_with_output().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_ends_a_download_quietly() {
    let scene = Scene::start().await;
    let put = scene.server.put_object(BUCKET, "key", bytes(40 * MIB, 1));
    put.await.unwrap();
    let mut child = begin(&scene, &["download", URL, "-"]);
    let mut pipe = child.stdout.take().unwrap();
    let mut came = [0; 10];
    pipe.read_exact(&mut came).unwrap();
    drop(pipe);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_takes_no_bytes_is_no_success() {
    let scene = Scene::start().await;
    let put = scene.server.put_object(BUCKET, "key", bytes(100, 1));
    put.await.unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = with_output(&scene, full, &["download", URL, "-"]);
    failed(&output, "cannot write to standard output");
    let only_read = File::open("/dev/null").unwrap();
    let output = with_output(&scene, only_read, &["download", URL, "-"]);
    failed(&output, "cannot write to standard output");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_that_cannot_be_read_makes_no_object() {
    let scene = Scene::start().await;
    let dir = File::open(scene.dir.path()).unwrap();
    let output = with_input(&scene, dir, &["upload", "-", URL]);
    failed(&output, "is a directory");
    assert!(!scene.path("state").exists(), "something is recorded");
    let only_written = File::create(scene.path("file")).unwrap();
    let output = with_input(&scene, only_written, &["upload", "-", URL]);
    failed(&output, "cannot read the stream");
    nothing_is_left(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn t5_an_input_that_breaks_half_way_leaves_nothing_at_s3() {
    let scene = Scene::start().await;
    let (mut ours, mut theirs) = UnixStream::pair().unwrap();
    // Whoever closes over unread bytes resets the connection.
    theirs.write_all(b"never read").unwrap();
    let mut command = scene.towline(&["upload", "-", URL]);
    let child = command.stdin(OwnedFd::from(theirs)).spawn().unwrap();
    ours.write_all(&bytes(12 * MIB, 1)).unwrap();
    let parts = || scene.server.history().count(Operation::UploadPart);
    until("a part is under way", || parts() > 0);
    drop(ours);
    let output = child.wait_with_output().unwrap();
    failed(&output, "cannot read the stream");
    nothing_is_left(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn t5_a_stream_that_is_interrupted_is_given_up_at_once() {
    let scene = Scene::start().await;
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let mut child = half_way(&scene, URL);
        let pipe = child.stdin.take(); // it stays open meanwhile
        let begun = Instant::now();
        kill_process(Pid::from_child(&child), signal).unwrap();
        let output = child.wait_with_output().unwrap();
        drop(pipe);
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert!(begun.elapsed() < Duration::from_secs(9));
        nothing_is_left(&scene);
    }
    // A download has nothing that could be left.
    let put = scene.server.put_object(BUCKET, "other", bytes(40 * MIB, 1));
    put.await.unwrap();
    let mut child = begin(&scene, &["download", "s3://bucket/other", "-"]);
    let mut pipe = child.stdout.take().unwrap();
    pipe.read_exact(&mut [0; 10]).unwrap();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{}", stderr(&output));
}

/// Ctrl-C ends all of a pipeline, so that the stream ends too.
#[tokio::test(flavor = "multi_thread")]
async fn t5_the_end_of_a_pipeline_that_is_interrupted_is_not_the_end_of_its_stream() {
    let scene = Scene::start().await;
    let towline = env!("CARGO_BIN_EXE_towline");
    for bytes in [1000, 12 * MIB] {
        let pipeline =
            format!("(head -c {bytes} /dev/zero; exec sleep 600) | exec {towline} upload - {URL}");
        let like = scene.towline::<&str>(&[]);
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &pipeline])
            .env_clear()
            .envs(
                like.get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .env("PATH", std::env::var_os("PATH").unwrap())
            .stdin(Stdio::null())
            .process_group(0);
        let mut shell = spawn(shell);
        until("the stream is recorded", || {
            states(&scene)
                .iter()
                .any(|state| state.join("towline.db").exists())
        });
        kill_process_group(Pid::from_child(&shell), Signal::INT).unwrap();
        shell.wait().unwrap();
        until("the command has ended", || states(&scene).is_empty());
        nothing_is_left(&scene);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t5_what_a_killed_stream_left_is_ended_by_the_next_one_or_by_a_daemon() {
    let scene = Scene::start().await;
    let killed = || {
        let mut child = half_way(&scene, URL);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(scene.server.open_uploads(BUCKET).len(), 1);
        assert_eq!(states(&scene).len(), 1);
    };
    killed();
    let args = ["upload", "-", "s3://bucket/next"];
    // It gives this 5 s, and leaves the rest to the next one.
    until("a next one has ended it", || {
        succeeded(&feed(&scene, &args, b"next".to_vec()));
        states(&scene).is_empty()
    });
    nothing_is_left(&scene);

    killed();
    let mut daemon = spawn(scene.towline(&["daemon", "run"]));
    until("the daemon has ended it", || states(&scene).is_empty());
    nothing_is_left(&scene);
    kill_process(Pid::from_child(&daemon), Signal::TERM).unwrap();
    assert_eq!(daemon.wait().unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn t5_streams_at_the_same_time_leave_each_other_alone() {
    let scene = Scene::start().await;
    let mut first = half_way(&scene, URL);
    let args = ["upload", "-", "s3://bucket/second"];
    succeeded(&feed(&scene, &args, bytes(6 * MIB, 2)));
    assert_eq!(scene.server.open_uploads(BUCKET).len(), 1);
    let mut pipe = first.stdin.take().unwrap();
    pipe.write_all(b"and the end").unwrap();
    drop(pipe);
    succeeded(&first.wait_with_output().unwrap());
    let whole = [bytes(12 * MIB, 7), b"and the end".to_vec()].concat();
    assert!(scene.server.object_bytes(BUCKET, "key").unwrap() == whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_recorded_in_a_temporary_directory_needs_no_state_directory() {
    let scene = Scene::start().await;
    std::fs::write(scene.path("state"), "in the way").unwrap();
    let refused = feed(&scene, &["upload", "-", URL], b"bytes".to_vec());
    failed(&refused, "--ephemeral");
    let args = ["upload", "-", URL, "--ephemeral"];
    succeeded(&feed(&scene, &args, b"bytes".to_vec()));
    let output = scene.run(&["download", URL, "-"]);
    succeeded(&output);
    assert_eq!(output.stdout, b"bytes");
}

/// A download of 40 MiB of which something is done to the sixth part, which is asked
/// for when others were written already.
async fn download_through(rule: Rule) -> Output {
    let scene = Scene::start().await;
    let put = scene.server.put_object(BUCKET, "key", bytes(40 * MIB, 1));
    put.await.unwrap();
    let script = Script::new().rule(rule);
    scene.server.faults().play(script).unwrap();
    let output = scene.run(&["download", URL, "-"]);
    if output.status.success() {
        assert!(
            output.stdout == bytes(40 * MIB, 1),
            "wrong bytes, and no word"
        );
    }
    output
}

fn sixth_part() -> Rule {
    Rule::on(Operation::GetObject).offset(25 * MIB).first(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn t6_a_bit_that_is_flipped_on_the_way_is_told_in_the_end() {
    let output = download_through(sixth_part().flip(5000, 3)).await;
    failed(&output, "does not agree with s3://bucket/key");
    failed(&output, "which are not proven");
}

#[tokio::test(flavor = "multi_thread")]
async fn t6_an_object_that_is_replaced_on_the_way_ends_the_stream_and_is_named() {
    let output = download_through(sixth_part().event(Event::ReplaceObject)).await;
    failed(&output, "s3://bucket/key changed during its download");
}

#[tokio::test(flavor = "multi_thread")]
async fn t6_a_part_that_breaks_off_is_fetched_again() {
    let broken = sixth_part().truncate(100_000).keep_length();
    let output = download_through(broken).await;
    succeeded(&output);
}
