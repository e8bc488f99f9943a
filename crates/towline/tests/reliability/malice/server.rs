//! A server that answers whatever a test makes up, whole or without end.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a client asked for.
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// How many requests came before.
    pub(crate) before: usize,
}

impl Asked {
    pub(crate) fn is(&self, method: &str, part_of_target: &str) -> bool {
        self.method == method && self.target.contains(part_of_target)
    }
}

/// What it gets.
pub(crate) enum Reply {
    /// These bytes.
    Whole(Vec<u8>),
    /// The first ones, then the others again and again.
    Endless(Vec<u8>, Vec<u8>),
}

/// It stops when dropped.
pub(crate) struct Evil {
    pub(crate) port: u16,
    heads: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Evil {
    pub(crate) async fn start(answer: impl Fn(Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&heads), Arc::new(answer));
        let connected = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connected);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Relaxed);
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                connections.spawn(async move { serve(stream, &seen, &*answer).await });
            }
        });
        Self {
            port,
            heads,
            connections: connected,
            task,
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How many connections were made to it.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }

    /// The heads of all requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

impl Drop for Evil {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves a connection until the client has had enough.
async fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<String>>,
    answer: &(impl Fn(Asked) -> Reply + ?Sized),
) -> Option<()> {
    let mut bytes = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            read(&mut stream, &mut bytes).await?;
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let lower = head.to_ascii_lowercase();
        let mut lines = lower.lines();
        let length = lines.find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        while bytes.len() < end + length {
            read(&mut stream, &mut bytes).await?;
        }
        bytes.drain(..end + length);
        let mut words = head.split(' ').map(str::to_owned);
        let (method, target) = (words.next()?, words.next()?);
        let before = {
            let mut seen = seen.lock().unwrap();
            seen.push(head);
            seen.len() - 1
        };
        let asked = Asked {
            method,
            target,
            before,
        };
        match answer(asked) {
            Reply::Whole(bytes) => stream.write_all(&bytes).await.ok()?,
            Reply::Endless(first, again) => {
                stream.write_all(&first).await.ok()?;
                loop {
                    stream.write_all(&again).await.ok()?;
                }
            }
        }
    }
}

async fn read(stream: &mut TcpStream, into: &mut Vec<u8>) -> Option<()> {
    let mut piece = vec![0; 64 << 10];
    let read = stream
        .read(&mut piece)
        .await
        .ok()
        .filter(|read| *read > 0)?;
    into.extend_from_slice(&piece[..read]);
    Some(())
}

/// An answer with its length.
pub(crate) fn http(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}").into_bytes()
}

pub(crate) fn xml(body: &str) -> Reply {
    Reply::Whole(http("200 OK", "content-type: application/xml\r\n", body))
}

/// The head of an answer whose chunks follow.
pub(crate) fn chunked(status: &str, headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}transfer-encoding: chunked\r\n\r\n").into_bytes()
}

/// 64 KiB of this, as a chunk.
pub(crate) fn chunk(of: &str) -> Vec<u8> {
    let content = of.repeat((64 << 10) / of.len());
    format!("{:x}\r\n{content}\r\n", content.len()).into_bytes()
}
