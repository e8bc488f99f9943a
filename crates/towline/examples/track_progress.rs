//! Follows one upload in two ways: by a listener, which is called, and by a
//! stream of updates, which is read.
//!
//! ```text
//! cargo run -p towline --example track_progress -- film.mp4 my-bucket film.mp4
//! ```

use std::error::Error;

use towline::{ErrorRecord, State, TransferId, TransferListener, TransferUtility};

/// Prints what it is told. Listeners are called from a thread of their own: one
/// that takes long delays other listeners, never a transfer.
struct Printer;

impl TransferListener for Printer {
    fn on_state_changed(&mut self, id: TransferId, state: State) {
        println!("listener: {id} is {state}");
    }

    fn on_progress_changed(&mut self, id: TransferId, bytes: u64, total: Option<u64>) {
        // In u64, and the product first: 50 bytes of 200 are 25 %, not 0 %.
        // A file of no bytes is all there.
        let percent = total.map(|total| (bytes * 100).checked_div(total).unwrap_or(100));
        println!("listener: {id} has moved {bytes} bytes, {percent:?} %");
    }

    fn on_error(&mut self, id: TransferId, error: &ErrorRecord) {
        println!("listener: {id}: {} ({})", error.message, error.code);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let file = args.next().unwrap_or_else(|| "Cargo.toml".into());
    let bucket = args.next().unwrap_or_else(|| "my-bucket".into());
    let key = args.next().unwrap_or_else(|| "examples/progress".into());

    let utility = TransferUtility::builder().open().await?;
    // Set with the request, the listener misses nothing. To an observer that is
    // there already: `observer.set_listener(…)`.
    let observer = utility.upload(bucket, key, file).listener(Printer).await?;

    // The same as a stream: the state it is in first, its end last.
    let mut updates = observer.updates();
    while let Some(transfer) = updates.next().await {
        let (bytes, total) = (transfer.bytes_transferred, transfer.bytes_total);
        println!("update: {}, {bytes} of {total:?} bytes", transfer.state);
    }

    // And without either, whenever it is asked.
    let transfer = observer.transfer();
    utility.close().await?; // lets the listener hear the end
    match transfer.state {
        State::Completed => Ok(()),
        state => Err(format!("{state}: {:?}", transfer.error).into()),
    }
}
