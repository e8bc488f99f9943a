//! What is on the service's machine: profiles, and files to choose from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use tokio::sync::Semaphore;

use super::{App, bad};
use crate::Problem;
use crate::api::{PathSeen, Paths, Profiles, Under};
use crate::roots::Roots;

/// The most paths of an answer.
const PATHS_MAX: usize = 200;
/// The most entries of a directory that are looked at.
const LOOKED_AT_MAX: usize = 20_000;
/// How long a disk may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Directories that are read at one time: a dead disk holds no more threads.
static READING: Semaphore = Semaphore::const_new(4);

/// List the profiles
///
/// By name; what they hold is not told.
#[utoipa::path(
    get,
    path = "/v1/profiles",
    tag = "service",
    responses((status = 200, body = Profiles)),
)]
pub(super) async fn profiles(State(app): State<App>) -> Result<Json<Profiles>, Problem> {
    let profiles = app.utility.profiles()?;
    Ok(Json(Profiles { profiles }))
}

/// Complete a path
///
/// Of the service's machine, within the directories that it allows. Names that are not UTF-8 are
/// left out.
#[utoipa::path(
    get,
    path = "/v1/paths",
    tag = "service",
    params(Under),
    responses((status = 200, body = Paths)),
)]
pub(super) async fn paths(
    State(app): State<App>,
    under: Result<Query<Under>, QueryRejection>,
) -> Result<Json<Paths>, Problem> {
    let Query(Under { under }) = under.map_err(|rejection| bad(rejection.body_text()))?;
    if under.contains('\0') {
        return Err(bad("a path has no NUL"));
    }
    let reading = READING.try_acquire().map_err(|_| {
        let detail = "other directories are still being read; try again in a moment";
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "TooMany", detail)
    })?;
    let roots = app.roots.clone();
    let read = tokio::task::spawn_blocking(move || {
        let _reading = reading;
        complete(&roots, &under)
    });
    match tokio::time::timeout(PATIENCE, read).await {
        Ok(Ok(read)) => read.map(Json),
        _ => {
            let detail = "the disk takes too long";
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Err(Problem::new(status, "TooSlow", detail))
        }
    }
}

fn complete(roots: &Roots, under: &str) -> Result<Paths, Problem> {
    let (dir, begin) = match under.rsplit_once('/') {
        Some((dir, begin)) => (PathBuf::from(format!("{dir}/")), begin),
        None => return Err(bad("the path is to be absolute")),
    };
    // On the way down to a root only what leads there is shown.
    let mut paths = roots.leading_through(&dir, begin);
    let mut more = false;
    if let Err(outside) = roots.check(&dir) {
        if paths.is_empty() {
            return Err(outside);
        }
    } else {
        (paths, more) = read(&dir, begin).map_err(|error| {
            let detail = format!("{}: {error}", dir.display());
            Problem::new(StatusCode::NOT_FOUND, "NoDirectory", detail)
        })?;
    }
    let paths = paths.into_iter().map(|(path, directory)| PathSeen {
        path: if directory { path + "/" } else { path },
        directory,
    });
    Ok(Paths {
        paths: paths.collect(),
        more,
    })
}

type Entries = Vec<(String, bool)>;

fn read(dir: &Path, begin: &str) -> std::io::Result<(Entries, bool)> {
    let mut found = Vec::new();
    let mut looked_at = 0;
    for entry in std::fs::read_dir(dir)? {
        looked_at += 1;
        if looked_at > LOOKED_AT_MAX {
            break;
        }
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        // Hidden ones show when their dot is asked for.
        let hidden = name.starts_with('.') && !begin.starts_with('.');
        if !name.starts_with(begin) || hidden {
            continue;
        }
        let path = dir.join(name);
        let Ok(path) = path.into_os_string().into_string() else {
            continue;
        };
        found.push((path, entry));
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    let more = found.len() > PATHS_MAX || looked_at > LOOKED_AT_MAX;
    found.truncate(PATHS_MAX);
    let found = found.into_iter().map(|(path, _)| {
        let directory = std::fs::metadata(&path).is_ok_and(|found| found.is_dir());
        (path, directory)
    });
    Ok((found.collect(), more))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(paths: &Paths, base: &Path) -> Vec<String> {
        let base = format!("{}/", base.display());
        let paths = paths.paths.iter().map(|it| it.path.replace(&base, ""));
        paths.collect()
    }

    #[test]
    fn paths_are_completed_within_the_roots_and_on_the_way_to_them() {
        let dir = tempfile::tempdir().unwrap();
        let base = std::fs::canonicalize(dir.path()).unwrap();
        std::fs::create_dir_all(base.join("data/in")).unwrap();
        std::fs::create_dir_all(base.join("private")).unwrap();
        for file in ["data/a.txt", "data/.hidden", "data/ab", "private/secret"] {
            std::fs::write(base.join(file), "").unwrap();
        }
        let anywhere = Roots::new(&[]).unwrap();
        let under = |text: &str| format!("{}/{text}", base.display());
        let found = complete(&anywhere, &under("data/")).unwrap();
        assert_eq!(names(&found, &base), ["data/a.txt", "data/ab", "data/in/"]);
        let found = complete(&anywhere, &under("data/.")).unwrap();
        assert_eq!(names(&found, &base), ["data/.hidden"]);
        let roots = Roots::new(&[base.join("data")]).unwrap();
        assert_eq!(
            names(&complete(&roots, &under("")).unwrap(), &base),
            ["data/"]
        );
        assert_eq!(
            names(&complete(&roots, &under("data/a")).unwrap(), &base).len(),
            2
        );
        for outside in ["private/", "private/s", "data/../private/", "x"] {
            complete(&roots, &under(outside)).unwrap_err();
        }
        complete(&anywhere, "relative").unwrap_err();
        complete(&anywhere, &under("nothing/")).unwrap_err();
    }

    #[test]
    fn a_huge_directory_gives_a_page() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..PATHS_MAX + 1 {
            std::fs::write(dir.path().join(n.to_string()), "").unwrap();
        }
        let under = format!("{}/", dir.path().display());
        let found = complete(&Roots::new(&[]).unwrap(), &under).unwrap();
        assert_eq!((found.paths.len(), found.more), (PATHS_MAX, true));
    }
}
