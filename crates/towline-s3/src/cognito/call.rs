//! One call of Cognito's JSON interface, tried again where that may help.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value;
use towline_core::ConnectError;

use super::CognitoIdentity;
use crate::body::RequestBody;
use crate::client::{Http, pool};
use crate::connect::Connector;
use crate::credentials::CredentialsError;
use crate::proxy::ProxyRules;
use crate::tls::Trust;

/// Its name in [`CredentialsError::Service`].
const SERVICE: &str = "Cognito";
/// The most of an answer.
const MAX_ANSWER: usize = 64 << 10;
/// How long an attempt may take.
const TIME: Duration = Duration::from_secs(20);
const ATTEMPTS: u32 = 3;

/// A failure, and whether another attempt may help.
struct Failed(CredentialsError, bool);

pub(super) async fn call<T: DeserializeOwned>(
    this: &CognitoIdentity,
    operation: &'static str,
    ask: &Value,
) -> Result<T, CredentialsError> {
    let body = Bytes::from(ask.to_string());
    let http = client(this)?;
    let mut attempt = 0;
    loop {
        attempt += 1;
        match exchange(this, &http, operation, body.clone()).await {
            Ok(answer) => {
                return serde_json::from_slice(&answer).map_err(|error| {
                    // Without its words: they may quote what is secret.
                    failed(
                        format!(
                            "{operation}: not an answer of {SERVICE} at column {}",
                            error.column()
                        ),
                        None,
                    )
                });
            }
            Err(Failed(error, again)) if !again || attempt == ATTEMPTS => return Err(error),
            Err(Failed(error, _)) => {
                tracing::debug!(%error, operation, attempt, "identity credentials are asked for again");
                tokio::time::sleep(Duration::from_millis(100) * 2u32.pow(attempt)).await;
            }
        }
    }
}

async fn exchange(
    this: &CognitoIdentity,
    http: &Http,
    operation: &'static str,
    body: Bytes,
) -> Result<Bytes, Failed> {
    let unusable = |error: http::Error| {
        let why = format!("{:?} is not an endpoint of {SERVICE}", this.endpoint);
        Failed(failed(why, Some(Box::new(error))), false)
    };
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{}/", this.endpoint.trim_end_matches('/')))
        .header("content-type", "application/x-amz-json-1.1")
        .header("content-length", body.len())
        .header("user-agent", concat!("towline/", env!("CARGO_PKG_VERSION")))
        .header(
            "x-amz-target",
            format!("AWSCognitoIdentityService.{operation}"),
        )
        .body(RequestBody::whole(body))
        .map_err(unusable)?;
    let trouble = |why: &str, source: Option<Box<dyn Error + Send + Sync>>| {
        Failed(
            failed(format!("{SERVICE}: {operation}: {why}"), source),
            true,
        )
    };
    let answered = async {
        let response = http.request(request).await;
        let response = response.map_err(|error| trouble("no answer", Some(Box::new(error))))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        let body = body.map_err(|error| trouble("the answer broke off", Some(error)))?;
        Ok((head.status, body.to_bytes()))
    };
    let (status, answer) = tokio::time::timeout(TIME, answered)
        .await
        .map_err(|_| trouble(&format!("no answer within {} s", TIME.as_secs()), None))??;
    match status {
        StatusCode::OK => Ok(answer),
        status => Err(refused(operation, status, &answer)),
    }
}

/// What the service says of an error: `{"__type": "…", "message": "…"}`.
fn refused(operation: &'static str, status: StatusCode, answer: &[u8]) -> Failed {
    let said: Value = serde_json::from_slice(answer).unwrap_or_default();
    let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
    let kind = text("__type");
    let code = match kind.rsplit('#').next() {
        Some(code) if !code.is_empty() => code.to_owned(),
        _ => format!("Http{}", status.as_u16()),
    };
    let message = match text("message") {
        empty if empty.is_empty() => text("Message"),
        message => message,
    };
    let again = status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || matches!(
            code.as_str(),
            "TooManyRequestsException" | "ThrottlingException"
        );
    let error = CredentialsError::Service {
        service: SERVICE,
        operation,
        code,
        message,
    };
    Failed(error, again)
}

fn failed(message: String, source: Option<Box<dyn Error + Send + Sync>>) -> CredentialsError {
    CredentialsError::Provider { message, source }
}

/// The pool of connections, made when it is needed first.
fn client(this: &CognitoIdentity) -> Result<Http, CredentialsError> {
    if let Some(http) = this.shared.http.get() {
        return Ok(http.clone());
    }
    let environment = &this.environment;
    let made = || -> Result<Http, ConnectError> {
        let bundle = environment.get("AWS_CA_BUNDLE");
        let bundle = bundle.map(|path| environment.path(path));
        let proxies = Arc::new(ProxyRules::read(environment)?);
        let trust = Trust::with(bundle.as_deref())?;
        let connector = Connector::new(trust, proxies, Duration::from_secs(10));
        Ok(pool(&connector, Duration::from_secs(4)))
    };
    let http = made().map_err(|error| failed(error.to_string(), Some(Box::new(error))))?;
    Ok(this.shared.http.get_or_init(|| http).clone())
}
