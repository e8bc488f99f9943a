//! `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`: a body whose chunks are signed one
//! after the other, for plain HTTP where the bytes cannot be hashed first.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html>

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aws_sigv4::sign::v4::calculate_signature;
use bytes::Bytes;
use futures_core::Stream;
use sha2::{Digest, Sha256};
use towline_core::{Body, ByteStream, StreamError};
use zeroize::Zeroizing;

use crate::sign::hex;

/// Bytes in every chunk but the last.
const CHUNK: u64 = 64 << 10;
/// `;chunk-signature=`, 64 digits, CR LF, CR LF.
const FRAMING: u64 = 17 + 64 + 4;

/// What the chunks are signed with; made by the request's own signature.
pub(crate) struct ChunkKey {
    pub(crate) key: Zeroizing<Vec<u8>>,
    /// `20130524T000000Z`.
    pub(crate) time: String,
    /// `20130524/us-east-1/s3/aws4_request`.
    pub(crate) scope: String,
    /// The request's signature.
    pub(crate) seed: String,
}

/// A body with its chunk signatures.
pub(crate) struct SignedChunks {
    stream: ByteStream,
    len: u64,
    key: ChunkKey,
    /// Source bytes not yet taken from the stream.
    left: u64,
    /// Slices of the chunk being gathered, and their length.
    chunk: Vec<Bytes>,
    chunk_len: u64,
    ready: VecDeque<Bytes>,
    ended: bool,
}

impl SignedChunks {
    pub(crate) fn new(body: Body, key: ChunkKey) -> Self {
        Self {
            stream: body.stream,
            len: body.len,
            key,
            left: body.len,
            chunk: Vec::new(),
            chunk_len: 0,
            ready: VecDeque::new(),
            ended: false,
        }
    }

    /// Bytes on the wire.
    pub(crate) fn encoded_len(&self) -> u64 {
        encoded_len(self.len)
    }

    fn take(&mut self, mut bytes: Bytes) -> Result<(), StreamError> {
        self.left = self
            .left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| format!("the body has more than {} bytes", self.len))?;
        while !bytes.is_empty() {
            let room = (CHUNK - self.chunk_len) as usize;
            let slice = bytes.split_to(room.min(bytes.len()));
            self.chunk_len += slice.len() as u64;
            self.chunk.push(slice);
            if self.chunk_len == CHUNK {
                self.close_chunk();
            }
        }
        if self.left == 0 {
            self.finish();
        }
        Ok(())
    }

    fn finish(&mut self) {
        if self.chunk_len > 0 {
            self.close_chunk();
        }
        self.close_chunk();
        self.ended = true;
    }

    fn close_chunk(&mut self) {
        let mut hash = Sha256::new();
        self.chunk.iter().for_each(|slice| hash.update(slice));
        let ChunkKey {
            time, scope, seed, ..
        } = &self.key;
        let text = format!(
            "AWS4-HMAC-SHA256-PAYLOAD\n{time}\n{scope}\n{seed}\n{}\n{}",
            hex(&Sha256::digest([])),
            hex(&hash.finalize())
        );
        let signature = calculate_signature(self.key.key.as_slice(), text.as_bytes());
        let head = format!("{:x};chunk-signature={signature}\r\n", self.chunk_len);
        self.ready.push_back(head.into());
        self.ready.extend(self.chunk.drain(..));
        self.ready.push_back(Bytes::from_static(b"\r\n"));
        self.chunk_len = 0;
        self.key.seed = signature;
    }
}

impl Stream for SignedChunks {
    type Item = Result<Bytes, StreamError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(bytes) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(bytes)));
            }
            if this.ended {
                return Poll::Ready(None);
            }
            if this.len == 0 {
                this.finish();
                continue;
            }
            match ready!(this.stream.as_mut().poll_next(cx)) {
                Some(Ok(bytes)) => {
                    if let Err(error) = this.take(bytes) {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

/// Bytes that `len` take with their chunk signatures.
pub(crate) fn encoded_len(len: u64) -> u64 {
    let framed = |chunk: u64| chunk + digits(chunk) + FRAMING;
    let last = match len % CHUNK {
        0 => 0,
        rest => framed(rest),
    };
    len / CHUNK * framed(CHUNK) + last + framed(0)
}

/// Hexadecimal digits of a length.
pub(crate) fn digits(len: u64) -> u64 {
    u64::from(len.max(1).ilog2() / 4 + 1)
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    // The example of AWS's page, whose chunks have 64 KiB too.
    #[tokio::test]
    async fn the_chunks_of_awss_example_get_its_signatures() {
        let bytes = Bytes::from(vec![b'a'; 66_560]);
        let frames = (0..66_560)
            .step_by(1000)
            .map(|at| Ok(bytes.slice(at..66_560.min(at + 1000))))
            .collect::<Vec<_>>();
        let body = Body {
            len: 66_560,
            stream: Box::pin(futures_util::stream::iter(frames)),
        };
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_369_353_600);
        let key = aws_sigv4::sign::v4::generate_signing_key(secret, time, "us-east-1", "s3");
        let chunks = SignedChunks::new(
            body,
            ChunkKey {
                key: Zeroizing::new(key.as_ref().to_vec()),
                time: "20130524T000000Z".into(),
                scope: "20130524/us-east-1/s3/aws4_request".into(),
                seed: "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9".into(),
            },
        );
        assert_eq!(chunks.encoded_len(), 66_824);
        let wire: Vec<Bytes> = chunks.map(Result::unwrap).collect().await;
        let wire = String::from_utf8(wire.concat()).unwrap();
        assert_eq!(wire.len(), 66_824);
        for head in [
            "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
            "400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
            "0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
        ] {
            assert!(wire.contains(head), "{head}");
        }
    }

    #[test]
    fn lengths_with_signatures_are_those_of_the_bytes_sent() {
        assert_eq!(encoded_len(0), 1 + FRAMING);
        assert_eq!(encoded_len(1), 2 + FRAMING + encoded_len(0));
        assert_eq!(encoded_len(CHUNK), CHUNK + 5 + FRAMING + encoded_len(0));
    }
}
