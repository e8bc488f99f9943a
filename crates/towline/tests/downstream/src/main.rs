//! Uploads a file, follows it, fetches it back and compares, as an app outside
//! of this repository would: only by what `towline` itself exports.
//!
//! ```text
//! downstream FILE BUCKET KEY
//! ```

#[allow(dead_code)] // to compile is all it has to do
mod calls;

use std::sync::mpsc::{Sender, channel};

use towline::{
    Config, Error, PartSize, Query, Recovery, State, SubmitError, Transfer, TransferId,
    TransferListener, TransferUtility, Verified, Wait, WhenTargetExists,
};

/// Passes the states on that it is told.
struct States(Sender<State>);

impl TransferListener for States {
    fn on_state_changed(&mut self, _id: TransferId, state: State) {
        drop(self.0.send(state));
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let mut arg = || args.next().ok_or("usage: downstream FILE BUCKET KEY");
    let (file, bucket, key) = (arg()?, arg()?, arg()?);

    let mut config = Config::default();
    config.recovery = Recovery::All;
    let builder = TransferUtility::builder().config(config);
    let utility = builder.default_bucket(&bucket).open().await?;

    let (told, states) = channel();
    let upload = utility
        .upload("", &key, &file)
        .part_size(PartSize::MIN)
        .metadata("from", "downstream")
        .listener(States(told));
    let observer = upload.await?;
    let sent = completed(observer.finished().await?)?;
    // The listener is dropped after its last call, and with it the sender.
    let states: Vec<State> = tokio::task::spawn_blocking(move || states.iter().collect()).await?;
    if states.last() != Some(&State::Completed) {
        return Err(format!("the listener was told {states:?}").into());
    }

    let copy = format!("{file}.copy");
    let download = utility.download("", &key, &copy);
    let download = download.when_target_exists(WhenTargetExists::Fail);
    let fetched = completed(download.await?.finished().await?)?;
    if std::fs::read(&file)? != std::fs::read(&copy)? || sent.etag != fetched.etag {
        return Err("other bytes came back".into());
    }

    // What cannot work is an error of its own type, with a stable name.
    match utility.upload("", &key, "/no/such/file").await {
        Err(Error::Submit(SubmitError::Source(why))) => println!("refused: {why}"),
        other => return Err(format!("{other:?}").into()),
    }
    let (all, more) = utility.find(Query::default()).await?;
    if all.len() != 2 || more.is_some() {
        return Err(format!("{all:?}").into());
    }
    // The same from a thread that blocks.
    let closing = utility.clone();
    std::thread::spawn(move || closing.close().wait())
        .join()
        .map_err(|_| "it panicked")??;
    println!("{} bytes there and back", sent.bytes_transferred);
    Ok(())
}

fn completed(transfer: Transfer) -> Result<Transfer, Error> {
    match (transfer.state, transfer.verified) {
        (State::Completed, Some(Verified::FullObject)) => Ok(transfer),
        _ => Err(Error::Ended(Box::new(transfer))),
    }
}
