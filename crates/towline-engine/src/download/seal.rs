//! Proves the bytes of a download and makes them durable under the temporary name.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use towline_core::{
    Checksum, ChecksumAlgorithm, ChecksumKind, Event, Failure, LocalFailure, ObjectIdentity, Proof,
    Verified,
};

use super::identity;
use crate::act::{Context, blocking};
use crate::budget::BUFFER;
use crate::files::{TargetDir, target_failure};
use crate::hash::{Hasher, etag_md5};
use crate::upload::whole_of;

pub(crate) async fn seal(context: &Context) -> Result<Event, Failure> {
    let file = context.open.file(context).await?;
    let (identity, _) = identity(context)?;
    context
        .open
        .keep_proof(prove(context, identity, &file).await?);
    let (path, modified) = (context.spec().path.clone(), identity.last_modified);
    let sealed = blocking(move || TargetDir::of(&path)?.seal_temp(&file, modified)).await?;
    Ok(Event::Sealed(sealed))
}

/// Compares the file with the strongest checksum that the object has.
pub(crate) async fn prove(
    context: &Context,
    identity: &ObjectIdentity,
    file: &Arc<File>,
) -> Result<Proof, Failure> {
    let proof = |verified, checksum| Proof {
        verified,
        etag: identity.etag.clone(),
        version_id: identity.version_id.clone(),
        checksum,
    };
    if let Some((expected, ChecksumKind::FullObject)) = identity.checksum {
        let combined = whole_of(&context.parts);
        let ours = match combined.filter(|sum| sum.algorithm() == expected.algorithm()) {
            Some(sum) => sum,
            None => read_back(context, file, expected.algorithm()).await?,
        };
        agree(context, expected, ours)?;
        return Ok(proof(
            Verified::FullObject,
            Some((expected, ChecksumKind::FullObject)),
        ));
    }
    // The ETag of a plain object is its MD5, unless its key is managed by KMS.
    let plain = identity
        .encryption
        .as_deref()
        .is_none_or(|how| how == "AES256");
    if plain && let Some((expected, None)) = identity.etag.as_deref().and_then(etag_md5) {
        agree(
            context,
            expected,
            read_back(context, file, ChecksumAlgorithm::Md5).await?,
        )?;
        return Ok(proof(
            Verified::Md5,
            Some((expected, ChecksumKind::FullObject)),
        ));
    }
    Ok(proof(Verified::SizeOnly, None))
}

fn agree(context: &Context, expected: Checksum, ours: Checksum) -> Result<(), Failure> {
    if ours == expected {
        return Ok(());
    }
    let why = format!("S3 has {expected:?}, the file has {ours:?}");
    Err(LocalFailure::WrongWhole {
        object: context.object().to_string(),
        why,
    }
    .into())
}

async fn read_back(
    context: &Context,
    file: &Arc<File>,
    algorithm: ChecksumAlgorithm,
) -> Result<Checksum, Failure> {
    let (file, size, path) = (
        Arc::clone(file),
        context.plan().size(),
        context.spec().path.clone(),
    );
    blocking(move || checksum_of_range(&file, 0..size, algorithm))
        .await
        .map_err(|error| target_failure(&path, &error).into())
}

/// The checksum of a range of a file as it is on disk.
pub(crate) fn checksum_of_range(
    file: &File,
    range: std::ops::Range<u64>,
    algorithm: ChecksumAlgorithm,
) -> std::io::Result<Checksum> {
    let mut hasher = Hasher::new(algorithm);
    let mut buffer = vec![0; BUFFER];
    let mut at = range.start;
    while at < range.end {
        let len = usize::try_from(range.end - at).map_or(BUFFER, |left| left.min(BUFFER));
        file.read_exact_at(&mut buffer[..len], at)?;
        hasher.update(&buffer[..len]);
        at += len as u64;
    }
    Ok(hasher.finish())
}
