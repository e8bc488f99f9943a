//! Brief work on files: a thread that is awake takes on piece after piece, since to
//! wake one for each costs more than the work does.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

/// Who waits for longer has another thread take on what is left: a disk that is slow,
/// or hangs, holds up nothing but what is asked of it.
const PATIENCE: Duration = Duration::from_millis(1);
/// How often a thread looks for more before it goes.
const YIELDS: usize = 4;
/// A thread that hangs is looked at less and less often.
const MOST_PATIENCE: Duration = Duration::from_secs(1);

/// Pieces of work, in order, and the threads that take them on.
#[derive(Clone, Default)]
pub(super) struct Brief(Arc<Mutex<Queue>>);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Piece>,
    threads: usize,
}

type Piece = Box<dyn FnOnce() + Send>;

/// Pieces that are done one after the other, those of one file: the kernel lets one
/// write at a time into it, and a thread that waits for that burns a CPU. Clones share
/// it.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    pieces: VecDeque<Piece>,
    /// A thread does them, or will.
    taken_on: bool,
}

impl Brief {
    /// Begins with it; it is done to its end even where nobody waits for it any more.
    pub(super) fn begin<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Pending<T> {
        let (piece, result) = told(work);
        self.add(piece);
        let brief = self.clone();
        Pending { brief, result }
    }

    /// The same, once those are done that wait for their turn.
    pub(super) fn begin_in_turn<T: Send + 'static>(
        &self,
        turns: &Turns,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Pending<T> {
        let (piece, result) = told(work);
        if turns.add(piece) {
            let turns = turns.clone();
            self.add(Box::new(move || {
                while let Some(piece) = turns.next() {
                    piece();
                }
            }));
        }
        let brief = self.clone();
        Pending { brief, result }
    }

    fn add(&self, piece: Piece) {
        let nobody_works = {
            let mut queue = self.queue();
            queue.waiting.push_back(piece);
            queue.threads == 0
        };
        if nobody_works {
            self.add_thread();
        }
    }

    fn add_thread(&self) {
        self.queue().threads += 1;
        let this = self.clone();
        tokio::task::spawn_blocking(move || {
            while let Some(work) = this.next() {
                work();
            }
        });
    }

    /// `None` when nothing is left, and the thread that asks goes.
    fn next(&self) -> Option<Piece> {
        for _ in 0..YIELDS {
            if let next @ Some(_) = self.queue().waiting.pop_front() {
                return next;
            }
            // Who has more to ask for gets to it.
            std::thread::yield_now();
        }
        let mut queue = self.queue();
        let next = queue.waiting.pop_front();
        if next.is_none() {
            queue.threads -= 1;
        }
        next
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Work whose end is told.
fn told<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> (Piece, oneshot::Receiver<std::thread::Result<T>>) {
    let (done, result) = oneshot::channel();
    let piece = move || {
        // A panic is for who waits for it.
        let _ = done.send(catch_unwind(AssertUnwindSafe(work)));
    };
    (Box::new(piece), result)
}

impl Turns {
    /// Whether nobody does them yet.
    fn add(&self, piece: Piece) -> bool {
        let mut waiting = self.waiting();
        waiting.pieces.push_back(piece);
        !std::mem::replace(&mut waiting.taken_on, true)
    }

    fn next(&self) -> Option<Piece> {
        let mut waiting = self.waiting();
        let next = waiting.pieces.pop_front();
        waiting.taken_on = next.is_some();
        next
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Work that was begun.
pub(crate) struct Pending<T> {
    brief: Brief,
    result: oneshot::Receiver<std::thread::Result<T>>,
}

impl<T> Pending<T> {
    /// Waits for it.
    pub(crate) async fn end(mut self) -> T {
        let mut patience = PATIENCE;
        loop {
            match timeout(patience, &mut self.result).await {
                Ok(Ok(Ok(value))) => return value,
                Ok(Ok(Err(panic))) => resume_unwind(panic),
                // The runtime ends, and this with it.
                Ok(Err(_)) => std::future::pending().await,
                Err(_) => {
                    if !self.brief.queue().waiting.is_empty() {
                        self.brief.add_thread();
                    }
                    patience = MOST_PATIENCE.min(patience * 2);
                }
            }
        }
    }
}

impl fmt::Debug for Brief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Brief")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn what_hangs_holds_up_nothing_else() {
        let brief = Brief::default();
        let (go_on, waits) = mpsc::channel::<()>();
        let hung = tokio::spawn({
            let brief = brief.clone();
            async move { brief.begin(move || waits.recv().unwrap()).end().await }
        });
        tokio::task::yield_now().await;
        assert_eq!(brief.queue().threads, 1);
        for n in 0..100 {
            assert_eq!(brief.begin(move || n).end().await, n);
        }
        go_on.send(()).unwrap();
        hung.await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn all_is_done_and_no_thread_stays() {
        let brief = Brief::default();
        let all = (0..10_000_u64).map(|n| {
            let brief = brief.clone();
            tokio::spawn(async move { brief.begin(move || n).end().await })
        });
        let mut sum = 0;
        for one in all.collect::<Vec<_>>() {
            sum += one.await.unwrap();
        }
        assert_eq!(sum, 9_999 * 10_000 / 2);
        while brief.queue().threads > 0 {
            tokio::time::sleep(PATIENCE).await;
        }
    }

    #[tokio::test]
    async fn a_panic_is_that_of_who_waits_and_the_next_is_done() {
        let brief = Brief::default();
        let panics = {
            let brief = brief.clone();
            tokio::spawn(async move { brief.begin(|| panic!("as it should")).end().await })
        };
        assert!(panics.await.unwrap_err().is_panic());
        assert_eq!(brief.begin(|| 7).end().await, 7);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_done_in_turn_is_never_done_twice_at_a_time_and_in_order() {
        let brief = Brief::default();
        let turns = Turns::default();
        let done = Arc::new(Mutex::new(Vec::new()));
        let one = |n: u64| {
            let done = Arc::clone(&done);
            brief.begin_in_turn(&turns, move || {
                let mut done = done.try_lock().expect("nobody else is at it");
                // Longer than who waits has patience for.
                std::thread::sleep(PATIENCE * (2 * u32::from(n.is_multiple_of(10))));
                done.push(n);
            })
        };
        let mut ends = Vec::new();
        for n in 0..100 {
            ends.push(tokio::spawn(one(n).end()));
            if n % 7 == 0 {
                tokio::time::sleep(PATIENCE).await;
            }
        }
        for end in ends {
            end.await.unwrap();
        }
        assert_eq!(*done.lock().unwrap(), (0..100).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn what_hangs_holds_up_only_those_behind_it_in_turn() {
        let brief = Brief::default();
        let turns = Turns::default();
        let (go_on, waits) = mpsc::channel::<()>();
        let hung = tokio::spawn(
            brief
                .begin_in_turn(&turns, move || waits.recv().unwrap())
                .end(),
        );
        let behind = tokio::spawn(brief.begin_in_turn(&turns, || 7).end());
        tokio::task::yield_now().await;
        for n in 0..100 {
            assert_eq!(brief.begin(move || n).end().await, n);
        }
        assert!(!behind.is_finished());
        go_on.send(()).unwrap();
        hung.await.unwrap();
        assert_eq!(behind.await.unwrap(), 7);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_done() {
        let brief = Brief::default();
        let (begins, begun) = mpsc::channel();
        let (go_on, waits) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        drop(brief.begin(move || {
            begins.send(()).unwrap();
            waits.recv().unwrap();
            tell.send(()).unwrap();
        }));
        begun.recv().unwrap();
        go_on.send(()).unwrap();
        told.recv().unwrap();
    }
}
