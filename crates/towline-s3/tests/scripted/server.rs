//! A TCP server that plays a script, one step for each request.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What happens to one request.
#[derive(Clone)]
pub(crate) enum Step {
    /// Reads the whole request, answers with these bytes, keeps the connection.
    Answer(Vec<u8>),
    /// The same, then closes.
    AnswerAndClose(Vec<u8>),
    /// Answers after the head and this much of the body, then closes with the rest unread.
    AnswerEarly(usize, Vec<u8>),
    /// Reads the request and closes without a byte.
    Close,
    /// Resets the connection with the body unread.
    Reset,
    /// Answers, then closes after a pause in which the connection looks usable.
    AnswerAndVanish(Vec<u8>),
    /// Repeats these bytes until the client goes away.
    Flood(Vec<u8>, Vec<u8>),
}

pub(crate) struct Script {
    pub(crate) endpoint: String,
    pub(crate) port: u16,
    /// The heads of the requests so far.
    heads: Arc<Mutex<Vec<String>>>,
}

impl Script {
    pub(crate) async fn play(steps: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = heads.clone();
        tokio::spawn(async move {
            let mut open: Option<TcpStream> = None;
            for step in steps {
                let (mut stream, head, length) = next_request(&listener, open.take()).await;
                seen.lock().unwrap().push(head);
                open = step.perform(&mut stream, length).await.then_some(stream);
            }
            // Later requests are not answered, but not refused either.
            if let Some(stream) = open {
                std::mem::forget(stream);
            }
            std::future::pending::<()>().await;
        });
        Self {
            endpoint: format!("http://127.0.0.1:{port}"),
            port,
            heads,
        }
    }

    pub(crate) async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        Self::play(vec![Step::Answer(answer.into())]).await
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

impl Step {
    /// Gives whether the connection stays open.
    async fn perform(self, stream: &mut TcpStream, length: usize) -> bool {
        match self {
            Self::Answer(bytes) => {
                read_body(stream, length).await;
                stream.write_all(&bytes).await.is_ok()
            }
            Self::Reset => {
                stream.set_zero_linger().unwrap();
                false
            }
            Self::AnswerAndClose(bytes) => {
                read_body(stream, length).await;
                let _ = stream.write_all(&bytes).await;
                false
            }
            Self::AnswerEarly(read, bytes) => {
                read_body(stream, read).await;
                let _ = stream.write_all(&bytes).await;
                // Closing with unread bytes makes the kernel send a reset.
                tokio::time::sleep(Duration::from_millis(50)).await;
                false
            }
            Self::Close => {
                read_body(stream, length).await;
                false
            }
            Self::AnswerAndVanish(bytes) => {
                read_body(stream, length).await;
                let _ = stream.write_all(&bytes).await;
                // The next request on it is read, and never answered.
                let mut one = [0; 1];
                let _ = stream.read(&mut one).await;
                false
            }
            Self::Flood(first, again) => {
                read_body(stream, length).await;
                let _ = stream.write_all(&first).await;
                while stream.write_all(&again).await.is_ok() {}
                false
            }
        }
    }
}

async fn next_request(
    listener: &TcpListener,
    open: Option<TcpStream>,
) -> (TcpStream, String, usize) {
    if let Some(mut stream) = open
        && let Some((head, length)) = read_head(&mut stream).await
    {
        return (stream, head, length);
    }
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        if let Some((head, length)) = read_head(&mut stream).await {
            return (stream, head, length);
        }
    }
}

async fn read_head(stream: &mut TcpStream) -> Option<(String, usize)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    Some((head, length))
}

async fn read_body(stream: &mut TcpStream, mut length: usize) {
    let mut buffer = vec![0; 64 << 10];
    while length > 0 {
        let want = length.min(buffer.len());
        match stream.read(&mut buffer[..want]).await {
            Ok(0) | Err(_) => return,
            Ok(n) => length -= n,
        }
    }
}

/// An answer with its length.
pub(crate) fn http(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}").into_bytes()
}
