//! Listing and showing.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error as ValueError;
use towline::TransferId;

use super::{App, bad};
use crate::Problem;
use crate::api::{Find, Found, Seen, Shown};

/// The most transfers of a page.
const PAGE_MAX: usize = 1000;

pub(super) async fn list(
    State(app): State<App>,
    find: Result<Query<Find>, QueryRejection>,
) -> Result<Json<Found>, Problem> {
    let Query(find) = find.map_err(|rejection| bad(rejection.body_text()))?;
    let query = towline::Query {
        direction: find.direction,
        states: states(find.state.as_deref())?,
        bucket: find.bucket,
        key: find.key,
        after: find.after,
        newest_first: find.newest_first,
        limit: find.limit.unwrap_or(0).min(PAGE_MAX),
        ..towline::Query::default()
    };
    let (transfers, next) = app.utility.find(query).await?;
    let transfers = transfers.into_iter().map(Seen::from).collect();
    Ok(Json(Found { transfers, next }))
}

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

fn states(names: Option<&str>) -> Result<Vec<towline::State>, Problem> {
    let names = names.unwrap_or_default().split(',');
    let states = names.filter(|name| !name.is_empty()).map(|name| {
        let name: serde::de::value::StrDeserializer<'_, ValueError> = name.into_deserializer();
        towline::State::deserialize(name).map_err(bad)
    });
    states.collect()
}
