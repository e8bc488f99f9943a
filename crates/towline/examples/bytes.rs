//! Uploads bytes from memory, and downloads an object to memory.
//!
//! ```text
//! cargo run -p towline --example bytes -- my-bucket notes/today.txt "what is to be done"
//! ```

use std::error::Error;

use towline::{State, TransferUtility};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let bucket = args.next().unwrap_or_else(|| "my-bucket".into());
    let key = args.next().unwrap_or_else(|| "examples/bytes.txt".into());
    let text = args.next().unwrap_or_else(|| "Hello, S3".into());

    let utility = TransferUtility::builder().open().await?;

    // A `Vec<u8>`, a `Bytes`, or what becomes one. They live in this process:
    // when it ends first, the upload has failed, unless it was spooled to a
    // file beside the state, which goes on in a later process.
    let observer = utility
        .upload_data(&bucket, &key, text.clone().into_bytes())
        .spool(true)
        .await?;
    let transfer = observer.finished().await?;
    if transfer.state != State::Completed {
        return Err(format!("{}: {:?}", transfer.state, transfer.error).into());
    }

    // All bytes, once they are proven; an `Err` when the download fails or is
    // canceled.
    let back = utility.download_stream(&bucket, &key).to_bytes().await?;
    utility.close().await?;
    if back != text {
        return Err("other bytes came back".into());
    }
    println!("{} bytes went to {bucket}/{key} and back", back.len());
    Ok(())
}
