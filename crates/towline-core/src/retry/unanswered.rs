//! Requests that got no answer, or none that S3 gives.

use super::meaning::Meaning;
use crate::{ParkReason, S3Error, S3ErrorKind};

pub(super) fn meaning(error: &S3Error) -> Meaning {
    let may_be_done = error.request_sent && error.operation.is_ambiguous_when_lost();
    match error.kind {
        S3ErrorKind::Credentials => Meaning::Wait(ParkReason::Credentials),
        S3ErrorKind::Dns | S3ErrorKind::Connect | S3ErrorKind::Foreign => {
            Meaning::Wait(ParkReason::Network)
        }
        S3ErrorKind::Tls => Meaning::Wait(ParkReason::Tls),
        S3ErrorKind::Invalid => Meaning::Fail,
        S3ErrorKind::Transport if was_dead(error) && may_be_done => Meaning::AskFree,
        S3ErrorKind::Transport if was_dead(error) => Meaning::AgainFree,
        S3ErrorKind::Transport | S3ErrorKind::Stalled | S3ErrorKind::Body if may_be_done => {
            Meaning::Ask
        }
        S3ErrorKind::Transport | S3ErrorKind::Stalled | S3ErrorKind::Body => Meaning::Again,
        // The object, or an upload, may be there all the same.
        S3ErrorKind::Malformed if error.operation.is_ambiguous_when_lost() => Meaning::Ask,
        S3ErrorKind::Malformed => Meaning::AFewTimes,
        S3ErrorKind::Answer => super::answers::meaning(error),
    }
}

/// Bodies up to this fit into the socket's buffer, so that they are sent whole
/// before anyone can see that nobody listens.
const AT_ONCE: u64 = 256 << 10;

/// A kept-alive connection that was dead, as far as anyone can tell, says
/// nothing about the item: it broke before a byte came back, and before more
/// was sent than goes out at once.
fn was_dead(error: &S3Error) -> bool {
    let little = !error.request_sent || error.body_sent <= AT_ONCE;
    error.reused_connection && error.status.is_none() && little
}
