//! Uploads a file and waits until it has arrived.
//!
//! ```text
//! cargo run -p towline --example upload -- photo.jpg my-bucket photos/photo.jpg
//! ```

use std::error::Error;

use towline::{State, TransferUtility};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let file = args.next().unwrap_or_else(|| "Cargo.toml".into());
    let bucket = args.next().unwrap_or_else(|| "my-bucket".into());
    let key = args.next().unwrap_or_else(|| "examples/upload".into());

    // Endpoint, region and keys come from the environment and AWS's files, as
    // with AWS's own tools; the state is in $TOWLINE_STATE_DIR, or below
    // ~/.local/state.
    let utility = TransferUtility::builder().open().await?;

    // Once this returns, the upload is recorded and survives a crash.
    let observer = utility.upload(bucket, key, file).await?;
    println!("transfer {} is recorded", observer.id());

    let transfer = observer.finished().await?;
    utility.close().await?;
    if transfer.state != State::Completed {
        return Err(format!("{}: {:?}", transfer.state, transfer.error).into());
    }
    println!(
        "uploaded {} bytes to s3://{}/{}, proven by {:?}",
        transfer.bytes_transferred, transfer.bucket, transfer.key, transfer.verified
    );
    Ok(())
}
