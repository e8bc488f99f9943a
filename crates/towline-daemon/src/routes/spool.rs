//! Files that a browser sends.

use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use tokio::io::AsyncWriteExt as _;

use super::{App, bad};
use crate::Problem;
use crate::api::{Spool, Spooled};
use crate::spool::{self, KEPT_FOR};

/// How long nothing of a file may come.
const SILENCE: Duration = Duration::from_secs(30);

/// Keep a file until it is uploaded
///
/// The body is the file. A submit names the path that is given as its source, and from then on it
/// survives power loss. The file is removed when that transfer is completed, canceled or removed;
/// when nothing was submitted within an hour, or before the service was started again.
#[utoipa::path(
    put,
    path = "/v1/spool",
    tag = "transfers",
    params(Spool),
    request_body(content_type = "application/octet-stream", content = Vec<u8>),
    responses((status = 200, body = Spooled)),
)]
pub(super) async fn put(
    State(app): State<App>,
    query: Result<Query<Spool>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Spooled>, Problem> {
    let Query(Spool { name }) = query.map_err(|rejection| bad(rejection.body_text()))?;
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let length: u64 = length.ok_or_else(|| {
        let detail = "the length of the file has to be told first";
        Problem::new(StatusCode::LENGTH_REQUIRED, "NoLength", detail)
    })?;
    let coming = app.spool.make_room(&name, length)?;
    let bytes = receive(&coming.path, body).await?;
    if bytes != length {
        return Err(bad(format!("{bytes} of {length} bytes came")));
    }
    let path = coming.path.clone();
    coming.keep();
    Ok(Json(Spooled {
        // Made of the state directory, and hexadecimal digits.
        path: path.to_string_lossy().into_owned(),
        bytes,
        expires_in: KEPT_FOR.as_secs(),
    }))
}

/// Writes a body to a new file, durably, as it comes.
async fn receive(path: &Path, mut body: Body) -> Result<u64, Problem> {
    let mut file = create(path).await.map_err(spool::failed)?;
    let mut bytes = 0;
    loop {
        let frame = tokio::time::timeout(SILENCE, body.frame()).await;
        let frame = frame.map_err(|_| {
            let detail = "nothing of the file came for too long";
            Problem::new(StatusCode::REQUEST_TIMEOUT, "TooSlow", detail)
        })?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|_| bad("the file was cut off"))?;
        if let Some(piece) = frame.data_ref() {
            file.write_all(piece).await.map_err(spool::failed)?;
            bytes += piece.len() as u64;
        }
    }
    let durable = async {
        file.sync_all().await?;
        // Its name, and that of the spool, which may be new.
        for dir in path.ancestors().skip(1).take(2) {
            tokio::fs::File::open(dir).await?.sync_all().await?;
        }
        Ok(())
    };
    durable.await.map_err(spool::failed)?;
    Ok(bytes)
}

/// A new file for this user alone, whatever the umask.
async fn create(path: &Path) -> io::Result<tokio::fs::File> {
    let path = path.to_owned();
    let create = move || {
        if let Some(dir) = path.parent() {
            let mut builder = std::fs::DirBuilder::new();
            builder.recursive(true).mode(0o700).create(dir)?;
        }
        let mut open = std::fs::OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
        let file = open.write(true).create_new(true).open(&path)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        Ok(file)
    };
    let file = tokio::task::spawn_blocking(create).await;
    file.map_err(io::Error::other)?
        .map(tokio::fs::File::from_std)
}
