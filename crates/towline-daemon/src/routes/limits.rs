//! Limits that change while transfers run, and how fast bytes move.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use towline::{Direction, Rate};

use super::{App, bad_json};
use crate::Problem;
use crate::api::Throughput;
use crate::limits::{Limits, SetCaps, SetLimits};

/// The largest limit that can be set.
const MOST: u16 = 256;
/// So many groups may have caps …
const MOST_GROUPS: usize = 1000;
/// … whose names have at most so many bytes.
const GROUP_MAX_BYTES: usize = 8 << 10;

/// Show the limits
#[utoipa::path(get, path = "/v1/limits", tag = "limits", responses((status = 200, body = Limits)))]
pub(super) async fn get(State(app): State<App>) -> Json<Limits> {
    Json(limits(&app))
}

/// Change the limits
///
/// From now on, until the service ends. Requests under way are not cut; caps on bandwidth hold for
/// them at once. Gives the limits as they are then: fewer requests where the system allows few
/// open files.
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
            return Err(bad_limit(format!("{limit} is no limit; 1 to {MOST} are")));
        }
    }
    let one_or_more = |rate: Option<u32>| match rate.map(NonZeroU32::new) {
        None => Ok(None),
        Some(None) => Err(bad_limit(
            "0 requests a second are no cap; 1 or more are".into(),
        )),
        Some(rate) => Ok(rate),
    };
    let request_rate = set.request_rate.map(one_or_more).transpose()?;
    check_groups(&app, &set)?;
    let mut changes = Vec::new();
    if let Some(of_all) = set.bandwidth {
        changes.extend(changes_of(None, of_all)?);
    }
    for (group, caps) in &set.groups {
        changes.extend(changes_of(Some(group), *caps)?);
    }
    // Nothing is set before all of it can be.
    let requests = set.requests.map(usize::from);
    let parts = set.parts_per_transfer.map(usize::from);
    app.utility.set_limits(requests, parts)?;
    if let Some(rate) = request_rate {
        app.utility.set_request_rate(rate)?;
    }
    for Change {
        group,
        direction,
        cap,
    } in changes
    {
        match group {
            Some(group) => app.utility.set_group_bandwidth(group, direction, cap)?,
            None => app.utility.set_bandwidth(direction, cap)?,
        }
    }
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
    let groups = app.utility.group_bandwidth().into_iter();
    Limits {
        requests: now.requests,
        parts_per_transfer: now.parts_per_transfer,
        request_rate: app.utility.request_rate().map(NonZeroU32::get),
        bandwidth: app.utility.bandwidth().into(),
        groups: groups.map(|(name, caps)| (name, caps.into())).collect(),
    }
}

/// One cap to be set or lifted.
struct Change<'a> {
    /// `None`: of all transfers.
    group: Option<&'a str>,
    direction: Direction,
    cap: Option<Rate>,
}

fn changes_of<'a>(
    group: Option<&'a String>,
    caps: Option<SetCaps>,
) -> Result<Vec<Change<'a>>, Problem> {
    let SetCaps { upload, download } = caps.unwrap_or(SetCaps::LIFT);
    let mut changes = Vec::new();
    for (direction, cap) in [(Direction::Upload, upload), (Direction::Download, download)] {
        let Some(cap) = cap else {
            continue;
        };
        let cap = cap.map(Rate::from_bytes_per_second).transpose();
        changes.push(Change {
            group: group.map(String::as_str),
            direction,
            cap: cap.map_err(|error| bad_limit(error.to_string()))?,
        });
    }
    Ok(changes)
}

/// What is kept of them is bounded.
fn check_groups(app: &App, set: &SetLimits) -> Result<(), Problem> {
    if set.groups.is_empty() {
        return Ok(());
    }
    if set.groups.keys().any(|name| name.len() > GROUP_MAX_BYTES) {
        let detail = format!("the name of a group is over {GROUP_MAX_BYTES} bytes");
        return Err(bad_limit(detail));
    }
    let there = app.utility.group_bandwidth();
    let capped = |(name, caps): (_, &Option<SetCaps>)| caps.is_some().then_some(name);
    let new = set.groups.iter().filter_map(capped);
    let all: BTreeSet<&String> = there.keys().chain(new).collect();
    if all.len() > MOST_GROUPS {
        return Err(bad_limit(format!(
            "{} groups would have caps; {MOST_GROUPS} may",
            all.len()
        )));
    }
    Ok(())
}

fn bad_limit(detail: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "BadLimit", detail)
}
