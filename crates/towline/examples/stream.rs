//! Uploads binary data whose length nobody knows, while it is being made, and
//! takes an object as it arrives.
//!
//! Nothing is copied to disk. At most 32 MiB, or one part, of the upload are in
//! memory, and at most four parts of the download.
//!
//! ```text
//! cargo run -p towline --example stream -- my-bucket measurements.bin 1000000
//! ```

use std::error::Error;

use tokio::io::AsyncWriteExt;
use towline::{State, TransferUtility};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let bucket = args.next().unwrap_or_else(|| "my-bucket".into());
    let key = args.next().unwrap_or_else(|| "examples/stream".into());
    let count: u64 = args.next().map_or(Ok(1_000_000), |arg| arg.parse())?;

    let utility = TransferUtility::builder().open().await?;

    // Whatever implements `AsyncRead`: here a pipe that is written to while its
    // other end is uploaded. With a known length: `.length(bytes)`.
    let (mut writer, reader) = tokio::io::duplex(64 << 10);
    let observer = utility.upload_stream(&bucket, &key, reader).await?;
    for number in 0..count {
        writer.write_all(&number.to_le_bytes()).await?;
    }
    drop(writer); // the object ends here
    let transfer = observer.finished().await?;
    if transfer.state != State::Completed {
        return Err(format!("{}: {:?}", transfer.state, transfer.error).into());
    }
    println!("uploaded {} bytes", transfer.bytes_transferred);

    // Piece by piece. They are proven when there are no more: until then they
    // are what arrived, and a later error makes them worthless.
    let mut stream = utility.download_stream(&bucket, &key).await?;
    let mut taken = 0;
    while let Some(bytes) = stream.next().await {
        taken += bytes?.len();
    }
    println!("took {taken} bytes");

    // Or all of them to whatever implements `AsyncWrite`.
    let mut written = Vec::new();
    let download = utility.download_stream(&bucket, &key);
    let transfer = download.to_writer(&mut written).await?;
    utility.close().await?;
    println!("wrote {} bytes, {}", written.len(), transfer.state);
    Ok(())
}
