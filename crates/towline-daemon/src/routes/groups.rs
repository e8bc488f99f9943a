//! Groups that list their own transfers: begun, looked at, and steered as one.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use towline::{Credentials, Error, GroupId, GroupQuery, StoreError, TransferUtility};

use super::{App, bad, bad_json};
use crate::groups::{
    BeginGroup, FindGroups, FindLeftOut, GroupBegun, GroupSteered, GroupVerb, GroupsFound,
    LeftOutFound, SteerGroup,
};
use crate::guard::Via;
use crate::schema::Group as GroupSchema;
use crate::{Problem, outside};

/// The most groups of a page: each transfer of each is counted.
const PAGE_MAX: usize = 100;
const PAGE: usize = 20;
/// The most of a page of what was left out.
const LEFT_OUT_MAX: usize = 1000;
const LEFT_OUT: usize = 100;

/// Begin a group
///
/// The upload of a directory, or the download or copy of a prefix. When this is answered it
/// survives power loss; it lists by itself from then on. The same request again, while it is
/// unfinished, is the same group, with another priority if it names one.
#[utoipa::path(
    post,
    path = "/v1/groups",
    tag = "groups",
    request_body = BeginGroup,
    responses((status = 200, body = GroupBegun)),
)]
pub(super) async fn begin(
    State(app): State<App>,
    Extension(via): Extension<Via>,
    body: Result<Json<BeginGroup>, JsonRejection>,
) -> Result<Json<GroupBegun>, Problem> {
    let Json(body) = body.map_err(bad_json)?;
    via.refuse_credentials(body.credentials.is_some())?;
    if via.is_tcp() {
        outside::check_group(&body.request, &app).await?;
    }
    // A client that goes away does not undo half of what it asked for.
    let done = tokio::spawn(async move { record(&app.utility, &via, body).await }).await;
    done.map_err(|_| Problem::from(Error::Closed))?.map(Json)
}

async fn record(
    utility: &TransferUtility,
    via: &Via,
    body: BeginGroup,
) -> Result<GroupBegun, Problem> {
    let (_, cursor) = utility.changes(None, 0).await?;
    let credentials = body.credentials.as_ref().map(Credentials::from);
    let observer = match via.is_tcp() {
        true => utility.begin_group(body.request).await?,
        // Its connection was resolved where it comes from.
        false => {
            let credentials = credentials.as_ref();
            utility.begin_group_for(body.request, credentials).await?
        }
    };
    let group = observer.group().await?;
    Ok(GroupBegun { group, cursor })
}

/// List groups
#[utoipa::path(
    get,
    path = "/v1/groups",
    tag = "groups",
    params(FindGroups),
    responses((status = 200, body = GroupsFound)),
)]
pub(super) async fn list(
    State(app): State<App>,
    find: Result<Query<FindGroups>, QueryRejection>,
) -> Result<Json<GroupsFound>, Problem> {
    let Query(find) = find.map_err(|rejection| bad(rejection.body_text()))?;
    let limit = page(find.limit, PAGE, PAGE_MAX);
    let query = GroupQuery {
        name: find.name,
        unended: find.unended,
        after: find.after,
        newest_first: find.newest_first,
        limit,
        ..GroupQuery::default()
    };
    let groups = app.utility.groups(query).await?;
    let last = groups.last().map(|group| group.id);
    let next = last.filter(|_| groups.len() == limit);
    Ok(Json(GroupsFound { groups, next }))
}

/// Show one group
#[utoipa::path(
    get,
    path = "/v1/groups/{id}",
    tag = "groups",
    params(("id" = u64, Path, description = "Its number")),
    responses((status = 200, body = GroupSchema)),
)]
pub(super) async fn show(
    State(app): State<App>,
    id: Result<Path<GroupId>, PathRejection>,
) -> Result<Json<towline::Group>, Problem> {
    let Path(id) = id.map_err(|rejection| bad(rejection.body_text()))?;
    Ok(Json(app.utility.group(id).await?))
}

/// Show what a group left out
///
/// What can have no transfer, or with `skipped` what needs none, each with its reason.
#[utoipa::path(
    get,
    path = "/v1/groups/{id}/left-out",
    tag = "groups",
    params(("id" = u64, Path, description = "Its number"), FindLeftOut),
    responses((status = 200, body = LeftOutFound)),
)]
pub(super) async fn left_out(
    State(app): State<App>,
    id: Result<Path<GroupId>, PathRejection>,
    find: Result<Query<FindLeftOut>, QueryRejection>,
) -> Result<Json<LeftOutFound>, Problem> {
    let Path(id) = id.map_err(|rejection| bad(rejection.body_text()))?;
    let Query(find) = find.map_err(|rejection| bad(rejection.body_text()))?;
    let limit = page(find.limit, LEFT_OUT, LEFT_OUT_MAX);
    let group = app.utility.observe_group(id).await?;
    let found = match find.skipped {
        true => group.skipped(find.after, limit).await?,
        false => group.refused(find.after, limit).await?,
    };
    let full = found.len() == limit;
    let next = find.after.saturating_add(found.len() as u64);
    Ok(Json(LeftOutFound {
        left_out: found.into_iter().map(Into::into).collect(),
        next: full.then_some(next),
    }))
}

/// Steer one group
///
/// Its listing and its transfers together. It is answered when nothing is left to be told to any
/// of them; a group that is removed is canceled first, which takes as long as S3 takes.
#[utoipa::path(
    post,
    path = "/v1/groups/{id}/{verb}",
    tag = "groups",
    params(("id" = u64, Path, description = "Its number"), ("verb" = GroupVerb, Path)),
    request_body = SteerGroup,
    responses((status = 200, body = GroupSteered)),
)]
pub(super) async fn steer(
    State(app): State<App>,
    Extension(via): Extension<Via>,
    path: Result<Path<(GroupId, GroupVerb)>, PathRejection>,
    body: Result<Json<SteerGroup>, JsonRejection>,
) -> Result<Json<GroupSteered>, Problem> {
    let Path((id, verb)) = path.map_err(|rejection| bad(rejection.body_text()))?;
    let Json(body) = body.map_err(bad_json)?;
    via.refuse_credentials(body.credentials.is_some())?;
    let utility = &app.utility;
    let (_, cursor) = utility.changes(None, 0).await?;
    let credentials = body.credentials.as_ref().map(Credentials::from);
    utility.hand_over_to_group(id, credentials.as_ref()).await?;
    let changed = match verb {
        GroupVerb::Pause => utility.pause_group(id).await?,
        GroupVerb::Cancel => utility.cancel_group(id).await?,
        GroupVerb::Resume => {
            let changed = utility.resume_group(id).await?;
            // Also what nobody carries yet.
            utility.carry_group(id, None).await?;
            changed
        }
        GroupVerb::Remove => utility.remove_group(id).await.map(|()| true)?,
        GroupVerb::Carry => utility.carry_group(id, None).await.map(|()| false)?,
    };
    let group = match utility.group(id).await {
        Ok(group) => Some(group),
        Err(Error::Store(StoreError::UnknownGroup(_))) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(Json(GroupSteered {
        changed,
        group,
        cursor,
    }))
}

fn page(asked: Option<usize>, default: usize, most: usize) -> usize {
    asked
        .filter(|limit| *limit > 0)
        .unwrap_or(default)
        .min(most)
}
