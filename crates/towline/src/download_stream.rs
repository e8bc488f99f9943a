//! A download that is taken as it arrives.

use std::pin::pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use towline_core::Outcome;
use towline_engine::Sink;

use crate::{Error, Transfer, TransferObserver};

/// The bytes of a download, in order, part by part. Nothing is fetched far
/// ahead of what is taken.
///
/// The bytes are checked against S3's checksum when all have arrived: they are
/// proven once [`next`](Self::next) has given `None`. Dropped before that, it
/// ends the transfer as failed.
#[derive(Debug)]
pub struct DownloadStream {
    observer: TransferObserver,
    sink: Arc<Sink>,
}

impl DownloadStream {
    pub(crate) fn new(observer: TransferObserver, sink: Arc<Sink>) -> Self {
        Self { observer, sink }
    }

    /// The handle on the transfer: it can be paused, resumed and canceled as any.
    pub fn observer(&self) -> &TransferObserver {
        &self.observer
    }

    /// The next bytes; `None` once all were given and are proven, or the object
    /// was not modified. Fails with [`Error::Ended`] when the transfer fails or
    /// is canceled.
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        match self.sink.next().await {
            Some(bytes) => Some(Ok(bytes)),
            None => self.end().await.err().map(Err),
        }
    }

    /// All bytes, proven. An object that was not modified is [`Error::Ended`].
    pub async fn collect(mut self) -> Result<Bytes, Error> {
        let mut all = BytesMut::new();
        while let Some(bytes) = self.sink.next().await {
            all.extend_from_slice(&bytes);
        }
        let transfer = self.end().await?;
        match transfer.outcome {
            Some(Outcome::Transferred) => Ok(all.freeze()),
            _ => Err(Error::Ended(Box::new(transfer))),
        }
    }

    /// Writes all bytes, flushes the writer, and gives the transfer as it ended.
    /// When the writer fails, the transfer is canceled.
    pub async fn write_to(mut self, writer: impl AsyncWrite + Send) -> Result<Transfer, Error> {
        let mut writer = pin!(writer);
        while let Some(bytes) = self.sink.next().await {
            if let Err(error) = writer.write_all(&bytes).await {
                return self.give_up(error).await;
            }
        }
        if let Err(error) = writer.flush().await {
            return self.give_up(error).await;
        }
        self.end().await
    }

    async fn give_up(self, error: std::io::Error) -> Result<Transfer, Error> {
        self.observer.cancel().await?;
        Err(Error::Writer {
            written: self.sink.delivered(),
            source: error,
        })
    }

    async fn end(&mut self) -> Result<Transfer, Error> {
        self.observer.completed().await
    }
}

impl Drop for DownloadStream {
    fn drop(&mut self) {
        self.sink.abandon();
    }
}
