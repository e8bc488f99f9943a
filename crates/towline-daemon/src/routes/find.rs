//! Listing and showing.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error as ValueError;
use towline::{PartState, TransferId};

use super::{App, bad};
use crate::Problem;
use crate::api::{Counted, Find, Found, PartProgress, PartSeen, Parts, Seen, Shown};

/// The most transfers of a page.
const PAGE_MAX: usize = 1000;
/// The most transfers that are looked at for a page, where no index leads to
/// those that match.
const LOOK_AT: usize = 20_000;

/// List transfers
#[utoipa::path(
    get,
    path = "/v1/transfers",
    tag = "transfers",
    params(Find),
    responses((status = 200, body = Found)),
)]
pub(super) async fn list(
    State(app): State<App>,
    find: Result<Query<Find>, QueryRejection>,
) -> Result<Json<Found>, Problem> {
    let Query(find) = find.map_err(|rejection| bad(rejection.body_text()))?;
    let states = states(find.state.as_deref())?;
    let look_at = if has_index(&find, &states) {
        0
    } else {
        LOOK_AT
    };
    let query = towline::Query {
        direction: find.direction,
        states,
        bucket: find.bucket,
        key: find.key,
        group: find.group,
        search: find.search,
        look_at,
        after: find.after,
        newest_first: find.newest_first,
        limit: find.limit.unwrap_or(0).min(PAGE_MAX),
        ..towline::Query::default()
    };
    let (transfers, next) = app.utility.find(query).await?;
    let transfers = transfers.into_iter().map(Seen::from).collect();
    Ok(Json(Found { transfers, next }))
}

/// Show one transfer
#[utoipa::path(
    get,
    path = "/v1/transfers/{id}",
    tag = "transfers",
    params(("id" = u64, Path, description = "Its number")),
    responses((status = 200, body = Shown)),
)]
pub(super) async fn show(
    State(app): State<App>,
    id: Result<Path<TransferId>, PathRejection>,
) -> Result<Json<Shown>, Problem> {
    let Path(id) = id.map_err(|rejection| bad(rejection.body_text()))?;
    let seen = Seen::from(app.utility.get(id).await?);
    let incidents = app.utility.incidents(id).await?;
    let incidents = incidents.into_iter().map(Into::into).collect();
    Ok(Json(Shown { seen, incidents }))
}

/// Show the parts of a transfer
///
/// Of one that is carried, all parts as they are now; of one that has ended, its proof.
#[utoipa::path(
    get,
    path = "/v1/transfers/{id}/parts",
    tag = "transfers",
    params(("id" = u64, Path, description = "Its number")),
    responses((status = 200, body = Parts)),
)]
pub(super) async fn parts(
    State(app): State<App>,
    id: Result<Path<TransferId>, PathRejection>,
) -> Result<Json<Parts>, Problem> {
    let Path(id) = id.map_err(|rejection| bad(rejection.body_text()))?;
    let found = app.utility.parts(id).await?;
    let parts = found.parts.into_iter().map(|part| PartSeen {
        number: part.number,
        start: part.range.start,
        end: part.range.end,
        state: match part.state {
            PartState::Waiting => PartProgress::Waiting,
            PartState::Sending => PartProgress::Sending,
            PartState::Done => PartProgress::Done,
        },
        bytes: part.bytes,
    });
    Ok(Json(Parts {
        count: found.count,
        parts: parts.collect(),
        proof: found.proof,
    }))
}

/// Count the transfers in each state
#[utoipa::path(
    get,
    path = "/v1/counts",
    tag = "transfers",
    responses((status = 200, body = Counted)),
)]
pub(super) async fn counts(State(app): State<App>) -> Result<Json<Counted>, Problem> {
    Ok(Json(counted(&app).await?))
}

pub(super) async fn counted(app: &App) -> Result<Counted, Problem> {
    let counts = app.utility.counts().await?;
    Ok(Counted {
        waiting: counts.waiting,
        in_progress: counts.in_progress,
        waiting_for_network: counts.waiting_for_network,
        paused: counts.paused,
        completed: counts.completed,
        canceled: counts.canceled,
        failed: counts.failed,
    })
}

/// Whether the store has an index of those that match, or all match.
fn has_index(find: &Find, states: &[towline::State]) -> bool {
    use towline::State::{Canceled, Failed, InProgress, Paused};
    let few = [Canceled, Failed, Paused];
    let few = states.is_empty() || states.iter().all(|state| few.contains(state));
    let narrow = find.key.is_some() || states == [InProgress];
    // A group may hold all there are: its index helps where nothing else is asked.
    let in_group = find.group.is_some() && !states.is_empty();
    let other = find.search.is_some() || find.bucket.is_some() || find.direction.is_some();
    let rest = in_group || other;
    narrow || (few && !rest)
}

fn states(names: Option<&str>) -> Result<Vec<towline::State>, Problem> {
    let names = names.unwrap_or_default().split(',');
    let states = names.filter(|name| !name.is_empty()).map(|name| {
        let name: serde::de::value::StrDeserializer<'_, ValueError> = name.into_deserializer();
        towline::State::deserialize(name).map_err(bad)
    });
    states.collect()
}
