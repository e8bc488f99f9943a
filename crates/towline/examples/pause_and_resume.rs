//! Pauses an upload when a tenth of it has been sent, and resumes it.
//!
//! Parts that S3 has confirmed are not sent again. A file of up to 5 MiB goes in
//! one PUT, and starts again from zero.
//!
//! ```text
//! cargo run -p towline --example pause_and_resume -- film.mp4 my-bucket film.mp4
//! ```

use std::error::Error;

use towline::{Direction, State, TransferUtility};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let file = args.next().unwrap_or_else(|| "Cargo.toml".into());
    let bucket = args.next().unwrap_or_else(|| "my-bucket".into());
    let key = args.next().unwrap_or_else(|| "examples/paused".into());

    let utility = TransferUtility::builder().open().await?;
    let observer = utility.upload(bucket, key, file).await?;

    let mut updates = observer.updates();
    while let Some(transfer) = updates.next().await {
        let total = transfer.bytes_total.unwrap_or(u64::MAX);
        if transfer.bytes_transferred > total / 10 {
            break;
        }
    }

    // When this returns, nothing of it runs any more; it stays paused when the
    // process ends. False: there was nothing to pause.
    if !observer.pause().await? {
        return Err(format!("it was {} before it could be paused", observer.state()).into());
    }
    let kept = observer.transfer();
    println!("{} with {} bytes kept", kept.state, kept.bytes_transferred);
    if observer.resume().await? {
        println!("resumed");
    }

    // All at once: `None` means both directions. What ended is left alone, and
    // only paused ones are resumed.
    let paused = utility.pause_all(Some(Direction::Upload)).await?;
    let resumed = utility.resume_all(None).await?;
    println!("paused {} and resumed {}", paused.len(), resumed.len());

    let transfer = observer.finished().await?;
    utility.close().await?;
    match transfer.state {
        State::Completed => println!("completed: {} bytes", transfer.bytes_transferred),
        state => return Err(format!("{state}: {:?}", transfer.error).into()),
    }
    Ok(())
}
