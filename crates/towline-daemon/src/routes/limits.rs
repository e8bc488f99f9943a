//! Limits that change while transfers run, and how fast bytes move.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;

use super::{App, bad_json};
use crate::Problem;
use crate::api::{Limits, SetLimits, Throughput};

/// The largest limit that can be set.
const MOST: u16 = 256;

/// Show the limits
#[utoipa::path(get, path = "/v1/limits", tag = "limits", responses((status = 200, body = Limits)))]
pub(super) async fn get(State(app): State<App>) -> Json<Limits> {
    Json(limits(&app))
}

/// Change the limits
///
/// From now on, until the service ends. What is under way is not cut. Gives the limits as they
/// are then: fewer requests where the system allows few open files.
#[utoipa::path(
    patch,
    path = "/v1/limits",
    tag = "limits",
    request_body = SetLimits,
    responses((status = 200, body = Limits)),
)]
pub(super) async fn set(
    State(app): State<App>,
    body: Result<Json<SetLimits>, JsonRejection>,
) -> Result<Json<Limits>, Problem> {
    let Json(set) = body.map_err(bad_json)?;
    for limit in [set.requests, set.parts_per_transfer].into_iter().flatten() {
        if !(1..=MOST).contains(&limit) {
            let detail = format!("{limit} is no limit; 1 to {MOST} are");
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return Err(Problem::new(status, "BadLimit", detail));
        }
    }
    let requests = set.requests.map(usize::from);
    let parts = set.parts_per_transfer.map(usize::from);
    app.utility.set_limits(requests, parts)?;
    Ok(Json(limits(&app)))
}

/// Show how fast bytes move
#[utoipa::path(
    get,
    path = "/v1/throughput",
    tag = "service",
    responses((status = 200, body = Throughput)),
)]
pub(super) async fn throughput(State(app): State<App>) -> Json<Throughput> {
    Json(app.throughput.read())
}

fn limits(app: &App) -> Limits {
    let now = app.utility.limits();
    Limits {
        requests: now.requests,
        parts_per_transfer: now.parts_per_transfer,
    }
}
