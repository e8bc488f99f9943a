//! The routes, by what they do.

mod find;
mod owner;
mod steer;
mod submit;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tokio::sync::watch;
use towline::TransferUtility;

pub(crate) use self::owner::Presence;
use crate::{Problem, feed};

/// A request with some 100,000 transfers.
const BODY_MAX_BYTES: usize = 64 << 20;

/// What every route may use.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) utility: TransferUtility,
    pub(crate) presence: Arc<Presence>,
    /// Turns true when the owner leaves.
    pub(crate) leaving: watch::Receiver<bool>,
}

pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/v1/about", get(owner::about))
        .route("/v1/counts", get(owner::counts))
        .route("/v1/leave", post(owner::leave))
        .route("/v1/stay", post(owner::stay))
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

/// A body or query that is not what its route takes.
pub(crate) fn bad(detail: impl std::fmt::Display) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "BadRequest", detail.to_string())
}
