//! What works with a bucket, and what cannot be promised there: tried out, one
//! request after the other.

mod contact;
mod multipart;
mod objects;
mod report;

use std::collections::hash_map::RandomState;
use std::future::IntoFuture;
use std::hash::BuildHasher;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use towline_core::{
    Access, Connection, DeleteObject, Failure, ListObjects, ListUploads, ListedObject, Operation,
    S3, S3Error, Upload, Verified,
};
use towline_engine::{Fact, Profile, is_denied, without};
use towline_s3::S3Client;

use crate::ask::{Asked, Asker};
use crate::lifecycle::LifecycleCheck;
use crate::{Error, RequestError, TransferUtility};

pub use report::{Check, CheckResult, Diagnosis};

/// A bucket to be looked at. Await it.
#[must_use = "await it to look at the bucket"]
#[derive(Clone, Debug)]
pub struct DoctorRequest {
    utility: TransferUtility,
    connection: Option<Connection>,
    bucket: String,
    prefix: String,
    access: Access,
    read_only: bool,
}

impl TransferUtility {
    /// Looks at a bucket as transfers would use it: whether it is reached, clock,
    /// region and credentials, each right, what the store can do, and what cannot
    /// be promised there. Await the request. An empty `bucket` is the default
    /// bucket.
    ///
    /// It writes one object of 64 bytes, `.towline-doctor-` and 16 hex digits,
    /// and removes it again; see [`read_only`](DoctorRequest::read_only). What
    /// does not work is in the [`Diagnosis`]; an error is a request that was no
    /// good.
    pub fn doctor(&self, bucket: impl Into<String>) -> DoctorRequest {
        DoctorRequest {
            utility: self.clone(),
            connection: None,
            bucket: bucket.into(),
            prefix: String::new(),
            access: Access::default(),
            read_only: false,
        }
    }
}

impl DoctorRequest {
    /// Only keys that start with this. Default: any.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Writes nothing, so that rights to write are not looked at. Default: no.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
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

    async fn look(self) -> Result<Diagnosis, Error> {
        let place = self.utility.place(&self.bucket, self.connection.as_ref())?;
        let random = RandomState::new().hash_one(Instant::now());
        let mut doctor = Doctor {
            asker: self.utility.asker(&place)?,
            connection: place.connection,
            key: crate::place::key(&format!("{}.towline-doctor-{random:016x}", self.prefix))?,
            bucket: place.bucket,
            prefix: self.prefix,
            access: self.access,
            read_only: self.read_only,
            checks: Vec::new(),
            profile: Profile::default(),
            verified: Vec::new(),
            written: Vec::new(),
            opened: Vec::new(),
        };
        if doctor.contact().await? {
            let listed = doctor.list().await?;
            if self.read_only {
                doctor.read_what_is_there(listed).await?;
            } else {
                // Whatever ends this early, the probe goes first.
                let tried = doctor.write().await;
                doctor.clean_up().await?;
                tried?;
            }
            doctor.lifecycle().await?;
        }
        Ok(doctor.diagnosis())
    }
}

impl IntoFuture for DoctorRequest {
    type Output = Result<Diagnosis, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.look())
    }
}

/// What S3 did, or its refusal and after how many attempts.
type Answered<T> = Result<T, (Box<S3Error>, u32)>;

/// One bucket, as far as it was looked at.
struct Doctor {
    asker: Asker,
    connection: Connection,
    bucket: String,
    prefix: String,
    /// Of the probe.
    key: String,
    access: Access,
    read_only: bool,
    checks: Vec<Check>,
    profile: Profile,
    /// How strongly objects are proven here: in one PUT, in parts.
    verified: Vec<Verified>,
    /// The versions of the probe that may be there.
    written: Vec<Option<String>>,
    /// The probe's uploads that may be open.
    opened: Vec<String>,
}

impl Doctor {
    fn note(&mut self, name: impl Into<String>, result: CheckResult, detail: impl Into<String>) {
        self.checks.push(Check {
            name: name.into(),
            result,
            detail: detail.into(),
            code: None,
        });
    }

    /// Sends a request of which nothing is to be said yet.
    async fn try_out<R, T, Sending>(
        &self,
        operation: Operation,
        request: R,
        call: impl Fn(Arc<S3Client>, R) -> Sending + Send + Sync + 'static,
    ) -> Result<Answered<T>, Error>
    where
        R: Clone + Send + Sync + 'static,
        T: Send + 'static,
        Sending: Future<Output = Result<T, S3Error>> + Send,
    {
        let send = move |s3| call(s3, request.clone());
        let Asked {
            result, attempts, ..
        } = self.asker.ask_and_tell(operation, send).await?;
        match result {
            Ok(done) => Ok(Ok(done)),
            Err(Failure::S3(error)) => Ok(Err((error, attempts))),
            Err(local) => Err(RequestError::of(local, attempts).into()),
        }
    }

    /// Notes whether an operation works; gives what it answered.
    fn works<T>(&mut self, operation: Operation, asked: Answered<T>) -> Option<T> {
        let (error, attempts) = match asked {
            Ok(done) => {
                self.profile.learn(Fact::Right(operation, true));
                // One line for each, however often it was asked.
                if !self.checks.iter().any(|check| check.is(operation)) {
                    self.note(operation.to_string(), CheckResult::Ok, "");
                }
                return Some(done);
            }
            Err(refused) => refused,
        };
        if is_denied(&error) {
            self.profile.learn(Fact::Right(operation, false));
        }
        let told = RequestError::of(Failure::S3(error), attempts);
        self.checks.retain(|check| !check.is(operation));
        self.checks.push(Check {
            name: operation.to_string(),
            result: CheckResult::Failed,
            detail: format!("{}: {}", told.message(), without(operation)),
            code: Some(told.code().to_owned()),
        });
        None
    }

    /// Lists objects and open uploads; gives an object that has bytes.
    async fn list(&mut self) -> Result<Option<ListedObject>, Error> {
        let request = ListObjects {
            bucket: self.bucket.clone(),
            prefix: self.prefix.clone(),
            max_keys: Some(if self.read_only { 100 } else { 1 }),
            access: self.access.clone(),
            ..ListObjects::default()
        };
        let asked = self
            .try_out(Operation::ListObjects, request, |s3, request| async move {
                s3.list_objects(request).await
            })
            .await?;
        let page = self.works(Operation::ListObjects, asked);
        let request = ListUploads {
            bucket: self.bucket.clone(),
            prefix: self.key.clone(),
            access: self.access.clone(),
            ..ListUploads::default()
        };
        let asked = self
            .try_out(
                Operation::ListMultipartUploads,
                request,
                |s3, request| async move { s3.list_multipart_uploads(request).await },
            )
            .await?;
        self.works(Operation::ListMultipartUploads, asked);
        let objects = page.map(|page| page.objects).unwrap_or_default();
        Ok(objects.into_iter().find(|object| object.size > 0))
    }

    async fn write(&mut self) -> Result<(), Error> {
        if self.put().await? {
            self.read_probe().await?;
            self.write_on_condition().await?;
        }
        self.parts().await
    }

    /// Removes the probe, and proves that it may be removed.
    async fn clean_up(&mut self) -> Result<(), Error> {
        let mut left = Vec::new();
        for id in std::mem::take(&mut self.opened) {
            if let Err((error, _)) = self.abort(&id).await?
                && !error.is_not_found()
            {
                left.push(format!("the open upload {id} of {}", self.key));
            }
        }
        let mut versions = std::mem::take(&mut self.written);
        versions.dedup();
        for version_id in versions {
            let object = DeleteObject {
                bucket: self.bucket.clone(),
                key: self.key.clone(),
                version_id,
                access: self.access.clone(),
            };
            let asked = self
                .try_out(Operation::DeleteObject, object, |s3, object| async move {
                    s3.delete_object(object).await
                })
                .await?;
            if self.works(Operation::DeleteObject, asked).is_none() {
                left.push(format!("s3://{}/{}", self.bucket, self.key));
            }
        }
        if !left.is_empty() {
            let detail = format!("left behind: {}", left.join(", "));
            self.note("clean-up", CheckResult::Failed, detail);
        }
        Ok(())
    }

    async fn abort(&mut self, id: &str) -> Result<Answered<()>, Error> {
        let upload = self.upload(id);
        self.try_out(
            Operation::AbortMultipartUpload,
            upload,
            |s3, upload| async move { s3.abort_multipart_upload(&upload).await },
        )
        .await
    }

    fn upload(&self, id: &str) -> Upload {
        Upload {
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            id: id.to_owned(),
            access: self.access.clone(),
        }
    }

    /// Whether uploads that nobody completes go by themselves.
    async fn lifecycle(&mut self) -> Result<(), Error> {
        let bucket = self.bucket.clone();
        let operation = Operation::GetBucketLifecycleConfiguration;
        let (result, detail) = match self.try_out(operation, bucket, |s3, bucket| async move { s3.get_bucket_lifecycle(&bucket).await }).await? {
            Ok(rules) => match LifecycleCheck::of(rules).days_for(&self.prefix) {
                Some(days) => (
                    CheckResult::Ok,
                    format!("uploads are aborted {days} days after they were opened, paused ones too"),
                ),
                None => (
                    CheckResult::Warning,
                    "no rule aborts uploads that nobody completes: their parts stay and are paid for".into(),
                ),
            },
            Err((error, attempts)) => {
                let told = RequestError::of(Failure::S3(error), attempts);
                let detail = format!("{}: {}", told.message(), without(operation));
                (CheckResult::Warning, detail)
            }
        };
        self.note("lifecycle", result, detail);
        Ok(())
    }
}
