//! The routes, by what they do.

mod find;
mod steer;
mod submit;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use tokio::sync::watch;
use towline::TransferUtility;

use crate::api::{About, Mode};
use crate::{Problem, feed};

/// A request with some 100,000 transfers.
const BODY_MAX_BYTES: usize = 64 << 20;

/// What every route may use.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) utility: TransferUtility,
    pub(crate) mode: Mode,
    /// Turns true when the owner leaves.
    pub(crate) leaving: watch::Receiver<bool>,
}

pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/v1/about", get(about))
        .route("/v1/transfers", get(find::list).post(submit::submit))
        .route(
            "/v1/transfers/{id}",
            get(find::show).delete(steer::remove).post(steer::many),
        )
        .route("/v1/transfers/{id}/{verb}", post(steer::one))
        .route("/v1/events", get(feed::follow))
        .fallback(|| async {
            Problem::new(StatusCode::NOT_FOUND, "NoRoute", "there is no such route")
        })
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .with_state(app)
}

async fn about(State(app): State<App>) -> axum::Json<About> {
    axum::Json(About {
        version: env!("CARGO_PKG_VERSION").into(),
        pid: std::process::id(),
        mode: app.mode,
    })
}

/// A body or query that is not what its route takes.
pub(crate) fn bad(detail: impl std::fmt::Display) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "BadRequest", detail.to_string())
}
