//! Stores what belongs to an object besides its bytes: own metadata, content
//! type, caching, tags; the same in one PUT and in a multipart upload. And reads
//! it back without the bytes.
//!
//! ```text
//! cargo run -p towline --example metadata -- report.pdf my-bucket reports/2026.pdf
//! ```

use std::error::Error;

use towline::{Outcome, State, TransferUtility};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let file = args.next().unwrap_or_else(|| "Cargo.toml".into());
    let bucket = args.next().unwrap_or_else(|| "my-bucket".into());
    let key = args.next().unwrap_or_else(|| "examples/metadata".into());

    let utility = TransferUtility::builder().open().await?;
    let observer = utility
        .upload(&bucket, &key, file)
        // `x-amz-meta-author: Ada`; printable ASCII, at most 2 KB in all.
        .metadata("author", "Ada")
        .metadata("reviewed", "yes")
        // Default: by the file name's extension.
        .content_type("application/pdf")
        .content_disposition("attachment; filename=\"report.pdf\"")
        .content_language("en")
        .cache_control("max-age=3600")
        // At most 10, of letters, digits, spaces and + - = . _ : / @
        .tag("project", "a b")
        .await?;
    let transfer = observer.finished().await?;
    if transfer.state != State::Completed {
        return Err(format!("{}: {:?}", transfer.state, transfer.error).into());
    }

    let object = utility.head(&bucket, &key).await?;
    println!(
        "{} bytes, {:?}",
        transfer.bytes_transferred, object.content_type
    );
    for (name, value) in &object.metadata {
        println!("{name}: {value}");
    }

    // With the ETag, a later download fetches bytes only if they changed.
    let copy = utility
        .download(&bucket, &key, std::env::temp_dir().join("report.pdf"))
        .if_none_match(object.etag.ok_or("S3 told no ETag")?)
        .await?;
    let transfer = copy.finished().await?;
    utility.close().await?;
    match transfer.outcome {
        Some(Outcome::NotModified) => println!("not modified: nothing was fetched"),
        other => return Err(format!("{other:?}: {:?}", transfer.error).into()),
    }
    Ok(())
}
