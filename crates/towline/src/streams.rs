//! Transfers whose bytes are in no file.

use std::sync::Arc;

use towline_core::{Command, Created, Phase, Query, Record, State};
use towline_engine::{Source, StreamToCome};

use crate::building::Body;
use crate::{
    DownloadStream, Error, SubmitError, TransferObserver, TransferRequest, TransferUtility,
};

impl TransferUtility {
    pub(crate) async fn upload_stream_now(
        &self,
        request: TransferRequest,
        body: Body,
    ) -> Result<TransferObserver, Error> {
        let (record, to_come) = match self.record_stream(request).await? {
            (Created::Known(record), _) => return self.observe(record.id).await,
            (Created::New(record), to_come) => (record, to_come),
        };
        let (source, reading) = match body {
            Body::Bytes(bytes) => (Source::bytes(bytes), None),
            Body::Reader(reading) => (Source::reader(), Some(reading)),
            Body::File => return Err(SubmitError::no_path().into()),
        };
        let observer = self.observe(record.id).await?;
        self.engine()
            .begin_upload(&record, Arc::new(source), reading, to_come)?;
        Ok(observer)
    }

    pub(crate) async fn download_stream_now(
        &self,
        request: TransferRequest,
    ) -> Result<DownloadStream, Error> {
        match self.record_stream(request).await? {
            // Somebody else takes its bytes.
            (Created::Known(record), _) => Err(SubmitError::StreamTaken { id: record.id }.into()),
            (Created::New(record), to_come) => {
                let observer = self.observe(record.id).await?;
                let sink = self.engine().begin_download(&record, to_come)?;
                Ok(DownloadStream::new(observer, sink))
            }
        }
    }

    /// Records a transfer of a stream. Only a token makes it one that is there.
    async fn record_stream(
        &self,
        request: TransferRequest,
    ) -> Result<(Created, StreamToCome), Error> {
        let settled = request.settle(self, false)?;
        let _one_at_a_time = self.one_submit_at_a_time().await;
        self.refuse_second_writer(&settled).await?;
        Ok(self.engine().record_stream(settled.into_new()).await?)
    }

    /// Transfers of streams whose process is gone can only fail; those that are
    /// not paused do so by themselves.
    pub(crate) async fn end_lost_streams(&self) -> Result<(), Error> {
        let mut query = Query {
            path: Some(Default::default()),
            states: vec![State::Paused],
            ..Query::default()
        };
        loop {
            let page = self.store().find(query.clone()).await?;
            let paused = |record: &&Record| record.phase == Phase::Paused;
            for record in page.transfers.iter().filter(paused) {
                self.steer(record.id, Command::Resume).await?;
            }
            query.after = page.next;
            if query.after.is_none() {
                return Ok(());
            }
        }
    }
}
