//! Steering: one transfer, or many.

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::{Extension, Json};
use futures_util::StreamExt as _;
use futures_util::stream;
use towline::{Command, Credentials, Error, StoreError, TransferId, TransferUtility};

use super::{App, bad, bad_json};
use crate::Problem;
use crate::api::{Steer, Steered, SteeredOne, Verb};
use crate::guard::Via;

/// How many are steered at the same time.
const AT_ONCE: usize = 256;

/// Steer one transfer
#[utoipa::path(
    post,
    path = "/v1/transfers/{id}/{verb}",
    tag = "transfers",
    params(("id" = u64, Path, description = "Its number"), ("verb" = Verb, Path)),
    responses((status = 200, body = SteeredOne)),
)]
pub(super) async fn one(
    State(app): State<App>,
    path: Result<Path<(TransferId, Verb)>, PathRejection>,
) -> Result<Json<SteeredOne>, Problem> {
    let Path((id, verb)) = path.map_err(|rejection| bad(rejection.body_text()))?;
    answer(steer_one(&app.utility, verb, id).await)
}

/// Remove a transfer
///
/// Forgets its record. An unfinished one is canceled first, which takes as long as S3 takes.
#[utoipa::path(
    delete,
    path = "/v1/transfers/{id}",
    tag = "transfers",
    params(("id" = u64, Path, description = "Its number")),
    responses((status = 200, body = SteeredOne)),
)]
pub(super) async fn remove(
    State(app): State<App>,
    id: Result<Path<TransferId>, PathRejection>,
) -> Result<Json<SteeredOne>, Problem> {
    let Path(id) = id.map_err(|rejection| bad(rejection.body_text()))?;
    answer(steer_one(&app.utility, Verb::Remove, id).await)
}

/// Steer many transfers
///
/// The path names what to do: `pause`, `resume`, `retry`, `cancel`, `remove`. In bulk (`all`) it
/// is done to those it is meant for; nothing in bulk revives a canceled transfer.
#[utoipa::path(
    post,
    path = "/v1/transfers/{id}",
    tag = "transfers",
    params(("id" = Verb, Path, description = "What to do")),
    request_body = Steer,
    responses((status = 200, body = Steered)),
)]
pub(super) async fn many(
    State(app): State<App>,
    Extension(via): Extension<Via>,
    verb: Result<Path<Verb>, PathRejection>,
    body: Result<Json<Steer>, JsonRejection>,
) -> Result<Json<Steered>, Problem> {
    let Path(verb) = verb.map_err(|rejection| bad(rejection.body_text()))?;
    let Json(body) = body.map_err(bad_json)?;
    via.refuse_credentials(body.credentials.is_some())?;
    let utility = &app.utility;
    let (_, cursor) = utility.changes(None, 0).await?;
    if let Some(credentials) = body.credentials.as_ref().map(Credentials::from) {
        for id in &body.ids {
            utility.hand_over(*id, Some(&credentials));
        }
    }
    if verb == Verb::Carry {
        utility.carry(body.ids.clone())?;
    }
    let named = stream::iter(body.ids)
        .map(|id| steer_one(utility, verb, id))
        .buffered(AT_ONCE)
        .collect::<Vec<_>>();
    let mut transfers = named.await;
    for which in body.all {
        let changed = match command(verb) {
            Some(command) => utility.steer_all(command, which.into()).await?,
            None if verb == Verb::Remove => utility.remove_all(which.into()).await?,
            None => return Err(bad("only named transfers can be carried")),
        };
        for id in changed {
            transfers.push(seen(utility, id, true).await);
        }
    }
    // An owner that leaves has not refused anything.
    let closing = transfers.iter().filter_map(|one| one.problem.as_ref());
    if let Some(problem) = closing.into_iter().find(|problem| problem.is_closing()) {
        return Err(problem.clone());
    }
    Ok(Json(Steered { transfers, cursor }))
}

fn answer(one: SteeredOne) -> Result<Json<SteeredOne>, Problem> {
    match one.problem {
        Some(problem) => Err(problem),
        None => Ok(Json(one)),
    }
}

async fn steer_one(utility: &TransferUtility, verb: Verb, id: TransferId) -> SteeredOne {
    let done = match (command(verb), verb) {
        (Some(command), _) => utility.steer(id, command).await,
        (None, Verb::Remove) => utility.remove(id).await.map(|()| true),
        (None, _) => Ok(false),
    };
    match done {
        Ok(changed) => seen(utility, id, changed).await,
        Err(error) => problem(id, error),
    }
}

fn command(verb: Verb) -> Option<Command> {
    match verb {
        Verb::Pause => Some(Command::Pause),
        Verb::Resume => Some(Command::Resume),
        Verb::Retry => Some(Command::Retry),
        Verb::Cancel => Some(Command::Cancel),
        Verb::Remove | Verb::Carry => None,
    }
}

async fn seen(utility: &TransferUtility, id: TransferId, changed: bool) -> SteeredOne {
    match utility.get(id).await {
        Ok(transfer) => SteeredOne {
            id,
            changed,
            state: Some(transfer.state),
            reason: transfer.reason,
            problem: None,
        },
        Err(Error::Store(StoreError::Unknown(_))) if changed => SteeredOne {
            id,
            changed,
            state: None,
            reason: None,
            problem: None,
        },
        Err(error) => problem(id, error),
    }
}

fn problem(id: TransferId, error: Error) -> SteeredOne {
    SteeredOne {
        id,
        changed: false,
        state: None,
        reason: None,
        problem: Some(error.into()),
    }
}
