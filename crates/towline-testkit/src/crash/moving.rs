//! Two senders of one part, as far as the server's history tells.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use towline_testserver::Request;

use super::evidence::Twins;

/// What a killed process had sent is in the kernel's buffers and arrives, new
/// requests included, while the next process sends the same again. After this
/// long none of it is left.
const DRAINED: Duration = Duration::from_secs(2);

/// Which requests move the bytes of which part.
#[derive(Debug, Default)]
pub(crate) struct Moving {
    /// Unanswered requests: bytes at the last look, and for how many looks in a
    /// row they have moved.
    last: BTreeMap<u64, (u64, u32)>,
    reported: BTreeSet<(u64, u64)>,
}

impl Moving {
    /// Pairs of these unanswered requests that moved bytes of one part at this
    /// look and the one before: within one look, one may have ended before the
    /// other began. Those that may be of a killed process are left out.
    pub(crate) fn look(&mut self, open: Vec<Request>, last_kill: Option<SystemTime>) -> Vec<Twins> {
        let from = last_kill.map_or(UNIX_EPOCH, |kill| kill + DRAINED);
        let mut now = BTreeMap::new();
        let mut movers = BTreeMap::new();
        let mut twins = Vec::new();
        for request in open {
            if UNIX_EPOCH + Duration::from_millis(request.time_ms) < from {
                continue;
            }
            let last = self.last.get(&request.sequence);
            let (before, looks) = last.copied().unwrap_or_default();
            let moved = request.bytes_received > before;
            let looks = if moved { looks + 1 } else { 0 };
            now.insert(request.sequence, (request.bytes_received, looks));
            if looks < 2 {
                continue;
            }
            let part = (request.upload_id, request.part_number);
            let Some(other) = movers.insert(part, request.sequence) else {
                continue;
            };
            let requests = (other, request.sequence);
            if self.reported.insert(requests) {
                twins.push(Twins {
                    key: request.key.unwrap_or_default(),
                    part: request.part_number.unwrap_or_default(),
                    requests,
                });
            }
        }
        self.last = now;
        twins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(sequence: u64, number: u32, bytes: u64) -> Request {
        let fields = serde_json::json!({
            "sequence": sequence, "time_ms": 10_000, "operation": "UploadPart", "key": "key",
            "part_number": number, "upload_id": "upload", "bytes_received": bytes,
            "received_whole": false, "bytes_sent": 0, "completed": false,
        });
        serde_json::from_value(fields).unwrap()
    }

    /// What three looks find, with these two requests growing or not.
    fn find(number: u32, grows: u64, last_kill: Option<u64>) -> Vec<Twins> {
        let last_kill = last_kill.map(|ms| UNIX_EPOCH + Duration::from_millis(ms));
        let mut moving = Moving::default();
        let looks = (1..=3).flat_map(|look| {
            let open = vec![part(1, 7, 10 * look), part(2, number, 10 + grows * look)];
            moving.look(open, last_kill)
        });
        looks.collect()
    }

    #[test]
    fn two_requests_that_both_move_bytes_of_one_part_are_found_once() {
        let twins = Twins {
            key: "key".into(),
            part: 7,
            requests: (1, 2),
        };
        assert_eq!(
            find(7, 1, Some(8_000)),
            find(7, 1, None),
            "long after a kill"
        );
        assert_eq!(find(7, 1, None), [twins]);
    }

    #[test]
    fn requests_of_two_parts_or_cut_ones_or_of_the_dead_are_no_twins() {
        assert_eq!(find(8, 1, None), []);
        assert_eq!(find(7, 0, None), []);
        assert_eq!(find(7, 1, Some(8_001)), []);
    }
}
