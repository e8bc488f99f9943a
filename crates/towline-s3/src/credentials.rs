//! Who signs: the credentials port and its simple implementations.

use std::error::Error;
use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;
use zeroize::Zeroizing;

/// A string that is shown nowhere and wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(Zeroizing::new(secret.into()))
    }

    /// The secret itself: only for signing with it, or for whom it is meant.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// What requests are signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: Secret,
    pub(crate) session_token: Option<Secret>,
    pub(crate) expires: Option<SystemTime>,
}

impl Credentials {
    /// Long-lived keys.
    pub fn new(access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret_access_key: Secret::new(secret_access_key),
            session_token: None,
            expires: None,
        }
    }

    /// The token that belongs to temporary keys.
    pub fn with_session_token(mut self, token: impl Into<String>) -> Self {
        self.session_token = Some(Secret::new(token));
        self
    }

    /// When they end. The provider is asked again a minute before.
    pub fn with_expiry(mut self, expires: SystemTime) -> Self {
        self.expires = Some(expires);
        self
    }

    /// The public half.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }
}

/// Why there are no credentials. Messages hold no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// Neither the environment nor a file has any.
    #[error("no credentials in {looked_in}")]
    Missing {
        /// Where they were looked for.
        looked_in: String,
    },
    /// One of the two keys is there, the other is not.
    #[error("{place} has {has} but not {lacks}")]
    Incomplete {
        /// The environment, or a profile.
        place: String,
        /// What is there.
        has: &'static str,
        /// What is not.
        lacks: &'static str,
    },
    /// A profile asks for a way to get credentials that this build does not have:
    /// without the feature `aws-config`, any but keys.
    #[error("profile {profile:?} gets its credentials by {needs}, which this build cannot")]
    Unsupported {
        /// The profile.
        profile: String,
        /// The key that asks for it, such as `sso_session`.
        needs: String,
    },
    /// A file of AWS's tools cannot be used.
    #[error("cannot use {path}: {why}")]
    BadFile {
        /// The file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// An app that registered a provider has taken it back.
    #[error("no credentials are registered as {name:?}")]
    NotRegistered {
        /// The name.
        name: String,
    },
    /// The name of an identity pool cannot be one.
    #[error("{pool:?} is not an identity pool: {why}")]
    BadPool {
        /// The pool as given.
        pool: String,
        /// What is wrong with it.
        why: String,
    },
    /// A service that gives credentials refused.
    #[error("{service} refused {operation}: {code}: {message}")]
    Service {
        /// The service.
        service: &'static str,
        /// What it was asked.
        operation: &'static str,
        /// Its own code, such as `NotAuthorizedException`.
        code: String,
        /// In its words.
        message: String,
    },
    /// The app's own provider failed.
    #[error("{message}")]
    Provider {
        /// In its words.
        message: String,
        /// Its cause, if it gave one.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
}

/// Gives credentials when a client needs them: at first, when they are about
/// to expire, and after S3 refused the last ones.
#[async_trait]
pub trait CredentialsProvider: Send + Sync + 'static {
    /// The credentials to sign with now.
    async fn credentials(&self) -> Result<Credentials, CredentialsError>;
}

/// The same credentials every time.
#[derive(Clone, Debug)]
pub struct StaticCredentials(pub Credentials);

#[async_trait]
impl CredentialsProvider for StaticCredentials {
    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        Ok(self.0.clone())
    }
}

/// A function that gives credentials: an app's callback.
pub struct CredentialsFn<F>(pub F);

impl<F> fmt::Debug for CredentialsFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialsFn")
    }
}

#[async_trait]
impl<F, R> CredentialsProvider for CredentialsFn<F>
where
    F: Fn() -> R + Send + Sync + 'static,
    R: Future<Output = Result<Credentials, CredentialsError>> + Send,
{
    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        (self.0)().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_in_no_debug_output() {
        let keys = Credentials::new("AKID", "canary-secret").with_session_token("canary-token");
        let shown = format!("{keys:?} {:?}", StaticCredentials(keys.clone()));
        assert!(
            shown.contains("AKID") && !shown.contains("canary"),
            "{shown}"
        );
    }
}
