//! Utilities by name: one each for whoever must not get into another's way.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use crate::{Builder, Error, TransferUtility};

/// Those of this process; `None` while one is being opened or closed.
static NAMED: LazyLock<Mutex<HashMap<String, Option<TransferUtility>>>> =
    LazyLock::new(Mutex::default);

impl TransferUtility {
    /// Opens a utility and keeps it under a name for the whole process.
    ///
    /// Each has its own state directory, its own transfers and its own threads.
    /// Fails with [`Error::NameTaken`] while the name is in use, and with
    /// [`StoreError::Owned`](crate::StoreError::Owned) when another utility, of
    /// this process too, has the state directory.
    pub async fn register(name: impl Into<String>, builder: Builder) -> Result<Self, Error> {
        let name = name.into();
        match named().entry(name.clone()) {
            Entry::Occupied(_) => return Err(Error::NameTaken { name }),
            Entry::Vacant(free) => drop(free.insert(None)),
        }
        let place = Reserved(name);
        let utility = builder.open().await?;
        named().insert(place.0.clone(), Some(utility.clone()));
        Ok(utility)
    }

    /// The utility that is registered under a name.
    pub fn named(name: &str) -> Option<Self> {
        named().get(name).cloned().flatten()
    }

    /// Takes a name back and [`close`](Self::close)s its utility: its transfers
    /// stop and its store is free, the others go on. False when no utility has
    /// the name.
    pub async fn unregister(name: &str) -> Result<bool, Error> {
        let open = named().get_mut(name).and_then(Option::take);
        let Some(utility) = open else {
            return Ok(false);
        };
        // The name stays taken until its state directory is free too.
        let _place = Reserved(name.to_owned());
        utility.close().await?;
        Ok(true)
    }
}

fn named() -> MutexGuard<'static, HashMap<String, Option<TransferUtility>>> {
    NAMED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A name whose utility is being opened or closed; free again unless it is open
/// in the end.
struct Reserved(String);

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut named = named();
        if matches!(named.get(&self.0), Some(None)) {
            named.remove(&self.0);
        }
    }
}
