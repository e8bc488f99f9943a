//! Submitting.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use towline::{Credentials, Error, TransferUtility};

use super::{App, bad};
use crate::Problem;
use crate::api::{Seen, Submit, Submitted};

pub(super) async fn submit(
    State(app): State<App>,
    body: Result<Json<Submit>, JsonRejection>,
) -> Result<Json<Submitted>, Problem> {
    let Json(body) = body.map_err(|rejection| bad(rejection.body_text()))?;
    // A client that goes away does not undo half of what it asked for.
    let done = tokio::spawn(async move { record(&app.utility, body).await }).await;
    let done = done.map_err(|_| Problem::from(Error::Closed))?;
    Ok(Json(done?))
}

async fn record(utility: &TransferUtility, body: Submit) -> Result<Submitted, Error> {
    let (_, cursor) = utility.changes(None, 0).await?;
    let credentials = body.credentials.as_ref().map(Credentials::from);
    let transfers = utility
        .submit_for(body.requests, credentials.as_ref())
        .await?;
    let transfers = transfers.into_iter().map(Seen::from).collect();
    Ok(Submitted { transfers, cursor })
}
