//! Every fault of a script, seen byte by byte on the socket.

mod bodies;
mod cuts;
mod effects;
mod globals;
mod scripts;
mod stalls;

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use towline_testserver::{Rule, Script, TestServer};

use crate::client::{BUCKET, Client, bytes, server};

/// How what a server says came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Fin,
    Rst,
    /// Nothing came any more, and the connection stood.
    Silent,
}

/// Everything that came on a connection.
#[derive(Debug)]
struct Heard {
    head: String,
    body: Vec<u8>,
    end: End,
}

impl Heard {
    fn status(&self) -> u16 {
        let status = self.head.split(' ').nth(1).unwrap_or_default();
        status.parse().unwrap_or(0)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Long enough that what has not come by then does not come.
const SILENCE: Duration = Duration::from_secs(1);

/// Reads until the connection ends or is silent.
async fn hear(stream: &mut TcpStream) -> Heard {
    let mut all = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    let end = loop {
        match timeout(SILENCE, stream.read(&mut piece)).await {
            Err(_) => break End::Silent,
            Ok(Ok(0)) => break End::Fin,
            Ok(Ok(read)) => all.extend_from_slice(&piece[..read]),
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionReset => break End::Rst,
            Ok(Err(error)) => panic!("{error}"),
        }
    };
    let split = all.windows(4).position(|four| four == b"\r\n\r\n");
    let split = split.map_or(all.len(), |at| at + 4);
    Heard {
        body: all.split_off(split),
        head: String::from_utf8(all).unwrap(),
        end,
    }
}

/// A server that plays this rule alone, after `/key` was stored.
async fn with_object(size: usize, rule: Rule) -> (TestServer, Client) {
    let (server, client) = server().await;
    client.put("/key", bytes(size)).await.expect(200);
    server.history().clear();
    server.faults().play(Script::new().rule(rule)).unwrap();
    (server, client)
}

/// A server that plays this rule alone.
async fn playing(rule: Rule) -> (TestServer, Client) {
    let (server, client) = server().await;
    server.faults().play(Script::new().rule(rule)).unwrap();
    (server, client)
}

/// Asks for `/key` and hears everything.
async fn get(client: &Client, headers: &[(&str, &str)]) -> Heard {
    let mut stream = client.connect().await;
    client.say(&mut stream, "GET", "/key", headers, b"").await;
    hear(&mut stream).await
}

/// Sends a whole `/key` and hears everything.
async fn put(client: &Client, body: &[u8]) -> Heard {
    let mut stream = client.begin_put("/key", body.len(), body).await;
    hear(&mut stream).await
}

fn is_stored(server: &TestServer) -> bool {
    !server.versions(BUCKET, "key").is_empty()
}

/// Waits for what the server does in its own time.
async fn eventually(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), wait)
        .await
        .expect("it never came true");
}
