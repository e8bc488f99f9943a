//! Fetches one range and writes it where it belongs.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use towline_core::{
    ByteStream, Checksum, ChecksumAlgorithm, Event, Failure, GetObject, LocalFailure, ObjectBody,
    ObjectIdentity, Operation, PartNumber, PartRow, ReadCondition, S3Error, S3ErrorKind,
};

use super::{identity, part_algorithm, whole, wrong_bytes};
use crate::act::{Context, blocking};
use crate::files::target_failure;
use crate::hash::{Hasher, checksum_of};
use crate::profile::{Fact, Heeds};
use crate::progress::Moved;
use crate::stall;
use crate::stream::Sink;

pub(crate) async fn part(context: &Context, number: PartNumber) -> Event {
    match fetch(context, number).await {
        Ok(row) => Event::PartMoved(row),
        Err(failure) => Event::PartFailed {
            part: number,
            failure,
        },
    }
}

async fn fetch(context: &Context, number: PartNumber) -> Result<PartRow, Failure> {
    let (identity, _) = identity(context)?;
    let algorithm = part_algorithm(identity);
    let range = context.plan().range(number);
    let len = range.end - range.start;
    let place = match context.spec().is_stream() {
        true => Place::Sink(super::sink(context)?),
        false => Place::File(context.open.file(context).await?),
    };
    if len == 0 {
        let checksum = Some(checksum_of(algorithm, &[]));
        return Ok(PartRow {
            number,
            len,
            etag: None,
            checksum,
        });
    }
    let request = GetObject {
        bucket: context.bucket(),
        key: context.key(),
        version_id: identity
            .version_id
            .clone()
            .or(context.object().version_id.clone()),
        range: Some(from_object(identity, &range)),
        condition: ReadCondition {
            if_match: identity.etag.clone(),
            ..ReadCondition::default()
        },
        part_number: None,
        access: context.spec().options.access.clone(),
        extra: context.spec().options.extra.clone(),
    };
    let moved = Arc::new(Moved::of(Arc::clone(&context.progress)));
    let _grant = context.budget.take_buffers(4).await;
    let attempt = async {
        let wanted = from_object(identity, &range);
        let body = whole::get(context, request).await??;
        check_answer(context, &body, &wanted)?;
        let stream = whole::cut_out(body, &wanted, Arc::clone(&moved));
        match &place {
            Place::File(file) => write(context, stream, file, range, algorithm, &moved).await,
            Place::Sink(sink) => {
                let bytes = collect(context, stream, len, &moved).await?;
                let sum = checksum_of(algorithm, &bytes);
                sink.put(number, bytes)?;
                Ok(sum)
            }
        }
    };
    // The failures on this machine pass through the watch untouched.
    let mut local = None;
    let watched = async {
        attempt.await.map_err(|failure| match failure {
            Failure::S3(error) => *error,
            other => {
                local = Some(other);
                S3Error::new(Operation::GetObject, S3ErrorKind::Body, "")
            }
        })
    };
    let result = stall::watch(
        Operation::GetObject,
        watched,
        &moved,
        None,
        context.patience(),
    )
    .await;
    let checksum = match result {
        Ok(sum) => sum,
        Err(error) => return Err(local.unwrap_or_else(|| changed(context, error))),
    };
    if let Place::File(file) = &place {
        context.open.wrote(file, len);
    }
    Ok(PartRow {
        number,
        len,
        etag: None,
        checksum: Some(checksum),
    })
}

/// Where the bytes go.
enum Place<'a> {
    File(Arc<File>),
    Sink(&'a Sink),
}

/// The bytes of the object that are a range of what is downloaded.
fn from_object(identity: &ObjectIdentity, range: &Range<u64>) -> Range<u64> {
    let start = identity.range.map_or(0, |of| of.start);
    range.start + start..range.end + start
}

/// Whether the answer covers exactly the bytes asked for, of the same object.
fn check_answer(context: &Context, body: &ObjectBody, asked: &Range<u64>) -> Result<(), Failure> {
    let (identity, _) = identity(context)?;
    whole::look_at(context, body, asked)?;
    let is_whole = body.status == 200
        && body.range.start == 0
        && context.profile.profile().ranges() == Some(false);
    if body.range != *asked && !(is_whole && asked.end <= body.range.end) {
        return Err(wrong_bytes(
            context,
            format!("asked for {asked:?}, got {:?}", body.range),
        ));
    }
    let size = identity.range.map_or(context.plan().size(), |of| of.size);
    if body.head.size.is_some_and(|there| there != size) {
        return Err(wrong_bytes(
            context,
            format!("its length is {:?}, not {size}", body.head.size),
        ));
    }
    match (&identity.etag, &body.head.etag) {
        (Some(ours), Some(there)) if ours != there => {
            if context.profile.profile().read_conditions().is_none() {
                context.learn(Fact::ReadCondition(Heeds::Ignores));
            }
            Err(LocalFailure::ObjectChanged {
                object: context.object().to_string(),
            }
            .into())
        }
        _ => Ok(()),
    }
}

/// 412 on If-Match: the object is another one now.
fn changed(context: &Context, error: S3Error) -> Failure {
    if error.status == Some(412) {
        context.learn(Fact::ReadCondition(Heeds::Yes));
        return LocalFailure::ObjectChanged {
            object: context.object().to_string(),
        }
        .into();
    }
    error.into()
}

/// All bytes of a stream, in memory.
async fn collect(
    context: &Context,
    mut stream: ByteStream,
    len: u64,
    moved: &Moved,
) -> Result<Bytes, Failure> {
    let mut all = BytesMut::with_capacity(usize::try_from(len).unwrap_or_default());
    while let Some(bytes) = std::future::poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
        let bytes = bytes.map_err(broken)?;
        if (all.len() + bytes.len()) as u64 > len {
            return Err(wrong_bytes(context, "more bytes than announced"));
        }
        moved.add(bytes.len() as u64);
        all.extend_from_slice(&bytes);
    }
    match len - all.len() as u64 {
        0 => Ok(all.freeze()),
        left => Err(broken(format!("the body ended {left} bytes early").into()).into()),
    }
}

/// Writes a stream at its place, hashing it on the way, on a thread of its own
/// so that a slow disk holds up nobody else.
async fn write(
    context: &Context,
    mut stream: ByteStream,
    file: &Arc<File>,
    range: Range<u64>,
    algorithm: ChecksumAlgorithm,
    moved: &Moved,
) -> Result<Checksum, Failure> {
    let (sender, receiver) = mpsc::channel::<Bytes>(2);
    let writer = {
        let (file, path, start) = (Arc::clone(file), context.spec().path.clone(), range.start);
        blocking(move || {
            write_all(&file, start, algorithm, receiver)
                .map_err(|error| target_failure(&path, &error))
        })
    };
    let mut left = range.end - range.start;
    let reader = async {
        let next = |stream: &mut ByteStream, cx: &mut std::task::Context<'_>| {
            stream.as_mut().poll_next(cx)
        };
        while let Some(bytes) = std::future::poll_fn(|cx| next(&mut stream, cx)).await {
            let bytes = bytes.map_err(broken)?;
            let len = bytes.len() as u64;
            if len > left {
                return Err(wrong_bytes(context, "more bytes than announced"));
            }
            left -= len;
            moved.add(len);
            if sender.send(bytes).await.is_err() {
                break; // the writer failed, and says why
            }
        }
        drop(sender);
        Ok(left)
    };
    let (read, written) = tokio::join!(reader, writer);
    let checksum = written?;
    match read? {
        0 => Ok(checksum),
        left => Err(broken(format!("the body ended {left} bytes early").into()).into()),
    }
}

fn write_all(
    file: &File,
    mut at: u64,
    algorithm: ChecksumAlgorithm,
    mut receiver: mpsc::Receiver<Bytes>,
) -> std::io::Result<Checksum> {
    let mut hasher = Hasher::new(algorithm);
    while let Some(bytes) = receiver.blocking_recv() {
        hasher.update(&bytes);
        file.write_all_at(&bytes, at)?;
        at += bytes.len() as u64;
    }
    Ok(hasher.finish())
}

fn broken(cause: towline_core::StreamError) -> S3Error {
    let mut error = S3Error::new(
        Operation::GetObject,
        S3ErrorKind::Transport,
        cause.to_string(),
    );
    error.request_sent = true;
    error.source = Some(cause);
    error
}
