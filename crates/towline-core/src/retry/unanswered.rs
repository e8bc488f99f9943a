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
        // A dead kept-alive connection says nothing about the item.
        S3ErrorKind::Transport if error.reused_connection && !may_be_done => Meaning::AgainFree,
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
