//! Stores what belongs to an object besides its bytes: own metadata, content
//! type, caching, tags. The same in one PUT and in a multipart upload.
//!
//! Of all that, Towline reads back the ETag and the length; metadata and tags
//! are read with HeadObject and GetObjectTagging of any S3 client.
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
        // At most 10 tags, of any characters.
        .tag("project", "a & b")
        .await?;
    let transfer = observer.finished().await?;
    if transfer.state != State::Completed {
        return Err(format!("{}: {:?}", transfer.state, transfer.error).into());
    }
    let etag = transfer.etag.ok_or("S3 told no ETag")?;
    println!("stored with ETag {etag}");

    // With the ETag, a later download asks for bytes only if they changed.
    let copy = utility
        .download(&bucket, &key, std::env::temp_dir().join("report.pdf"))
        .if_none_match(etag)
        .await?;
    let transfer = copy.finished().await?;
    utility.close().await?;
    match transfer.outcome {
        Some(Outcome::NotModified) => println!("not modified: nothing was fetched"),
        other => return Err(format!("{other:?}: {:?}", transfer.error).into()),
    }
    Ok(())
}
