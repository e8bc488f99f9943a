//! What S3 says of the object and of its parts.

use std::ops::Range;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt};
use towline_core::{
    Checksum, ChecksumAlgorithm, ChecksumKind, GetObject, MAX_PARTS, ObjectHead, Operation, S3,
};
use towline_engine::{etag_md5, etag_parts};
use towline_s3::S3Client;

use crate::Error;
use crate::ask::Asker;

/// So many parts are asked about at one time.
const AT_ONCE: usize = 8;

/// What can be computed from a file and compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sum {
    /// Of all bytes.
    Whole(Checksum),
    /// Of the checksums of parts.
    OfParts(Checksum),
    /// The ETag is the MD5 of all bytes.
    Md5(Checksum),
    /// The ETag is the MD5 of the parts' MD5s.
    Md5OfParts(Checksum),
}

/// A part of an object: where it is, and what the store keeps of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) range: Range<u64>,
    pub(super) checksum: Option<Checksum>,
}

/// The object; `None` where there is none.
pub(super) async fn head(asker: &Asker, object: &GetObject) -> Result<Option<ObjectHead>, Error> {
    let refused = match ask_head(asker, object).await {
        Ok(head) => return Ok(Some(head)),
        Err(Error::Request(error)) => error,
        Err(error) => return Err(error),
    };
    // Its answers have no body. The reason is asked for with a GET of one byte.
    if !matches!(refused.http_status(), Some(400 | 403 | 404 | 405)) {
        return Err(refused.into());
    }
    let request = GetObject {
        range: Some(0..1),
        ..object.clone()
    };
    let send = move |s3: Arc<S3Client>| {
        let request = request.clone();
        async move { s3.get_object(request).await.map(|body| body.head) }
    };
    match asker.ask(Operation::GetObject, send).await {
        Ok(head) => Ok(Some(head)),
        Err(Error::Request(told)) => match (told.http_status(), told.code()) {
            (Some(404), "NoSuchKey" | "NoSuchVersion" | "Http404") => Ok(None),
            // The version is a mark that the object was deleted.
            (Some(405), "MethodNotAllowed") => Ok(None),
            (Some(416), _) => Err(refused.into()), // it is there, and has no bytes
            _ => Err(told.into()),
        },
        Err(error) => Err(error),
    }
}

async fn ask_head(asker: &Asker, object: &GetObject) -> Result<ObjectHead, Error> {
    let object = object.clone();
    let send = move |s3: Arc<S3Client>| {
        let object = object.clone();
        async move { s3.head_object(object).await }
    };
    asker.ask(Operation::HeadObject, send).await
}

/// The strongest that the object has.
pub(super) fn sum_of(head: &ObjectHead) -> Option<Sum> {
    let of = |covers| head.checksums.iter().find(|(_, kind)| *kind == covers);
    if let Some((sum, _)) = of(ChecksumKind::FullObject) {
        return Some(Sum::Whole(*sum));
    }
    if let Some((sum, _)) = of(ChecksumKind::Composite) {
        return Some(Sum::OfParts(*sum));
    }
    // With a key of KMS or of the owner it is something else.
    let is_md5 = head.encryption.as_deref().is_none_or(|how| how == "AES256") && !head.customer_key;
    match etag_md5(head.etag.as_deref()?).filter(|_| is_md5)? {
        (md5, None) => Some(Sum::Md5(md5)),
        (md5, Some(_)) => Some(Sum::Md5OfParts(md5)),
    }
}

impl Sum {
    pub(super) fn value(self) -> Checksum {
        let (Self::Whole(sum) | Self::OfParts(sum) | Self::Md5(sum) | Self::Md5OfParts(sum)) = self;
        sum
    }

    pub(super) fn algorithm(self) -> ChecksumAlgorithm {
        self.value().algorithm()
    }

    pub(super) fn is_of_parts(self) -> bool {
        matches!(self, Self::OfParts(_) | Self::Md5OfParts(_))
    }
}

/// How many parts the object was made of, where the store tells.
pub(super) fn count(head: &ObjectHead) -> Option<u32> {
    let told = head.parts.or(head.etag.as_deref().and_then(etag_parts));
    told.filter(|count| (1..=MAX_PARTS).contains(&u64::from(*count)))
}

/// The parts of the object as they are if all but the last are as long as this.
pub(super) fn even(head: &ObjectHead, size: u64, len: u64) -> Option<Vec<Range<u64>>> {
    if len == 0 || size.div_ceil(len) > MAX_PARTS {
        return None;
    }
    let count_fits = count(head).is_none_or(|count| u64::from(count) == size.div_ceil(len).max(1));
    let starts = (0..size.div_ceil(len).max(1)).map(|part| part * len);
    count_fits.then(|| starts.map(|at| at..(at + len).min(size)).collect())
}

/// One part of the object; `None` where the store tells nothing of parts.
pub(super) async fn part(
    asker: &Asker,
    object: &GetObject,
    head: &ObjectHead,
    number: u32,
) -> Result<Option<Part>, Error> {
    let request = GetObject {
        part_number: Some(number),
        ..object.clone()
    };
    match ask_head(asker, &request).await {
        Ok(part) if part.etag == head.etag => Ok(part.range.map(|range| Part {
            range,
            checksum: part.checksums.first().map(|(sum, _)| *sum),
        })),
        Ok(_) => Ok(None),
        Err(Error::Request(error)) if says_no(error.http_status()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// It knows no numbers of parts, or tells nothing of them.
fn says_no(status: Option<u16>) -> bool {
    status.is_some_and(|status| status < 500 || status == 501)
}

/// All parts of the object; `None` where the store does not tell, or what it
/// tells does not add up.
pub(super) async fn parts(
    asker: &Asker,
    object: &GetObject,
    head: &ObjectHead,
    size: u64,
) -> Result<Option<Vec<Part>>, Error> {
    let Some(count) = count(head) else {
        return Ok(None);
    };
    let parts: Vec<Option<Part>> = futures_util::stream::iter(1..=count)
        .map(|number| part(asker, object, head, number))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let parts: Option<Vec<Part>> = parts.into_iter().collect();
    Ok(parts.filter(|parts| {
        let mut at = 0;
        parts.iter().all(|part| {
            let follows = part.range.start == at;
            at = part.range.end;
            follows
        }) && at == size
    }))
}
