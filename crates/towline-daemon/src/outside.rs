//! What may be asked for over TCP, where a token is all that is known of who
//! asks: profiles by their names, and files within the roots.

use std::path::Path;

use axum::http::StatusCode;
use towline::{
    Connection, ConnectionSource, Direction, GroupRequest, KeyReference, TransferRequest,
};

use crate::Problem;
use crate::routes::App;

/// Refuses requests that name an endpoint, or a file outside the roots.
pub(crate) async fn check(requests: &[TransferRequest], app: &App) -> Result<(), Problem> {
    for request in requests {
        check_connection(request.connection.as_ref())?;
        check_key(request.options.access.customer_key.as_ref())?;
    }
    let paths: Vec<_> = requests
        .iter()
        .map(|request| (request.direction, request.path.clone()))
        .collect();
    let (roots, spool) = (app.roots.clone(), app.spool.clone());
    let state_dir = app.state_dir.clone();
    let check = move || {
        let mut paths = paths.iter();
        paths.try_for_each(|(direction, path)| {
            if *direction == Direction::Copy {
                return Ok(()); // its path is an S3 URL
            }
            let spooled = spool.holds(path);
            if spooled && *direction == Direction::Upload {
                return Ok(());
            }
            if is_within(path, &state_dir) {
                let detail = format!("{} is where the service keeps its state", path.display());
                return Err(forbidden("OutsideRoots", &detail));
            }
            roots.check(path)
        })
    };
    let checked = tokio::task::spawn_blocking(check).await;
    checked.unwrap_or_else(|_| Err(forbidden("OutsideRoots", "a path could not be looked at")))
}

/// The same of a group. What is below its directory is read or written without
/// being asked for by name, so the state is not below it either.
pub(crate) async fn check_group(request: &GroupRequest, app: &App) -> Result<(), Problem> {
    check_connection(request.connection.as_ref())?;
    check_key(request.options.access.customer_key.as_ref())?;
    if request.direction == Direction::Copy {
        return Ok(()); // its path is an S3 URL
    }
    let (dir, roots) = (request.path.clone(), app.roots.clone());
    let state_dir = app.state_dir.clone();
    let check = move || {
        if is_within(&dir, &state_dir) || is_within(&state_dir, &dir) {
            let detail = format!(
                "{}: the service keeps its state there, or below it",
                dir.display()
            );
            return Err(forbidden("OutsideRoots", &detail));
        }
        roots.check(&dir)
    };
    let checked = tokio::task::spawn_blocking(check).await;
    checked.unwrap_or_else(|_| Err(forbidden("OutsideRoots", "a path could not be looked at")))
}

fn check_connection(connection: Option<&Connection>) -> Result<(), Problem> {
    let Some(connection) = connection else {
        return Ok(());
    };
    let named = Connection {
        source: connection.source.clone(),
        ..Connection::default()
    };
    match &connection.source {
        ConnectionSource::Profile(_) if *connection == named => Ok(()),
        _ => {
            let detail = "over TCP a connection is a profile by its name, and nothing else: \
                endpoints and credentials come from the service's own files";
            Err(forbidden("ProfilesOnly", detail))
        }
    }
}

/// A key in a file or variable would let a guess at their content be checked.
fn check_key(key: Option<&KeyReference>) -> Result<(), Problem> {
    match key {
        None | Some(KeyReference::Registered(_)) => Ok(()),
        Some(_) => {
            let detail = "over TCP no file or variable is taken for a key";
            Err(forbidden("SocketOnly", detail))
        }
    }
}

/// Links that lead into it count.
fn is_within(path: &Path, dir: &Path) -> bool {
    let dir = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    crate::roots::real(path).is_some_and(|path| path.starts_with(&dir))
}

fn forbidden(code: &str, detail: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, code, detail)
}
