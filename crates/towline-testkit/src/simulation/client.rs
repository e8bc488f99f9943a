//! The port of a simulated store.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use towline_core::{
    Body, ByteStream, CompleteUpload, CopyObject, CreateUpload, DeleteObject, DeleteObjects,
    GetObject, GetTags, ListObjects, ListUploads, ListedObject, ObjectBody, ObjectHead,
    ObjectsDeleted, ObjectsPage, OpenedUpload, Operation, PartChecksum, PartStored, PartsPage,
    PutObject, S3, S3Error, S3ErrorKind, Stored, Tags, Timestamp, Upload, UploadPart,
    UploadPartCopy, UploadsPage, WriteCondition,
};

use super::Server;
use super::call::{Answer, Answered, Line, Refusal};
use super::faults::Fault;
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
        answer: impl Answer<T>,
    ) -> Result<T, S3Error> {
        let (told, answered) = self.0.ask(what, note, body, answer).await?;
        answered.entry.end(End::Done);
        Ok(told)
    }

    /// Looks for the host of a bucket.
    fn find(&self, operation: Operation, bucket: &str) -> Result<(), S3Error> {
        match self.0.server.objects().rules.unknown_bucket {
            Some(unknown) if unknown == bucket => {
                let why = "the name of its host does not resolve";
                Err(S3Error::new(operation, S3ErrorKind::Dns, why))
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl S3 for Client {
    async fn put_object(&self, request: PutObject, body: Body) -> Result<Stored, S3Error> {
        let at = (request.bucket, request.key.clone());
        let if_absent = request.condition == Some(WriteCondition::Absent);
        let store = move |objects: &mut Objects, bytes: Bytes, now| {
            if request.checksum.is_some_and(|sent| !fits(&sent, &bytes)) {
                return Err(Refusal::new(400, "BadDigest"));
            }
            objects.put(at.clone(), bytes, now, if_absent)
        };
        let what = (Operation::PutObject, request.key.as_str());
        self.ask(what, |_| (), Some(body), store).await
    }

    async fn copy_object(&self, request: CopyObject) -> Result<Stored, S3Error> {
        let at = (request.bucket, request.key.clone());
        let if_absent = request.condition == Some(WriteCondition::Absent);
        let copy = move |objects: &mut Objects, _, now| {
            let bytes = objects.source(&request.source)?;
            let mut stored = objects.put(at.clone(), bytes, now, if_absent)?;
            stored.checksum = stored
                .checksum
                .filter(|_| !objects.rules.shows_no_checksums);
            Ok(stored)
        };
        let what = (Operation::CopyObject, request.key.as_str());
        self.ask(what, |_| (), None, copy).await
    }

    async fn create_multipart_upload(
        &self,
        request: CreateUpload,
    ) -> Result<OpenedUpload, S3Error> {
        let what = (Operation::CreateMultipartUpload, request.key.as_str());
        let at = (request.bucket, request.key.clone());
        self.ask(
            what,
            |noted: &mut Request| noted.signed_as_of = request.signed_at,
            None,
            move |objects, _, now| {
                Ok(OpenedUpload {
                    id: objects.open(at.clone(), now),
                    checksum: None,
                })
            },
        )
        .await
    }

    async fn upload_part(&self, request: UploadPart, body: Body) -> Result<PartStored, S3Error> {
        let UploadPart {
            upload,
            number,
            checksum,
        } = request;
        let id = upload.id.clone();
        let store = move |objects: &mut Objects, bytes: Bytes, _| {
            let sent = checksum.as_ref().map(PartChecksum::value);
            if sent.is_some_and(|sent| sent.is_none_or(|sent| !fits(&sent, &bytes))) {
                return Err(Refusal::new(400, "BadDigest"));
            }
            let checksum = Some(sum(&bytes));
            let etag = Some(objects.put_part(&id, number, bytes)?);
            Ok(PartStored { etag, checksum })
        };
        let what = (Operation::UploadPart, upload.key.as_str());
        let note = |noted: &mut Request| {
            noted.part = Some(number);
            noted.upload = Some(upload.id.clone());
        };
        self.ask(what, note, Some(body), store).await
    }

    fn sends_trailers(&self, _: &str) -> bool {
        true
    }

    async fn upload_part_copy(&self, request: UploadPartCopy) -> Result<PartStored, S3Error> {
        let UploadPartCopy {
            source,
            range,
            upload,
            number,
        } = request;
        let id = upload.id.clone();
        let copy = move |objects: &mut Objects, _, _| {
            let bytes = objects.source(&source)?;
            let at = |offset| usize::try_from(offset).unwrap_or(usize::MAX);
            let range = range.clone().unwrap_or(0..bytes.len() as u64);
            if range.end > bytes.len() as u64 {
                return Err(Refusal::new(400, "InvalidArgument"));
            }
            let bytes = bytes.slice(at(range.start)..at(range.end));
            let shown = !objects.rules.shows_no_checksums;
            let checksum = shown.then(|| sum(&bytes));
            let etag = Some(objects.put_part(&id, number, bytes)?);
            Ok(PartStored { etag, checksum })
        };
        let what = (Operation::UploadPartCopy, upload.key.as_str());
        let note = |noted: &mut Request| {
            noted.part = Some(number);
            noted.upload = Some(upload.id.clone());
        };
        self.ask(what, note, None, copy).await
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
        let (note, id) = (of_upload(&upload), upload.id.clone());
        let complete = move |objects: &mut Objects, _, now| {
            objects.complete(&id, &parts, size, checksum, now, if_absent)
        };
        self.ask(what, note, None, complete).await
    }

    async fn abort_multipart_upload(&self, upload: &Upload) -> Result<(), S3Error> {
        let what = (Operation::AbortMultipartUpload, upload.key.as_str());
        let id = upload.id.clone();
        let abort = move |objects: &mut Objects, _, _| objects.abort(&id);
        self.ask(what, of_upload(upload), None, abort).await
    }

    async fn list_parts(&self, upload: &Upload, _: Option<u32>) -> Result<PartsPage, S3Error> {
        let what = (Operation::ListParts, upload.key.as_str());
        let id = upload.id.clone();
        let list = move |objects: &mut Objects, _, _| {
            let parts = objects.listed_parts(&id)?;
            Ok(PartsPage { parts, next: None })
        };
        self.ask(what, of_upload(upload), None, list).await
    }

    async fn list_multipart_uploads(&self, request: ListUploads) -> Result<UploadsPage, S3Error> {
        let prefix = request.prefix.clone();
        let what = (Operation::ListMultipartUploads, prefix.as_str());
        self.ask(
            what,
            |_| (),
            None,
            move |objects, _, _| {
                let uploads = objects.listed_uploads(&request.bucket, &request.prefix);
                let next = None;
                Ok(UploadsPage { uploads, next })
            },
        )
        .await
    }

    async fn head_object(&self, request: GetObject) -> Result<ObjectHead, S3Error> {
        if self.0.server.objects().rules.denies_objects {
            return Err(self.0.denied());
        }
        self.find(Operation::HeadObject, &request.bucket)?;
        let what = (Operation::HeadObject, request.key.as_str());
        let at = (request.bucket, request.key.clone());
        self.ask(
            what,
            |_| (),
            None,
            move |objects, _, now| objects.head(&at, now),
        )
        .await
    }

    /// No object here has any.
    async fn get_object_tagging(&self, request: GetTags) -> Result<Tags, S3Error> {
        let at = (request.bucket, request.key.clone());
        let what = (Operation::GetObjectTagging, request.key.as_str());
        let read = move |objects: &mut Objects, _, _| objects.object(&at).map(|_| Tags::new());
        self.ask(what, |_| (), None, read).await
    }

    async fn get_object(&self, request: GetObject) -> Result<ObjectBody, S3Error> {
        let what = (Operation::GetObject, request.key.as_str());
        let at = (request.bucket, request.key.clone());
        let note = |noted: &mut Request| noted.range = request.range.clone();
        let (asked, wanted) = (request.range.clone(), request.condition.if_match);
        let read = move |objects: &mut Objects, _, now| {
            let head = objects.head(&at, now)?;
            let object = objects.object(&at)?;
            let wanted = wanted.as_ref();
            if wanted.is_some_and(|etag| *etag != object.etag) {
                return Err(Refusal::new(412, "PreconditionFailed"));
            }
            let len = object.bytes.len() as u64;
            let range = asked.clone().unwrap_or(0..len);
            let range = range.start..range.end.min(len);
            if range.is_empty() && len > 0 {
                return Err(Refusal::new(416, "InvalidRange"));
            }
            let at = |offset| usize::try_from(offset).unwrap_or(usize::MAX);
            let bytes = object.bytes.slice(at(range.start)..at(range.end));
            Ok((head, range, bytes, object.bytes.clone()))
        };
        let ((head, range, bytes, all), answered) = self.0.ask(what, note, None, read).await?;
        let status = if request.range.is_some() { 206 } else { 200 };
        let whole = 0..all.len() as u64;
        let (status, range, bytes) = match answered.fault {
            Some(Fault::Flip) => (status, range, flipped(&bytes)),
            Some(Fault::Longer) => (status, range, Bytes::from([&*bytes, b"!"].concat())),
            Some(Fault::OtherRange) => (status, range.start + 1..range.end + 1, bytes),
            Some(Fault::Whole) => (200, whole, all),
            _ => (status, range, bytes),
        };
        Ok(ObjectBody {
            head,
            status,
            range,
            stream: stream(Arc::clone(&self.0.server), answered, bytes),
        })
    }

    async fn list_objects(&self, request: ListObjects) -> Result<ObjectsPage, S3Error> {
        let prefix = request.prefix.clone();
        let what = (Operation::ListObjects, prefix.as_str());
        self.ask(
            what,
            |_| (),
            None,
            move |objects, _, _| {
                let all = objects.objects.iter();
                let its = all.filter(|((bucket, key), _)| {
                    *bucket == request.bucket && key.starts_with(&request.prefix)
                });
                let listed = its.map(|((_, key), object)| ListedObject {
                    key: key.clone(),
                    size: object.bytes.len() as u64,
                    etag: Some(object.etag.clone()),
                    last_modified: Some(object.stored),
                    storage_class: None,
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
            move |objects, _, _| {
                objects.objects.remove(&at);
                Ok(())
            },
        )
        .await
    }

    async fn delete_objects(&self, request: DeleteObjects) -> Result<ObjectsDeleted, S3Error> {
        let what = (Operation::DeleteObjects, "");
        self.ask(
            what,
            |_| (),
            None,
            move |objects, _, _| {
                for object in &request.objects {
                    let at = (request.bucket.clone(), object.key.clone());
                    objects.objects.remove(&at);
                }
                Ok(ObjectsDeleted {
                    deleted: request.objects.clone(),
                    failed: Vec::new(),
                })
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

    fn clock_offset(&self) -> i64 {
        self.0.clock_offset()
    }

    fn reset_connections(&self) {
        self.0.reset_connections();
    }
}

fn of_upload(upload: &Upload) -> impl FnOnce(&mut Request) + use<'_> {
    |noted| noted.upload = Some(upload.id.clone())
}

fn flipped(bytes: &Bytes) -> Bytes {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    bytes.into()
}

/// The bytes of an answer as they arrive.
fn stream(server: Arc<Server>, answered: Answered, bytes: Bytes) -> ByteStream {
    let of_all = |percent: u8| bytes.len() * usize::from(percent) / 100;
    let ends_at = match answered.fault {
        Some(Fault::BodyCutAt(percent) | Fault::BodySilentAt(percent)) => Some(of_all(percent)),
        _ => None,
    };
    let start = (server, Some(answered), bytes, ends_at);
    let next = |(server, answered, mut left, ends_at): Left| async move {
        let answered = answered?; // it broke
        if left.is_empty() {
            answered.entry.end(End::Done);
            return None;
        }
        let link = &server.wire.down;
        let step = link
            .step()
            .min(left.len())
            .min(ends_at.unwrap_or(usize::MAX));
        if step == 0 {
            if let Some(Fault::BodySilentAt(_)) = answered.fault {
                std::future::pending::<()>().await;
            }
            answered.entry.end(End::NoAnswer);
            let broken = Err("the connection was reset".into());
            return Some((broken, (server, None, Bytes::new(), None)));
        }
        let piece = left.split_to(step);
        let ends_at = ends_at.map(|left| left - step);
        match server.wire.on_connection(link.pass(piece.len())).await {
            Ok(()) => {
                answered.entry.moved(piece.len());
                Some((Ok(piece), (server, Some(answered), left, ends_at)))
            }
            Err(_) => {
                answered.entry.end(End::NoAnswer);
                Some((
                    Err("the connection was reset".into()),
                    (server, None, Bytes::new(), None),
                ))
            }
        }
    };
    Box::pin(futures_util::stream::unfold(start, next))
}

/// What is left of an answer, and how much of it still comes before it ends early.
type Left = (Arc<Server>, Option<Answered>, Bytes, Option<usize>);
