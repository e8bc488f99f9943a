//! The bytes of an upload's requests: read at their position, hashed, and sent
//! with the last buffer withheld until the source has been checked again.
//!
//! A part that fits the byte budget is read once and kept. A larger one is read
//! twice, once for its checksum and once to be sent, a few buffers at a time,
//! so that memory never grows with the part size.

use std::ops::Range;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt;
use tokio::sync::mpsc;
use towline_core::{Body, Checksum, ChecksumAlgorithm, LocalFailure, StreamError};

use crate::budget::{BUFFER, Budget, Grant};
use crate::files::{Files, OpenFile, Planned, changed, check_source, open_source, read_source};
use crate::hash::{Hasher, checksum_of};
use crate::progress::Moved;

/// A range of a source, as it was planned.
#[derive(Clone, Debug)]
pub(crate) struct SourceRange {
    pub(crate) path: PathBuf,
    pub(crate) planned: Planned,
    pub(crate) range: Range<u64>,
}

/// Bytes that have been read through once: their checksum is known.
pub(crate) struct Prepared {
    len: u64,
    algorithm: ChecksumAlgorithm,
    pub(crate) checksum: Checksum,
    bytes: Origin,
}

/// Where the bytes are.
enum Origin {
    /// In the file.
    There(Files, SourceRange, Arc<dyn OpenFile>),
    /// In the file, and in memory, since they fitted the budget.
    Kept(Files, SourceRange, Arc<dyn OpenFile>, Vec<Bytes>, Grant),
    /// In memory alone.
    Held(Vec<Bytes>),
}

/// Parts up to this size are kept in memory when the budget allows it.
const KEEP_MAX: u64 = 8 << 20;

/// Reads a range through once. Blocking.
pub(crate) fn prepare(
    files: &Files,
    source: SourceRange,
    algorithm: ChecksumAlgorithm,
    budget: &Budget,
) -> Result<Prepared, LocalFailure> {
    let (file, found) = open_source(&**files, &source.path)?;
    source.planned.allows(&source.path, found)?;
    let len = source.range.end - source.range.start;
    let grant = (len <= KEEP_MAX).then(|| budget.try_take(len)).flatten();
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
    Ok(Prepared {
        len,
        algorithm,
        checksum,
        bytes: match grant {
            Some(grant) => Origin::Kept(files, source, file, kept, grant),
            None => Origin::There(files, source, file),
        },
    })
}

/// Bytes that are in memory and in no file.
pub(crate) fn held(bytes: &Bytes, algorithm: ChecksumAlgorithm) -> Prepared {
    let len = bytes.len() as u64;
    let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
    let cut = pieces(&(0..len)).map(|piece| bytes.slice(at(piece.start)..at(piece.end)));
    Prepared {
        len,
        algorithm,
        checksum: checksum_of(algorithm, bytes),
        bytes: Origin::Held(cut.collect()),
    }
}

impl Prepared {
    /// The body to send. It fails instead of giving its last buffer when the
    /// source is not what was planned any more.
    pub(crate) async fn body(self, budget: &Budget, moved: Arc<Moved>) -> (Body, Verdict) {
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
                Origin::Kept(files, source, file, bytes, grant) => Box::pin(Kept {
                    bytes: bytes.into_iter(),
                    left: len,
                    gate: Some(gate(files, source, file)),
                    moved,
                    _grant: Some(grant),
                }),
                Origin::Held(bytes) => Box::pin(Kept {
                    bytes: bytes.into_iter(),
                    left: len,
                    gate: None,
                    moved,
                    _grant: None,
                }),
                Origin::There(files, source, file) => {
                    let range = source.range.clone();
                    let gate = gate(files.clone(), source, file);
                    let grant = budget.take_buffers(4).await;
                    let again = Again {
                        gate,
                        left: range,
                        hasher: Hasher::new(self.algorithm),
                        expected: self.checksum,
                        budget: budget.clone(),
                    };
                    match files.are_simulated() {
                        true => Box::pin(again.in_place(moved, grant)),
                        false => Box::pin(Streamed {
                            receiver: again.on_thread(),
                            moved,
                            _grant: grant,
                        }),
                    }
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
        check_source(&*self.files, path, &*self.file, *planned)
    }

    /// Its bytes are not those of the first reading, though nothing else tells.
    fn other_bytes(&self) -> LocalFailure {
        let was = self.source.planned.was;
        changed(&self.source.path, was, was)
    }
}

struct Kept {
    bytes: std::vec::IntoIter<Bytes>,
    left: u64,
    /// Bytes that are in memory alone cannot change.
    gate: Option<Gate>,
    moved: Arc<Moved>,
    _grant: Option<Grant>,
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
        this.moved.add(bytes.len() as u64);
        Poll::Ready(Some(Ok(bytes)))
    }
}

struct Streamed {
    receiver: mpsc::Receiver<Result<Bytes, StreamError>>,
    moved: Arc<Moved>,
    _grant: Grant,
}

impl Stream for Streamed {
    type Item = Result<Bytes, StreamError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.receiver.poll_recv(context);
        if let Poll::Ready(Some(Ok(bytes))) = &next {
            self.moved.add(bytes.len() as u64);
        }
        next
    }
}

/// The second reading: every buffer goes out as it is read, the last one only
/// if the bytes were the same as the first time.
struct Again {
    gate: Gate,
    left: Range<u64>,
    hasher: Hasher,
    expected: Checksum,
    budget: Budget,
}

impl Again {
    fn on_thread(self) -> mpsc::Receiver<Result<Bytes, StreamError>> {
        let (sender, receiver) = mpsc::channel(2);
        tokio::task::spawn_blocking(move || {
            for bytes in self {
                if sender.blocking_send(bytes).is_err() {
                    return; // the attempt was given up
                }
            }
        });
        receiver
    }

    fn in_place(
        self,
        moved: Arc<Moved>,
        grant: Grant,
    ) -> impl Stream<Item = Result<Bytes, StreamError>> {
        futures_util::stream::iter(self).inspect(move |bytes| {
            let _held = &grant;
            if let Ok(bytes) = bytes {
                moved.add(bytes.len() as u64);
            }
        })
    }

    fn read(&mut self, piece: Range<u64>) -> Result<Bytes, LocalFailure> {
        let Self { gate, hasher, .. } = self;
        let len = usize::try_from(piece.end - piece.start).unwrap_or(BUFFER);
        let mut buffer = self.budget.buffer(len);
        read_exact(
            &gate.source,
            &*gate.file,
            buffer.as_mut_slice(),
            piece.start,
        )?;
        hasher.update(buffer.as_mut_slice());
        if self.left.is_empty() {
            gate.check()?;
            if hasher.clone().finish() != self.expected {
                return Err(gate.other_bytes());
            }
        }
        Ok(buffer.freeze())
    }
}

impl Iterator for Again {
    type Item = Result<Bytes, StreamError>;

    fn next(&mut self) -> Option<Self::Item> {
        let piece = pieces(&self.left).next()?;
        self.left.start = piece.end;
        Some(self.read(piece).map_err(|failure| {
            self.left.start = self.left.end; // nothing comes after it
            self.gate.verdict.refuse(failure)
        }))
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
    use super::*;
    use crate::files::inspect_source;
    use crate::hash::checksum_of;
    use crate::progress::Progress;

    struct Source(PathBuf);

    impl Drop for Source {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn source(name: &str, len: usize) -> (Source, SourceRange, Vec<u8>) {
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

    async fn send(
        range: SourceRange,
        budget: &Budget,
        before: impl FnOnce(),
    ) -> Result<Vec<u8>, LocalFailure> {
        let prepared = prepare(
            &Files::of_system(),
            range,
            ChecksumAlgorithm::Crc64Nvme,
            budget,
        )?;
        let moved = Arc::new(Moved::of(Arc::<Progress>::default()));
        before();
        let (mut body, verdict) = prepared.body(budget, moved).await;
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

    #[tokio::test]
    async fn the_checksum_is_that_of_the_range() {
        let (_file, mut range, bytes) = source("range", 3 * BUFFER);
        range.range = 100..2 * BUFFER as u64;
        let prepared = prepare(
            &Files::of_system(),
            range,
            ChecksumAlgorithm::Crc32c,
            &Budget::new(0),
        )
        .unwrap();
        assert_eq!(
            prepared.checksum,
            checksum_of(ChecksumAlgorithm::Crc32c, &bytes[100..2 * BUFFER])
        );
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
