//! Sets how the utility runs, and how one transfer is carried.
//!
//! ```text
//! cargo run -p towline --example options -- film.mp4 my-bucket film.mp4
//! ```

use std::error::Error;
use std::time::Duration;

use towline::{
    ChecksumAlgorithm, Config, Connection, Encryption, PartSize, State, TransferUtility, UploadMode,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let file = args.next().unwrap_or_else(|| "Cargo.toml".into());
    let bucket = args.next().unwrap_or_else(|| "my-bucket".into());
    let key = args.next().unwrap_or_else(|| "examples/options".into());

    // For all transfers of this utility.
    let mut config = Config::default();
    config.requests = Some(8); // at one time, over all transfers; default: as many as help
    config.parts_per_transfer = Some(4); // at one time; default: automatic
    config.retry_limit = 3; // failures in a row of one item; default 8
    config.stall_timeout = Duration::from_secs(10); // under 1 KiB in it; default 20 s
    config.service_check_interval = Duration::from_secs(30); // default 60 s
    config.progress_interval = Duration::from_millis(250); // default 100 ms
    let utility = TransferUtility::builder()
        .config(config)
        .default_bucket(bucket)
        // What is left out comes from the environment and AWS's files.
        .connection(Connection {
            region: Some("us-east-1".into()),
            ..Connection::default()
        })
        .open()
        .await?;

    // For this one; an empty bucket is the default bucket.
    let observer = utility
        .upload("", key, file)
        .mode(UploadMode::Multipart) // default: above 5 MiB
        .part_size(PartSize::from_bytes(8 << 20)?) // 5 MiB to 5 GiB; default by the length
        .checksum(ChecksumAlgorithm::Crc32c) // default CRC-64/NVME
        .encryption(Encryption::S3) // default: as the bucket says
        .storage_class("STANDARD_IA")
        .await?;
    let transfer = observer.finished().await?;
    utility.close().await?;
    if transfer.state != State::Completed {
        return Err(format!("{}: {:?}", transfer.state, transfer.error).into());
    }
    println!("uploaded to s3://{}/{}", transfer.bucket, transfer.key);
    Ok(())
}
