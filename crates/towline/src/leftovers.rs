//! Leftovers: multipart uploads that were opened, never completed, and whose
//! parts are paid for. Found, and aborted.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use towline_core::{
    Access, Connection, ListUploads, ListedUpload, Operation, Outcome, Query, Record, Remote,
    Request, S3, S3Error, S3ErrorKind, State, Status, Timestamp, TransferId, Upload, UploadMarker,
    UploadsPage,
};
use towline_s3::S3Client;

use crate::{Error, RequestError, TransferUtility, ask::Asker};

/// How many are aborted at the same time.
const AT_ONCE: usize = 16;
/// A listing that still tells of the same key after so many pages has no end.
const MAX_PAGES_OF_KEY: u32 = 1000;

/// An open multipart upload.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leftover {
    /// Its bucket.
    pub bucket: String,
    /// The key that its object would have.
    pub key: String,
    /// S3's name for it.
    pub upload_id: String,
    /// When it was opened, where the store tells.
    pub initiated: Option<Timestamp>,
    /// Who opened it, where the store tells.
    pub initiator: Option<String>,
    /// Why [`Leftovers::abort`] leaves it alone; `None` when it does not.
    pub kept: Option<KeptBecause>,
}

/// Why an open upload is not aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeptBecause {
    /// A transfer of this utility goes on with it, or would when it is resumed
    /// or retried. Cancel that to be rid of it.
    OfTransfer(TransferId),
    /// A transfer of this utility has asked for an upload of this key and has
    /// not seen the answer yet: this may be it.
    MayBeOfTransfer(TransferId),
    /// An age was asked for, and the store does not tell that of this one.
    AgeUnknown,
}

/// What [`Leftovers::abort`] did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct LeftoverReport {
    /// These are gone; they, too, that somebody else ended meanwhile.
    pub aborted: Vec<Leftover>,
    /// These matched and were left alone, each with its reason.
    pub kept: Vec<Leftover>,
    /// These are still there, and why.
    pub failed: Vec<(Leftover, RequestError)>,
}

/// Which open uploads of a bucket are meant; see [`TransferUtility::leftovers`].
#[must_use = "call `list` or `abort`"]
#[derive(Clone, Debug)]
pub struct Leftovers {
    utility: TransferUtility,
    connection: Option<Connection>,
    bucket: String,
    key: Option<String>,
    prefix: Option<String>,
    before: Option<Timestamp>,
    access: Access,
}

impl TransferUtility {
    /// The open multipart uploads of a bucket: to [`list`](Leftovers::list), or
    /// to [`abort`](Leftovers::abort). An empty `bucket` is the default bucket.
    pub fn leftovers(&self, bucket: impl Into<String>) -> Leftovers {
        Leftovers {
            utility: self.clone(),
            connection: None,
            bucket: bucket.into(),
            key: None,
            prefix: None,
            before: None,
            access: Access::default(),
        }
    }
}

impl Leftovers {
    /// Only those of exactly this key. Default: of any.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Only those whose key starts with this. Default: all.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into()).filter(|prefix| !prefix.is_empty());
        self
    }

    /// Only those opened before this moment, of S3's clock. Default: all.
    pub fn initiated_before(mut self, moment: Timestamp) -> Self {
        self.before = Some(moment);
        self
    }

    /// Only those opened longer ago than this, by the clock of this machine.
    /// Zero is no limit, and says so. Default: all.
    pub fn older_than(self, age: Duration) -> Self {
        if age.is_zero() {
            return self.initiated_before(Timestamp::from_millis(i64::MAX));
        }
        let then = SystemTime::now().checked_sub(age).unwrap_or(UNIX_EPOCH);
        let since = then.duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        self.initiated_before(Timestamp::from_millis(millis))
    }

    /// What S3 wants to see on each request: that the requester pays, who has to
    /// own the bucket. Default: nothing.
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Another connection than the utility's own.
    pub fn connection(mut self, connection: Connection) -> Self {
        self.connection = Some(connection);
        self
    }

    /// Those that match, in the order of their keys, over all pages.
    pub async fn list(self) -> Result<Vec<Leftover>, Error> {
        let place = self.utility.place(&self.bucket, self.connection.as_ref())?;
        let asker = self.utility.asker(&place)?;
        self.find(&asker, &place.bucket).await
    }

    /// Aborts those that match, but none that an unfinished or failed transfer
    /// of this utility holds. What other processes upload at this moment is not
    /// known here: choose an age that no upload of theirs has.
    ///
    /// Fails with [`Error::Unbounded`] when neither a key, a prefix nor an age
    /// was named, and when the uploads cannot be listed; then none was aborted.
    pub async fn abort(self) -> Result<LeftoverReport, Error> {
        let place = self.utility.place(&self.bucket, self.connection.as_ref())?;
        if self.key.is_none() && self.prefix.is_none() && self.before.is_none() {
            return Err(Error::Unbounded);
        }
        let asker = self.utility.asker(&place)?;
        let found = self.find(&asker, &place.bucket).await?;
        let (kept, doomed): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|found| found.kept.is_some());
        let mut report = LeftoverReport {
            kept,
            ..LeftoverReport::default()
        };
        let mut ends = futures_util::stream::iter(doomed.into_iter().map(|leftover| {
            let (asker, access) = (&asker, &self.access);
            async move {
                let end = abort(asker, &leftover, access).await;
                (leftover, end)
            }
        }))
        .buffered(AT_ONCE);
        while let Some((leftover, end)) = ends.next().await {
            match end {
                Ok(()) => report.aborted.push(leftover),
                Err(Error::Request(error)) => report.failed.push((leftover, error)),
                Err(error) => return Err(error),
            }
        }
        Ok(report)
    }

    async fn find(&self, asker: &Asker, bucket: &str) -> Result<Vec<Leftover>, Error> {
        let prefix = match (&self.key, &self.prefix) {
            (Some(key), Some(prefix)) if !key.starts_with(prefix) => return Ok(Vec::new()),
            (Some(text), _) | (None, Some(text)) => text.clone(),
            (None, None) => String::new(),
        };
        let mut found = Vec::new();
        let mut after: Option<UploadMarker> = None;
        let mut pages_of_key = 0;
        loop {
            let last_key = after.as_ref().map(|after| after.key.clone());
            let page = uploads(
                asker,
                ListUploads {
                    bucket: bucket.to_owned(),
                    prefix: prefix.clone(),
                    after,
                    access: self.access.clone(),
                },
            );
            let page = page.await?;
            found.extend(page.uploads.into_iter().filter(|upload| self.means(upload)));
            // Keys are in order: behind the exact one there is none of it.
            let past = |next: &UploadMarker| self.key.as_ref().is_some_and(|key| next.key > *key);
            after = page.next.filter(|next| !past(next));
            let Some(next) = &after else { break };
            pages_of_key = match last_key.as_ref() == Some(&next.key) {
                true => pages_of_key + 1,
                false => 0,
            };
            if pages_of_key > MAX_PAGES_OF_KEY {
                return Err(does_not_end());
            }
        }
        // Some stores list them by their ids.
        found.sort_by(|one, next| one.key.cmp(&next.key));
        // Asked after they were listed: whatever of our own was open then, the
        // store knows by now.
        let mut held: Option<(String, Vec<Record>)> = None;
        let mut leftovers = Vec::with_capacity(found.len());
        for upload in found {
            let records = match held.take() {
                Some((key, records)) if key == upload.key => records,
                _ => self.transfers_of(&upload.key).await?,
            };
            let unknown = self.before.is_some() && upload.initiated.is_none();
            let kept =
                holder(&records, &upload.upload_id).or(unknown.then_some(KeptBecause::AgeUnknown));
            held = Some((upload.key.clone(), records));
            leftovers.push(Leftover {
                bucket: bucket.to_owned(),
                key: upload.key,
                upload_id: upload.upload_id,
                initiated: upload.initiated,
                initiator: upload.initiator,
                kept,
            });
        }
        Ok(leftovers)
    }

    fn means(&self, upload: &ListedUpload) -> bool {
        let young = |before: Timestamp| upload.initiated.is_some_and(|at| at >= before);
        self.key.as_ref().is_none_or(|key| upload.key == *key) && !self.before.is_some_and(young)
    }

    /// Our own uploads to a key, in whatever way their bucket is named.
    async fn transfers_of(&self, key: &str) -> Result<Vec<Record>, Error> {
        let mut query = Query {
            key: Some(key.to_owned()),
            limit: 1000,
            ..Query::default()
        };
        let mut records = Vec::new();
        loop {
            let page = self.utility.store().find(query.clone()).await?;
            records.extend(page.transfers);
            query.after = page.next;
            if query.after.is_none() {
                return Ok(records);
            }
        }
    }
}

/// Which of our transfers an upload is of.
fn holder(records: &[Record], upload_id: &str) -> Option<KeptBecause> {
    let holds = |record: &&Record| match &record.remote {
        Some(Remote::Upload(id)) => id == upload_id && record.outcome != Some(Outcome::Transferred),
        _ => false,
    };
    let may_hold = |record: &&Record| {
        let state = Status::at_rest(record.phase).state;
        let asks = record
            .asked
            .is_some_and(|asked| asked.request == Request::Create);
        // One that has a name for its upload holds that one, or none.
        asks && record.remote.is_none() && !matches!(state, State::Completed | State::Canceled)
    };
    let of = |record: &Record| KeptBecause::OfTransfer(record.id);
    let may_be_of = |record: &Record| KeptBecause::MayBeOfTransfer(record.id);
    let found = records.iter().find(holds).map(of);
    found.or_else(|| records.iter().find(may_hold).map(may_be_of))
}

fn does_not_end() -> Error {
    let operation = Operation::ListMultipartUploads;
    let words = "the listing does not advance";
    let error = S3Error::new(operation, S3ErrorKind::Malformed, words);
    RequestError::of(error.into(), 1).into()
}

async fn uploads(asker: &Asker, asked: ListUploads) -> Result<UploadsPage, Error> {
    let send = move |s3: Arc<S3Client>| {
        let asked = asked.clone();
        async move { s3.list_multipart_uploads(asked).await }
    };
    asker.ask(Operation::ListMultipartUploads, send).await
}

async fn abort(asker: &Asker, leftover: &Leftover, access: &Access) -> Result<(), Error> {
    let upload = Arc::new(Upload {
        bucket: leftover.bucket.clone(),
        key: leftover.key.clone(),
        id: leftover.upload_id.clone(),
        access: access.clone(),
    });
    let send = move |s3: Arc<S3Client>| {
        let upload = upload.clone();
        async move { s3.abort_multipart_upload(&upload).await }
    };
    match asker.ask(Operation::AbortMultipartUpload, send).await {
        Err(Error::Request(error)) if error.code() == "NoSuchUpload" => Ok(()),
        done => done,
    }
}
