//! What a failure means, decided in one place.
//!
//! Classes A to F of failures: retry the same, fix and retry once, restart as a
//! new generation, park until the cause ends, fail, or resolve by asking S3.

use std::time::Duration;

use crate::{Failure, LocalFailure, Operation, ParkReason, S3Error, S3ErrorKind, Timestamp};

/// What to do about a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// A: the same again after a random wait of at most `up_to`, at least `at_least`.
    Retry {
        /// The longest wait; the engine draws between `at_least` and this.
        up_to: Duration,
        /// S3 asked for this much patience.
        at_least: Duration,
        /// Whether it is evidence against this item and spends an attempt.
        costs: bool,
    },
    /// B: put this right, then once more.
    Fix(Fix),
    /// C: everything from zero, as a new generation.
    Restart,
    /// D: wait until the cause ends; costs no attempt.
    Park(ParkReason),
    /// E: trying again later, by hand, may help; what was moved is kept.
    GiveUp,
    /// E: it will not get better; what was moved is of no use any more.
    Fail,
    /// F: S3 may have done it; ask.
    Resolve,
}

/// What can be put right without a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fix {
    /// Read the credentials again.
    Credentials,
    /// Sign by the server's clock, which read this.
    Clock(Timestamp),
    /// Sign for, and send to, this region.
    Region(String),
}

/// What went before, as far as it matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Failures of this item in a row, without any progress, this one not counted.
    pub in_a_row: u32,
    /// Those of them that are evidence against the item.
    pub strikes: u32,
    /// How many such failures are forgiven; the next one ends the transfer.
    pub limit: u32,
    /// It was fixed, and failed again.
    pub fixed: bool,
}

impl History {
    /// The default of `limit`.
    pub const DEFAULT_LIMIT: u32 = 8;
}

/// The first wait is at most this.
const BACKOFF_BASE: Duration = Duration::from_millis(200);
/// No wait of our own is longer than this.
const BACKOFF_CAP: Duration = Duration::from_secs(30);
/// No server makes us wait longer than this.
const PATIENCE_CAP: Duration = Duration::from_secs(300);

/// Decides what a failure means.
pub fn react(failure: &Failure, history: History) -> Reaction {
    let reaction = match failure {
        Failure::Local(local) => react_to_local(local, history),
        Failure::S3(error) => react_to_s3(error, history),
    };
    match reaction {
        Reaction::Retry { costs: true, .. } if history.strikes >= history.limit => Reaction::GiveUp,
        other => other,
    }
}

fn react_to_local(failure: &LocalFailure, history: History) -> Reaction {
    match failure {
        LocalFailure::SourceChanged { .. }
        | LocalFailure::ObjectChanged { .. }
        | LocalFailure::WrongWhole { .. }
        // In one piece then.
        | LocalFailure::NoRanges { .. }
        | LocalFailure::TempGone { .. } => Reaction::Restart,
        LocalFailure::DiskFull { .. } => Reaction::Park(ParkReason::DiskFull),
        LocalFailure::TargetUnwritable {
            read_only: true, ..
        } => Reaction::Park(ParkReason::ReadOnly),
        // Bytes may be damaged on the way; a third time is no accident.
        LocalFailure::WrongBytes { .. } | LocalFailure::StoredWrong { .. } => {
            if history.strikes < 3 {
                again(history)
            } else {
                Reaction::Fail
            }
        }
        LocalFailure::SourceUnreadable { .. }
        | LocalFailure::TargetUnwritable { .. }
        | LocalFailure::TargetExists { .. }
        | LocalFailure::SourceNotReopenable
        | LocalFailure::TargetNotReopenable
        | LocalFailure::StreamLength { .. }
        | LocalFailure::NoSuchRange { .. }
        | LocalFailure::Connection { .. }
        | LocalFailure::Unplannable { .. } => Reaction::Fail,
    }
}

fn react_to_s3(error: &S3Error, history: History) -> Reaction {
    match error.kind {
        S3ErrorKind::Credentials => Reaction::Park(ParkReason::Credentials),
        S3ErrorKind::Dns | S3ErrorKind::Connect => Reaction::Park(ParkReason::Network),
        S3ErrorKind::Tls => Reaction::Park(ParkReason::Tls),
        S3ErrorKind::Invalid => Reaction::Fail,
        // A dead kept-alive connection says nothing about the item.
        S3ErrorKind::Transport if error.reused_connection && !error.request_sent => {
            Reaction::Retry {
                up_to: Duration::ZERO,
                at_least: Duration::ZERO,
                costs: false,
            }
        }
        S3ErrorKind::Transport | S3ErrorKind::Stalled | S3ErrorKind::Body => {
            if error.request_sent && error.operation.is_ambiguous_when_lost() {
                Reaction::Resolve
            } else {
                again(history)
            }
        }
        S3ErrorKind::Malformed => match error.operation {
            // The object, or an upload, may be there all the same.
            op if op.is_ambiguous_when_lost() => Reaction::Resolve,
            _ => again(history),
        },
        S3ErrorKind::Answer => react_to_answer(error, history),
    }
}

fn react_to_answer(error: &S3Error, history: History) -> Reaction {
    let completing = error.operation == Operation::CompleteMultipartUpload;
    match error.code() {
        "RequestTimeTooSkewed" if history.fixed => Reaction::Park(ParkReason::Clock),
        "RequestTimeTooSkewed" => match error.server_date {
            Some(server) => Reaction::Fix(Fix::Clock(server)),
            None => Reaction::Park(ParkReason::Clock),
        },
        "ExpiredToken"
        | "InvalidToken"
        | "TokenRefreshRequired"
        | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "ExpiredTokenException" => {
            if history.fixed {
                Reaction::Park(ParkReason::Credentials)
            } else {
                Reaction::Fix(Fix::Credentials)
            }
        }
        "PermanentRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException"
            if !history.fixed =>
        {
            match &error.region {
                Some(region) => Reaction::Fix(Fix::Region(region.clone())),
                None => Reaction::Fail,
            }
        }
        // Ceph says that of an upload, and of the object that it would make.
        "NoSuchUpload" | "NoSuchKey" if completing => Reaction::Resolve,
        "NoSuchUpload" => Reaction::Restart,
        "NoSuchKey" if error.operation == Operation::UploadPart => Reaction::Restart,
        // The parts S3 has are not those we listed: look at them again.
        "InvalidPart" if completing && history.strikes < 3 => Reaction::Resolve,
        "ConditionalRequestConflict" | "OperationAborted" if completing => Reaction::Restart,
        "ConditionalRequestConflict" | "OperationAborted" => again(history),
        "PreconditionFailed" => match error.operation {
            Operation::GetObject => Reaction::Restart,
            // A condition of the user's own.
            Operation::HeadObject => Reaction::Fail,
            _ => Reaction::Resolve,
        },
        "InvalidRange" => Reaction::Restart,
        "BadDigest" | "XAmzContentSHA256Mismatch" | "RequestTimeout" | "IncompleteBody" => {
            again(history)
        }
        "InvalidDigest" | "NotImplemented" => Reaction::Fail,
        "AccessDenied" => Reaction::GiveUp,
        // An error after the headers of a success: the work may go on.
        "SlowDown" | "ServiceUnavailable" if completing && error.status == Some(200) => {
            Reaction::Resolve
        }
        "SlowDown"
        | "ServiceUnavailable"
        | "Throttling"
        | "ThrottlingException"
        | "TooManyRequests"
        | "RequestLimitExceeded" => slow_down(error, history),
        _ => match error.status {
            Some(200) if completing => Reaction::Resolve,
            // An answer to HEAD has no body, hence no code.
            Some(412) => Reaction::Restart,
            Some(416) => Reaction::Restart,
            Some(429 | 503) => slow_down(error, history),
            Some(408 | 500 | 502 | 504) if completing => Reaction::Resolve,
            Some(408 | 500 | 502 | 504 | 509) => again_after(error, history, true),
            Some(401 | 403) => Reaction::GiveUp,
            Some(301 | 307 | 308) => match &error.region {
                Some(region) if !history.fixed => Reaction::Fix(Fix::Region(region.clone())),
                _ => Reaction::Fail,
            },
            _ => Reaction::Fail,
        },
    }
}

fn again(history: History) -> Reaction {
    Reaction::Retry {
        up_to: backoff(history.in_a_row),
        at_least: Duration::ZERO,
        costs: true,
    }
}

fn again_after(error: &S3Error, history: History, costs: bool) -> Reaction {
    let at_least = error.retry_after.unwrap_or_default().min(PATIENCE_CAP);
    Reaction::Retry {
        up_to: backoff(history.in_a_row).max(at_least),
        at_least,
        costs,
    }
}

/// Being throttled is no evidence against the item, so it costs nothing.
fn slow_down(error: &S3Error, history: History) -> Reaction {
    let slower = History {
        in_a_row: history.in_a_row + 2,
        ..history
    };
    again_after(error, slower, false)
}

/// How long to wait before asking S3 what became of a lost request: a late one
/// may still be applied.
pub(crate) fn resolve_wait(in_a_row: u32) -> Duration {
    backoff(in_a_row)
}

fn backoff(in_a_row: u32) -> Duration {
    BACKOFF_BASE
        .saturating_mul(1 << in_a_row.min(16))
        .min(BACKOFF_CAP)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> History {
        History {
            limit: History::DEFAULT_LIMIT,
            ..History::default()
        }
    }

    fn answer(operation: Operation, status: u16, code: &str) -> Failure {
        let mut error = S3Error::new(operation, S3ErrorKind::Answer, "");
        error.status = Some(status);
        error.code = (!code.is_empty()).then(|| code.to_string());
        error.into()
    }

    fn broken(operation: Operation, request_sent: bool) -> Failure {
        let mut error = S3Error::new(operation, S3ErrorKind::Transport, "reset");
        error.request_sent = request_sent;
        error.into()
    }

    #[test]
    fn what_s3_refuses_for_good_is_not_tried_again() {
        use Operation::*;
        for (operation, status, code) in [
            (PutObject, 404, "NoSuchBucket"),
            (HeadObject, 404, ""),
            (GetObject, 404, "NoSuchKey"),
            (CompleteMultipartUpload, 400, "EntityTooSmall"),
            (CompleteMultipartUpload, 400, "InvalidPartOrder"),
            (CreateMultipartUpload, 400, "InvalidArgument"),
            (GetObject, 400, "InvalidArgument"),
        ] {
            assert_eq!(
                react(&answer(operation, status, code), history()),
                Reaction::Fail,
                "{code}"
            );
        }
    }

    #[test]
    fn what_may_pass_is_tried_again_until_the_limit() {
        for (status, code) in [
            (500, "InternalError"),
            (502, ""),
            (504, ""),
            (400, "RequestTimeout"),
        ] {
            let failure = answer(Operation::UploadPart, status, code);
            let early = react(&failure, history());
            assert!(
                matches!(early, Reaction::Retry { costs: true, .. }),
                "{status} {code}"
            );
            let late = react(
                &failure,
                History {
                    strikes: 8,
                    ..history()
                },
            );
            assert_eq!(late, Reaction::GiveUp, "{status} {code}");
        }
    }

    #[test]
    fn what_a_person_may_mend_keeps_what_was_moved() {
        let denied = answer(Operation::UploadPart, 403, "AccessDenied");
        assert_eq!(react(&denied, history()), Reaction::GiveUp);
    }

    #[test]
    fn throttling_waits_as_asked_and_costs_no_attempt() {
        let mut error = S3Error::new(Operation::UploadPart, S3ErrorKind::Answer, "");
        error.status = Some(503);
        error.code = Some("SlowDown".into());
        error.retry_after = Some(Duration::from_secs(40));
        let failure = Failure::from(error);
        let spent = History {
            strikes: 100,
            ..history()
        };
        match react(&failure, spent) {
            Reaction::Retry {
                at_least,
                up_to,
                costs: false,
            } => {
                assert_eq!(at_least, Duration::from_secs(40));
                assert!(up_to >= at_least);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_lost_answer_is_resolved_only_where_s3_may_have_acted() {
        use Operation::*;
        for operation in [PutObject, CreateMultipartUpload, CompleteMultipartUpload] {
            assert_eq!(
                react(&broken(operation, true), history()),
                Reaction::Resolve
            );
            assert!(matches!(
                react(&broken(operation, false), history()),
                Reaction::Retry { .. }
            ));
        }
        assert!(matches!(
            react(&broken(UploadPart, true), history()),
            Reaction::Retry { .. }
        ));
    }

    #[test]
    fn an_upload_that_is_gone_may_be_called_a_missing_key() {
        let gone = |operation| react(&answer(operation, 404, "NoSuchKey"), history());
        assert_eq!(gone(Operation::UploadPart), Reaction::Restart);
        assert_eq!(gone(Operation::CompleteMultipartUpload), Reaction::Resolve);
        assert_eq!(gone(Operation::GetObject), Reaction::Fail);
    }

    #[test]
    fn a_success_without_its_content_is_never_success() {
        let failure = answer(Operation::CompleteMultipartUpload, 200, "InternalError");
        assert_eq!(react(&failure, history()), Reaction::Resolve);
        let empty = S3Error::new(
            Operation::CompleteMultipartUpload,
            S3ErrorKind::Malformed,
            "",
        );
        assert_eq!(react(&empty.into(), history()), Reaction::Resolve);
    }

    #[test]
    fn credentials_and_clock_are_fixed_once_and_then_waited_for() {
        let expired = answer(Operation::UploadPart, 400, "ExpiredToken");
        assert_eq!(react(&expired, history()), Reaction::Fix(Fix::Credentials));
        let again = History {
            fixed: true,
            ..history()
        };
        assert_eq!(
            react(&expired, again),
            Reaction::Park(ParkReason::Credentials)
        );
        let mut skewed = answer(Operation::UploadPart, 403, "RequestTimeTooSkewed");
        let server = Timestamp::from_millis(1_000);
        if let Failure::S3(error) = &mut skewed {
            error.server_date = Some(server);
        }
        assert_eq!(react(&skewed, history()), Reaction::Fix(Fix::Clock(server)));
        assert_eq!(react(&skewed, again), Reaction::Park(ParkReason::Clock));
    }

    #[test]
    fn a_dead_kept_alive_connection_is_free() {
        let mut error = S3Error::new(Operation::UploadPart, S3ErrorKind::Transport, "closed");
        error.reused_connection = true;
        let spent = History {
            strikes: 100,
            ..history()
        };
        assert!(matches!(
            react(&error.into(), spent),
            Reaction::Retry { costs: false, .. }
        ));
    }
}
