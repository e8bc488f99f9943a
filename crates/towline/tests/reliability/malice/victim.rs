//! A process of its own that makes one transfer, so that its memory can be measured.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use towline::{Credentials, CustomerKey, Error, KeyReference, StaticCredentials, TransferUtility};

use crate::scene::{BUCKET, quick, to};

const WHAT: &str = "TOWLINE_VICTIM";

/// What it is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Verb {
    Upload,
    /// Of more than fits one PUT.
    UploadInParts,
    Download,
    List,
    Leftovers,
}

#[derive(Debug, Serialize, Deserialize)]
struct What {
    verb: Verb,
    endpoint: String,
    secret: bool,
}

/// How it went.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Told {
    /// A state, or `refused` where there was no transfer.
    pub(crate) state: String,
    pub(crate) code: String,
    pub(crate) message: String,
    /// By how much its memory rose at the most.
    pub(crate) rise_kib: u64,
    /// What it downloaded.
    pub(crate) fetched: Option<Vec<u8>>,
}

/// Whatever a server does, it has had its say by then.
const TIME: Duration = Duration::from_secs(240);

/// Lets a process do this, and gives how it went. It must not die of it.
pub(crate) async fn suffer(verb: Verb, endpoint: String) -> Told {
    run(verb, endpoint, false).await
}

/// The same with a key of one's own, which is a secret.
pub(crate) async fn suffer_with_secret(verb: Verb, endpoint: String) -> Told {
    run(verb, endpoint, true).await
}

async fn run(verb: Verb, endpoint: String, secret: bool) -> Told {
    let what = What {
        verb,
        endpoint,
        secret,
    };
    let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "malice::victim::a_process_that_trusts_nobody"])
        .args(["--ignored", "--nocapture"])
        .env(WHAT, serde_json::to_string(&what).unwrap())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let output = tokio::time::timeout(TIME, command.output()).await;
    let output = output.expect("it ends in time").unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        !err.contains("panicked") && output.status.success(),
        "{err}"
    );
    let told = out.lines().find_map(|line| line.split_once("TOLD "));
    serde_json::from_str(told.unwrap().1).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by other tests, as a process of its own"]
async fn a_process_that_trusts_nobody() {
    let Ok(what) = std::env::var(WHAT) else {
        return;
    };
    let what: What = serde_json::from_str(&what).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut config = quick();
    config.retry_limit = 1;
    let utility = TransferUtility::builder()
        .state_dir(dir.path().join("state"))
        .connection(to(what.endpoint))
        .credentials(
            "test",
            StaticCredentials(Credentials::new("test", "testsecret")),
        )
        .customer_key(
            "key",
            CustomerKey::new(*b"an SSE-C key is a secret as well"),
        )
        .config(config)
        .open()
        .await
        .unwrap();
    let before = peak_kib();
    let key = what.secret.then(|| KeyReference::Registered("key".into()));
    let mut told = act(&utility, what.verb, key, dir.path()).await;
    told.rise_kib = peak_kib() - before;
    println!("TOLD {}", serde_json::to_string(&told).unwrap());
}

async fn act(utility: &TransferUtility, verb: Verb, key: Option<KeyReference>, dir: &Path) -> Told {
    let path = dir.join("file");
    let observer = match verb {
        Verb::List => return refused(utility.list(BUCKET).await.map(drop)),
        Verb::Leftovers => return refused(utility.leftovers(BUCKET).list().await.map(drop)),
        Verb::Upload | Verb::UploadInParts => {
            let len = if verb == Verb::Upload { 1000 } else { 6 << 20 };
            std::fs::write(&path, vec![7; len]).unwrap();
            let mut upload = utility.upload(BUCKET, "key", &path);
            if let Some(key) = key {
                upload = upload.customer_key(key);
            }
            upload.await
        }
        Verb::Download => {
            let mut download = utility.download(BUCKET, "key", &path);
            if let Some(key) = key {
                download = download.customer_key(key);
            }
            download.await
        }
    };
    let observer = observer.unwrap();
    // One that waits for better days says so, and why.
    let end = tokio::time::timeout(TIME / 2, observer.finished()).await;
    let transfer = match end {
        Ok(end) => end.unwrap(),
        Err(_) => observer.transfer(),
    };
    let error = transfer.error.as_ref();
    Told {
        state: transfer.state.to_string(),
        code: error.map(|it| it.code.clone()).unwrap_or_default(),
        message: error.map(|it| it.message.clone()).unwrap_or_default(),
        rise_kib: 0,
        fetched: (verb == Verb::Download)
            .then(|| std::fs::read(path).ok())
            .flatten(),
    }
}

fn refused(end: Result<(), Error>) -> Told {
    let error = end.err();
    Told {
        state: if error.is_some() { "refused" } else { "done" }.into(),
        code: error
            .as_ref()
            .map(|it| it.code().to_string())
            .unwrap_or_default(),
        message: error.map(|it| it.to_string()).unwrap_or_default(),
        rise_kib: 0,
        fetched: None,
    }
}

/// The most memory this process has had so far.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.unwrap().split_whitespace().nth(1);
    kib.unwrap().parse().unwrap()
}
