//! Watches that bytes move, not that sockets are open.

use std::time::Duration;

use tokio::time::Instant;
use towline_core::{Operation, S3Error, S3ErrorKind};

use crate::progress::Moved;

/// Fewer bytes than this in a stall timeout are a stall.
const FLOOR: u64 = 1024;

/// How often it is looked within such a time: a stall is found at most so
/// much of it late, wherever in a transfer it begins.
const LOOKS: u32 = 8;

/// Requests that move no file content are answered within this, or given up.
pub(crate) const SMALL_REQUEST: Duration = Duration::from_secs(60);

/// What was sent whole when its transfer was stopped gets this long for its answer.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// No request takes longer, however much the store has to do for it.
pub(crate) const AT_MOST: Duration = Duration::from_secs(30 * 60);

/// How long an attempt may be silent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) stall: Duration,
    pub(crate) first_byte: Duration,
}

/// Ends an attempt that moves too little. `moved` counts the bytes of its body;
/// once all `expected` of them are sent, the answer has to begin in time. To
/// wait for a cap on bandwidth is no stall.
pub(crate) async fn watch<T>(
    operation: Operation,
    attempt: impl Future<Output = Result<T, S3Error>>,
    moved: &Moved,
    expected: Option<u64>,
    patience: Patience,
) -> Result<T, S3Error> {
    let mut attempt = std::pin::pin!(attempt);
    let is_whole = |bytes| expected.is_some_and(|all| bytes >= all);
    // When enough had moved the last time, and how much it was then.
    let mut since = Instant::now();
    let mut before = moved.bytes();
    let mut looked = since;
    let mut holds = moved.holds();
    loop {
        let limit = if before == 0 || is_whole(before) {
            patience.first_byte
        } else {
            patience.stall
        };
        tokio::select! {
        biased;
            result = &mut attempt => return result,
            () = tokio::time::sleep(limit / LOOKS) => {
                let now = moved.bytes();
                // Who slept has to give the connection another chance.
                if looked.elapsed() > limit {
                    since = Instant::now();
                }
                looked = Instant::now();
                let before_holds = std::mem::replace(&mut holds, moved.holds());
                let held = holds != before_holds || holds % 2 == 1;
                // With the first and the last byte another wait begins.
                let begun = before == 0 && now > 0;
                let ended = is_whole(now) && !is_whole(before);
                if begun || ended || held || now - before >= FLOOR {
                    (since, before) = (Instant::now(), now);
                } else if since.elapsed() >= limit {
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

/// Ends a request that the store may be at work with for minutes, saying nothing. That
/// it is silent tells nothing then, but it answers other questions meanwhile: `looks` is
/// asked again and again, and says why the answer will not come any more.
pub(crate) async fn at_work<T, L: Future<Output = Option<&'static str>>>(
    operation: Operation,
    limit: Duration,
    patience: Patience,
    attempt: impl Future<Output = Result<T, S3Error>>,
    mut looks: impl FnMut() -> L,
) -> Result<T, S3Error> {
    let silence = async {
        loop {
            tokio::time::sleep(2 * patience.first_byte).await;
            if let Some(why) = looks().await {
                return why;
            }
        }
    };
    tokio::select! {
        biased;
        told = within(operation, limit, attempt) => told,
        why = silence => {
            let mut error = S3Error::new(operation, S3ErrorKind::Stalled, why);
            error.request_sent = true;
            Err(error)
        }
    }
}

/// Whether nobody answered a question.
pub(crate) fn is_silent(error: &S3Error) -> bool {
    use S3ErrorKind::{Connect, Dns, Stalled, Transport};
    matches!(error.kind, Connect | Dns | Stalled | Transport) && !error.reused_connection
}

fn stalled(operation: Operation, limit: Duration, moved: &Moved, expected: Option<u64>) -> S3Error {
    let message = format!("under {FLOOR} bytes moved in {} s", limit.as_secs());
    let mut error = S3Error::new(operation, S3ErrorKind::Stalled, message);
    error.body_sent = moved.bytes();
    error.request_sent = expected.is_none_or(|all| moved.bytes() >= all);
    error
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::sleep;

    use super::*;
    use crate::progress::Progress;

    const PATIENCE: Patience = Patience {
        stall: Duration::from_secs(20),
        first_byte: Duration::from_secs(30),
    };

    /// How long an attempt was watched that moves these bytes, each after
    /// these seconds, and then never ends.
    async fn given_up_after(moves: &[(u64, u64)], expected: Option<u64>) -> Duration {
        let moved = Moved::of(Arc::new(Progress::default()));
        let start = Instant::now();
        let attempt = async {
            for (seconds, bytes) in moves {
                sleep(Duration::from_secs(*seconds)).await;
                moved.add(*bytes);
            }
            std::future::pending::<Result<(), S3Error>>().await
        };
        let watched = watch(Operation::GetObject, attempt, &moved, expected, PATIENCE).await;
        assert_eq!(watched.unwrap_err().kind, S3ErrorKind::Stalled);
        start.elapsed()
    }

    fn is_about(seconds: u64, is: Duration) -> bool {
        (seconds..=seconds + 8).contains(&is.as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_stall_is_noticed_in_its_time_wherever_it_begins() {
        // Bytes at once, then none: this was noticed only after 50 s.
        let at_once = given_up_after(&[(0, 100_000)], None).await;
        assert!(is_about(20, at_once), "{at_once:?}");
        let later = given_up_after(&[(0, 1), (35, 100_000)], None).await;
        assert!(is_about(20, later), "one byte is not much: {later:?}");
        let steady = given_up_after(&[(0, 5000), (15, 5000), (15, 5000), (15, 5000)], None).await;
        assert!(is_about(45 + 20, steady), "{steady:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_byte_and_the_answer_have_a_time_of_their_own() {
        let silent = given_up_after(&[], None).await;
        assert!(is_about(30, silent), "{silent:?}");
        let answerless = given_up_after(&[(0, 5000), (10, 5000)], Some(10_000)).await;
        assert!(is_about(10 + 30, answerless), "{answerless:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn to_wait_for_a_cap_is_no_stall_and_after_it_a_stall_is_one() {
        for (first, holds) in [(0, 1), (5000, 1), (5000, 600)] {
            let moved = Moved::of(Arc::new(Progress::default()));
            let start = Instant::now();
            let attempt = async {
                moved.add(first);
                for _ in 0..holds {
                    moved.hold();
                    sleep(Duration::from_secs(600 / holds)).await;
                    moved.go_on();
                }
                std::future::pending::<Result<(), S3Error>>().await
            };
            let watched = stall_of(attempt, &moved).await;
            assert_eq!(watched.kind, S3ErrorKind::Stalled);
            let limit = if first == 0 { 30 } else { 20 };
            let took = start.elapsed();
            assert!(is_about(600 + limit, took), "{took:?}");
        }
    }

    async fn stall_of(
        attempt: impl Future<Output = Result<(), S3Error>>,
        moved: &Moved,
    ) -> S3Error {
        let watched = watch(Operation::UploadPart, attempt, moved, None, PATIENCE);
        watched.await.unwrap_err()
    }

    #[tokio::test(start_paused = true)]
    async fn a_drip_under_the_floor_is_a_stall_and_one_above_is_not() {
        let drip: Vec<(u64, u64)> = (0..100).map(|_| (1, 20)).collect();
        let under = given_up_after(&drip, None).await;
        assert!(under.as_secs() <= 30, "{under:?}");
        let drip: Vec<(u64, u64)> = (0..100).map(|_| (1, 100)).collect();
        let above = given_up_after(&drip, None).await;
        assert!(above.as_secs() >= 110, "{above:?}");
    }
}
