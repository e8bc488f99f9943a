//! The comparison itself: by the strongest that can be compared.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;
use towline_core::{Checksum, ChecksumKind, Fingerprint, GetObject, ObjectHead, ReadCondition};
use towline_engine::{composite, inspect_source};

use super::object::{self, Part, Sum};
use super::outcome::{Verification, VerifyDoubt, VerifyProof, VerifyResult};
use super::{Known, bytes};
use crate::Error;
use crate::ask::Asker;

pub(super) struct Comparison {
    pub(super) asker: Asker,
    pub(super) object: GetObject,
    pub(super) path: PathBuf,
    pub(super) known: Known,
    pub(super) download: bool,
    pub(super) progress: Arc<dyn Fn(u64, u64) + Send + Sync>,
}

/// What was compared, and in what it differs.
type Compared = (Option<VerifyProof>, Option<VerifyDoubt>);

impl Comparison {
    pub(super) async fn run(mut self) -> Result<Verification, Error> {
        let before = inspect_source(&self.path)?;
        let file = Arc::new(open(&self.path).map_err(Error::Read)?);
        let Some(head) = object::head(&self.asker, &self.object).await? else {
            return Ok(self.told((None, Some(VerifyDoubt::NoObject)), before, None));
        };
        // What is asked from here on is asked of this one.
        self.object.condition = ReadCondition {
            if_match: head.etag.clone(),
            ..ReadCondition::default()
        };
        self.object.version_id = self.object.version_id.take().or(head.version_id.clone());
        let compared = match self.compare(&file, before, &head).await {
            // It is shorter than it was.
            Err(Error::Read(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                (None, Some(VerifyDoubt::FileChanged))
            }
            compared => compared?,
        };
        // Bytes of two versions of it say nothing of either.
        let compared = match inspect_source(&self.path) {
            Ok(after) if after == before && is(&file, before) => compared,
            _ => (None, Some(VerifyDoubt::FileChanged)),
        };
        Ok(self.told(compared, before, Some(head)))
    }

    async fn compare(
        &self,
        file: &Arc<File>,
        found: Fingerprint,
        head: &ObjectHead,
    ) -> Result<Compared, Error> {
        if self.known.is_range {
            return Ok((None, Some(VerifyDoubt::PartOfObject)));
        }
        let size = found.size;
        if let Some(object) = head.size.filter(|object| *object != size) {
            let doubt = VerifyDoubt::Size { file: size, object };
            return Ok((Some(VerifyProof::SizeOnly), Some(doubt)));
        }
        if self.download {
            let (asker, object) = (&self.asker, &self.object);
            let first = bytes::first_difference(asker, object, file, size, &self.progress);
            return Ok((Some(VerifyProof::Bytes), first.await?));
        }
        let sum = match object::sum_of(head) {
            Some(sum @ Sum::Whole(_)) => Some(sum),
            weaker => self.recorded(head).or(weaker),
        };
        match sum {
            None => Ok(nothing()),
            Some(sum) if sum.is_of_parts() => self.by_parts(file, head, size, sum).await,
            Some(sum) => {
                let whole = std::iter::once(0..size).collect();
                let ours = self.sums(file, whole, sum).await?;
                Ok((Some(proof(sum)), differs(ours.first(), sum)))
            }
        }
    }

    /// What is recorded of all bytes of this very object.
    fn recorded(&self, head: &ObjectHead) -> Option<Sum> {
        let proof = self.known.proof.as_ref()?;
        let same = proof.etag.is_some() && proof.etag == head.etag;
        match proof.checksum.filter(|_| same)? {
            (sum, ChecksumKind::FullObject) if sum.algorithm().s3_name().is_some() => {
                Some(Sum::Whole(sum))
            }
            _ => None,
        }
    }

    /// By the parts that the object was made of: as if they were even, and where
    /// that does not fit by what the store says of each.
    async fn by_parts(
        &self,
        file: &Arc<File>,
        head: &ObjectHead,
        size: u64,
        sum: Sum,
    ) -> Result<Compared, Error> {
        let first = object::part(&self.asker, &self.object, head, 1).await?;
        let len = match &first {
            Some(part) if part.range.start == 0 => Some(part.range.end),
            _ => self.known.part_size,
        };
        let even = len.and_then(|len| object::even(head, size, len));
        let mut of_even = None;
        if let Some(even) = &even {
            let ours = self.sums(file, even.clone(), sum).await?;
            if composite(ours.iter()) == Some(sum.value()) {
                return Ok((Some(proof(sum)), None));
            }
            of_even = Some(ours);
        }
        if first.is_none() {
            return Ok(nothing()); // they may have been cut in another way
        }
        let parts = object::parts(&self.asker, &self.object, head, size).await?;
        let Some(parts) = parts else {
            return Ok(nothing());
        };
        let ranges: Vec<Range<u64>> = parts.iter().map(|part| part.range.clone()).collect();
        let ours = match of_even {
            Some(ours) if even.as_ref() == Some(&ranges) => ours,
            _ => self.sums(file, ranges, sum).await?,
        };
        let whole = composite(ours.iter());
        let doubt = differs(whole.as_ref(), sum).map(|whole| first_part(&parts, &ours, whole));
        Ok((Some(proof(sum)), doubt))
    }

    async fn sums(
        &self,
        file: &Arc<File>,
        ranges: Vec<Range<u64>>,
        sum: Sum,
    ) -> Result<Vec<Checksum>, Error> {
        bytes::sums(file, ranges, sum.algorithm(), &self.progress)
            .await
            .map_err(Error::Read)
    }

    fn told(
        self,
        (proof, doubt): Compared,
        file: Fingerprint,
        head: Option<ObjectHead>,
    ) -> Verification {
        let result = doubt
            .as_ref()
            .map_or(VerifyResult::Equal, VerifyDoubt::result);
        let head = head.unwrap_or_default();
        let mut message = match (&doubt, proof) {
            (Some(doubt), _) => doubt.to_string(),
            (None, Some(proof)) => format!("equal, by {}", words(proof)),
            (None, None) => "equal".into(),
        };
        // Of a transfer it is known which of the two is not what it was.
        if let Some(was) = self
            .known
            .proof
            .as_ref()
            .and_then(|proof| proof.etag.as_ref())
            && result == VerifyResult::Different
            && head.etag.is_some()
        {
            message += match head.etag.as_ref() == Some(was) {
                true => "; the object is the one of the transfer, the file has changed since",
                false => "; the object is not the one of the transfer any more",
            };
        }
        Verification {
            result,
            proof,
            doubt,
            message,
            bucket: self.object.bucket,
            key: self.object.key,
            version_id: self.object.version_id,
            path: self.path,
            bytes_file: file.size,
            bytes_object: head.size,
            etag: head.etag,
        }
    }
}

/// Whether an open file is the one that was looked at.
fn is(file: &File, found: Fingerprint) -> bool {
    let same = |meta: std::fs::Metadata| (meta.dev(), meta.ino()) == (found.device, found.inode);
    file.metadata().is_ok_and(same)
}

/// Opens a file for reading that was a regular one; it does not hang where it is
/// none any more.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    File::options()
        .read(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or(0))
        .open(path)
}

fn nothing() -> Compared {
    let proof = Some(VerifyProof::SizeOnly);
    (proof, Some(VerifyDoubt::NothingToCompare))
}

fn differs(ours: Option<&Checksum>, sum: Sum) -> Option<VerifyDoubt> {
    match ours {
        Some(ours) if *ours == sum.value() => None,
        Some(ours) => Some(VerifyDoubt::Checksum {
            file: *ours,
            object: sum.value(),
        }),
        None => Some(VerifyDoubt::NothingToCompare),
    }
}

/// The first part that differs, where the store keeps the checksum of each.
fn first_part(parts: &[Part], ours: &[Checksum], whole: VerifyDoubt) -> VerifyDoubt {
    let mut numbered = (1..).zip(parts.iter().zip(ours));
    let differs = numbered.find(|(_, (part, ours))| {
        let there = part
            .checksum
            .filter(|sum| sum.algorithm() == ours.algorithm());
        there.is_some_and(|sum| sum != **ours)
    });
    match differs {
        Some((number, (part, _))) => VerifyDoubt::Part {
            number,
            range: part.range.clone(),
        },
        None => whole,
    }
}

fn proof(sum: Sum) -> VerifyProof {
    match sum {
        Sum::Whole(_) => VerifyProof::FullObject,
        Sum::OfParts(_) => VerifyProof::Composite,
        Sum::Md5(_) | Sum::Md5OfParts(_) => VerifyProof::Md5,
    }
}

fn words(proof: VerifyProof) -> &'static str {
    match proof {
        VerifyProof::FullObject => "the checksum of all bytes",
        VerifyProof::Composite => "the checksum of the parts' checksums",
        VerifyProof::Md5 => "the MD5 in the ETag",
        VerifyProof::Bytes => "the bytes themselves",
        VerifyProof::SizeOnly => "the length alone",
    }
}
