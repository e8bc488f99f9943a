//! The only place that opens, names and removes files, so that a simulation
//! can replace it.

mod beneath;
mod brief;
mod disk;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod names;
mod room;
mod source;
mod system;
mod target;

use std::io;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustix::io::Errno;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use towline_core::LocalFailure;

pub(crate) use beneath::Target;
pub use beneath::{BeneathError, check_beneath, folds_names, make_beneath, remove_beneath};
pub use disk::{Disk, OpenDir, OpenFile, Room, Stat};
pub use names::{KeyNames, KeyPlace, Unnameable, component_of, key_of, may_go_on, path_of};
pub(crate) use room::check_room;
pub use source::inspect_source;
pub(crate) use source::{
    Planned, changed, check_source, inspect, look_at_source, open_source, read_source,
    read_source_now,
};
pub use system::{identity_of, kind_if_special};
pub use target::numbered;
pub(crate) use target::{Put, TargetDir, target_failure};

pub(crate) use self::brief::Turns;
use self::brief::{Brief, Pending};
use crate::tasks::Tasks;

/// The file system that an engine works on, and where that work is done.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    disk: Arc<dyn Disk>,
    tasks: Tasks,
    brief: Brief,
    /// A file system was met that knows no files without a name.
    all_have_names: Arc<AtomicBool>,
}

impl Files {
    /// Those of this machine.
    pub(crate) fn of_system() -> Self {
        Self::on(Arc::new(system::System), Tasks::default())
    }

    pub(crate) fn on(disk: Arc<dyn Disk>, tasks: Tasks) -> Self {
        Self {
            disk,
            tasks,
            brief: Brief::default(),
            all_have_names: Arc::default(),
        }
    }

    /// Whether files without a name are known, as far as was seen.
    pub(crate) fn may_be_nameless(&self) -> bool {
        !self.all_have_names.load(Relaxed)
    }

    pub(crate) fn have_names(&self) {
        self.all_have_names.store(true, Relaxed);
    }

    /// Does blocking work off the runtime's threads, to its end even where
    /// nobody waits for it any more.
    pub(crate) fn begin<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Work<T> {
        let Some(delay) = self.disk.simulated_delay() else {
            return Work::OnThread(tokio::task::spawn_blocking(work));
        };
        let (done, result) = oneshot::channel();
        self.tasks.spawn(async move {
            tokio::time::sleep(delay).await;
            let _ = done.send(work());
        });
        Work::Simulated(result)
    }

    /// The same, and waits for it.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        self.begin(work).end().await
    }

    /// Begins with work that takes about as long as to wake a thread: on a small file,
    /// or a buffer.
    pub(crate) fn begin_brief<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Work<T> {
        match self.are_simulated() {
            true => self.begin(work),
            false => Work::Brief(self.brief.begin(work)),
        }
    }

    /// The same, and waits for it.
    pub(crate) async fn brief<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        self.begin_brief(work).end().await
    }

    /// Begins with brief work, once those are done that wait for their turn.
    pub(crate) fn begin_in_turn<T: Send + 'static>(
        &self,
        turns: &Turns,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Work<T> {
        match self.are_simulated() {
            true => self.begin(work),
            false => Work::Brief(self.brief.begin_in_turn(turns, work)),
        }
    }

    /// Whether there are no threads, as in a simulation.
    pub(crate) fn are_simulated(&self) -> bool {
        self.disk.simulated_delay().is_some()
    }
}

/// Blocking work that was begun.
pub(crate) enum Work<T> {
    OnThread(JoinHandle<T>),
    Brief(Pending<T>),
    Simulated(oneshot::Receiver<T>),
}

impl<T> Work<T> {
    /// Waits for it.
    pub(crate) async fn end(self) -> T {
        match self {
            Self::OnThread(work) => match work.await {
                Ok(result) => result,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            },
            Self::Brief(work) => work.end().await,
            Self::Simulated(result) => result.await.expect("it panicked"),
        }
    }
}

impl Deref for Files {
    type Target = dyn Disk;

    fn deref(&self) -> &Self::Target {
        &*self.disk
    }
}

/// No file or socket can be opened for now, by this process or by all.
pub(crate) fn out_of_descriptors(path: &Path, error: &io::Error) -> Option<LocalFailure> {
    let none_left = [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
    let code = error.raw_os_error()?;
    none_left
        .contains(&code)
        .then(|| LocalFailure::OutOfDescriptors {
            path: shown(path),
            why: error.to_string(),
        })
}

/// A path as error messages show it.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}
