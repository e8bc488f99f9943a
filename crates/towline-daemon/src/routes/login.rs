//! Logging in, and whether anybody is there.

use std::time::Instant;

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::{Extension, Json};

use super::{App, bad_json};
use crate::api::{Alive, Login, LoginCode, LoginCodeRequest, Token};
use crate::guard::Via;
use crate::login::GOOD_FOR;
use crate::{Problem, peer};

/// Whether anybody is there
///
/// Needs no token, and tells nothing else.
#[utoipa::path(get, path = "/v1/alive", tag = "service", responses((status = 200, body = Alive)))]
pub(super) async fn alive() -> Json<Alive> {
    Json(Alive { alive: true })
}

/// Get a login code
///
/// Over the control socket only.
#[utoipa::path(
    post,
    path = "/v1/login-codes",
    tag = "login",
    request_body = LoginCodeRequest,
    responses((status = 200, body = LoginCode)),
)]
pub(super) async fn code(
    State(app): State<App>,
    Extension(via): Extension<Via>,
    body: Result<Json<LoginCodeRequest>, JsonRejection>,
) -> Result<Json<LoginCode>, Problem> {
    if !matches!(via, Via::Socket) {
        let detail = "login codes are given over the control socket only";
        return Err(Problem::new(StatusCode::FORBIDDEN, "SocketOnly", detail));
    }
    let Json(asked) = body.map_err(bad_json)?;
    let door = app.door.as_ref().ok_or_else(|| {
        let detail = "the service listens on no address; start it with --listen 127.0.0.1:PORT";
        Problem::new(StatusCode::CONFLICT, "NotListening", detail)
    })?;
    let code = door.codes.issue(asked.own_user, Instant::now());
    let code = code.map_err(|error| {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Problem::new(status, "NoRandom", error.to_string())
    })?;
    Ok(Json(LoginCode {
        url: format!("http://{}/#code={}", door.address, code.expose()),
        code: code.expose().to_owned(),
        expires_in: GOOD_FOR.as_secs(),
    }))
}

/// Log in
///
/// Gives the token for a login code, which is good once. Needs no token.
#[utoipa::path(
    post,
    path = "/v1/login",
    tag = "login",
    request_body = Login,
    responses((status = 200, body = Token)),
)]
pub(super) async fn login(
    State(app): State<App>,
    Extension(via): Extension<Via>,
    body: Result<Json<Login>, JsonRejection>,
) -> Result<Json<Token>, Problem> {
    let Json(login) = body.map_err(bad_json)?;
    let own = || match &via {
        Via::Socket => true,
        Via::Tcp { peer, door } => peer::is_own_user(*peer, door.address),
    };
    let door = app.door.as_ref();
    let good = door.filter(|door| door.codes.redeem(&login.code, Instant::now(), own));
    let good = good.ok_or_else(|| {
        let detail = "the code is not good, or no more: `towline open` gives a new one";
        Problem::new(StatusCode::UNAUTHORIZED, "BadCode", detail)
    })?;
    let token = good.token.expose().to_owned();
    Ok(Json(Token { token }))
}
