//! The same without async: `wait()` is `await` that blocks the thread. Not for
//! the tasks of an async runtime.
//!
//! ```text
//! cargo run -p towline --example blocking -- photo.jpg my-bucket photos/photo.jpg
//! ```

use std::error::Error;

use towline::{State, TransferUtility, Wait};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let file = args.next().unwrap_or_else(|| "Cargo.toml".into());
    let bucket = args.next().unwrap_or_else(|| "my-bucket".into());
    let key = args.next().unwrap_or_else(|| "examples/blocking".into());

    let utility = TransferUtility::builder().open().wait()?;
    let observer = utility.upload(&bucket, &key, file).wait()?;
    let transfer = observer.finished().wait()?;
    if transfer.state != State::Completed {
        return Err(format!("{}: {:?}", transfer.state, transfer.error).into());
    }
    println!("uploaded {} bytes", transfer.bytes_transferred);

    let bytes = utility.download_stream(bucket, key).to_bytes().wait()?;
    println!("downloaded {} bytes", bytes.len());
    Ok(utility.close().wait()?)
}
