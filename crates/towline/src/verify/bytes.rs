//! The bytes of the file, and those of the object as they come.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use towline_core::{
    Checksum, ChecksumAlgorithm, GetObject, ObjectBody, Operation, S3, S3Error, S3ErrorKind,
};
use towline_engine::Hasher;
use towline_s3::S3Client;

use super::outcome::VerifyDoubt;
use crate::Error;
use crate::ask::Asker;

/// So much is read at a time.
const BUFFER: usize = 1 << 20;
/// So much is fetched by one request, and so many are under way.
const RANGE: u64 = 2 << 20;
const AT_ONCE: usize = 8;

type Told = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// The checksum of each range of a file, off the threads of the runtime.
pub(super) async fn sums(
    file: &Arc<File>,
    ranges: Vec<Range<u64>>,
    algorithm: ChecksumAlgorithm,
    told: &Told,
) -> io::Result<Vec<Checksum>> {
    let (file, told) = (Arc::clone(file), Arc::clone(told));
    let all = ranges.iter().map(|range| range.end - range.start).sum();
    let work = move || {
        let mut buffer = vec![0; BUFFER];
        let (mut done, mut sums) = (0, Vec::with_capacity(ranges.len()));
        for range in ranges {
            let mut hasher = Hasher::new(algorithm);
            let mut at = range.start;
            while at < range.end {
                let len = usize::try_from(range.end - at).map_or(BUFFER, |left| left.min(BUFFER));
                file.read_exact_at(&mut buffer[..len], at)?;
                hasher.update(&buffer[..len]);
                at += len as u64;
                done += len as u64;
                told(done, all);
            }
            sums.push(hasher.finish());
        }
        Ok(sums)
    };
    blocking(work).await
}

/// Where the file first differs from the object, which is fetched for it.
pub(super) async fn first_difference(
    asker: &Asker,
    object: &GetObject,
    file: &Arc<File>,
    size: u64,
    told: &Told,
) -> Result<Option<VerifyDoubt>, Error> {
    let starts = (0..size.div_ceil(RANGE)).map(|range| range * RANGE);
    let ranges = starts.map(|at| at..(at + RANGE).min(size));
    let mut fetched = futures_util::stream::iter(ranges)
        .map(|range| fetch(asker, object, range))
        .buffered(AT_ONCE);
    let mut at = 0;
    while let Some(bytes) = fetched.next().await {
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(Error::Request(error)) if matches!(error.http_status(), Some(404 | 412)) => {
                return Ok(Some(VerifyDoubt::ObjectChanged));
            }
            Err(error) => return Err(error),
        };
        let len = bytes.len() as u64;
        match differs_at(file, bytes, at).await {
            Ok(None) => {}
            Ok(Some(at)) => return Ok(Some(VerifyDoubt::Byte { at })),
            // It is shorter than it was.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Ok(Some(VerifyDoubt::FileChanged));
            }
            Err(error) => return Err(Error::Read(error)),
        }
        at += len;
        told(at, size);
    }
    Ok(None)
}

async fn differs_at(file: &Arc<File>, bytes: Bytes, at: u64) -> io::Result<Option<u64>> {
    let file = Arc::clone(file);
    let work = move || {
        let mut ours = vec![0; bytes.len()];
        file.read_exact_at(&mut ours, at)?;
        let place = ours.iter().zip(&bytes).position(|(a, b)| a != b);
        Ok(place.map(|place| at + place as u64))
    };
    blocking(work).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(io::Error::other("it was closed meanwhile")),
        },
    }
}

async fn fetch(asker: &Asker, object: &GetObject, range: Range<u64>) -> Result<Bytes, Error> {
    let request = GetObject {
        range: Some(range.clone()),
        ..object.clone()
    };
    let send = move |s3: Arc<S3Client>| {
        let (request, range) = (request.clone(), range.clone());
        async move { cut_out(s3.get_object(request).await?, range).await }
    };
    asker.ask(Operation::GetObject, send).await
}

/// The bytes that were asked for, also of a store that gives more.
async fn cut_out(mut body: ObjectBody, wanted: Range<u64>) -> Result<Bytes, S3Error> {
    let wrong = |kind, words: String| S3Error::new(Operation::GetObject, kind, words);
    if body.range.start > wanted.start || body.range.end < wanted.end {
        let words = format!("asked for {wanted:?}, got {:?}", body.range);
        return Err(wrong(S3ErrorKind::Malformed, words));
    }
    let mut at = body.range.start;
    let mut bytes = BytesMut::new();
    while at < wanted.end {
        let chunk = match body.stream.next().await {
            Some(Ok(chunk)) => chunk,
            Some(Err(cause)) => {
                return Err(match cause.downcast::<S3Error>() {
                    Ok(told) => *told,
                    Err(cause) => wrong(S3ErrorKind::Transport, cause.to_string()),
                });
            }
            None => return Err(wrong(S3ErrorKind::Transport, "the body ended early".into())),
        };
        let end = at + chunk.len() as u64;
        let from = wanted.start.clamp(at, end) - at;
        let to = wanted.end.clamp(at, end) - at;
        let inside = usize::try_from(from).ok().zip(usize::try_from(to).ok());
        bytes.extend(
            inside
                .and_then(|(from, to)| chunk.get(from..to))
                .unwrap_or_default(),
        );
        at = end;
    }
    Ok(bytes.freeze())
}
