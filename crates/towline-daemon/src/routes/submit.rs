//! Submitting.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::{Extension, Json};
use towline::{Credentials, Error};

use super::{App, bad_json};
use crate::api::{Seen, Submit, Submitted};
use crate::guard::Via;
use crate::{Problem, outside};

/// Submit transfers
///
/// All or none. When this is answered they survive power loss. A request that is there already,
/// unfinished, is the same transfer; `token` makes that so for finished ones too.
#[utoipa::path(
    post,
    path = "/v1/transfers",
    tag = "transfers",
    request_body = Submit,
    responses((status = 200, body = Submitted)),
)]
pub(super) async fn submit(
    State(app): State<App>,
    Extension(via): Extension<Via>,
    body: Result<Json<Submit>, JsonRejection>,
) -> Result<Json<Submitted>, Problem> {
    let Json(body) = body.map_err(bad_json)?;
    via.refuse_credentials(body.credentials.is_some())?;
    if via.is_tcp() {
        outside::check(&body.requests, &app).await?;
    }
    // A client that goes away does not undo half of what it asked for.
    let done = tokio::spawn(async move { record(&app, &via, body).await }).await;
    done.map_err(|_| Problem::from(Error::Closed))?.map(Json)
}

async fn record(app: &App, via: &Via, body: Submit) -> Result<Submitted, Problem> {
    let utility = &app.utility;
    let (_, cursor) = utility.changes(None, 0).await?;
    let credentials = body.credentials.as_ref().map(Credentials::from);
    let claimed = app.spool.claim(&body.requests)?;
    let transfers = match via.is_tcp() {
        true => utility.submit_and_see(body.requests).await,
        // Their connections were resolved where they come from.
        false => {
            utility
                .submit_for(body.requests, credentials.as_ref())
                .await
        }
    };
    let transfers = transfers?;
    claimed.are_submitted(utility, &transfers).await;
    let transfers = transfers.into_iter().map(Seen::from).collect();
    Ok(Submitted { transfers, cursor })
}
