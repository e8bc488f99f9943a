//! Waiting for what is asynchronous, from code that is not.

use std::future::IntoFuture;
use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use tokio::runtime::Runtime;

/// The blocking form of everything here: `request.wait()` is `request.await`
/// that blocks the thread, with the same result and the same errors.
///
/// ```no_run
/// use towline::{TransferUtility, Wait};
///
/// # fn main() -> Result<(), towline::Error> {
/// let utility = TransferUtility::builder().open().wait()?;
/// let observer = utility.upload("my-bucket", "cat.jpg", "/home/me/cat.jpg").wait()?;
/// println!("{}", observer.finished().wait()?.state);
/// # Ok(()) }
/// ```
///
/// It may be called from any thread that may block: not from the tasks of an
/// async runtime.
pub trait Wait: IntoFuture + Sized {
    /// Blocks until it is done.
    fn wait(self) -> Self::Output {
        let _context = RUNTIME.as_ref().map(Runtime::enter);
        let mut future = pin!(self.into_future());
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            match future.as_mut().poll(&mut context) {
                Poll::Ready(output) => return output,
                Poll::Pending => std::thread::park(),
            }
        }
    }
}

impl<F: IntoFuture> Wait for F {}

/// Has the timers and the threads that some futures need.
static RUNTIME: LazyLock<Option<Runtime>> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let built = builder
        .worker_threads(1)
        .thread_name("towline-wait")
        .enable_time()
        .build();
    built.ok()
});

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
