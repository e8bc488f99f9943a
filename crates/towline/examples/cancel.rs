//! Cancels an upload. It is `canceled` once S3 has been asked and holds nothing
//! of it any more; a download, once its temporary file is gone. What stood at
//! the key or under the file's name before stays.
//!
//! ```text
//! cargo run -p towline --example cancel -- film.mp4 my-bucket film.mp4
//! ```

use std::error::Error;

use towline::{Command, Query, State, TransferUtility};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let file = args.next().unwrap_or_else(|| "Cargo.toml".into());
    let bucket = args.next().unwrap_or_else(|| "my-bucket".into());
    let key = args.next().unwrap_or_else(|| "examples/canceled".into());

    let utility = TransferUtility::builder().open().await?;
    let observer = utility.upload(&bucket, &key, &file).await?;

    // False: it was canceled already, or it is completed, which it stays.
    let changed = observer.cancel().await?;
    let transfer = observer.finished().await?;
    println!("transfer {} is {}", transfer.id, transfer.state);

    // By object, without an id. `cancel_all(None)` means all that are unfinished.
    let of_this_object = Query {
        bucket: Some(bucket),
        key: Some(key),
        ..Query::default()
    };
    let also = utility.steer_all(Command::Cancel, of_this_object).await?;
    println!("{} others of the same object were canceled", also.len());

    // Its record stays, to be looked at or retried, until it is removed.
    observer.remove().await?;
    utility.close().await?;
    match (changed, transfer.state) {
        (true, State::Canceled) => Ok(()),
        (_, state) => Err(format!("it was {state} before it could be canceled").into()),
    }
}
