//! The rest of AWS's chain of credentials, by AWS's own crate: SSO, roles,
//! `credential_process`, web identity, containers (ECS, EKS) and EC2. Its
//! requests go through a pool of ours, so that proxies and certificates count.
//! <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>
//!
//! It is made anew each time credentials are needed, so that changed files and
//! a new `aws sso login` are noticed.

use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use aws_config::Region;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::imds;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError as Refusal;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};

use crate::body::RequestBody;
use crate::client::{Http, pool};
use crate::config_files::Profile;
use crate::connect::Connector;
use crate::credentials::{Credentials, CredentialsError};
use crate::endpoint::DEFAULT_REGION;
use crate::environment::Environment;
use crate::proxy::ProxyRules;
use crate::tls::Trust;

/// The most of an answer.
const MAX_ANSWER: usize = 1 << 20;
/// How long an answer may take where the chain sets no limit of its own.
const TIME: Duration = Duration::from_secs(20);
/// How often EC2 is asked. Elsewhere nothing answers, after a second each.
const EC2_ATTEMPTS: u32 = 2;

/// What a profile says how to get.
pub(crate) async fn of_profile(
    env: &Environment,
    name: &str,
    profile: &Profile<'_>,
) -> Result<Credentials, CredentialsError> {
    let provider = ProfileFileCredentialsProvider::builder()
        .configure(&config(env, Some(profile))?)
        .profile_name(name)
        .build();
    ours(provider.provide_credentials().await, || {
        format!("profile {name:?}")
    })
}

/// What this machine gives to who runs on it.
pub(crate) async fn of_machine(
    env: &Environment,
    profile: Option<&Profile<'_>>,
    mut looked_in: String,
) -> Result<Credentials, CredentialsError> {
    let config = config(env, profile)?;
    let ec2 = imds::Client::builder()
        .configure(&config)
        .max_attempts(EC2_ATTEMPTS)
        .build();
    let chain = DefaultCredentialsChain::builder()
        .region(region(env, profile))
        .configure(config)
        .imds_client(ec2)
        .build()
        .await;
    let _ = write!(
        looked_in,
        ", nor does this machine give any (web identity, container, EC2)"
    );
    ours(chain.provide_credentials().await, || looked_in)
}

fn ours(
    given: Result<aws_credential_types::Credentials, Refusal>,
    looked_in: impl FnOnce() -> String,
) -> Result<Credentials, CredentialsError> {
    let given = match given {
        Ok(given) => given,
        Err(Refusal::CredentialsNotLoaded(_)) => {
            return Err(CredentialsError::Missing {
                looked_in: looked_in(),
            });
        }
        Err(refusal) => {
            return Err(CredentialsError::Provider {
                message: in_full(&refusal),
                source: Some(Box::new(refusal)),
            });
        }
    };
    let mut credentials = Credentials::new(given.access_key_id(), given.secret_access_key());
    if let Some(token) = given.session_token() {
        credentials = credentials.with_session_token(token);
    }
    Ok(match given.expiry() {
        Some(expiry) => credentials.with_expiry(expiry),
        None => credentials,
    })
}

/// An error with its causes, of which each says a part.
fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

fn region(env: &Environment, profile: Option<&Profile<'_>>) -> Region {
    let region = env
        .first(&["AWS_REGION", "AWS_DEFAULT_REGION"])
        .or_else(|| profile?.region())
        .unwrap_or(DEFAULT_REGION);
    Region::new(region.to_owned())
}

fn config(
    env: &Environment,
    profile: Option<&Profile<'_>>,
) -> Result<ProviderConfig, CredentialsError> {
    let says = |variable: &str, key: &str| match env.get(variable) {
        Some(value) => value.eq_ignore_ascii_case("true"),
        None => profile.is_some_and(|profile| profile.flag(key)),
    };
    let fips = says("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint");
    let dual_stack = says("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint");
    Ok(ProviderConfig::without_region()
        .with_region(Some(region(env, profile)))
        .with_use_fips(Some(fips))
        .with_use_dual_stack(Some(dual_stack))
        .with_http_client(OurHttp::new(env, profile)?))
}

/// Our pool, as the chain wants it.
#[derive(Clone, Debug)]
struct OurHttp {
    http: Http,
    limit: Duration,
}

impl OurHttp {
    fn new(env: &Environment, profile: Option<&Profile<'_>>) -> Result<Self, CredentialsError> {
        let bundle = env.get("AWS_CA_BUNDLE").or_else(|| profile?.ca_bundle());
        let bundle = bundle.map(|path| env.path(path));
        let unusable = |error: towline_core::ConnectError| CredentialsError::Provider {
            message: error.to_string(),
            source: Some(Box::new(error)),
        };
        let proxies = Arc::new(ProxyRules::read(env).map_err(unusable)?);
        let trust = Trust::with(bundle.as_deref()).map_err(unusable)?;
        let connector = Connector::new(trust, proxies, Duration::from_secs(10));
        Ok(Self {
            http: pool(&connector, Duration::from_secs(4)),
            limit: TIME,
        })
    }

    async fn exchange(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let body = request.body().bytes().map(Bytes::copy_from_slice);
        let body = body.ok_or_else(|| ConnectorError::user("a body that is a stream".into()))?;
        let request = request
            .try_into_http1x()
            .map_err(|error| ConnectorError::user(error.into()))?
            .map(|_| RequestBody::whole(body));
        let response = self.http.request(request).await;
        let (head, body) = response
            .map_err(|error| ConnectorError::io(error.into()))?
            .into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        let body = body.map_err(ConnectorError::io)?.to_bytes();
        let status = head.status.as_u16().try_into();
        let status = status.map_err(|_| ConnectorError::other("no status".into(), None))?;
        let mut response = HttpResponse::new(status, body.into());
        for (name, value) in &head.headers {
            if let Ok(value) = value.to_str() {
                response
                    .headers_mut()
                    .append(name.as_str().to_owned(), value.to_owned());
            }
        }
        Ok(response)
    }
}

impl HttpConnector for OurHttp {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        HttpConnectorFuture::new(async move {
            let limit = this.limit;
            let done = tokio::time::timeout(limit, this.exchange(request)).await;
            done.unwrap_or_else(|late| Err(ConnectorError::timeout(late.into())))
        })
    }
}

impl HttpClient for OurHttp {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let limits = settings.connect_timeout().into_iter();
        let limit = limits.chain(settings.read_timeout()).sum::<Duration>();
        SharedHttpConnector::new(Self {
            http: self.http.clone(),
            limit: if limit.is_zero() { TIME } else { limit },
        })
    }
}
