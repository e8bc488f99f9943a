//! Server-sent events: their form on the wire, in both directions.
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use bytes::Bytes;
use serde::Serialize;
use towline::Transfer;

use crate::api::{Event, Seen};

/// An event as it is sent.
pub(crate) fn write(event: &Event) -> Bytes {
    match event {
        Event::Transfer(transfer) => block("transfer", &Seen::from((**transfer).clone())),
        Event::Removed(id) => block("removed", id),
        Event::Group(group) => block("group", group),
        // Its id is what a client reads on from.
        Event::Reached(cursor) => {
            format!("event: reached\nid: {cursor}\ndata: {cursor}\n\n").into()
        }
        Event::Handover => block("handover", &serde_json::json!({})),
    }
}

fn block(name: &str, data: &impl Serialize) -> Bytes {
    // JSON has no line breaks of its own.
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n").into()
}

/// Takes events out of what arrived, as far as it is whole.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    arrived: Vec<u8>,
    /// So much of it was taken.
    taken: usize,
}

impl Parser {
    pub(crate) fn arrived(&mut self, bytes: &[u8]) {
        self.arrived.drain(..self.taken);
        self.taken = 0;
        self.arrived.extend_from_slice(bytes);
    }

    /// The next event; comments and kinds that are not known are left out.
    pub(crate) fn next(&mut self) -> Option<Result<Event, serde_json::Error>> {
        loop {
            let rest = &self.arrived[self.taken..];
            let end = rest.windows(2).position(|two| two == b"\n\n")?;
            let text = String::from_utf8_lossy(&rest[..end]);
            self.taken += end + 2;
            let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
            let (Some(kind), Some(data)) = (field("event: "), field("data: ")) else {
                continue;
            };
            if let Some(event) = read(kind, data) {
                return Some(event);
            }
        }
    }
}

fn read(kind: &str, data: &str) -> Option<Result<Event, serde_json::Error>> {
    Some(match kind {
        "transfer" => serde_json::from_str::<Seen>(data)
            .map(|seen| Event::Transfer(Box::new(Transfer::from(seen)))),
        "group" => serde_json::from_str(data).map(Event::Group),
        "removed" => serde_json::from_str(data).map(Event::Removed),
        "reached" => {
            serde_json::from_value(serde_json::Value::String(data.into())).map(Event::Reached)
        }
        "handover" => Ok(Event::Handover),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use towline::TransferId;

    #[test]
    fn events_are_read_when_they_are_whole_and_others_are_left_out() {
        let mut parser = Parser::default();
        parser.arrived(b": a comment\n\nevent: new kind\ndata: 1\n\nevent: removed\nda");
        assert!(parser.next().is_none());
        parser.arrived(b"ta: 7\n\nevent: handover\ndata: {}\n\n");
        assert_eq!(
            parser.next().unwrap().unwrap(),
            Event::Removed(TransferId::new(7))
        );
        assert_eq!(parser.next().unwrap().unwrap(), Event::Handover);
        assert!(parser.next().is_none());
    }
}
