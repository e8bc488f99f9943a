//! Listeners: callbacks about one transfer, from a thread of their own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use towline_core::{ErrorRecord, State, TransferId};
use towline_engine::Watch;

use crate::Transfer;

/// Is told what becomes of a transfer. Each method does nothing unless it is
/// written.
///
/// All listeners of a utility are called from one thread, which is not the
/// engine's: one that blocks delays the others and no transfer. In-between
/// changes coalesce; the last is always told, progress before errors and errors
/// before states. A listener that panics is not called again.
pub trait TransferListener: Send + 'static {
    /// It is in another state.
    fn on_state_changed(&mut self, _id: TransferId, _state: State) {}

    /// Bytes were moved; `bytes_total` once the length is known.
    fn on_progress_changed(
        &mut self,
        _id: TransferId,
        _bytes_transferred: u64,
        _bytes_total: Option<u64>,
    ) {
    }

    /// It failed, or waits because of an error.
    fn on_error(&mut self, _id: TransferId, _error: &ErrorRecord) {}
}

/// A listener that a request has, if it has one.
#[derive(Default)]
pub(crate) struct Listener(Mutex<Option<Box<dyn TransferListener>>>);

impl Listener {
    pub(crate) fn new(listener: impl TransferListener) -> Self {
        Self(Mutex::new(Some(Box::new(listener))))
    }

    pub(crate) fn take(self) -> Option<Box<dyn TransferListener>> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listener")
    }
}

impl TransferListener for Box<dyn TransferListener> {
    fn on_state_changed(&mut self, id: TransferId, state: State) {
        (**self).on_state_changed(id, state);
    }

    fn on_progress_changed(&mut self, id: TransferId, moved: u64, total: Option<u64>) {
        (**self).on_progress_changed(id, moved, total);
    }

    fn on_error(&mut self, id: TransferId, error: &ErrorRecord) {
        (**self).on_error(id, error);
    }
}

/// The listener that an observer has; its clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slot(Arc<Mutex<Option<oneshot::Sender<()>>>>);

impl Slot {
    /// Puts a listener into the place of the one before.
    pub(crate) fn set(
        &self,
        dispatcher: &Dispatcher,
        watch: Watch,
        listener: impl TransferListener,
    ) {
        let (keep, ended) = oneshot::channel();
        if let Some(earlier) = self.lock().replace(keep) {
            let _ = earlier.send(());
        }
        dispatcher.run(async move {
            let told = tell(watch, listener);
            tokio::pin!(told);
            tokio::select! {
                biased;
                // Not when the observer is dropped: the calls go on without it.
                Ok(()) = ended => {}
                () = &mut told => {}
            }
        });
    }

    /// Ends the calls.
    pub(crate) fn clear(&self) {
        if let Some(calls) = self.lock().take() {
            let _ = calls.send(());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<oneshot::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls a listener until the transfer has ended.
async fn tell(mut watch: Watch, mut listener: impl TransferListener) {
    let mut told = Told::default();
    let mut now = watch.now();
    loop {
        let transfer = Transfer::from(now);
        let end = transfer.state.is_final();
        let call = AssertUnwindSafe(|| told.tell(&mut listener, &transfer));
        if catch_unwind(call).is_err() {
            tracing::error!(transfer = %transfer.id, "a listener panicked; it is not called again");
            return;
        }
        if end {
            return;
        }
        now = match watch.next().await {
            Some(next) => next,
            None => return,
        };
    }
}

/// What a listener knows already.
#[derive(Default)]
struct Told {
    state: Option<State>,
    progress: Option<(u64, Option<u64>)>,
    error: Option<ErrorRecord>,
}

impl Told {
    fn tell(&mut self, listener: &mut impl TransferListener, now: &Transfer) {
        let progress = (now.bytes_transferred, now.bytes_total);
        if self.progress != Some(progress) {
            self.progress = Some(progress);
            listener.on_progress_changed(now.id, progress.0, progress.1);
        }
        if self.error != now.error {
            self.error = now.error.clone();
            if let Some(error) = &now.error {
                listener.on_error(now.id, error);
            }
        }
        if self.state != Some(now.state) {
            self.state = Some(now.state);
            listener.on_state_changed(now.id, now.state);
        }
    }
}

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The thread that calls listeners. It is there once one was set, and ends with
/// the last utility and observer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dispatcher {
    thread: Arc<Mutex<Option<mpsc::UnboundedSender<Job>>>>,
    /// How many listeners are still to be told something.
    telling: watch::Sender<usize>,
}

/// So long closing waits for listeners; one that blocks is left behind.
const LAST_CALLS: Duration = Duration::from_secs(2);

impl Dispatcher {
    fn run(&self, job: impl Future<Output = ()> + Send + 'static) {
        let one = Telling::begin(&self.telling);
        let job = async move {
            let _until_told = one;
            job.await;
        };
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let jobs = thread.get_or_insert_with(start);
        if jobs.send(Box::pin(job)).is_err() {
            tracing::error!("there is no thread to call listeners from");
        }
    }

    /// Waits until every listener was told the last there is, but not for ever.
    pub(crate) async fn last_calls(&self) {
        let mut telling = self.telling.subscribe();
        if *telling.borrow() == 0 {
            return;
        }
        let (late, too_late) = oneshot::channel();
        // A thread, as the caller's runtime may have no timers.
        std::thread::spawn(move || {
            std::thread::sleep(LAST_CALLS);
            let _: Result<(), ()> = late.send(());
        });
        tokio::select! {
            _ = telling.wait_for(|left| *left == 0) => {}
            _ = too_late => tracing::warn!("a listener blocks and is not waited for"),
        }
    }
}

/// One listener that is being told.
struct Telling(watch::Sender<usize>);

impl Telling {
    fn begin(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|telling| *telling += 1);
        Self(count.clone())
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.0.send_modify(|telling| *telling -= 1);
    }
}

fn start() -> mpsc::UnboundedSender<Job> {
    let (jobs, mut waiting) = mpsc::unbounded_channel::<Job>();
    let serve = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else {
            return;
        };
        runtime.block_on(async move {
            let mut running = tokio::task::JoinSet::new();
            while let Some(job) = waiting.recv().await {
                running.spawn(job);
                while running.try_join_next().is_some() {}
            }
            while running.join_next().await.is_some() {}
        });
    };
    let thread = std::thread::Builder::new().name("towline-listen".into());
    if let Err(error) = thread.spawn(serve) {
        tracing::error!(%error, "there is no thread to call listeners from");
    }
    jobs
}
