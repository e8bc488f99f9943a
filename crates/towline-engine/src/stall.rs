//! Watches that bytes move, not that sockets are open.

use std::time::Duration;

use towline_core::{Operation, S3Error, S3ErrorKind};

use crate::progress::Moved;

/// Fewer bytes than this in a stall timeout are a stall.
const FLOOR: u64 = 1024;

/// Requests that move no file content are answered within this, or given up.
pub(crate) const SMALL_REQUEST: Duration = Duration::from_secs(60);

/// How long an attempt may be silent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) stall: Duration,
    pub(crate) first_byte: Duration,
}

/// Ends an attempt that moves too little. `moved` counts the bytes of its body;
/// once all `expected` of them are sent, the answer has to begin in time.
pub(crate) async fn watch<T>(
    operation: Operation,
    attempt: impl Future<Output = Result<T, S3Error>>,
    moved: &Moved,
    expected: Option<u64>,
    patience: Patience,
) -> Result<T, S3Error> {
    let mut attempt = std::pin::pin!(attempt);
    loop {
        let before = moved.bytes();
        let waiting = before == 0 || expected.is_some_and(|all| before >= all);
        let limit = if waiting {
            patience.first_byte
        } else {
            patience.stall
        };
        tokio::select! {
            result = &mut attempt => return result,
            () = tokio::time::sleep(limit) => {
                let since = moved.bytes() - before;
                let done = expected.is_some_and(|all| since > 0 && moved.bytes() >= all);
                if since < FLOOR && !done {
                    return Err(stalled(operation, limit, moved, expected));
                }
            }
        }
    }
}

/// Ends a request without a body worth counting that takes too long.
pub(crate) async fn within<T>(
    operation: Operation,
    limit: Duration,
    attempt: impl Future<Output = Result<T, S3Error>>,
) -> Result<T, S3Error> {
    match tokio::time::timeout(limit, attempt).await {
        Ok(result) => result,
        Err(_) => {
            let mut error = S3Error::new(
                operation,
                S3ErrorKind::Stalled,
                format!("no answer in {} s", limit.as_secs()),
            );
            error.request_sent = true;
            Err(error)
        }
    }
}

fn stalled(operation: Operation, limit: Duration, moved: &Moved, expected: Option<u64>) -> S3Error {
    let message = format!("under {FLOOR} bytes moved in {} s", limit.as_secs());
    let mut error = S3Error::new(operation, S3ErrorKind::Stalled, message);
    error.body_sent = moved.bytes();
    error.request_sent = expected.is_none_or(|all| moved.bytes() >= all);
    error
}
