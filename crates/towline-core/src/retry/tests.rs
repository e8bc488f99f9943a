//! Every row of the tables by an example, and what history makes of them.

use super::answers::ROWS;
use super::meaning::FEW;
use super::*;
use crate::Operation::*;
use crate::{LocalFailure, Operation, S3Error};

fn history() -> History {
    History::new(History::DEFAULT_LIMIT)
}

fn spent() -> History {
    History {
        strikes: 100,
        odd: 100,
        ..history()
    }
}

fn error(operation: Operation, status: u16, code: &str) -> S3Error {
    let mut error = S3Error::new(operation, S3ErrorKind::Answer, "");
    error.status = Some(status);
    error.code = (!code.is_empty()).then(|| code.to_string());
    error
}

fn answer(operation: Operation, status: u16, code: &str) -> Failure {
    error(operation, status, code).into()
}

fn broken(operation: Operation, request_sent: bool) -> Failure {
    let mut error = S3Error::new(operation, S3ErrorKind::Transport, "reset");
    error.request_sent = request_sent;
    error.into()
}

fn wrong_bytes() -> Failure {
    let (object, why) = ("s3://bucket/key".into(), "checksum".into());
    LocalFailure::WrongBytes { object, why }.into()
}

/// The class of FAILURES.md 4.1, as a letter; lower case where it costs nothing.
fn class(reaction: &Reaction) -> char {
    match reaction {
        Reaction::Retry { costs: true, .. } => 'A',
        Reaction::Retry { costs: false, .. } => 'a',
        Reaction::Fix(_) => 'B',
        Reaction::Restart => 'C',
        Reaction::Park(_) => 'D',
        Reaction::GiveUp | Reaction::Fail => 'E',
        Reaction::Resolve => 'F',
    }
}

/// What answers mean the first time, row by row of the table.
const EXAMPLES: &[(Operation, u16, &str, char)] = &[
    (UploadPart, 403, "RequestTimeTooSkewed", 'D'), // without the server's time
    (UploadPart, 400, "ExpiredToken", 'B'),
    (GetObject, 403, "InvalidAccessKeyId", 'B'),
    (GetObject, 403, "SignatureDoesNotMatch", 'B'),
    (PutObject, 400, "AuthorizationHeaderMalformed", 'B'),
    (PutObject, 301, "PermanentRedirect", 'B'),
    (HeadObject, 301, "", 'B'),
    (PutObject, 307, "TemporaryRedirect", 'E'), // to nowhere that is known
    (CreateMultipartUpload, 501, "NotImplemented", 'E'),
    (PutObject, 400, "InvalidRequest", 'E'),
    (CompleteMultipartUpload, 404, "NoSuchUpload", 'F'),
    (CompleteMultipartUpload, 404, "NoSuchKey", 'F'),
    (UploadPart, 404, "NoSuchUpload", 'C'),
    (ListParts, 404, "", 'C'),
    (UploadPartCopy, 404, "NoSuchKey", 'C'),
    (CompleteMultipartUpload, 400, "InvalidPart", 'F'),
    (
        CompleteMultipartUpload,
        409,
        "ConditionalRequestConflict",
        'C',
    ),
    (PutObject, 409, "ConditionalRequestConflict", 'A'),
    (PutObject, 409, "OperationAborted", 'A'),
    (PutObject, 412, "PreconditionFailed", 'F'),
    (CompleteMultipartUpload, 412, "PreconditionFailed", 'F'),
    (GetObject, 412, "PreconditionFailed", 'C'),
    (HeadObject, 412, "", 'E'),
    (GetObject, 416, "InvalidRange", 'C'),
    (UploadPart, 400, "BadDigest", 'A'),
    (UploadPart, 400, "InvalidDigest", 'A'),
    (UploadPart, 400, "XAmzContentSHA256Mismatch", 'A'),
    (UploadPart, 400, "RequestTimeout", 'A'),
    (PutObject, 400, "IncompleteBody", 'A'),
    (UploadPart, 403, "AccessDenied", 'E'),
    (CompleteMultipartUpload, 200, "AccessDenied", 'E'),
    (GetObject, 403, "InvalidObjectState", 'E'),
    (GetObject, 400, "KMS.DisabledException", 'E'),
    (HeadObject, 403, "", 'E'),
    (PutObject, 403, "SomethingNew", 'E'),
    (PutObject, 404, "NoSuchBucket", 'E'),
    (GetObject, 404, "NoSuchKey", 'E'),
    (GetObject, 404, "NoSuchVersion", 'E'),
    (HeadObject, 404, "", 'E'),
    (HeadObject, 405, "", 'E'),
    (CompleteMultipartUpload, 400, "EntityTooSmall", 'E'),
    (CompleteMultipartUpload, 400, "InvalidPartOrder", 'E'),
    (CompleteMultipartUpload, 400, "MalformedXML", 'E'),
    (CreateMultipartUpload, 400, "InvalidArgument", 'E'),
    (GetObject, 400, "InvalidArgument", 'E'),
    (GetObject, 501, "NotImplemented", 'E'),
    (PutObject, 413, "", 'E'),
    (CompleteMultipartUpload, 200, "InternalError", 'F'),
    (CompleteMultipartUpload, 200, "SlowDown", 'F'),
    (CompleteMultipartUpload, 200, "SomethingNew", 'F'),
    (UploadPart, 503, "SlowDown", 'a'),
    (CreateMultipartUpload, 503, "SlowDown", 'a'),
    (CompleteMultipartUpload, 503, "SlowDown", 'a'),
    (GetObject, 503, "", 'a'),
    (GetObject, 429, "", 'a'),
    (CompleteMultipartUpload, 408, "", 'F'),
    (CreateMultipartUpload, 408, "", 'F'),
    (CreateMultipartUpload, 500, "InternalError", 'F'),
    (PutObject, 500, "InternalError", 'F'),
    (CompleteMultipartUpload, 500, "InternalError", 'F'),
    (PutObject, 200, "InternalError", 'F'),
    (PutObject, 502, "", 'F'),
    (CreateMultipartUpload, 504, "", 'F'),
    (UploadPart, 500, "InternalError", 'A'),
    (UploadPart, 200, "InternalError", 'A'),
    (UploadPart, 502, "", 'A'),
    (GetObject, 504, "", 'A'),
    (GetObject, 408, "", 'A'),
    (UploadPart, 418, "SomethingNew", 'A'),
    (UploadPart, 400, "", 'A'),
    (PutObject, 409, "SomethingNew", 'A'),
];

/// An example as an error.
fn example(operation: Operation, status: u16, code: &str) -> S3Error {
    let mut error = error(operation, status, code);
    error.region = Some("eu-west-1".into());
    if status == 307 {
        error.region = None;
    }
    error
}

#[test]
fn every_row_means_what_it_says() {
    let mut unseen: Vec<usize> = (0..ROWS.len()).collect();
    for (operation, status, code, expected) in EXAMPLES {
        let error = example(*operation, *status, code);
        let decides = ROWS.iter().position(|row| row.fits(&error)).unwrap();
        unseen.retain(|row| *row != decides);
        let reaction = react(&error.into(), history());
        assert_eq!(
            class(&reaction),
            *expected,
            "{operation} {status} {code}: {reaction:?}"
        );
    }
    assert!(unseen.is_empty(), "rows without an example: {unseen:?}");
}

#[test]
fn every_code_of_a_row_is_decided_by_a_row_of_that_meaning() {
    for row in ROWS {
        for code in row.codes.iter().filter(|code| !code.is_empty()) {
            let operation = row.operations.first().copied().unwrap_or(DeleteObject);
            let status = row.status.first().map_or(400, |range| *range.start());
            let error = error(operation, status, &code.replace('*', "-x"));
            assert_eq!(
                answers::meaning(&error),
                row.meaning,
                "{operation} {status} {code}"
            );
        }
    }
}

#[test]
fn what_a_person_may_mend_keeps_what_was_moved_and_the_rest_leaves_nothing() {
    for (operation, status, code, keeps) in [
        (UploadPart, 403, "AccessDenied", true),
        (GetObject, 403, "InvalidObjectState", true),
        (PutObject, 404, "NoSuchBucket", false),
        (GetObject, 404, "NoSuchKey", false),
    ] {
        let reaction = react(&answer(operation, status, code), history());
        let expected = if keeps {
            Reaction::GiveUp
        } else {
            Reaction::Fail
        };
        assert_eq!(reaction, expected, "{code}");
    }
}

#[test]
fn what_may_pass_is_tried_again_until_the_limit() {
    for failure in [
        answer(UploadPart, 500, "InternalError"),
        answer(UploadPart, 502, ""),
        answer(UploadPart, 504, ""),
        answer(UploadPart, 400, "RequestTimeout"),
        broken(UploadPart, true),
    ] {
        let mut before = history();
        for _ in 0..History::DEFAULT_LIMIT {
            let reaction = react(&failure, before);
            assert_eq!(class(&reaction), 'A', "{failure}");
            before = before.and(&failure, &reaction);
        }
        assert_eq!(react(&failure, before), Reaction::GiveUp, "{failure}");
    }
}

#[test]
fn a_limit_of_zero_means_one_attempt() {
    for failure in [answer(UploadPart, 500, "InternalError"), wrong_bytes()] {
        assert_eq!(react(&failure, History::new(0)), Reaction::GiveUp);
    }
}

#[test]
fn what_is_odd_is_forgiven_a_few_times_however_often_others_failed() {
    for (failure, end) in [
        (answer(UploadPart, 418, "SomethingNew"), Reaction::GiveUp),
        (answer(UploadPart, 400, "BadDigest"), Reaction::Fail),
        (
            answer(CompleteMultipartUpload, 400, "InvalidPart"),
            Reaction::Fail,
        ),
        (wrong_bytes(), Reaction::Fail),
    ] {
        let lost = broken(UploadPart, true);
        let mut before = history();
        for _ in 0..FEW {
            before = before.and(&lost, &react(&lost, before));
        }
        for _ in 0..FEW {
            let reaction = react(&failure, before);
            assert!(
                matches!(class(&reaction), 'A' | 'F'),
                "{failure}: {reaction:?}"
            );
            before = before.and(&failure, &reaction);
        }
        assert_eq!(react(&failure, before), end, "{failure}");
    }
}

#[test]
fn waits_double_up_to_thirty_seconds() {
    let mut before = history();
    let failure = answer(UploadPart, 500, "InternalError");
    let mut waits = Vec::new();
    for _ in 0..12 {
        let Reaction::Retry { up_to, .. } = react(
            &failure,
            History {
                limit: 100,
                ..before
            },
        ) else {
            panic!()
        };
        waits.push(up_to.as_millis());
        before.in_a_row += 1;
    }
    assert_eq!(waits[..4], [200, 400, 800, 1600]);
    assert_eq!(waits[11], 30_000);
}

#[test]
fn throttling_waits_as_asked_and_costs_no_attempt() {
    for (asked, waits) in [(40, 40), (4_000, 300)] {
        let mut error = error(UploadPart, 503, "SlowDown");
        error.retry_after = Some(Duration::from_secs(asked));
        match react(&error.into(), spent()) {
            Reaction::Retry {
                at_least,
                up_to,
                costs: false,
            } => {
                assert_eq!(at_least, Duration::from_secs(waits));
                assert!(up_to >= at_least);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_lost_answer_is_resolved_only_where_s3_may_have_acted() {
    for operation in [PutObject, CreateMultipartUpload, CompleteMultipartUpload] {
        assert_eq!(
            react(&broken(operation, true), history()),
            Reaction::Resolve
        );
        assert_eq!(class(&react(&broken(operation, false), history())), 'A');
        let empty = S3Error::new(operation, S3ErrorKind::Malformed, "");
        assert_eq!(react(&empty.into(), history()), Reaction::Resolve);
    }
    assert_eq!(class(&react(&broken(UploadPart, true), history())), 'A');
}

#[test]
fn outages_missing_credentials_and_captive_portals_cost_no_attempt() {
    for (kind, reason) in [
        (S3ErrorKind::Dns, ParkReason::Network),
        (S3ErrorKind::Connect, ParkReason::Network),
        (S3ErrorKind::Foreign, ParkReason::Network),
        (S3ErrorKind::Tls, ParkReason::Tls),
        (S3ErrorKind::Credentials, ParkReason::Credentials),
    ] {
        for operation in [UploadPart, CompleteMultipartUpload, GetObject] {
            let mut error = S3Error::new(operation, kind, "");
            error.request_sent = true;
            let failure = error.into();
            let reaction = react(&failure, spent());
            assert_eq!(reaction, Reaction::Park(reason), "{kind:?}");
            assert_eq!(spent().and(&failure, &reaction).strikes, spent().strikes);
        }
    }
}

#[test]
fn each_thing_is_put_right_once_whatever_else_was() {
    let server = Timestamp::from_millis(1_000);
    let mut skewed = error(UploadPart, 403, "RequestTimeTooSkewed");
    skewed.server_date = Some(server);
    let mut elsewhere = error(UploadPart, 301, "PermanentRedirect");
    elsewhere.region = Some("eu-west-1".into());
    let steps: [(Failure, Fix, Reaction); 3] = [
        (
            answer(UploadPart, 400, "ExpiredToken"),
            Fix::Credentials,
            Reaction::Park(ParkReason::Credentials),
        ),
        (
            skewed.into(),
            Fix::Clock(server),
            Reaction::Park(ParkReason::Clock),
        ),
        (
            elsewhere.into(),
            Fix::Region("eu-west-1".into()),
            Reaction::Fail,
        ),
    ];
    let mut before = history();
    for (failure, fix, _) in &steps {
        let reaction = react(failure, before);
        assert_eq!(reaction, Reaction::Fix(fix.clone()), "{failure}");
        before = before.and(failure, &reaction);
    }
    assert_eq!(before.strikes, 0, "none of it is evidence against the item");
    for (failure, _, then) in steps {
        assert_eq!(react(&failure, before), then, "{failure}");
    }
}

#[test]
fn a_redirect_within_the_endpoint_is_followed_three_times() {
    let mut moved = error(PutObject, 307, "TemporaryRedirect");
    moved.location = Some("https://bucket.s3.eu-west-1.amazonaws.com/key".into());
    let mut elsewhere = error(PutObject, 307, "TemporaryRedirect");
    elsewhere.location = moved.location.clone();
    assert_eq!(react(&elsewhere.into(), history()), Reaction::Fail);
    moved.location_is_of_endpoint = true;
    let failure = Failure::from(moved);
    let mut before = history();
    for _ in 0..3 {
        let reaction = react(&failure, before);
        assert!(
            matches!(reaction, Reaction::Fix(Fix::Redirect(_))),
            "{reaction:?}"
        );
        before = before.and(&failure, &reaction);
    }
    assert_eq!(react(&failure, before), Reaction::Fail);
}

#[test]
fn a_dead_kept_alive_connection_is_free() {
    let mut error = S3Error::new(UploadPart, S3ErrorKind::Transport, "closed");
    error.reused_connection = true;
    assert_eq!(class(&react(&error.into(), spent())), 'a');
    // A small request is sent whole before anyone can see it.
    for (operation, expected) in [(HeadObject, 'a'), (CompleteMultipartUpload, 'F')] {
        let mut error = S3Error::new(operation, S3ErrorKind::Transport, "closed");
        (error.reused_connection, error.request_sent) = (true, true);
        let failure = Failure::from(error);
        let reaction = react(&failure, history());
        assert_eq!(class(&reaction), expected);
        assert_eq!(history().and(&failure, &reaction).strikes, 0);
    }
}

#[test]
fn what_fails_for_ever_is_not_free_for_ever() {
    let mut error = S3Error::new(UploadPart, S3ErrorKind::Transport, "closed");
    error.reused_connection = true;
    let failure = Failure::from(error);
    let mut before = history();
    let mut times = 0;
    loop {
        let reaction = react(&failure, before);
        if reaction == Reaction::GiveUp {
            break;
        }
        before = before.and(&failure, &reaction);
        times += 1;
    }
    assert_eq!(times, 16 + 8);
}

#[test]
fn a_large_body_whose_answer_is_lost_costs_an_attempt_on_any_connection() {
    let mut error = S3Error::new(UploadPart, S3ErrorKind::Transport, "closed");
    (error.reused_connection, error.request_sent) = (true, true);
    error.body_sent = 5 << 20;
    assert_eq!(class(&react(&error.into(), history())), 'A');
}
