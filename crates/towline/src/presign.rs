//! Presigned URLs: one request that whoever has the URL may send.

use std::future::IntoFuture;
use std::pin::Pin;
use std::time::Duration;

use towline_core::{Connection, Failure};
use towline_s3::{Presign, PresignError, PresignedUrl};

use crate::{Error, RequestError, TransferUtility, place};

/// A URL that fetches an object, to be signed. Await it.
#[must_use = "await it to get the URL"]
#[derive(Clone, Debug)]
pub struct PresignGet {
    wanted: Wanted,
    version_id: Option<String>,
    content_disposition: Option<String>,
    content_type: Option<String>,
    validate_exists: bool,
}

/// A URL that stores an object, to be signed. Await it.
#[must_use = "await it to get the URL"]
#[derive(Clone, Debug)]
pub struct PresignPut {
    wanted: Wanted,
    content_type: Option<String>,
}

/// What both have in common.
#[derive(Clone, Debug)]
struct Wanted {
    utility: TransferUtility,
    connection: Option<Connection>,
    bucket: String,
    key: String,
    expires_in: Option<Duration>,
}

impl TransferUtility {
    /// A URL with which anybody can fetch an object for a while; await the
    /// request. S3 is not asked whether it is there, unless
    /// [`validate_exists`](PresignGet::validate_exists) says so; the connection's
    /// region has to be the bucket's. An empty `bucket` is the default bucket.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html>
    pub fn presign_get(&self, bucket: impl Into<String>, key: impl Into<String>) -> PresignGet {
        PresignGet {
            wanted: Wanted::new(self, bucket.into(), key.into()),
            version_id: None,
            content_disposition: None,
            content_type: None,
            validate_exists: false,
        }
    }

    /// A URL with which anybody can store an object for a while; await the
    /// request. The connection's region has to be the bucket's. An empty
    /// `bucket` is the default bucket.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html>
    pub fn presign_put(&self, bucket: impl Into<String>, key: impl Into<String>) -> PresignPut {
        PresignPut {
            wanted: Wanted::new(self, bucket.into(), key.into()),
            content_type: None,
        }
    }
}

impl PresignGet {
    /// A version of the object. Default: the current one, at the time of use.
    pub fn version_id(mut self, version: impl Into<String>) -> Self {
        self.version_id = Some(version.into());
        self
    }

    /// The `Content-Disposition` to answer with, such as
    /// `attachment; filename="cat.jpg"`. Default: the object's own.
    pub fn response_content_disposition(mut self, disposition: impl Into<String>) -> Self {
        self.content_disposition = Some(disposition.into());
        self
    }

    /// The `Content-Type` to answer with. Default: the object's own.
    pub fn response_content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// Asks S3 first whether the object is there; the request fails with
    /// [`Error::Request`] when it is not. Default: no.
    pub fn validate_exists(mut self, validate: bool) -> Self {
        self.validate_exists = validate;
        self
    }

    async fn sign(self) -> Result<PresignedUrl, Error> {
        let mut presign = self.wanted.presign(Presign::get)?;
        presign.version_id = self.version_id.clone();
        presign.response_content_disposition = self.content_disposition;
        presign.response_content_type = self.content_type;
        if self.validate_exists {
            presign.check()?;
            self.wanted.expect_object(self.version_id).await?;
        }
        self.wanted.sign(presign).await
    }
}

impl PresignPut {
    /// The `Content-Type` that the sender must send, one of
    /// [`PresignedUrl::headers`]. Default: none is asked for.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    async fn sign(self) -> Result<PresignedUrl, Error> {
        let mut presign = self.wanted.presign(Presign::put)?;
        presign.content_type = self.content_type;
        self.wanted.sign(presign).await
    }
}

impl Wanted {
    fn new(utility: &TransferUtility, bucket: String, key: String) -> Self {
        Self {
            utility: utility.clone(),
            connection: None,
            bucket,
            key,
            expires_in: None,
        }
    }

    fn presign(&self, method: fn(String, String) -> Presign) -> Result<Presign, Error> {
        let place = self.utility.place(&self.bucket, self.connection.as_ref())?;
        let mut presign = method(place.bucket, place::key(&self.key)?);
        if let Some(time) = self.expires_in {
            presign.expires_in = time;
        }
        Ok(presign)
    }

    async fn expect_object(&self, version_id: Option<String>) -> Result<(), Error> {
        let mut head = self.utility.head(&self.bucket, &self.key);
        if let Some(version) = version_id {
            head = head.version_id(version);
        }
        if let Some(connection) = &self.connection {
            head = head.connection(connection.clone());
        }
        head.await.map(drop)
    }

    async fn sign(self, presign: Presign) -> Result<PresignedUrl, Error> {
        let place = self.utility.place(&self.bucket, self.connection.as_ref())?;
        let asker = self.utility.asker(&place)?;
        let sign =
            |s3: std::sync::Arc<towline_s3::S3Client>| async move { s3.presign(&presign).await };
        Ok(asker.with_client(sign).await??)
    }
}

impl From<PresignError> for Error {
    fn from(error: PresignError) -> Self {
        match error {
            PresignError::Failed(error) => RequestError::of(Failure::from(error), 1).into(),
            error => Self::Presign(error),
        }
    }
}

macro_rules! both {
    ($($request:ident)*) => {$(
        impl $request {
            /// How long the URL works, in whole seconds. Default 15 min. Under
            /// 1 s and over 7 days it fails with [`Error::Presign`].
            pub fn expires_in(mut self, time: Duration) -> Self {
                self.wanted.expires_in = Some(time);
                self
            }

            /// Another connection than the utility's own.
            pub fn connection(mut self, connection: Connection) -> Self {
                self.wanted.connection = Some(connection);
                self
            }
        }

        impl IntoFuture for $request {
            type Output = Result<PresignedUrl, Error>;
            type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

            fn into_future(self) -> Self::IntoFuture {
                Box::pin(self.sign())
            }
        }
    )*};
}

both!(PresignGet PresignPut);
