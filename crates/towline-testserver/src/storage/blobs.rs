//! Where bytes lie: in memory, or one file per request that brought them.
//!
//! A [`Blob`] nobody keeps removes its file when its last reader drops it, so
//! cut uploads leave nothing, and a read goes on while its object is replaced.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use futures_util::stream;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use super::unique_id;

/// Bytes that are written once and then only read.
#[derive(Debug, Default)]
pub(crate) struct Blob {
    data: Data,
    kept: AtomicBool,
}

#[derive(Debug)]
enum Data {
    /// In pieces of [`PIECE`] bytes, the last one shorter.
    Memory(Vec<Bytes>),
    File(PathBuf),
}

/// How bytes are gathered, in memory and on their way to a file.
const PIECE: usize = 256 * 1024;

/// The one piece of zeros that all share: a sparse file of 100 GiB is not too
/// much for a server in memory.
static ZEROS: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(vec![0; PIECE]));

impl Default for Data {
    fn default() -> Self {
        Self::Memory(Vec::new())
    }
}

impl Blob {
    /// One that an earlier run of the server kept.
    pub(crate) fn kept_file(path: PathBuf) -> Self {
        Self {
            data: Data::File(path),
            kept: AtomicBool::new(true),
        }
    }

    /// The object lives: the file stays, also when the server ends.
    pub(crate) fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
    }

    /// The object is gone: the file goes with the last reader.
    pub(crate) fn discard(&self) {
        self.kept.store(false, Ordering::Relaxed);
    }

    /// Streams a range that lies within the blob.
    pub(crate) fn read(
        self: Arc<Self>,
        range: Range<u64>,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send {
        let start = Reading {
            blob: self,
            file: None,
            range,
        };
        stream::try_unfold(start, |mut reading| async move {
            let bytes = reading.next().await?;
            Ok(bytes.map(|bytes| (bytes, reading)))
        })
    }

    /// All bytes at once, for tests.
    pub(crate) fn to_vec(&self) -> io::Result<Vec<u8>> {
        match &self.data {
            Data::Memory(pieces) => Ok(pieces.concat()),
            Data::File(path) => std::fs::read(path),
        }
    }
}

impl Drop for Blob {
    fn drop(&mut self) {
        let kept = *self.kept.get_mut();
        if let (Data::File(path), false) = (&self.data, kept)
            && let Err(error) = std::fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "a file of bytes nobody needs stays behind");
        }
    }
}

struct Reading {
    blob: Arc<Blob>,
    file: Option<File>,
    range: Range<u64>,
}

impl Reading {
    /// The next piece; `None` at the end of the range.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let left = self.range.end.saturating_sub(self.range.start);
        if left == 0 {
            return Ok(None);
        }
        let bytes = match &self.blob.data {
            Data::Memory(pieces) => piece_at(pieces, self.range.start, left),
            Data::File(path) => {
                let file = match &mut self.file {
                    Some(file) => file,
                    none => none.insert(open_at(path, self.range.start).await?),
                };
                let wanted = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
                let mut buffer = BytesMut::with_capacity(wanted);
                file.take(wanted as u64).read_buf(&mut buffer).await?;
                buffer.freeze()
            }
        };
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.range.start += bytes.len() as u64;
        Ok(Some(bytes))
    }
}

fn piece_at(pieces: &[Bytes], offset: u64, most: u64) -> Bytes {
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let Some(piece) = pieces.get(offset / PIECE) else {
        return Bytes::new();
    };
    let start = (offset % PIECE).min(piece.len());
    let end = usize::try_from(most).map_or(piece.len(), |most| {
        piece.len().min(start.saturating_add(most))
    });
    piece.slice(start..end)
}

async fn open_at(path: &Path, offset: u64) -> io::Result<File> {
    let mut file = File::open(path).await?;
    file.seek(io::SeekFrom::Start(offset)).await?;
    Ok(file)
}

/// Makes blobs.
#[derive(Debug)]
pub(crate) enum Blobs {
    Memory,
    Directory(PathBuf),
}

impl Blobs {
    pub(crate) async fn create(&self) -> io::Result<BlobWriter> {
        let id = unique_id();
        let (data, file) = match self {
            Self::Memory => (Data::default(), None),
            Self::Directory(directory) => {
                let path = directory.join(&id);
                let file = File::create_new(&path).await?;
                (Data::File(path), Some(file))
            }
        };
        Ok(BlobWriter {
            id,
            blob: Blob {
                data,
                kept: AtomicBool::new(false),
            },
            file,
            gathered: BytesMut::new(),
        })
    }
}

/// Writes one blob. Dropped before [`BlobWriter::finish`], it leaves nothing.
#[derive(Debug)]
pub(crate) struct BlobWriter {
    id: String,
    blob: Blob,
    file: Option<File>,
    gathered: BytesMut,
}

impl BlobWriter {
    pub(crate) async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.gathered.capacity() == 0 {
                self.gathered.reserve(PIECE);
            }
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - self.gathered.len()));
            self.gathered.extend_from_slice(now);
            bytes = later;
            if self.gathered.len() == PIECE {
                self.put_away().await?;
            }
        }
        Ok(())
    }

    /// Hands over the blob with its id. It is not kept until someone says so.
    pub(crate) async fn finish(mut self) -> io::Result<(String, Arc<Blob>)> {
        self.put_away().await?;
        if let Some(mut file) = self.file.take() {
            file.flush().await?;
        }
        Ok((self.id, Arc::new(self.blob)))
    }

    async fn put_away(&mut self) -> io::Result<()> {
        match (&mut self.blob.data, &mut self.file) {
            (Data::File(_), Some(file)) => {
                file.write_all(&self.gathered).await?;
                self.gathered.clear();
            }
            (Data::Memory(pieces), _) if !self.gathered.is_empty() => {
                // A copy of its own size where the piece is small: a million
                // small objects must not hold a piece each.
                pieces.push(match self.gathered.len() {
                    PIECE if self.gathered == *ZEROS => {
                        self.gathered.clear();
                        ZEROS.clone()
                    }
                    PIECE => std::mem::take(&mut self.gathered).freeze(),
                    _ => Bytes::copy_from_slice(&self.gathered),
                });
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn zeros_take_no_memory_of_their_own_and_are_where_they_were() {
        let mut content = vec![0; 3 * PIECE + 5];
        content[PIECE] = 1;
        let mut writer = Blobs::Memory.create().await.unwrap();
        writer.write(&content).await.unwrap();
        let (_, blob) = writer.finish().await.unwrap();
        assert!(blob.to_vec().unwrap() == content);
        let Data::Memory(pieces) = &blob.data else {
            panic!("this is in memory")
        };
        let shared = |piece: &Bytes| piece.as_ptr() == ZEROS.as_ptr();
        let shared: Vec<_> = pieces.iter().map(shared).collect();
        assert_eq!(shared, [true, false, true, false]);
    }
}
