//! The key that all requests of a day and a region are signed with, made once.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use hmac::{Hmac, KeyInit};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The one used last, ready to be fed: a client rarely signs for two regions.
#[derive(Default)]
pub(crate) struct DayKey(Mutex<Option<(String, Hmac<Sha256>)>>);

impl DayKey {
    /// That of a scope, which names the day and the region.
    pub(crate) fn of_day(
        &self,
        scope: &str,
        make: impl FnOnce() -> Zeroizing<Vec<u8>>,
    ) -> Hmac<Sha256> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((of, key)) if of == scope => key.clone(),
            _ => {
                let key = Hmac::new_from_slice(&make()).expect("HMAC takes keys of any length");
                *last = Some((scope.to_owned(), key.clone()));
                key
            }
        }
    }
}

impl fmt::Debug for DayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DayKey")
    }
}
