//! Presigned URLs: the signature in the query, so that anybody who has the URL
//! may send that one request until it expires.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue, Method};
use towline_core::{Operation, S3Error, Timestamp};

use crate::client::S3Client;
use crate::credentials::Secret;
use crate::headers;
use crate::request::{address, invalid};
use crate::uri::{Query, encode};

/// The longest that S3 lets a URL live.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html>
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// A request to be presigned.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Presign {
    method: Method,
    bucket: String,
    key: String,
    /// How long the URL works, in whole seconds. Default 15 min; 1 s to 7 days,
    /// else [`PresignError::NoTime`] or [`PresignError::TooLong`].
    pub expires_in: Duration,
    /// GET: a version of the object. Default: the current one.
    pub version_id: Option<String>,
    /// GET: the `Content-Disposition` to answer with, such as
    /// `attachment; filename="cat.jpg"`. Default: the object's own.
    pub response_content_disposition: Option<String>,
    /// GET: the `Content-Type` to answer with. Default: the object's own.
    pub response_content_type: Option<String>,
    /// PUT: the `Content-Type` that the sender must send. Default: none is
    /// asked for, and whatever is sent is stored.
    pub content_type: Option<String>,
}

impl Presign {
    /// Fetches an object.
    pub fn get(bucket: impl Into<String>, key: impl Into<String>) -> Self {
        Self::new(Method::GET, bucket.into(), key.into())
    }

    /// Stores an object.
    pub fn put(bucket: impl Into<String>, key: impl Into<String>) -> Self {
        Self::new(Method::PUT, bucket.into(), key.into())
    }

    fn new(method: Method, bucket: String, key: String) -> Self {
        Self {
            method,
            bucket,
            key,
            expires_in: Duration::from_secs(15 * 60),
            version_id: None,
            response_content_disposition: None,
            response_content_type: None,
            content_type: None,
        }
    }

    /// Fails where the URL could not work, before anything is asked of anybody.
    pub fn check(&self) -> Result<(), PresignError> {
        match self.expires_in {
            time if time < Duration::from_secs(1) => Err(PresignError::NoTime),
            time if time > LONGEST => Err(PresignError::TooLong { asked: time }),
            _ => Ok(()),
        }
    }

    fn operation(&self) -> Operation {
        match self.method {
            Method::PUT => Operation::PutObject,
            _ => Operation::GetObject,
        }
    }
}

/// Why there is no presigned URL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PresignError {
    /// It would have expired at once.
    #[error("a presigned URL must live for a second at least")]
    NoTime,
    /// Over S3's limit.
    #[error("a presigned URL can live for 7 days (604,800 s), not {} s", asked.as_secs())]
    TooLong {
        /// What was asked for.
        asked: Duration,
    },
    /// The connection signs nothing.
    #[error("an anonymous connection has nothing to sign a URL with")]
    Anonymous,
    /// There are no credentials, or the request cannot be made.
    #[error(transparent)]
    Failed(#[from] S3Error),
}

impl PresignError {
    /// The stable name of this error.
    pub fn code(&self) -> &str {
        match self {
            Self::NoTime => "PresignNoTime",
            Self::TooLong { .. } => "PresignTooLong",
            Self::Anonymous => "PresignAnonymous",
            Self::Failed(_) => "PresignFailed",
        }
    }
}

/// A URL that is as good as the credentials it was signed with, for one request
/// and a limited time: a secret. It is shown without its query.
#[derive(Clone, PartialEq, Eq)]
pub struct PresignedUrl {
    url: Secret,
    method: &'static str,
    headers: Vec<(String, String)>,
    expires_at: Timestamp,
}

impl PresignedUrl {
    /// The URL itself. Send it byte for byte: a client that resolves `..` or
    /// joins `//` in its path breaks the signature.
    pub fn as_str(&self) -> &str {
        self.url.expose()
    }

    /// `GET` or `PUT`.
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// Headers that have to be sent exactly like this, beside `Host`.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// When S3 stops to accept it: as asked for, or when the credentials end,
    /// whichever comes first. Credentials that are revoked end it sooner.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

impl fmt::Debug for PresignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.as_str().split('?').next().unwrap_or_default();
        f.debug_struct("PresignedUrl")
            .field("url", &format!("{url}?…"))
            .field("method", &self.method)
            .field("headers", &self.headers)
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

impl S3Client {
    /// Signs a URL. S3 is not asked; the credentials' provider may be.
    pub async fn presign(&self, request: &Presign) -> Result<PresignedUrl, PresignError> {
        request.check()?;
        let operation = request.operation();
        let signer = self.signer(operation).await?;
        let signer = signer.ok_or(PresignError::Anonymous)?;
        let place = self
            .locate(&request.bucket)
            .map_err(|error| invalid(operation, error))?;
        let get = request.method == Method::GET;
        let reading = |value: &'_ Option<String>| value.clone().filter(|_| get);
        let query = Query::default()
            .maybe(
                "response-content-disposition",
                reading(&request.response_content_disposition).as_deref(),
            )
            .maybe(
                "response-content-type",
                reading(&request.response_content_type).as_deref(),
            )
            .maybe("versionId", reading(&request.version_id).as_deref());
        let mut url = address(&place, Some(&request.key), &query);
        let mut signed = HeaderMap::new();
        let host = HeaderValue::from_str(&place.authority).map_err(|e| invalid(operation, e))?;
        signed.insert("host", host);
        let mut sent = Vec::new();
        if let Some(content_type) = request.content_type.as_ref().filter(|_| !get) {
            headers::set(&mut signed, "content-type", content_type)
                .map_err(|error| invalid(operation, error))?;
            sent.push(("Content-Type".to_owned(), content_type.clone()));
        }
        let now = self.now();
        let lifetime = Duration::from_secs(request.expires_in.as_secs());
        let parameters = signer
            .sign_query(
                request.method.as_str(),
                &url,
                &signed,
                &place.region,
                now,
                lifetime,
            )
            .map_err(|error| invalid(operation, error))?;
        let mut separator = if query.as_str().is_empty() { '?' } else { '&' };
        for (name, value) in parameters {
            url.push(separator);
            url.push_str(name);
            url.push('=');
            url.push_str(&encode(&value));
            separator = '&';
        }
        let end = now + lifetime;
        Ok(PresignedUrl {
            url: Secret::new(url),
            method: if get { "GET" } else { "PUT" },
            headers: sent,
            expires_at: to_second(signer.expires().map_or(end, |ends| ends.min(end))),
        })
    }
}

/// Signatures tell time in seconds.
fn to_second(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX / 1000);
    Timestamp::from_millis(0).plus_secs(seconds)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use towline_core::{Connection, ConnectionSource};

    use super::*;
    use crate::{Credentials, Environment, S3Connector, StaticCredentials};

    fn client(source: ConnectionSource, credentials: Credentials) -> Arc<S3Client> {
        let connector = S3Connector::with_environment(Environment::default());
        connector.register("app", Arc::new(StaticCredentials(credentials)));
        let connection = Connection {
            source,
            ..Connection::default()
        };
        connector.client(&connection).unwrap()
    }

    fn app() -> ConnectionSource {
        ConnectionSource::Registered("app".into())
    }

    #[tokio::test]
    async fn t65_a_url_that_could_never_work_is_refused() {
        let client = client(app(), Credentials::new("AKID", "secret"));
        let mut request = Presign::get("bucket", "key");
        for (time, code) in [
            (Duration::ZERO, "PresignNoTime"),
            (Duration::from_millis(999), "PresignNoTime"),
            (LONGEST + Duration::from_nanos(1), "PresignTooLong"),
            (Duration::MAX, "PresignTooLong"),
        ] {
            request.expires_in = time;
            assert_eq!(client.presign(&request).await.unwrap_err().code(), code);
        }
        request.expires_in = LONGEST;
        let url = client.presign(&request).await.unwrap();
        assert!(url.as_str().contains("X-Amz-Expires=604800"));
    }

    #[tokio::test]
    async fn t65_an_anonymous_connection_presigns_nothing() {
        let client = client(ConnectionSource::Anonymous, Credentials::new("", ""));
        let error = client.presign(&Presign::get("bucket", "key")).await;
        assert_eq!(error.unwrap_err().code(), "PresignAnonymous");
    }

    #[tokio::test]
    async fn t65_credentials_that_end_first_end_the_url() {
        let ends = SystemTime::now() + Duration::from_secs(300);
        let keys = Credentials::new("AKID", "canary-secret")
            .with_session_token("canary-token")
            .with_expiry(ends);
        let url = client(app(), keys)
            .presign(&Presign::put("bucket", "a b"))
            .await;
        let url = url.unwrap();
        assert_eq!(url.expires_at(), to_second(ends));
        assert!(url.as_str().contains("X-Amz-Security-Token=canary-token"));
        let shown = format!("{url:?}");
        assert!(
            !shown.contains("canary") && !shown.contains("Signature"),
            "{shown}"
        );
        assert!(shown.contains("/a%20b?…"), "{shown}");
    }
}
