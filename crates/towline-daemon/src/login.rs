//! Logging a browser in: a code for one use within a minute, given over the
//! socket, becomes the token. So the token is in no URL.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::secret::Secret;

/// How long a code is good.
pub(crate) const GOOD_FOR: Duration = Duration::from_secs(60);
/// Codes that are good at one time; the oldest makes room.
const MOST: usize = 16;

/// The codes that were given out and not yet used.
#[derive(Debug, Default)]
pub(crate) struct Codes(Mutex<Vec<Code>>);

#[derive(Debug)]
struct Code {
    secret: Secret,
    until: Instant,
    own_user: bool,
}

impl Codes {
    /// A new code. One for the `own_user` is of no use to others, so it may be
    /// seen in a list of processes.
    pub(crate) fn issue(&self, own_user: bool, now: Instant) -> std::io::Result<Secret> {
        let secret = Secret::random()?;
        let mut codes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        codes.retain(|code| code.until > now);
        if codes.len() == MOST {
            codes.remove(0);
        }
        codes.push(Code {
            secret: secret.clone(),
            until: now + GOOD_FOR,
            own_user,
        });
        Ok(secret)
    }

    /// Uses a code up; whether it was good. `is_own_user` is asked where that
    /// matters.
    pub(crate) fn redeem(
        &self,
        given: &str,
        now: Instant,
        is_own_user: impl FnOnce() -> bool,
    ) -> bool {
        let mut codes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        codes.retain(|code| code.until > now);
        let Some(place) = codes.iter().position(|code| code.secret.is(given)) else {
            return false;
        };
        // Another user who tries does not use it up.
        if codes[place].own_user && !is_own_user() {
            return false;
        }
        codes.remove(place);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s6_a_code_is_good_once_within_a_minute_and_for_whom_it_was_given() {
        let codes = Codes::default();
        let start = Instant::now();
        let code = codes.issue(false, start).unwrap();
        assert!(!codes.redeem("", start, || true));
        assert!(codes.redeem(code.expose(), start + GOOD_FOR / 2, || false));
        assert!(!codes.redeem(code.expose(), start, || true));
        let late = codes.issue(false, start).unwrap();
        assert!(!codes.redeem(late.expose(), start + GOOD_FOR, || true));
        let own = codes.issue(true, start).unwrap();
        assert!(!codes.redeem(own.expose(), start, || false));
        assert!(codes.redeem(own.expose(), start, || true));
        let many: Vec<_> = (0..=MOST).map(|_| codes.issue(false, start)).collect();
        assert!(!codes.redeem(many[0].as_ref().unwrap().expose(), start, || true));
        assert!(codes.redeem(many[1].as_ref().unwrap().expose(), start, || true));
    }
}
