//! Says who may read an object: by a canned ACL, or by grants.
//!
//! Buckets made since April 2023 have ACLs disabled unless somebody enabled
//! them; S3 then refuses, and the upload fails with
//! `AccessControlListNotSupported`.
//!
//! ```text
//! cargo run -p towline --example acl -- logo.png my-bucket public/logo.png
//! ```

use std::error::Error;

use towline::{Grantee, Permission, State, TransferObserver, TransferUtility};

const EVERYBODY: &str = "http://acs.amazonaws.com/groups/global/AllUsers";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let file = args.next().unwrap_or_else(|| "Cargo.toml".into());
    let bucket = args.next().unwrap_or_else(|| "my-bucket".into());
    let key = args.next().unwrap_or_else(|| "examples/acl".into());

    let utility = TransferUtility::builder().open().await?;

    // A name that is no canned ACL is refused at the call.
    let wrong = utility.upload(&bucket, &key, &file).acl("public");
    if let Err(error) = wrong.await {
        println!("refused: {error}");
    }

    let canned = utility.upload(&bucket, &key, &file).acl("public-read");
    done(canned.await?).await?;

    // Grants instead: one or more, not together with a canned ACL.
    let granted = utility
        .upload(&bucket, format!("{key}-granted"), &file)
        .grant(Permission::Read, Grantee::Uri(EVERYBODY.into()));
    done(granted.await?).await?;
    Ok(utility.close().await?)
}

async fn done(observer: TransferObserver) -> Result<(), Box<dyn Error>> {
    let transfer = observer.finished().await?;
    if transfer.state != State::Completed {
        return Err(format!("{}: {:?}", transfer.state, transfer.error).into());
    }
    println!("uploaded {}", transfer.key);
    Ok(())
}
