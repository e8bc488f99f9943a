//! Where the engine's tasks run.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

/// Spawns on the current runtime. In a simulation all tasks can be ended as the
/// death of a process would end them: each where it waits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks(Option<Arc<Mutex<JoinSet<()>>>>);

impl Tasks {
    pub(crate) fn mortal() -> Self {
        Self(Some(Arc::default()))
    }

    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let Some(all) = &self.0 else {
            tokio::spawn(work);
            return;
        };
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        while all.try_join_next().is_some() {}
        all.spawn(work);
    }

    /// Ends them all. They do nothing more.
    pub(crate) fn kill(&self) {
        if let Some(all) = &self.0 {
            all.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .abort_all();
        }
    }
}
