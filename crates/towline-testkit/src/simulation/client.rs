//! The port of a simulated store.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use towline_core::{
    Body, ByteStream, CompleteUpload, CreateUpload, DeleteObject, GetObject, ListObjects,
    ListUploads, ListedObject, ObjectBody, ObjectHead, ObjectsPage, Operation, PartStored,
    PartsPage, PutObject, S3, S3Error, Stored, Timestamp, Upload, UploadPart, UploadsPage,
    WriteCondition,
};

use super::Server;
use super::call::{Answered, Line, Refusal};
use super::history::{End, Request};
use super::objects::{Objects, fits, sum};

/// A client with credentials of its own.
pub(super) struct Client(Line);

impl Client {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self(Line::new(server))
    }

    /// A request that is over with its answer.
    async fn ask<T>(
        &self,
        what: (Operation, &str),
        note: impl FnOnce(&mut Request),
        body: Option<Body>,
        answer: impl FnOnce(&mut Objects, Bytes, Timestamp) -> Result<T, Refusal>,
    ) -> Result<T, S3Error> {
        let (told, answered) = self.0.ask(what, note, body, answer).await?;
        answered.entry.end(End::Done);
        Ok(told)
    }
}

#[async_trait]
impl S3 for Client {
    async fn put_object(&self, request: PutObject, body: Body) -> Result<Stored, S3Error> {
        let at = (request.bucket, request.key.clone());
        let if_absent = request.condition == Some(WriteCondition::Absent);
        let store = |objects: &mut Objects, bytes: Bytes, now| {
            if request.checksum.is_some_and(|sent| !fits(&sent, &bytes)) {
                return Err(Refusal::new(400, "BadDigest"));
            }
            objects.put(at, bytes, now, if_absent)
        };
        let what = (Operation::PutObject, request.key.as_str());
        self.ask(what, |_| (), Some(body), store).await
    }

    async fn create_multipart_upload(&self, request: CreateUpload) -> Result<String, S3Error> {
        let what = (Operation::CreateMultipartUpload, request.key.as_str());
        let at = (request.bucket, request.key.clone());
        self.ask(
            what,
            |_| (),
            None,
            |objects, _, now| Ok(objects.open(at, now)),
        )
        .await
    }

    async fn upload_part(&self, request: UploadPart, body: Body) -> Result<PartStored, S3Error> {
        let UploadPart {
            upload,
            number,
            checksum,
        } = request;
        let store = |objects: &mut Objects, bytes: Bytes, _| {
            if checksum.is_some_and(|sent| !fits(&sent, &bytes)) {
                return Err(Refusal::new(400, "BadDigest"));
            }
            let checksum = Some(sum(&bytes));
            let etag = Some(objects.put_part(&upload.id, number, bytes)?);
            Ok(PartStored { etag, checksum })
        };
        let what = (Operation::UploadPart, upload.key.as_str());
        let note = |noted: &mut Request| noted.part = Some(number);
        self.ask(what, note, Some(body), store).await
    }

    async fn complete_multipart_upload(&self, request: CompleteUpload) -> Result<Stored, S3Error> {
        let CompleteUpload {
            upload,
            parts,
            size,
            checksum,
            condition,
            ..
        } = request;
        let if_absent = condition == Some(WriteCondition::Absent);
        let what = (Operation::CompleteMultipartUpload, upload.key.as_str());
        self.ask(
            what,
            |_| (),
            None,
            |objects, _, now| objects.complete(&upload.id, &parts, size, checksum, now, if_absent),
        )
        .await
    }

    async fn abort_multipart_upload(&self, upload: &Upload) -> Result<(), S3Error> {
        let what = (Operation::AbortMultipartUpload, upload.key.as_str());
        self.ask(
            what,
            |_| (),
            None,
            |objects, _, _| {
                objects.upload(&upload.id)?;
                objects.uploads.remove(&upload.id);
                Ok(())
            },
        )
        .await
    }

    async fn list_parts(&self, upload: &Upload, _: Option<u32>) -> Result<PartsPage, S3Error> {
        let what = (Operation::ListParts, upload.key.as_str());
        self.ask(
            what,
            |_| (),
            None,
            |objects, _, _| {
                let parts = objects.listed_parts(&upload.id)?;
                Ok(PartsPage { parts, next: None })
            },
        )
        .await
    }

    async fn list_multipart_uploads(&self, request: ListUploads) -> Result<UploadsPage, S3Error> {
        let what = (Operation::ListMultipartUploads, request.prefix.as_str());
        self.ask(
            what,
            |_| (),
            None,
            |objects, _, _| {
                let uploads = objects.listed_uploads(&request.bucket, &request.prefix);
                let next = None;
                Ok(UploadsPage { uploads, next })
            },
        )
        .await
    }

    async fn head_object(&self, request: GetObject) -> Result<ObjectHead, S3Error> {
        let what = (Operation::HeadObject, request.key.as_str());
        let at = (request.bucket, request.key.clone());
        self.ask(
            what,
            |_| (),
            None,
            |objects, _, now| Ok(objects.object(&at)?.head(now)),
        )
        .await
    }

    async fn get_object(&self, request: GetObject) -> Result<ObjectBody, S3Error> {
        let what = (Operation::GetObject, request.key.as_str());
        let at = (request.bucket, request.key.clone());
        let note = |noted: &mut Request| noted.range = request.range.clone();
        let read = |objects: &mut Objects, _, now| {
            let object = objects.object(&at)?;
            let wanted = request.condition.if_match.as_ref();
            if wanted.is_some_and(|etag| *etag != object.etag) {
                return Err(Refusal::new(412, "PreconditionFailed"));
            }
            let len = object.bytes.len() as u64;
            let range = request.range.clone().unwrap_or(0..len);
            let range = range.start..range.end.min(len);
            if range.is_empty() && len > 0 {
                return Err(Refusal::new(416, "InvalidRange"));
            }
            let at = |offset| usize::try_from(offset).unwrap_or(usize::MAX);
            let bytes = object.bytes.slice(at(range.start)..at(range.end));
            Ok((object.head(now), range, bytes))
        };
        let ((head, range, bytes), answered) = self.0.ask(what, note, None, read).await?;
        let status = if request.range.is_some() { 206 } else { 200 };
        Ok(ObjectBody {
            head,
            status,
            range,
            stream: stream(Arc::clone(&self.0.server), answered, bytes),
        })
    }

    async fn list_objects(&self, request: ListObjects) -> Result<ObjectsPage, S3Error> {
        let what = (Operation::ListObjects, request.prefix.as_str());
        self.ask(
            what,
            |_| (),
            None,
            |objects, _, _| {
                let all = objects.objects.iter();
                let its = all.filter(|((bucket, key), _)| {
                    *bucket == request.bucket && key.starts_with(&request.prefix)
                });
                let listed = its.map(|((_, key), object)| ListedObject {
                    key: key.clone(),
                    size: object.bytes.len() as u64,
                    etag: Some(object.etag.clone()),
                    last_modified: Some(object.stored),
                });
                Ok(ObjectsPage {
                    objects: listed.collect(),
                    ..ObjectsPage::default()
                })
            },
        )
        .await
    }

    async fn delete_object(&self, request: DeleteObject) -> Result<(), S3Error> {
        let what = (Operation::DeleteObject, request.key.as_str());
        let at = (request.bucket, request.key.clone());
        self.ask(
            what,
            |_| (),
            None,
            |objects, _, _| {
                objects.objects.remove(&at);
                Ok(())
            },
        )
        .await
    }

    fn refresh_credentials(&self) {
        self.0.refresh_credentials();
    }

    fn set_clock(&self, server: Timestamp) {
        self.0.set_clock(server);
    }

    fn reset_connections(&self) {
        self.0.reset_connections();
    }
}

/// The bytes of an answer as they arrive.
fn stream(server: Arc<Server>, answered: Answered, bytes: Bytes) -> ByteStream {
    let start = (server, Some(answered), bytes);
    let next = |(server, answered, mut left): (Arc<Server>, Option<Answered>, Bytes)| async move {
        let answered = answered?; // it broke
        if left.is_empty() {
            answered.entry.end(End::Done);
            return None;
        }
        let link = &server.wire.down;
        let piece = left.split_to(link.step().min(left.len()));
        match server.wire.on_connection(link.pass(piece.len())).await {
            Ok(()) => {
                answered.entry.moved(piece.len());
                Some((Ok(piece), (server, Some(answered), left)))
            }
            Err(_) => {
                answered.entry.end(End::NoAnswer);
                Some((
                    Err("the connection was reset".into()),
                    (server, None, Bytes::new()),
                ))
            }
        }
    };
    Box::pin(futures_util::stream::unfold(start, next))
}
