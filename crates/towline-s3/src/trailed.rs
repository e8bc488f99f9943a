//! `STREAMING-UNSIGNED-PAYLOAD-TRAILER`: a body in chunks, with its checksum behind
//! them, so that the bytes need not be read before they are sent.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use towline_core::{Body, ByteStream, StreamError, Trailer};

use crate::headers::checksum_text;
use crate::signed_chunks::digits;

/// Bytes in every chunk but the last; S3 takes 8 KiB and more.
const CHUNK: u64 = 1 << 20;

/// A body with its trailer.
pub(crate) struct Trailed {
    stream: ByteStream,
    len: u64,
    trailer: Trailer,
    /// Bytes not yet taken from the stream, and those of them in the chunk that began.
    left: u64,
    left_of_chunk: u64,
    ready: VecDeque<Bytes>,
    ended: bool,
}

impl Trailed {
    pub(crate) fn new(body: Body, trailer: Trailer) -> Self {
        Self {
            stream: body.stream,
            len: body.len,
            trailer,
            left: body.len,
            left_of_chunk: 0,
            ready: VecDeque::new(),
            ended: false,
        }
    }

    /// Bytes on the wire.
    pub(crate) fn encoded_len(&self) -> u64 {
        encoded_len(self.len, &self.trailer)
    }

    fn take(&mut self, mut bytes: Bytes) -> Result<(), StreamError> {
        if bytes.len() as u64 > self.left {
            return Err(format!("the body has more than {} bytes", self.len).into());
        }
        while !bytes.is_empty() {
            if self.left_of_chunk == 0 {
                self.left_of_chunk = self.left.min(CHUNK);
                let head = format!("{:x}\r\n", self.left_of_chunk);
                self.ready.push_back(head.into());
            }
            let room = usize::try_from(self.left_of_chunk).unwrap_or(usize::MAX);
            let slice = bytes.split_to(room.min(bytes.len()));
            self.left -= slice.len() as u64;
            self.left_of_chunk -= slice.len() as u64;
            self.ready.push_back(slice);
            if self.left_of_chunk == 0 {
                self.ready.push_back(Bytes::from_static(b"\r\n"));
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), StreamError> {
        let value = self.trailer.value();
        let value = value.ok_or("the checksum of the body is not known behind it")?;
        let (name, value) = (value.algorithm().header(), checksum_text(&value));
        let end = format!("0\r\n{name}:{value}\r\n\r\n");
        self.ready.push_back(end.into());
        self.ended = true;
        Ok(())
    }
}

impl Stream for Trailed {
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
            let taken = match this.left {
                0 => this.finish(),
                _ => match ready!(this.stream.as_mut().poll_next(cx)) {
                    Some(Ok(bytes)) => this.take(bytes),
                    Some(Err(error)) => Err(error),
                    None => return Poll::Ready(None),
                },
            };
            if let Err(error) = taken {
                this.ended = true;
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}

/// Bytes that `len` take with their trailer.
pub(crate) fn encoded_len(len: u64, trailer: &Trailer) -> u64 {
    let algorithm = trailer.algorithm();
    let framed = |chunk: u64| chunk + digits(chunk) + 4;
    let last = match len % CHUNK {
        0 => 0,
        rest => framed(rest),
    };
    let value = algorithm.len().div_ceil(3) * 4;
    let trailer = algorithm.header().len() + 1 + value + 4;
    len / CHUNK * framed(CHUNK) + last + 3 + trailer as u64
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use towline_core::{Checksum, ChecksumAlgorithm};

    use super::*;

    fn body(bytes: &Bytes, slice: usize) -> Body {
        let slices = (0..bytes.len()).step_by(slice);
        let slices = slices.map(|at| Ok(bytes.slice(at..bytes.len().min(at + slice))));
        let slices: Vec<_> = slices.collect();
        Body {
            len: bytes.len() as u64,
            stream: Box::pin(futures_util::stream::iter(slices)),
        }
    }

    fn told(algorithm: ChecksumAlgorithm) -> Trailer {
        let trailer = Trailer::new(algorithm);
        trailer.tell(Checksum::new(algorithm, &vec![0; algorithm.len()]).unwrap());
        trailer
    }

    async fn wire(body: Body, trailer: Trailer) -> Result<Vec<u8>, StreamError> {
        let trailed = Trailed::new(body, trailer);
        let len = trailed.encoded_len();
        let wire: Result<Vec<Bytes>, _> = trailed.collect::<Vec<_>>().await.into_iter().collect();
        let wire = wire?.concat();
        assert_eq!(wire.len() as u64, len);
        Ok(wire)
    }

    // The bytes and the trailer of AWS's example, whose chunks are smaller.
    #[tokio::test]
    async fn the_checksum_follows_the_chunks_as_in_awss_example() {
        let bytes = Bytes::from(vec![b'a'; 66_560]);
        let trailer = Trailer::new(ChecksumAlgorithm::Crc32c);
        let sum = Checksum::new(ChecksumAlgorithm::Crc32c, &[0xb0, 0xe3, 0xbc, 0xfd]).unwrap();
        trailer.tell(sum);
        let wire = wire(body(&bytes, 1000), trailer).await.unwrap();
        let expected = [
            b"10400\r\n",
            &bytes[..],
            b"\r\n0\r\nx-amz-checksum-crc32c:sOO8/Q==\r\n\r\n",
        ];
        assert_eq!(wire, expected.concat());
    }

    #[tokio::test]
    async fn bodies_of_any_length_in_slices_of_any_length_are_as_long_as_was_said() {
        let mebibyte = CHUNK as usize;
        for len in [0, 1, mebibyte - 1, mebibyte, mebibyte + 1, 3 * mebibyte + 7] {
            let bytes = Bytes::from(vec![b'~'; len]);
            for slice in [100_003, mebibyte, 5 * mebibyte] {
                for algorithm in [ChecksumAlgorithm::Crc64Nvme, ChecksumAlgorithm::Sha256] {
                    let wire = wire(body(&bytes, slice), told(algorithm)).await.unwrap();
                    let sent = wire.iter().filter(|byte| **byte == b'~').count();
                    assert_eq!(sent, len);
                }
            }
        }
    }

    #[tokio::test]
    async fn a_body_whose_checksum_nobody_told_or_of_another_length_does_not_end_well() {
        let bytes = Bytes::from_static(b"aaaa");
        let trailer = Trailer::new(ChecksumAlgorithm::Crc64Nvme);
        assert!(wire(body(&bytes, 2), trailer).await.is_err());
        let mut long = body(&bytes, 2);
        long.len = 3;
        let trailer = told(ChecksumAlgorithm::Crc64Nvme);
        assert!(wire(long, trailer).await.is_err());
    }
}
