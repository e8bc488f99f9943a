//! A million queued transfers: how fast they are recorded, how soon the next
//! process is ready and sends a first byte, and what memory and disk that takes.
//!
//! `cargo bench -p towline --bench million -- DIR [COUNT]`, in a directory on the
//! disk that is asked about; `bench/README.md` has the figures.

use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use towline::{
    Connection, ConnectionSource, Credentials, Query, StaticCredentials, TransferRequest,
    TransferUtility,
};

type Done<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// How many are submitted at a time.
const BATCH: usize = 1000;
/// How long the second process has for a first byte.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Done {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let dir: PathBuf = args.next().ok_or("in which directory?")?.into();
    let count: usize = args.next().map_or(Ok(1_000_000), |count| count.parse())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // Bound anew by the second process, and by nobody else meanwhile.
    let port = 18_640;
    if args.next().is_some() {
        return runtime.block_on(go_on(&dir, port));
    }
    std::fs::create_dir_all(&dir)?;
    runtime.block_on(enqueue(&dir, port, count))?;
    let again = Command::new(std::env::current_exe()?)
        .arg(&dir)
        .args([&count.to_string(), "again"])
        .status()?;
    if again.success() {
        Ok(())
    } else {
        Err("the second process failed".into())
    }
}

/// Records all of them, while nobody answers.
async fn enqueue(dir: &Path, port: u16, count: usize) -> Done {
    let source = std::path::absolute(dir)?.join("source");
    std::fs::write(&source, b"bytes")?;
    let utility = open(dir, port).await?;
    let begun = Instant::now();
    for first in (0..count).step_by(BATCH) {
        let some = first..count.min(first + BATCH);
        let requests = some.map(|n| TransferRequest::upload("bucket", format!("p/{n}"), &source));
        utility.submit(requests.collect()).await?;
    }
    let took = begun.elapsed().as_secs_f64();
    println!(
        "{count} recorded in {took:.1} s: {:.0}/s",
        count as f64 / took
    );
    utility.close().await?;
    println!("peak memory: {} MiB", peak_memory()?);
    println!("the store: {} MiB", bytes_below(&dir.join("state"))? >> 20);
    Ok(())
}

/// Opens them again, where somebody listens.
async fn go_on(dir: &Path, port: u16) -> Done {
    let (heard, first_byte) = mpsc::channel();
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming().flatten() {
            let (heard, mut stream) = (heard.clone(), stream);
            kept.push(std::thread::spawn(move || {
                if stream.read(&mut [0; 1]).is_ok_and(|read| read == 1) {
                    let _ = heard.send(Instant::now());
                    std::thread::sleep(PATIENCE); // it is never answered
                }
            }));
        }
    });
    let begun = Instant::now();
    let utility = open(dir, port).await?;
    let page = utility.find(Query::default()).await?.0;
    let ready = begun.elapsed();
    println!("ready, and {} shown, after {ready:.2?}", page.len());
    let first = tokio::task::spawn_blocking(move || first_byte.recv_timeout(PATIENCE)).await??;
    println!("a first byte after {:.2?}", first.duration_since(begun));
    utility.close().await?;
    println!("peak memory: {} MiB", peak_memory()?);
    Ok(())
}

async fn open(dir: &Path, port: u16) -> Done<TransferUtility> {
    let connection = Connection {
        source: ConnectionSource::Registered("keys".into()),
        endpoint: Some(format!("http://127.0.0.1:{port}")),
        region: Some("us-east-1".into()),
        ..Connection::default()
    };
    let keys = StaticCredentials(Credentials::new("AKIAEXAMPLE", "secret"));
    let builder = TransferUtility::builder()
        .state_dir(dir.join("state"))
        .connection(connection)
        .credentials("keys", keys);
    Ok(builder.open().await?)
}

/// In MiB.
fn peak_memory() -> Done<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.ok_or("no peak memory is told here")?.parse::<u64>()? >> 10)
}

fn bytes_below(dir: &Path) -> Done<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}
