//! `demo`: an upload and a download, each killed half way, each arriving whole.
//! The S3 server is our own, on a loopback port; everything is left as it was.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use towline_testserver::TestServer;

use crate::args::Demo;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

const BUCKET: &str = "demo";
const KEY: &str = "holiday.mov";
const ACCESS_KEY: &str = "demo-key";
const SECRET_KEY: &str = "demo-secret";

/// Slow enough that half way is a place one can hit.
const BANDWIDTH: u64 = 128 << 20;

pub(crate) async fn run(args: Demo, output: &mut Output) -> Result<Exit, Error> {
    let dir = tempfile::tempdir().map_err(|error| failed("make a directory", &error))?;
    let server = TestServer::builder()
        .bucket(BUCKET)
        .credentials(ACCESS_KEY, SECRET_KEY)
        .start()
        .await
        .map_err(|error| failed("start the S3 server", &error))?;
    server.faults().bandwidth(BANDWIDTH);
    let demo = Scene {
        server,
        dir: dir.path().to_owned(),
        size: u64::from(args.size) << 20,
    };
    let result = demo.play(output).await;
    demo.server.shutdown().await;
    result
}

struct Scene {
    server: TestServer,
    dir: PathBuf,
    size: u64,
}

impl Scene {
    async fn play(&self, output: &mut Output) -> Result<Exit, Error> {
        let (source, copy) = (self.dir.join(KEY), self.dir.join("copy of holiday.mov"));
        let original = make_file(&source, self.size).map_err(|e| failed("make the file", &e))?;
        output.line(&format!(
            "An S3 server of our own listens on {}; a file of {} MiB is to go there and back.",
            self.server.endpoint(),
            self.size >> 20
        ));
        output.line(&format!("sha256 {original}  {KEY}\n"));

        let url = format!("s3://{BUCKET}/{KEY}");
        let up = [Path::new("upload"), &source, Path::new(&url)];
        let sent = self.kill_and_repeat(&up, || self.server.history().bytes_received(), output);
        let sent = sent.await?;
        let stored = self
            .server
            .object_sha256(BUCKET, KEY)
            .map_err(|error| failed("read the object", &error))?;
        output.line(&format!("sha256 {stored}  {url}"));
        output.line(&self.resent("sent", sent));
        let open = self.server.open_uploads(BUCKET).len();
        output.line(&format!("multipart uploads left open: {open}\n"));

        let down = [Path::new("download"), Path::new(&url), &copy];
        let got = self.kill_and_repeat(&down, || self.server.history().bytes_sent(), output);
        let got = got.await?;
        let fetched = hash_file(&copy).map_err(|error| failed("read the copy", &error))?;
        output.line(&format!("sha256 {fetched}  {}", copy.display()));
        output.line(&self.resent("fetched", got));
        let left = self.temporary_files();
        output.line(&format!("temporary files left: {left}\n"));

        let whole = original == stored && original == fetched && open == 0 && left == 0;
        if whole {
            output.line("Both arrived whole, through a SIGKILL each.");
            Ok(Exit::Done)
        } else {
            Err(Error::Failed("the demo did not end as promised".into()))
        }
    }

    /// Runs a command, kills it half way, runs it again; tells how many bytes
    /// went over the wire in both.
    async fn kill_and_repeat(
        &self,
        command: &[&Path],
        moved: impl Fn() -> u64,
        output: &mut Output,
    ) -> Result<u64, Error> {
        let start = moved();
        let shown: Vec<String> = command
            .iter()
            .map(|arg| arg.display().to_string())
            .collect();
        let shown = shown.join(" ");
        output.line(&format!("$ towline {shown}"));
        let mut first = self.towline(command)?;
        let deadline = Instant::now() + Duration::from_secs(60);
        while moved() - start < self.size / 2 {
            let ended = first.try_wait().map_err(|error| failed("wait", &error))?;
            if ended.is_some() || Instant::now() > deadline {
                let _ = first.kill();
                return Err(Error::Failed("the command did not come half way".into()));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        first.kill().map_err(|error| failed("kill", &error))?;
        let status = first.wait().map_err(|error| failed("wait", &error))?;
        let at = (moved() - start) >> 20;
        output.line(&format!("  killed after {at} MiB: {status}"));
        output.line(&format!("$ towline {shown}"));
        let mut second = self.towline(command)?;
        let status = loop {
            if let Some(status) = second.try_wait().map_err(|error| failed("wait", &error))? {
                break status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        output.line(&format!("  ended: {status}"));
        if !status.success() {
            return Err(Error::Failed("the second run failed".into()));
        }
        Ok(moved() - start)
    }

    fn towline(&self, args: &[&Path]) -> Result<Child, Error> {
        let program = std::env::current_exe().map_err(|error| failed("find myself", &error))?;
        Command::new(program)
            .args(args)
            .arg("--quiet")
            .arg("--state-dir")
            .arg(self.dir.join("state"))
            .args([
                "--endpoint-url",
                &self.server.endpoint(),
                "--region",
                "us-east-1",
            ])
            .env_remove("AWS_PROFILE")
            .env_remove("AWS_SESSION_TOKEN")
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .env("NO_PROXY", "127.0.0.1")
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| failed("start towline", &error))
    }

    fn resent(&self, verb: &str, wire: u64) -> String {
        let again = wire.saturating_sub(self.size);
        let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
        format!(
            "{verb} {} for {}: {} a second time",
            mib(wire),
            mib(self.size),
            mib(again)
        )
    }

    fn temporary_files(&self) -> usize {
        let names = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        names
            .filter(|entry| entry.file_name().to_string_lossy().ends_with(".part"))
            .count()
    }
}

/// Random bytes, so that no part is like another.
fn make_file(path: &Path, size: u64) -> std::io::Result<String> {
    use std::io::Write;
    let mut file = std::fs::File::create(path)?;
    let mut block = vec![0; 1 << 20];
    let mut hash = Sha256::new();
    for _ in 0..size >> 20 {
        getrandom::fill(&mut block).map_err(|error| std::io::Error::other(error.to_string()))?;
        file.write_all(&block)?;
        hash.update(&block);
    }
    Ok(hex(&hash.finalize()))
}

fn hash_file(path: &Path) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    std::io::copy(&mut std::fs::File::open(path)?, &mut hash)?;
    Ok(hex(&hash.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> Error {
    Error::Failed(format!("cannot {what}: {error}"))
}
