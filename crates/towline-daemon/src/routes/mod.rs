//! The routes, by what they do.

mod find;
mod groups;
mod limits;
mod local;
mod login;
mod metrics;
mod owner;
mod spool;
mod steer;
mod submit;

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::extract::rejection::JsonRejection;
use axum::http::{StatusCode, header};
use axum::routing::get;
use tokio::sync::watch;
use towline::TransferUtility;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use self::owner::Presence;
use crate::door::Door;
use crate::hub::Hub;
use crate::roots::Roots;
use crate::spool::Spool;
use crate::throughput::Throughput;
use crate::{Problem, document, feed, page};

/// A request with some 100,000 transfers, over the socket.
const BODY_MAX_BYTES: usize = 64 << 20;

/// What every route may use.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) utility: TransferUtility,
    pub(crate) presence: Arc<Presence>,
    /// Turns true when the owner leaves.
    pub(crate) leaving: watch::Receiver<bool>,
    /// The way in over TCP, if there is one.
    pub(crate) door: Option<Arc<Door>>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) throughput: Arc<Throughput>,
    pub(crate) spool: Arc<Spool>,
    pub(crate) roots: Arc<Roots>,
    pub(crate) state_dir: Arc<PathBuf>,
}

/// All that a server answers. To make them takes a millisecond, in which a state can be opened.
pub struct Routes(OpenApiRouter<App>);

impl Default for Routes {
    /// Makes them; they belong to no server yet.
    fn default() -> Self {
        Self(api())
    }
}

pub(crate) fn router(routes: Routes, app: App) -> Router {
    let (router, api) = routes.0.split_for_parts();
    // Written when it is first asked for: most who serve never are.
    let document = Arc::new(LazyLock::new(move || document::whole(api)));
    let document = move || {
        let json = Bytes::clone(&document);
        std::future::ready(([(header::CONTENT_TYPE, "application/json")], json))
    };
    router
        .merge(page::routes())
        .route(document::PATH, get(document))
        .fallback(|| async {
            Problem::new(StatusCode::NOT_FOUND, "NoRoute", "there is no such route")
        })
        .method_not_allowed_fallback(|| async {
            let detail = "the route has no such method";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "NoMethod", detail)
        })
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .with_state(app)
}

/// Every route with its description.
pub(crate) fn api() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(login::alive))
        .routes(routes!(login::login))
        .routes(routes!(login::code))
        .routes(routes!(owner::about))
        .routes(routes!(find::list, submit::submit))
        .routes(routes!(find::show, steer::remove, steer::many))
        .routes(routes!(find::parts))
        .routes(routes!(steer::one))
        .routes(routes!(find::counts))
        .routes(routes!(groups::list, groups::begin))
        .routes(routes!(groups::show))
        .routes(routes!(groups::left_out))
        .routes(routes!(groups::steer))
        .routes(routes!(owner::leave))
        .routes(routes!(owner::stay))
        .routes(routes!(feed::follow))
        .routes(routes!(limits::get, limits::set))
        .routes(routes!(limits::throughput))
        .routes(routes!(local::profiles))
        .routes(routes!(local::paths))
        .routes(routes!(spool::put))
        .routes(routes!(metrics::metrics))
}

/// A body or query that is not what its route takes.
pub(crate) fn bad(detail: impl std::fmt::Display) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "BadRequest", detail.to_string())
}

/// A body that is not what its route takes, or is too long.
pub(crate) fn bad_json(rejection: JsonRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            Problem::new(status, "TooLong", rejection.body_text())
        }
        _ => bad(rejection.body_text()),
    }
}
