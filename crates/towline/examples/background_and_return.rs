//! Leaves a transfer, and comes back to it from another process.
//!
//! Transfers run while a process has their state open, and go on by themselves
//! when one opens it again: after an exit, a crash or a reboot alike.
//!
//! ```text
//! cargo run -p towline --example background_and_return -- film.mp4 my-bucket film.mp4
//! cargo run -p towline --example background_and_return -- 42
//! ```

use std::error::Error;

use towline::{Query, State, TransferId, TransferUtility};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let id = args.first().and_then(|arg| arg.parse().ok());
    let utility = TransferUtility::builder().open().await?;
    match id {
        Some(id) => come_back(&utility, id).await,
        None => leave(&utility, &args).await,
    }
}

/// Submits an upload, and ends the process at once: no `close`, as in a crash.
async fn leave(utility: &TransferUtility, args: &[String]) -> Result<(), Box<dyn Error>> {
    let arg = |n: usize, default: &str| args.get(n).cloned().unwrap_or_else(|| default.into());
    let (file, bucket) = (arg(0, "Cargo.toml"), arg(1, "my-bucket"));
    let observer = utility
        .upload(bucket, arg(2, "examples/left"), file)
        .await?;
    println!("transfer {} is left", observer.id());
    std::process::exit(0);
}

async fn come_back(utility: &TransferUtility, id: TransferId) -> Result<(), Box<dyn Error>> {
    // It goes on already. Without its id it is found by what it is about:
    let unfinished = Query {
        states: vec![State::Waiting, State::InProgress, State::WaitingForNetwork],
        ..Query::default()
    };
    let (found, _next_page) = utility.find(unfinished).await?;
    println!("{} transfers are unfinished", found.len());

    // Listeners are not kept: set them again on the observer.
    let observer = utility.observe(id).await?;
    let transfer = observer.finished().await?;
    utility.close().await?;
    if transfer.state != State::Completed {
        return Err(format!("{}: {:?}", transfer.state, transfer.error).into());
    }
    println!(
        "transfer {id} completed: {} bytes",
        transfer.bytes_transferred
    );
    Ok(())
}
