//! An HTTP client that sends just what it is told, as strangers do.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// One answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub fn json(&self) -> serde_json::Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The code of a problem document.
    pub fn code(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert!(!problem["title"].as_str().unwrap().is_empty());
        problem["code"].as_str().unwrap().to_owned()
    }
}

/// The service as one asks it over TCP.
#[derive(Clone, Debug)]
pub struct Http {
    pub address: SocketAddr,
    pub token: String,
}

impl Http {
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// With the token, and the content type of what changes something.
    pub fn ask(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.with(method, path, &[], body)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, b"")
    }

    pub fn post(&self, path: &str, body: &serde_json::Value) -> Answer {
        self.ask("POST", path, body.to_string().as_bytes())
    }

    /// With headers that take the place of the usual ones; an empty value
    /// leaves one out.
    pub fn with(&self, method: &str, path: &str, other: &[(&str, &str)], body: &[u8]) -> Answer {
        let kind = match path.starts_with("/v1/spool") {
            true => "application/octet-stream",
            false => "application/json",
        };
        let usual = [
            ("Host", self.host()),
            ("Authorization", format!("Bearer {}", self.token)),
            ("Content-Type", kind.to_owned()),
            ("Content-Length", body.len().to_string()),
        ];
        let replaced = |name: &str| other.iter().any(|(it, _)| it.eq_ignore_ascii_case(name));
        let usual = usual.iter().filter(|(name, _)| !replaced(name));
        let usual = usual.map(|(name, value)| (*name, value.as_str()));
        let other = other.iter().copied().filter(|(_, value)| !value.is_empty());
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        for (name, value) in usual.chain(other) {
            head += &format!("{name}: {value}\r\n");
        }
        self.raw(&[head.as_bytes(), b"\r\n", body].concat())
    }

    /// Sends bytes as they are.
    pub fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        // Who is refused early may not read all of it.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        parse(&answer).unwrap_or_else(|| panic!("{read:?}: {:?}", String::from_utf8_lossy(&answer)))
    }
}

fn parse(answer: &[u8]) -> Option<Answer> {
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let mut body = answer[end + 4..].to_vec();
    if head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked")
    {
        body = unchunk(&body)?;
    }
    Some(Answer { status, head, body })
}

fn unchunk(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = bytes.windows(2).position(|it| it == b"\r\n")?;
        let len = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).ok()?, 16).ok()?;
        if len == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(bytes.get(end + 2..end + 2 + len)?);
        bytes = bytes.get(end + 4 + len..)?;
    }
}
