//! What to transfer, and how: built step by step, submitted by awaiting it.

use std::future::IntoFuture;
use std::path::PathBuf;
use std::pin::Pin;

use towline_core::{
    BucketName, ChecksumAlgorithm, Connection, Direction, ObjectAddress, ObjectKey, PartSize, Spec,
    TransferOptions, WhenTargetExists,
};

use crate::{Error, SubmitError, TransferObserver, TransferUtility, check};

/// An upload to be submitted. Await it.
#[must_use = "await it to submit the upload"]
#[derive(Debug)]
pub struct UploadRequest(Request);

/// A download to be submitted. Await it.
#[must_use = "await it to submit the download"]
#[derive(Debug)]
pub struct DownloadRequest(Request);

#[derive(Debug)]
struct Request {
    utility: TransferUtility,
    bucket: String,
    key: String,
    version_id: Option<String>,
    path: PathBuf,
    connection: Option<Connection>,
    options: TransferOptions,
    token: Option<String>,
    restart: bool,
}

impl UploadRequest {
    /// Checks what can be checked on this machine, and records nothing.
    /// Awaiting the request does the same first.
    pub fn check(&self) -> Result<(), SubmitError> {
        self.0.check(Direction::Upload).map(drop)
    }

    pub(crate) fn new(
        utility: TransferUtility,
        bucket: String,
        key: String,
        path: PathBuf,
    ) -> Self {
        Self(Request::new(utility, bucket, key, path))
    }

    /// `Content-Type`. Default: by the file name's extension.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.0.options.object.content_type = Some(content_type.into());
        self
    }

    /// Adds own metadata, `x-amz-meta-NAME: VALUE`.
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0
            .options
            .object
            .metadata
            .insert(name.into(), value.into());
        self
    }

    /// Adds a tag.
    pub fn tag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.options.object.tags.insert(name.into(), value.into());
        self
    }

    /// A canned ACL such as `public-read`.
    pub fn acl(mut self, acl: impl Into<String>) -> Self {
        self.0.options.object.acl = Some(acl.into());
        self
    }

    /// A storage class such as `STANDARD_IA`.
    pub fn storage_class(mut self, class: impl Into<String>) -> Self {
        self.0.options.object.storage_class = Some(class.into());
        self
    }

    /// Only where no object has the key yet; otherwise it ends as a conflict.
    pub fn if_absent(mut self, if_absent: bool) -> Self {
        self.0.options.if_absent = if_absent;
        self
    }

    /// Size of every part but the last. Default: by the file's size.
    pub fn part_size(mut self, size: PartSize) -> Self {
        self.0.options.part_size = Some(size);
        self
    }

    /// What S3 checks the bytes with. Default: CRC-64/NVME.
    pub fn checksum(mut self, algorithm: ChecksumAlgorithm) -> Self {
        self.0.options.checksum = algorithm;
        self
    }

    /// Another connection than the utility's own.
    pub fn connection(mut self, connection: Connection) -> Self {
        self.0.connection = Some(connection);
        self
    }

    /// The caller's own name for this request: the same one again is the same
    /// transfer.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.0.token = Some(token.into());
        self
    }

    /// Cancels an unfinished transfer of the same and starts anew.
    pub fn restart(mut self, restart: bool) -> Self {
        self.0.restart = restart;
        self
    }
}

impl DownloadRequest {
    /// Checks what can be checked on this machine, and records nothing.
    /// Awaiting the request does the same first.
    pub fn check(&self) -> Result<(), SubmitError> {
        self.0.check(Direction::Download).map(drop)
    }

    pub(crate) fn new(
        utility: TransferUtility,
        bucket: String,
        key: String,
        path: PathBuf,
    ) -> Self {
        Self(Request::new(utility, bucket, key, path))
    }

    /// A version of the object. Default: the current one.
    pub fn version_id(mut self, version: impl Into<String>) -> Self {
        self.0.version_id = Some(version.into());
        self
    }

    /// What to do when the target exists. Default: replace it, at the end.
    pub fn when_target_exists(mut self, policy: WhenTargetExists) -> Self {
        self.0.options.when_target_exists = policy;
        self
    }

    /// Size of every part but the last. Default: by the object's size.
    pub fn part_size(mut self, size: PartSize) -> Self {
        self.0.options.part_size = Some(size);
        self
    }

    /// Another connection than the utility's own.
    pub fn connection(mut self, connection: Connection) -> Self {
        self.0.connection = Some(connection);
        self
    }

    /// The caller's own name for this request: the same one again is the same
    /// transfer.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.0.token = Some(token.into());
        self
    }

    /// Cancels an unfinished transfer of the same and starts anew.
    pub fn restart(mut self, restart: bool) -> Self {
        self.0.restart = restart;
        self
    }
}

type Submitting = Pin<Box<dyn Future<Output = Result<TransferObserver, Error>> + Send>>;

impl IntoFuture for UploadRequest {
    type Output = Result<TransferObserver, Error>;
    type IntoFuture = Submitting;

    fn into_future(self) -> Submitting {
        Box::pin(self.0.submit(Direction::Upload))
    }
}

impl IntoFuture for DownloadRequest {
    type Output = Result<TransferObserver, Error>;
    type IntoFuture = Submitting;

    fn into_future(self) -> Submitting {
        Box::pin(self.0.submit(Direction::Download))
    }
}

impl Request {
    fn new(utility: TransferUtility, bucket: String, key: String, path: PathBuf) -> Self {
        Self {
            utility,
            bucket,
            key,
            version_id: None,
            path,
            connection: None,
            options: TransferOptions::default(),
            token: None,
            restart: false,
        }
    }

    async fn submit(self, direction: Direction) -> Result<TransferObserver, Error> {
        let (spec, source) = self.check(direction)?;
        self.utility.submit(spec, source, self.restart).await
    }

    fn check(
        &self,
        direction: Direction,
    ) -> Result<(Spec, Option<towline_core::Fingerprint>), SubmitError> {
        let bucket = match (self.bucket.is_empty(), self.utility.default_bucket()) {
            (true, Some(bucket)) => bucket.clone(),
            _ => BucketName::new(self.bucket.as_str())?,
        };
        let key = ObjectKey::new(self.key.as_str())?;
        let mut object = ObjectAddress::new(bucket, key);
        object.version_id = self.version_id.clone();
        let path = check::absolute(&self.path)?;
        let connection = self.connection.as_ref();
        let connection = connection
            .unwrap_or(self.utility.default_connection())
            .clone();
        let connection = self.utility.resolve(connection, object.bucket.as_str())?;
        let mut options = self.options.clone();
        let source = match direction {
            Direction::Upload => {
                if options.object.content_type.is_none() {
                    let guess = mime_guess::from_path(&path).first_or_octet_stream();
                    options.object.content_type = Some(guess.to_string());
                }
                Some(check::source(&path, &options)?)
            }
            Direction::Download => {
                check::target(&path)?;
                None
            }
        };
        let token = self.token.clone();
        Ok((
            Spec {
                direction,
                connection,
                object,
                path,
                options,
                token,
            },
            source,
        ))
    }
}
