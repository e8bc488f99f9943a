//! Work on one file that is done piece after piece.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{Files, Work};

/// The turns of what is written to one file. The kernel lets one write at a time into
/// it, and a thread that waits for that burns a CPU.
#[derive(Default)]
pub(crate) struct Turns {
    turn: Arc<Mutex<()>>,
    /// So many pieces more are not done in place.
    wary: AtomicU32,
}

/// A write into the page cache takes a tenth of that.
const LONG: Duration = Duration::from_millis(2);
/// After a piece took long, so many are done elsewhere.
const WARY: u32 = 256;

impl Turns {
    fn is_wary(&self) -> bool {
        self.wary
            .try_update(Relaxed, Relaxed, |left| left.checked_sub(1))
            .is_ok()
    }

    fn note(&self, took: Duration) {
        if took > LONG {
            self.wary.store(WARY, Relaxed);
        }
    }
}

/// Whether somebody does a piece in place. One at a time may: where a disk hangs, one
/// thread of the runtime hangs with it, and no more.
#[derive(Clone, Debug, Default)]
pub(super) struct InPlace(Arc<AtomicBool>);

impl InPlace {
    fn take(&self) -> Option<Taken<'_>> {
        let alone = Handle::current().metrics().num_workers() < 2;
        (!alone && !self.0.swap(true, Relaxed)).then_some(Taken(&self.0))
    }
}

struct Taken<'a>(&'a AtomicBool);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.store(false, Relaxed);
    }
}

impl Files {
    /// Begins with brief work on a file once it is its turn. As long as the disk is
    /// quick it is done here and now: what has just come is still in this CPU's cache.
    pub(crate) async fn begin_in_turn<T: Send + 'static>(
        &self,
        turns: &Turns,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Work<T> {
        if self.are_simulated() {
            return self.begin(work);
        }
        let turn: OwnedMutexGuard<()> = Arc::clone(&turns.turn).lock_owned().await;
        if !turns.is_wary()
            && let Some(_taken) = self.in_place.take()
        {
            let begun = Instant::now();
            let done = work();
            turns.note(begun.elapsed());
            return Work::Done(done);
        }
        self.begin_brief(move || {
            let _turn = turn;
            work()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc;
    use std::thread::sleep;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn pieces_of_one_file_are_never_done_two_at_a_time() {
        let files = Files::of_system();
        let turns = Arc::new(Turns::default());
        let at_it = Arc::new(Mutex::new(0));
        let one = |n: u32| {
            let (files, turns, at_it) = (files.clone(), turns.clone(), at_it.clone());
            tokio::spawn(async move {
                let work = files.begin_in_turn(&turns, move || {
                    let mut done = at_it.try_lock().expect("nobody else is at it");
                    // Some are too long to be done in place.
                    sleep(LONG * 2 * u32::from(n % 10 == 0));
                    *done += 1;
                });
                work.await.end().await;
            })
        };
        for one in (0..200).map(one).collect::<Vec<_>>() {
            one.await.unwrap();
        }
        assert_eq!(*at_it.lock().unwrap(), 200);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_disk_that_hangs_takes_one_thread_of_the_runtime_at_most() {
        let files = Files::of_system();
        let hanging = (0..4).map(|_| {
            let (go_on, waits) = mpsc::channel::<()>();
            let files = files.clone();
            let hung = tokio::spawn(async move {
                let turns = Turns::default();
                let work = files.begin_in_turn(&turns, move || waits.recv().unwrap());
                work.await.end().await;
            });
            (go_on, hung)
        });
        let hanging: Vec<_> = hanging.collect();
        for _ in 0..100 {
            // Done by whoever is left.
            tokio::spawn(tokio::task::yield_now()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(hanging.iter().all(|(_, hung)| !hung.is_finished()));
        for (go_on, hung) in hanging {
            go_on.send(()).unwrap();
            hung.await.unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn after_a_piece_that_took_long_others_are_done_elsewhere() {
        let files = Files::of_system();
        let turns = Turns::default();
        let mut in_place = Vec::new();
        for n in 0..4 {
            let work = files.begin_in_turn(&turns, move || sleep(LONG * 2 * u32::from(n == 1)));
            let work = work.await;
            in_place.push(matches!(work, Work::Done(())));
            work.end().await;
        }
        assert_eq!(in_place, [true, true, false, false]);
    }

    #[tokio::test]
    async fn a_runtime_of_one_thread_does_nothing_in_place() {
        let files = Files::of_system();
        let work = files.begin_in_turn(&Turns::default(), || 7).await;
        assert!(matches!(work, Work::Brief(_)));
        assert_eq!(work.end().await, 7);
    }
}
