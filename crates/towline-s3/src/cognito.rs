//! Credentials of an Amazon Cognito identity pool, without the AWS SDK: for
//! apps that ship no keys. Two unsigned requests, GetId and
//! GetCredentialsForIdentity.
//! <https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/Welcome.html>

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Http;
use crate::credentials::{Credentials, CredentialsError, CredentialsProvider, Secret};
use crate::endpoint::{is_region, suffix};
use crate::environment::Environment;

mod call;

type Logins =
    Pin<Box<dyn Future<Output = Result<BTreeMap<String, Secret>, CredentialsError>> + Send>>;

/// Gives the temporary credentials of an identity pool: those of a guest, or of
/// a user who signed in elsewhere ([`logins`](Self::logins)). They are asked
/// for anew a minute before they end. Clones share their identity.
///
/// ```
/// # fn example() -> Result<(), towline_s3::CredentialsError> {
/// let pool = "us-east-1:00000000-0000-0000-0000-000000000000";
/// let provider = towline_s3::CognitoIdentity::new(pool, "us-east-1")?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct CognitoIdentity {
    pool_id: String,
    endpoint: String,
    environment: Environment,
    logins: Option<Arc<dyn Fn() -> Logins + Send + Sync>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    identity: Mutex<Option<String>>,
    http: OnceLock<Http>,
}

impl CognitoIdentity {
    /// The pool `REGION:GUID` in a region. Fails with
    /// [`CredentialsError::BadPool`] when one of them cannot be one.
    pub fn new(
        pool_id: impl Into<String>,
        region: impl AsRef<str>,
    ) -> Result<Self, CredentialsError> {
        let (pool_id, region) = (pool_id.into(), region.as_ref());
        let bad = |why: &str| CredentialsError::BadPool {
            pool: pool_id.clone(),
            why: why.to_owned(),
        };
        let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b':');
        let halves = pool_id.split_once(':');
        let sound = halves.is_some_and(|(region, id)| !region.is_empty() && !id.is_empty());
        if !sound || pool_id.len() > 55 || !pool_id.bytes().all(known) {
            return Err(bad("it must be REGION:GUID"));
        }
        if !is_region(region) {
            return Err(bad("its region is not the name of a region"));
        }
        Ok(Self {
            endpoint: format!("https://cognito-identity.{region}.{}", suffix(region)),
            pool_id,
            environment: Environment::of_process(),
            logins: None,
            shared: Arc::default(),
        })
    }

    /// Another endpoint than the region's, `https://…` or `http://…`.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = url.into();
        self
    }

    /// Reads proxies and `AWS_CA_BUNDLE` from this instead of the process's own
    /// environment.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Where a user signed in: gives, each time credentials are needed, the
    /// token of each login provider by its name, such as `accounts.google.com`
    /// or `cognito-idp.REGION.amazonaws.com/USER_POOL_ID`. None is a guest.
    pub fn logins<F, R>(mut self, callback: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<BTreeMap<String, Secret>, CredentialsError>> + Send + 'static,
    {
        self.logins = Some(Arc::new(move || Box::pin(callback())));
        self
    }

    /// Goes on as this identity, of which an app made a note earlier.
    pub fn with_identity_id(self, identity_id: impl Into<String>) -> Self {
        *self.identity() = Some(identity_id.into());
        self
    }

    /// Who it is at the pool, once it was asked. May be kept by the app: a guest
    /// that comes back without it is a new one.
    pub fn identity_id(&self) -> Option<String> {
        self.identity().clone()
    }

    fn identity(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        let identity = self.shared.identity.lock();
        identity.unwrap_or_else(PoisonError::into_inner)
    }

    /// <https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_GetId.html>
    async fn get_id(&self, logins: &Value) -> Result<String, CredentialsError> {
        let ask = json!({ "IdentityPoolId": self.pool_id, "Logins": logins });
        let answer: Identity = call::call(self, "GetId", &ask).await?;
        *self.identity() = Some(answer.identity_id.clone());
        Ok(answer.identity_id)
    }

    /// <https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_GetCredentialsForIdentity.html>
    async fn get_credentials(
        &self,
        identity: &str,
        logins: &Value,
    ) -> Result<Credentials, CredentialsError> {
        let ask = json!({ "IdentityId": identity, "Logins": logins });
        let answer: Given = call::call(self, "GetCredentialsForIdentity", &ask).await?;
        if let Some(identity) = answer.identity_id {
            *self.identity() = Some(identity); // signing in may have joined two
        }
        let keys = answer.credentials;
        let mut credentials = Credentials::new(keys.access_key_id, keys.secret_key)
            .with_session_token(keys.session_token);
        let ends = keys
            .expiration
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        if let Some(ends) = ends.and_then(|since| UNIX_EPOCH.checked_add(since)) {
            credentials = credentials.with_expiry(ends);
        }
        Ok(credentials)
    }
}

#[async_trait]
impl CredentialsProvider for CognitoIdentity {
    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let mut logins = json!({});
        if let Some(callback) = &self.logins {
            for (provider, token) in callback().await? {
                logins[provider] = token.expose().into();
            }
        }
        let Some(kept) = self.identity_id() else {
            let identity = self.get_id(&logins).await?;
            return self.get_credentials(&identity, &logins).await;
        };
        match self.get_credentials(&kept, &logins).await {
            // The pool forgot it, or it belongs to somebody else's login.
            Err(CredentialsError::Service { code, .. })
                if matches!(
                    code.as_str(),
                    "ResourceNotFoundException" | "NotAuthorizedException"
                ) =>
            {
                let identity = self.get_id(&logins).await?;
                self.get_credentials(&identity, &logins).await
            }
            other => other,
        }
    }
}

impl fmt::Debug for CognitoIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CognitoIdentity")
            .field("pool_id", &self.pool_id)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Identity {
    identity_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Given {
    identity_id: Option<String>,
    credentials: Keys,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Keys {
    access_key_id: String,
    secret_key: String,
    session_token: String,
    /// Seconds since 1970, with a fraction.
    expiration: Option<f64>,
}
