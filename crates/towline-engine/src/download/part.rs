//! Fetches one range and writes it where it belongs.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;
use towline_core::{
    ByteStream, Checksum, ChecksumAlgorithm, Event, Failure, GetObject, LocalFailure, ObjectBody,
    ObjectIdentity, Operation, PartNumber, PartRow, ReadCondition, S3Error, S3ErrorKind,
};

use super::writing::Writing;
use super::{identity, part_algorithm, slow, whole, wrong_bytes};
use crate::act::Context;
use crate::bandwidth::Pass;
use crate::budget::OF_DOWNLOAD;
use crate::files::{OpenFile, target_failure};
use crate::hash::checksum_of;
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
    let algorithm = part_algorithm(identity, context.plan());
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
        range: None, // what is left of it, each time
        condition: ReadCondition {
            if_match: identity.etag.clone(),
            ..ReadCondition::default()
        },
        part_number: None,
        access: context.spec().options.access.clone(),
        extra: context.spec().options.extra.clone(),
    };
    let moved = Arc::new(Moved::of_part(Arc::clone(&context.progress), number));
    let _grant = context.budget.take_buffers(OF_DOWNLOAD).await;
    let begun = Instant::now();
    let attempt = async {
        let mut bytes = Incoming::open(context, request, range.clone(), &moved).await?;
        match &place {
            Place::File(file) => write(context, &mut bytes, file, range, algorithm, &moved).await,
            Place::Sink(sink) => {
                let bytes = collect(context, &mut bytes, len, &moved).await?;
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
    towline_core::failpoint!("get.written");
    context.open.rates.note(len, begun.elapsed());
    if let Place::File(file) = &place {
        context.open.wrote(context, file, len).await?;
    }
    Ok(PartRow {
        number,
        len,
        etag: None,
        checksum: Some(checksum),
    })
}

/// The bytes of a range as they come, from one answer or, where that was slow,
/// from two.
struct Incoming<'a> {
    context: &'a Context,
    request: GetObject,
    /// What is still to come.
    range: Range<u64>,
    stream: ByteStream,
    /// What has come and did not pass yet.
    come: Bytes,
    pass: Pass,
    watch: slow::Watch,
    is_slow: bool,
    moved: &'a Arc<Moved>,
}

impl<'a> Incoming<'a> {
    async fn open(
        context: &'a Context,
        request: GetObject,
        range: Range<u64>,
        moved: &'a Arc<Moved>,
    ) -> Result<Self, Failure> {
        let stream = ask(context, &request, &range, moved).await?;
        Ok(Self {
            context,
            request,
            range,
            stream,
            come: Bytes::new(),
            pass: context.pass(moved),
            watch: slow::Watch::new(context.config.stall_timeout * SLOW_FOR),
            is_slow: false,
            moved,
        })
    }

    /// The next bytes, once they may pass. Until then nothing more is read, so
    /// that the store slows down.
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        if self.come.is_empty() {
            let Some(bytes) = self.read().await? else {
                return Ok(None);
            };
            self.come = bytes;
        }
        let len = self.come.len() as u64;
        let passed = std::future::poll_fn(|cx| self.pass.poll(cx, len)).await;
        if self.pass.has_waited() {
            self.watch.begin_anew();
        }
        let passed = usize::try_from(passed).unwrap_or(self.come.len());
        Ok(Some(self.come.split_to(passed)))
    }

    async fn read(&mut self) -> Result<Option<Bytes>, Failure> {
        if std::mem::take(&mut self.is_slow) && !self.range.is_empty() {
            tracing::debug!(left = ?self.range, "slow: the rest is asked for anew");
            self.stream = ask(self.context, &self.request, &self.range, self.moved).await?;
        }
        let next = std::future::poll_fn(|cx| self.stream.as_mut().poll_next(cx));
        let Some(bytes) = next.await else {
            return Ok(None);
        };
        let bytes = bytes.map_err(broken)?;
        self.range.start += bytes.len() as u64;
        let rates = &self.context.open.rates;
        // Without ranges there is no rest: all of it would come again.
        self.is_slow = self.watch.is_slow(bytes.len() as u64, rates)
            && self.context.profile.profile().ranges() != Some(false);
        Ok(Some(bytes))
    }
}

/// A range is slow if it was for so many stall timeouts: a minute.
const SLOW_FOR: u32 = 3;

async fn ask(
    context: &Context,
    request: &GetObject,
    range: &Range<u64>,
    moved: &Arc<Moved>,
) -> Result<ByteStream, Failure> {
    let (identity, _) = identity(context)?;
    let wanted = from_object(identity, range);
    let request = GetObject {
        range: Some(wanted.clone()),
        ..request.clone()
    };
    towline_core::failpoint!("get.begins");
    let body = whole::get(context, request).await??;
    towline_core::failpoint!("get.answered");
    check_answer(context, &body, &wanted)?;
    Ok(whole::cut_out(body, &wanted, Arc::clone(moved)))
}

/// Where the bytes go.
enum Place<'a> {
    File(Arc<dyn OpenFile>),
    Sink(&'a Sink),
}

/// The bytes of the object that are a range of what is downloaded.
fn from_object(identity: &ObjectIdentity, range: &Range<u64>) -> Range<u64> {
    let start = identity.range.map_or(0, |of| of.start);
    range.start + start..range.end + start
}

/// Whether the answer covers exactly the bytes asked for, of the same object.
fn check_answer(context: &Context, body: &ObjectBody, asked: &Range<u64>) -> Result<(), Failure> {
    whole::look_at(context, body, asked)?;
    let (identity, _) = identity(context)?;
    let size = identity.range.map_or(context.plan().size(), |of| of.size);
    let covers = body.range.start == asked.start && body.range.end == asked.end.min(total(body));
    let is_whole = body.status == 200
        && body.range.start == 0
        && context.profile.profile().ranges() == Some(false);
    if (covers || is_whole) && body.head.size.is_some_and(|there| there != size) {
        // HEAD and this answer differ in what the object is; the range they do not.
        return Err(LocalFailure::ObjectChanged {
            object: context.object().to_string(),
        }
        .into());
    }
    if body.range != *asked && !(is_whole && asked.end <= body.range.end) {
        return Err(wrong_bytes(
            context,
            format!("asked for {asked:?}, got {:?}", body.range),
        ));
    }
    if body.head.last_modified.is_some() && body.head.last_modified != identity.last_modified {
        context.open.doubt_time();
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

/// The length of the object as the answer tells it.
fn total(body: &ObjectBody) -> u64 {
    body.head.size.unwrap_or(u64::MAX)
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
    incoming: &mut Incoming<'_>,
    len: u64,
    moved: &Moved,
) -> Result<Bytes, Failure> {
    let mut all = BytesMut::with_capacity(usize::try_from(len).unwrap_or_default());
    while let Some(bytes) = incoming.next().await? {
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

/// Writes a stream at its place, hashing it on the way.
async fn write(
    context: &Context,
    incoming: &mut Incoming<'_>,
    file: &Arc<dyn OpenFile>,
    range: Range<u64>,
    algorithm: ChecksumAlgorithm,
    moved: &Moved,
) -> Result<Checksum, Failure> {
    let failed = |error| target_failure(&context.spec().path, &error);
    let mut left = range.end - range.start;
    let mut writing = Writing::new(
        context.files.clone(),
        context.open.turns.clone(),
        Arc::clone(file),
        range.start,
        algorithm,
    );
    let read = async {
        while let Some(bytes) = incoming.next().await? {
            let len = bytes.len() as u64;
            if len > left {
                return Err(wrong_bytes(context, "more bytes than announced"));
            }
            left -= len;
            moved.add(len);
            writing.take(bytes).await.map_err(failed)?;
        }
        Ok(())
    };
    let read: Result<(), Failure> = read.await;
    // Also where the network failed: nothing is written once this has returned.
    let checksum = writing.end().await.map_err(failed);
    read?;
    match left {
        0 => Ok(checksum?),
        left => Err(broken(format!("the body ended {left} bytes early").into()).into()),
    }
}

pub(super) fn broken(cause: towline_core::StreamError) -> S3Error {
    let cause = match cause.downcast::<S3Error>() {
        Ok(told) => return *told,
        Err(cause) => cause,
    };
    let mut error = S3Error::new(
        Operation::GetObject,
        S3ErrorKind::Transport,
        cause.to_string(),
    );
    error.request_sent = true;
    error.source = Some(cause);
    error
}
