//! Connections that are opened while another request is under way, ahead of those that
//! will need them: over a long way, with TLS, that is some round trips for each.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Uri;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::connect::ConnectFailure;
use crate::wire::Conn;

/// One that nobody took by then is closed, before its server may do so.
const KEPT: Duration = Duration::from_secs(2);

type Opened = Result<Conn, ConnectFailure>;

/// Those that nobody took yet. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Ahead(Arc<Mutex<Vec<Opening>>>);

struct Opening {
    target: Uri,
    since: Instant,
    opened: oneshot::Receiver<Opened>,
}

impl Opening {
    fn is_kept(&self) -> bool {
        self.since.elapsed() < KEPT
    }

    fn leads_to(&self, target: &Uri) -> bool {
        self.target.scheme() == target.scheme() && self.target.authority() == target.authority()
    }
}

impl Ahead {
    /// Keeps what this opens for the next who connects to `target`.
    pub(crate) fn keep(&self, target: Uri, opening: impl Future<Output = Opened> + Send + 'static) {
        let (done, opened) = oneshot::channel();
        self.openings().push(Opening {
            target,
            since: Instant::now(),
            opened,
        });
        let kept = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            // Who takes it is told why there is none.
            let _ = done.send(opening.await);
            sleep(KEPT).await;
            if let Some(kept) = kept.upgrade() {
                Self(kept).openings().retain(Opening::is_kept);
            }
        });
    }

    /// One for whoever connects to `target`, to be waited for.
    pub(crate) fn take(&self, target: &Uri) -> Option<oneshot::Receiver<Opened>> {
        let mut openings = self.openings();
        openings.retain(Opening::is_kept);
        let at = openings.iter().position(|one| one.leads_to(target))?;
        Some(openings.remove(at).opened)
    }

    pub(crate) fn are_there_for(&self, target: &Uri) -> bool {
        let openings = self.openings();
        let mut kept = openings.iter().filter(|one| one.is_kept());
        kept.any(|one| one.leads_to(target))
    }

    pub(crate) fn forget(&self) {
        self.openings().clear();
    }

    fn openings(&self) -> MutexGuard<'_, Vec<Opening>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
