//! The bytes of an upload's requests: read at their position, hashed, and sent
//! with the last buffer withheld until the source has been checked again.
//!
//! Where the checksum may follow the bytes, they are read as they are sent. Where it
//! goes ahead of them, a part that fits the byte budget is read once and kept; a larger
//! one is read twice, once for its checksum and once to be sent. Either way a few
//! buffers at a time, so that memory never grows with the part size.

mod reading;

use std::ops::Range;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use towline_core::{
    Body, Checksum, ChecksumAlgorithm, LocalFailure, PartChecksum, StreamError, Trailer, Unread,
};

use self::reading::Reading;
use crate::bandwidth::Pass;
use crate::budget::{BUFFER, Budget, Grant};
use crate::files::{Files, OpenFile, Planned, changed, check_source, open_source, read_source};
use crate::hash::{Hasher, checksum_of};

/// A range of a source, as it was planned.
#[derive(Clone, Debug)]
pub(crate) struct SourceRange {
    pub(crate) path: PathBuf,
    pub(crate) planned: Planned,
    pub(crate) range: Range<u64>,
}

/// Bytes to send: read through once, or to be read as they go out.
pub(crate) struct Prepared {
    len: u64,
    algorithm: ChecksumAlgorithm,
    checksum: PartChecksum,
    bytes: Origin,
}

/// Where the bytes are.
enum Origin {
    /// In the file.
    There(Files, SourceRange, Arc<dyn OpenFile>, Option<Unread>),
    /// In the file, and in memory, since they fitted the budget.
    Kept(Files, SourceRange, Arc<dyn OpenFile>, Vec<Bytes>, Grant),
    /// In memory alone.
    Held(Vec<Bytes>),
}

/// Parts up to this size are kept in memory when that is wished and the budget allows it.
const KEEP_MAX: u64 = 8 << 20;

/// Reads a range through once. Blocking.
pub(crate) fn prepare(
    files: &Files,
    source: SourceRange,
    algorithm: ChecksumAlgorithm,
    keep: bool,
    budget: &Budget,
) -> Result<(Checksum, Prepared), LocalFailure> {
    let (file, found) = open_source(&**files, &source.path)?;
    source.planned.allows(&source.path, found)?;
    let len = source.range.end - source.range.start;
    let grant = (keep && len <= KEEP_MAX)
        .then(|| budget.try_take(len))
        .flatten();
    let mut kept = Vec::new();
    let mut hasher = Hasher::new(algorithm);
    let mut scratch = None;
    for piece in pieces(&source.range) {
        let piece_len = usize::try_from(piece.end - piece.start).unwrap_or(BUFFER);
        let mut buffer = scratch
            .take()
            .unwrap_or_else(|| budget.buffer(BUFFER.min(piece_len)));
        let bytes = &mut buffer.as_mut_slice()[..piece_len];
        read_exact(&source, &*file, bytes, piece.start)?;
        hasher.update(bytes);
        if grant.is_some() {
            kept.push(buffer.freeze());
        } else {
            scratch = Some(buffer);
        }
    }
    let checksum = hasher.finish();
    let files = files.clone();
    let prepared = Prepared {
        len,
        algorithm,
        checksum: checksum.into(),
        bytes: match grant {
            Some(grant) => Origin::Kept(files, source, file, kept, grant),
            None => Origin::There(files, source, file, None),
        },
    };
    Ok((checksum, prepared))
}

/// Opens a range that is to be read as it is sent. Blocking.
pub(crate) fn open(
    files: &Files,
    source: SourceRange,
    algorithm: ChecksumAlgorithm,
    unread: Option<Unread>,
) -> Result<(Trailer, Prepared), LocalFailure> {
    let (file, found) = open_source(&**files, &source.path)?;
    source.planned.allows(&source.path, found)?;
    let trailer = Trailer::new(algorithm);
    let prepared = Prepared {
        len: source.range.end - source.range.start,
        algorithm,
        checksum: PartChecksum::Trailer(trailer.clone()),
        bytes: Origin::There(files.clone(), source, file, unread),
    };
    Ok((trailer, prepared))
}

/// Bytes that are in memory and in no file.
pub(crate) fn held(bytes: &Bytes, algorithm: ChecksumAlgorithm) -> (Checksum, Prepared) {
    let len = bytes.len() as u64;
    let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
    let cut = pieces(&(0..len)).map(|piece| bytes.slice(at(piece.start)..at(piece.end)));
    let checksum = checksum_of(algorithm, bytes);
    let prepared = Prepared {
        len,
        algorithm,
        checksum: checksum.into(),
        bytes: Origin::Held(cut.collect()),
    };
    (checksum, prepared)
}

impl Prepared {
    /// The body to send. It fails instead of giving its last buffer when the
    /// source is not what was planned any more.
    pub(crate) async fn body(self, budget: &Budget, pass: Pass) -> (Body, Verdict) {
        let len = self.len;
        let verdict = Verdict::default();
        let gate = |files, source, file| Gate {
            files,
            source,
            file,
            verdict: verdict.clone(),
        };
        let stream: Pin<Box<dyn Stream<Item = Result<Bytes, StreamError>> + Send>> =
            match self.bytes {
                Origin::Kept(files, source, file, bytes, grant) => {
                    let kept = Kept {
                        bytes: bytes.into_iter(),
                        left: len,
                        gate: Some(gate(files, source, file)),
                    };
                    Box::pin(Outgoing::new(kept, pass, Some(grant)))
                }
                Origin::Held(bytes) => {
                    let kept = Kept {
                        bytes: bytes.into_iter(),
                        left: len,
                        gate: None,
                    };
                    Box::pin(Outgoing::new(kept, pass, None))
                }
                Origin::There(files, source, file, unread) => {
                    let range = source.range.clone();
                    let unread = unread.zip(Arc::clone(&file).system());
                    let gate = gate(files.clone(), source, file);
                    let grant = budget.take_buffers(4).await;
                    let reading = Reading {
                        gate,
                        left: range,
                        hasher: Hasher::new(self.algorithm),
                        checksum: self.checksum,
                        unread,
                        budget: budget.clone(),
                    };
                    Box::pin(Outgoing::new(reading.out(&files), pass, Some(grant)))
                }
            };
        (Body { len, stream }, verdict)
    }
}

/// Why a body withheld its last buffer, if it did.
#[derive(Clone, Default)]
pub(crate) struct Verdict(Arc<std::sync::Mutex<Option<LocalFailure>>>);

impl Verdict {
    pub(crate) fn take(&self) -> Option<LocalFailure> {
        self.0.lock().ok().and_then(|mut failure| failure.take())
    }

    fn refuse(&self, failure: LocalFailure) -> StreamError {
        let text = failure.to_string();
        if let Ok(mut slot) = self.0.lock() {
            *slot = Some(failure);
        }
        text.into()
    }
}

/// What must hold before the last buffer goes out.
struct Gate {
    files: Files,
    source: SourceRange,
    file: Arc<dyn OpenFile>,
    verdict: Verdict,
}

impl Gate {
    fn check(&self) -> Result<(), LocalFailure> {
        towline_core::failpoint!("body.last-buffer");
        let SourceRange { path, planned, .. } = &self.source;
        check_source(&*self.files, path, *planned)
    }

    /// Its bytes are not those of the first reading, though nothing else tells.
    fn other_bytes(&self) -> LocalFailure {
        let was = self.source.planned.was;
        changed(&self.source.path, was, was)
    }
}

/// Bytes as they go out: no faster than the caps allow, and counted.
struct Outgoing<S> {
    source: S,
    /// What was taken from it and did not pass yet.
    taken: Bytes,
    pass: Pass,
    _grant: Option<Grant>,
}

impl<S> Outgoing<S> {
    fn new(source: S, pass: Pass, grant: Option<Grant>) -> Self {
        Self {
            source,
            taken: Bytes::new(),
            pass,
            _grant: grant,
        }
    }
}

impl<S> Stream for Outgoing<S>
where
    S: Stream<Item = Result<Bytes, StreamError>> + Unpin,
{
    type Item = Result<Bytes, StreamError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.taken.is_empty() {
            match ready!(Pin::new(&mut this.source).poll_next(context)) {
                Some(Ok(bytes)) => this.taken = bytes,
                end => return Poll::Ready(end),
            }
        }
        let passed = ready!(this.pass.poll(context, this.taken.len() as u64));
        this.pass.moved().add(passed);
        let passed = usize::try_from(passed).unwrap_or(this.taken.len());
        Poll::Ready(Some(Ok(this.taken.split_to(passed))))
    }
}

struct Kept {
    bytes: std::vec::IntoIter<Bytes>,
    left: u64,
    /// Bytes that are in memory alone cannot change.
    gate: Option<Gate>,
}

impl Stream for Kept {
    type Item = Result<Bytes, StreamError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(bytes) = this.bytes.next() else {
            return Poll::Ready(None);
        };
        this.left -= bytes.len() as u64;
        if this.left == 0
            && let Some(gate) = &this.gate
            && let Err(failure) = gate.check()
        {
            return Poll::Ready(Some(Err(gate.verdict.refuse(failure))));
        }
        Poll::Ready(Some(Ok(bytes)))
    }
}

fn pieces(range: &Range<u64>) -> impl Iterator<Item = Range<u64>> + use<> {
    let Range { start, end } = *range;
    (start..end)
        .step_by(BUFFER)
        .map(move |at| at..end.min(at + BUFFER as u64))
}

fn read_exact(
    source: &SourceRange,
    file: &dyn OpenFile,
    bytes: &mut [u8],
    at: u64,
) -> Result<(), LocalFailure> {
    read_source(&source.path, file, source.planned, bytes, at)
}

#[cfg(test)]
mod tests {
    use towline_core::Direction;

    use super::*;
    use crate::bandwidth::{Bandwidth, Caps, Rate};
    use crate::clock::Clock;
    use crate::files::inspect_source;
    use crate::hash::checksum_of;
    use crate::progress::{Moved, Progress};

    pub(super) struct Source(PathBuf);

    impl Drop for Source {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    pub(super) fn source(name: &str, len: usize) -> (Source, SourceRange, Vec<u8>) {
        let path = std::env::temp_dir().join(format!("towline-body-{}-{name}", std::process::id()));
        let bytes: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let planned = Planned {
            was: inspect_source(&path).unwrap(),
            may_grow: false,
        };
        let range = SourceRange {
            path: path.clone(),
            planned,
            range: 0..len as u64,
        };
        (Source(path), range, bytes)
    }

    fn way(caps: &Caps) -> Pass {
        let moved = Arc::new(Moved::of(Arc::<Progress>::default()));
        Pass::new(caps.lane(Direction::Upload), None, moved)
    }

    fn uncapped() -> Pass {
        way(&Caps::new(Bandwidth::NONE, Clock::start()))
    }

    async fn send(
        range: SourceRange,
        budget: &Budget,
        before: impl FnOnce(),
    ) -> Result<Vec<u8>, LocalFailure> {
        send_by(uncapped(), range, budget, before).await
    }

    async fn send_by(
        pass: Pass,
        range: SourceRange,
        budget: &Budget,
        before: impl FnOnce(),
    ) -> Result<Vec<u8>, LocalFailure> {
        let algorithm = ChecksumAlgorithm::Crc64Nvme;
        let (_, prepared) = prepare(&Files::of_system(), range, algorithm, true, budget)?;
        before();
        sent(prepared, budget, pass).await
    }

    async fn sent(
        prepared: Prepared,
        budget: &Budget,
        pass: Pass,
    ) -> Result<Vec<u8>, LocalFailure> {
        let (mut body, verdict) = prepared.body(budget, pass).await;
        let mut sent = Vec::new();
        while let Some(bytes) = std::future::poll_fn(|cx| body.stream.as_mut().poll_next(cx)).await
        {
            match bytes {
                Ok(bytes) => sent.extend_from_slice(&bytes),
                Err(_) => return Err(verdict.take().unwrap()),
            }
        }
        assert_eq!(sent.len() as u64, body.len);
        Ok(sent)
    }

    #[tokio::test]
    async fn kept_and_streamed_bodies_are_the_source_s_bytes() {
        for len in [0, 1, BUFFER, BUFFER + 1, 5 << 20] {
            let (_file, range, bytes) = source(&format!("same-{len}"), len);
            let wide = Budget::new(32 << 20);
            assert_eq!(send(range.clone(), &wide, || ()).await.unwrap(), bytes);
            let narrow = Budget::new(0);
            assert_eq!(send(range, &narrow, || ()).await.unwrap(), bytes, "{len}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_under_a_cap_is_the_same_bytes_and_takes_its_time() {
        let (_file, range, bytes) = source("capped", 4 * BUFFER + 7);
        let cap = Rate::from_bytes_per_second(BUFFER as u64).unwrap();
        let caps = Bandwidth {
            upload: Some(cap),
            download: None,
        };
        let pass = way(&Caps::new(caps, Clock::start()));
        let begun = tokio::time::Instant::now();
        let sent = send_by(pass, range, &Budget::new(32 << 20), || ()).await;
        assert_eq!(sent.unwrap(), bytes);
        let took = begun.elapsed().as_millis();
        assert!((3800..=4200).contains(&took), "{took} ms");
    }

    #[tokio::test]
    async fn the_checksum_is_that_of_the_range() {
        let (_file, mut range, bytes) = source("range", 3 * BUFFER);
        range.range = 100..2 * BUFFER as u64;
        let (checksum, _) = prepare(
            &Files::of_system(),
            range,
            ChecksumAlgorithm::Crc32c,
            true,
            &Budget::new(0),
        )
        .unwrap();
        assert_eq!(
            checksum,
            checksum_of(ChecksumAlgorithm::Crc32c, &bytes[100..2 * BUFFER])
        );
    }

    #[tokio::test]
    async fn bytes_read_as_they_are_sent_are_the_range_s_and_tell_their_checksum_before_the_end() {
        let (_file, mut range, bytes) = source("open", 3 * BUFFER);
        range.range = 100..2 * BUFFER as u64;
        let (files, algorithm) = (Files::of_system(), ChecksumAlgorithm::Crc64Nvme);
        let (trailer, prepared) = open(&files, range, algorithm, None).unwrap();
        assert_eq!(trailer.value(), None);
        let sent = sent(prepared, &Budget::new(0), uncapped()).await.unwrap();
        let bytes = &bytes[100..2 * BUFFER];
        assert_eq!(sent, bytes);
        assert_eq!(trailer.value(), Some(checksum_of(algorithm, bytes)));
    }

    #[tokio::test]
    async fn where_the_client_sends_them_from_the_file_bytes_are_summed_up_and_not_handed_over() {
        let (_file, mut range, bytes) = source("unread", 3 * BUFFER);
        range.range = 100..2 * BUFFER as u64;
        let instead: Unread = |file, range| {
            assert_eq!(file.metadata().unwrap().len(), 3 * BUFFER as u64);
            let mark = u8::try_from(range.start % 251).unwrap() ^ 0xff;
            Some(vec![mark; usize::try_from(range.end - range.start).unwrap()].into())
        };
        let (files, algorithm) = (Files::of_system(), ChecksumAlgorithm::Crc64Nvme);
        let (trailer, prepared) = open(&files, range, algorithm, Some(instead)).unwrap();
        let sent = sent(prepared, &Budget::new(0), uncapped()).await.unwrap();
        let bytes = &bytes[100..2 * BUFFER];
        assert_eq!(sent.len(), bytes.len());
        assert_eq!(sent[0], bytes[0] ^ 0xff, "from where they begin");
        assert_eq!(trailer.value(), Some(checksum_of(algorithm, bytes)));
    }

    #[tokio::test]
    async fn a_source_changed_before_it_is_read_and_sent_withholds_its_last_buffer_and_its_checksum()
     {
        let (file, range, mut bytes) = source("open-changed", 2 * BUFFER + 7);
        let (files, algorithm) = (Files::of_system(), ChecksumAlgorithm::Crc64Nvme);
        let (trailer, prepared) = open(&files, range, algorithm, None).unwrap();
        bytes[3] ^= 1;
        std::fs::write(&file.0, &bytes).unwrap();
        let sent = sent(prepared, &Budget::new(0), uncapped()).await;
        assert!(
            matches!(sent, Err(LocalFailure::SourceChanged { .. })),
            "{sent:?}"
        );
        assert_eq!(trailer.value(), None);
    }

    #[tokio::test]
    async fn a_source_changed_between_reading_and_sending_withholds_its_last_buffer() {
        for budget in [Budget::new(32 << 20), Budget::new(0)] {
            let (file, range, mut bytes) = source("changed", 2 * BUFFER + 7);
            bytes[3] ^= 1;
            let path = file.0.clone();
            let sent = send(range, &budget, || std::fs::write(&path, &bytes).unwrap()).await;
            assert!(
                matches!(sent, Err(LocalFailure::SourceChanged { .. })),
                "{sent:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_truncated_source_is_a_changed_one() {
        let (file, range, bytes) = source("truncated", 2 * BUFFER);
        let path = file.0.clone();
        let cut = || std::fs::write(&path, &bytes[..BUFFER]).unwrap();
        let sent = send(range, &Budget::new(0), cut).await;
        assert!(
            matches!(sent, Err(LocalFailure::SourceChanged { .. })),
            "{sent:?}"
        );
    }
}
