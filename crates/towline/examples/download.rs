//! Downloads an object to a file.
//!
//! The bytes are written beside the target, into `.towline-….part`. The target
//! appears, or is replaced, in one step when all of them are there and proven.
//!
//! ```text
//! cargo run -p towline --example download -- my-bucket photos/photo.jpg photo.jpg
//! ```

use std::error::Error;

use towline::{State, TransferUtility, WhenTargetExists};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let bucket = args.next().unwrap_or_else(|| "my-bucket".into());
    let key = args.next().unwrap_or_else(|| "examples/upload".into());
    let file = args.next().unwrap_or_else(|| "download".into());

    let utility = TransferUtility::builder().open().await?;
    let observer = utility
        .download(bucket, key, file)
        // The default. Others: Fail, SkipIfIdentical, and Rename, which takes
        // the next free name.
        .when_target_exists(WhenTargetExists::Overwrite)
        .await?;

    let transfer = observer.finished().await?;
    utility.close().await?;
    if transfer.state != State::Completed {
        return Err(format!("{}: {:?}", transfer.state, transfer.error).into());
    }
    println!(
        "downloaded {} bytes to {}",
        transfer.bytes_transferred,
        transfer.path.display()
    );
    Ok(())
}
