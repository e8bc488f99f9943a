//! Proves the bytes of a download and makes them durable under the temporary name.

use std::io;
use std::sync::Arc;

use towline_core::{
    Checksum, ChecksumAlgorithm, ChecksumKind, Event, Failure, Fingerprint, LocalFailure,
    ObjectIdentity, Proof, Timestamp, Verified,
};

use super::{by_parts, identity};
use crate::act::Context;
use crate::budget::BUFFER;
use crate::files::{OpenFile, TargetDir, target_failure};
use crate::hash::{Hasher, checksum_of, etag_md5};
use crate::head;
use crate::upload::whole_of;

pub(crate) async fn seal(context: &Context) -> Result<Event, Failure> {
    towline_core::failpoint!("seal.begins");
    let (identity, temp) = identity(context)?;
    if context.spec().is_stream() {
        let sum = super::sink(context)?.complete();
        let proof = prove(context, identity, &Bytes::Taken(sum)).await?;
        context.open.keep_proof(proof);
        return Ok(Event::Sealed(Fingerprint::of_bytes(0).into()));
    }
    let file = context.open.file(context).await?;
    let bytes = Bytes::File(Arc::clone(&file));
    context
        .open
        .keep_proof(prove(context, identity, &bytes).await?);
    towline_core::failpoint!("seal.proven");
    let (target, name) = (context.target(), temp.name.clone());
    let modified = modified(context, identity).await?;
    let files = context.files.clone();
    let seal = move || TargetDir::of(&*files, &target)?.seal_temp(&name, &*file, modified);
    Ok(Event::Sealed(context.blocking(seal).await?))
}

/// The time that the file gets: that of the object. No checksum covers it, so
/// where two answers told two times, a third decides.
async fn modified(
    context: &Context,
    identity: &ObjectIdentity,
) -> Result<Option<Timestamp>, Failure> {
    if !context.open.time_is_in_doubt() {
        return Ok(identity.last_modified);
    }
    let version = context.object().version_id.clone();
    let there = head::now(context, version).await?;
    let same = there.filter(|there| there.etag == identity.etag);
    Ok(same.map_or(identity.last_modified, |there| there.last_modified))
}

/// The bytes to be proven.
pub(crate) enum Bytes {
    /// In the file.
    File(Arc<dyn OpenFile>),
    /// In memory.
    Memory(bytes::Bytes),
    /// Given away; their checksum, if it was needed.
    Taken(Option<Checksum>),
}

impl Bytes {
    async fn sum(
        &self,
        context: &Context,
        algorithm: ChecksumAlgorithm,
    ) -> Result<Checksum, Failure> {
        match self {
            Self::File(file) => read_back(context, file, algorithm).await,
            Self::Memory(bytes) => Ok(checksum_of(algorithm, bytes)),
            Self::Taken(sum) => {
                let known = sum.filter(|sum| sum.algorithm() == algorithm);
                known.ok_or_else(|| LocalFailure::TargetNotReopenable.into())
            }
        }
    }
}

/// The MD5 that the ETag of a plain object is, unless its key is managed by KMS
/// or by its owner.
pub(crate) fn md5_of(identity: &ObjectIdentity) -> Option<Checksum> {
    let how = identity.encryption.as_deref();
    match (
        how.is_none_or(|how| how == "AES256"),
        etag_md5(identity.etag.as_deref()?),
    ) {
        (true, Some((md5, None))) => Some(md5),
        _ => None,
    }
}

/// Compares the bytes with the strongest checksum that the object has.
pub(crate) async fn prove(
    context: &Context,
    identity: &ObjectIdentity,
    bytes: &Bytes,
) -> Result<Proof, Failure> {
    let proof = |verified, checksum| Proof {
        verified,
        etag: identity.etag.clone(),
        version_id: identity.version_id.clone(),
        checksum,
        renamed: None,
    };
    if identity.range.is_some() {
        return Ok(proof(Verified::SizeOnly, None)); // S3 tells checksums of all bytes alone
    }
    if let Some((expected, ChecksumKind::FullObject)) = identity.checksum {
        let combined = whole_of(&context.parts);
        let ours = match combined.filter(|sum| sum.algorithm() == expected.algorithm()) {
            Some(sum) => sum,
            None => bytes.sum(context, expected.algorithm()).await?,
        };
        agree(context, expected, ours)?;
        return Ok(proof(
            Verified::FullObject,
            Some((expected, ChecksumKind::FullObject)),
        ));
    }
    if let Some(checksum @ (expected, ChecksumKind::Composite)) = identity.checksum
        && let Some(ours) = by_parts::sum(context, identity, bytes, expected).await?
    {
        agree(context, expected, ours)?;
        return Ok(proof(Verified::Composite, Some(checksum)));
    }
    if let Some(expected) = md5_of(identity) {
        let ours = bytes.sum(context, ChecksumAlgorithm::Md5).await?;
        agree(context, expected, ours)?;
        let covers = ChecksumKind::FullObject;
        return Ok(proof(Verified::Md5, Some((expected, covers))));
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
    file: &Arc<dyn OpenFile>,
    algorithm: ChecksumAlgorithm,
) -> Result<Checksum, Failure> {
    let (file, size, path) = (
        Arc::clone(file),
        context.plan().size(),
        context.spec().path.clone(),
    );
    let sum = move || checksum_of_range(&*file, 0..size, algorithm);
    let sum = context.blocking(sum).await;
    sum.map_err(|error| target_failure(&path, &error).into())
}

/// The checksum of a range of a file as it is on disk.
pub(crate) fn checksum_of_range(
    file: &dyn OpenFile,
    range: std::ops::Range<u64>,
    algorithm: ChecksumAlgorithm,
) -> io::Result<Checksum> {
    let mut hasher = Hasher::new(algorithm);
    let mut buffer = vec![0; BUFFER];
    let mut at = range.start;
    while at < range.end {
        let len = usize::try_from(range.end - at).map_or(BUFFER, |left| left.min(BUFFER));
        read_exact(file, &mut buffer[..len], at)?;
        hasher.update(&buffer[..len]);
        at += len as u64;
    }
    Ok(hasher.finish())
}

fn read_exact(file: &dyn OpenFile, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.read_at(bytes, at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                at += read as u64;
                bytes = &mut bytes[read..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
