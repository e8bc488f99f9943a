//! What S3 answers, row by row: code × status × operation.
//!
//! The first row that fits decides. Error codes:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>

use std::ops::RangeInclusive;

use super::meaning::Meaning;
use crate::Operation::{self, *};
use crate::S3Error;

/// One row. An empty list fits everything.
pub(super) struct Row {
    /// S3's codes; one that ends in `*` fits what begins so, `""` an answer without.
    pub(super) codes: &'static [&'static str],
    pub(super) status: &'static [RangeInclusive<u16>],
    pub(super) operations: &'static [Operation],
    pub(super) meaning: Meaning,
}

impl Row {
    pub(super) fn fits(&self, error: &S3Error) -> bool {
        let fits_code = |code: &&str| match code.strip_suffix('*') {
            Some(start) => error.code().starts_with(start),
            None => error.code() == *code,
        };
        let status = error.status.unwrap_or_default();
        (self.codes.is_empty() || self.codes.iter().any(fits_code))
            && (self.status.is_empty() || self.status.iter().any(|range| range.contains(&status)))
            && (self.operations.is_empty() || self.operations.contains(&error.operation))
    }

    const fn on(mut self, operations: &'static [Operation]) -> Self {
        self.operations = operations;
        self
    }

    const fn status(mut self, status: &'static [RangeInclusive<u16>]) -> Self {
        self.status = status;
        self
    }
}

const fn row(codes: &'static [&'static str], meaning: Meaning) -> Row {
    Row {
        codes,
        status: &[],
        operations: &[],
        meaning,
    }
}

pub(super) fn meaning(error: &S3Error) -> Meaning {
    let found = ROWS.iter().find(|row| row.fits(error));
    found.map_or(Meaning::AFewTimes, |row| row.meaning)
}

/// Those whose second sending may have an effect of its own.
const AMBIGUOUS: &[Operation] = &[
    PutObject,
    CopyObject,
    CreateMultipartUpload,
    CompleteMultipartUpload,
];
const ANY: &[&str] = &[];

pub(super) static ROWS: &[Row] = &[
    // What can be put right.
    row(&["RequestTimeTooSkewed"], Meaning::Clock),
    row(
        &[
            "ExpiredToken",
            "ExpiredTokenException",
            "InvalidToken",
            "TokenRefreshRequired",
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
        ],
        Meaning::Credentials,
    ),
    row(
        &[
            "PermanentRedirect",
            "AuthorizationHeaderMalformed",
            "IllegalLocationConstraintException",
        ],
        Meaning::Region,
    ),
    row(ANY, Meaning::Region).status(&[301..=301, 308..=308]),
    row(ANY, Meaning::Redirect).status(&[302..=302, 303..=303, 307..=307]),
    // The upload. Some stores say NoSuchKey of one that is gone, or nothing. Where it
    // is the source of a copy that is gone, whoever begins anew looks for it first.
    row(&["NoSuchUpload"], Meaning::Ask).on(&[CompleteMultipartUpload]),
    row(&["NoSuchKey", ""], Meaning::Ask)
        .status(&[404..=404])
        .on(&[CompleteMultipartUpload]),
    row(&["NoSuchUpload"], Meaning::Restart),
    row(&["NoSuchKey", ""], Meaning::Restart)
        .status(&[404..=404])
        .on(&[UploadPart, UploadPartCopy, ListParts]),
    // The parts S3 has are not those we listed: look at them again.
    row(&["InvalidPart"], Meaning::AskAFewTimes).on(&[CompleteMultipartUpload]),
    // <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>:
    // after a conflict the upload is to be opened anew and every part sent again.
    row(
        &["ConditionalRequestConflict", "OperationAborted"],
        Meaning::Restart,
    )
    .on(&[CompleteMultipartUpload]),
    row(
        &["ConditionalRequestConflict", "OperationAborted"],
        Meaning::Again,
    ),
    // Conditions: our own on a write, our own on a download's ranges, or one
    // that the user set on what HEAD asks first.
    row(&["PreconditionFailed", ""], Meaning::Ask)
        .status(&[412..=412])
        .on(AMBIGUOUS),
    row(&["PreconditionFailed", ""], Meaning::Restart)
        .status(&[412..=412])
        .on(&[GetObject]),
    row(&["PreconditionFailed", ""], Meaning::Fail).status(&[412..=412]),
    row(ANY, Meaning::Restart).status(&[416..=416]),
    // The bytes on their way.
    row(
        &[
            "BadDigest",
            "InvalidDigest",
            "XAmzContentSHA256Mismatch",
            "XAmzContentChecksumMismatch",
        ],
        Meaning::Damaged,
    ),
    row(&["IncompleteBody", "RequestTimeout"], Meaning::Again),
    // What a person may mend.
    row(
        &[
            "AccessDenied",
            "AllAccessDisabled",
            "AccountProblem",
            "InvalidObjectState",
            "InvalidPayer",
            "NotSignedUp",
            "QuotaExceeded",
            "KMS*",
        ],
        Meaning::GiveUp,
    ),
    row(ANY, Meaning::GiveUp).status(&[401..=401, 403..=403]),
    // What will not get better.
    row(
        &[
            "NoSuchBucket",
            "NoSuchKey",
            "NoSuchVersion",
            "MethodNotAllowed",
            "InvalidArgument",
            "InvalidRequest",
            "InvalidBucketName",
            "InvalidPart",
            "InvalidPartOrder",
            "InvalidStorageClass",
            "InvalidTag",
            "InvalidURI",
            "EntityTooSmall",
            "EntityTooLarge",
            "KeyTooLongError",
            "MalformedXML",
            "MetadataTooLarge",
            "MissingContentLength",
            "NotImplemented",
            "NotSupported",
        ],
        Meaning::Fail,
    ),
    row(ANY, Meaning::Fail).status(&[404..=405, 410..=411, 413..=414, 501..=501]),
    // An error after the headers of a success: the work may go on.
    row(ANY, Meaning::Ask)
        .status(&[200..=200])
        .on(&[CompleteMultipartUpload, CopyObject]),
    // Too much, too fast.
    row(
        &[
            "SlowDown",
            "ServiceUnavailable",
            "BandwidthLimitExceeded",
            "RequestLimitExceeded",
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "TooManyRequests",
            "TooManyRequestsException",
        ],
        Meaning::Slower,
    ),
    row(ANY, Meaning::Slower).status(&[429..=429, 503..=503]),
    // S3's own trouble, or that of a proxy before it, whatever its page says.
    row(&["InternalError"], Meaning::Ask).on(AMBIGUOUS),
    row(ANY, Meaning::Ask)
        .status(&[408..=408, 500..=599])
        .on(AMBIGUOUS),
    row(&["InternalError"], Meaning::Again),
    row(ANY, Meaning::Again).status(&[408..=408, 500..=599]),
    row(ANY, Meaning::AFewTimes),
];
