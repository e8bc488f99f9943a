//! The directories that may be named over TCP.

use std::io;
use std::path::{Component, Path, PathBuf};

use axum::http::StatusCode;

use crate::Problem;

/// Directories as they really are; none means anywhere.
#[derive(Debug)]
pub(crate) struct Roots(Vec<PathBuf>);

impl Roots {
    pub(crate) fn new(roots: &[PathBuf]) -> io::Result<Self> {
        let real = |root: &PathBuf| {
            let named = |error: io::Error| {
                io::Error::new(error.kind(), format!("{}: {error}", root.display()))
            };
            let real = std::fs::canonicalize(root).map_err(named)?;
            match real.is_dir() {
                true => Ok(real),
                false => Err(named(io::ErrorKind::NotADirectory.into())),
            }
        };
        let roots: io::Result<_> = roots.iter().map(real).collect();
        Ok(Self(roots?))
    }

    /// Looks at the disk; fails for what is outside, also by a link.
    pub(crate) fn check(&self, path: &Path) -> Result<(), Problem> {
        let refused = |why: &str| {
            let detail = format!("{}: {why}", path.display());
            Err(Problem::new(StatusCode::FORBIDDEN, "OutsideRoots", detail))
        };
        if !path.is_absolute() {
            return refused("over TCP paths are absolute");
        }
        let Some(real) = real(path) else {
            return refused("'..' is not followed");
        };
        if self.0.is_empty() || self.0.iter().any(|root| real.starts_with(root)) {
            return Ok(());
        }
        refused("it is in none of the directories that the service allows (--root)")
    }

    /// What leads from a directory towards a root, and begins like this.
    pub(crate) fn leading_through(&self, dir: &Path, begin: &str) -> Vec<(String, bool)> {
        let next = |root: &PathBuf| {
            let step = root.strip_prefix(dir).ok()?.components().next()?;
            let step = step.as_os_str().to_str()?;
            let path = dir.join(step).into_os_string().into_string().ok()?;
            step.starts_with(begin).then_some((path, true))
        };
        let mut next: Vec<_> = self.0.iter().filter_map(next).collect();
        next.sort();
        next.dedup();
        next
    }
}

/// The path with its links followed as far as it exists; `None` where it goes
/// up again.
pub(crate) fn real(path: &Path) -> Option<PathBuf> {
    if path.components().any(|part| part == Component::ParentDir) {
        return None;
    }
    for there in path.ancestors() {
        if let Ok(real) = std::fs::canonicalize(there) {
            let rest = path.strip_prefix(there).ok()?;
            return Some(real.join(rest));
        }
        // What cannot be followed is no way in: a link to nothing, for one.
        if there.is_symlink() {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s13_a_path_outside_the_roots_is_refused_whatever_it_looks_like() {
        let dir = tempfile::tempdir().unwrap();
        let base = std::fs::canonicalize(dir.path()).unwrap();
        for name in ["in/deep", "inside-out", "out"] {
            std::fs::create_dir_all(base.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(base.join("out"), base.join("in/link")).unwrap();
        std::os::unix::fs::symlink(base.join("nothing"), base.join("in/dangling")).unwrap();
        let roots = Roots::new(&[base.join("in")]).unwrap();
        for fine in ["in", "in/deep/file", "in/new/deeper/file", "in/./deep"] {
            roots.check(&base.join(fine)).unwrap();
        }
        for outside in [
            "out/file",
            "inside-out/file",
            "in/../out/file",
            "in/link/file",
            "in/dangling",
            "in/dangling/file",
        ] {
            let refused = roots.check(&base.join(outside)).unwrap_err();
            assert_eq!(refused.code, "OutsideRoots", "{outside}");
        }
        roots.check(Path::new("in/deep")).unwrap_err();
        let anywhere = Roots::new(&[]).unwrap();
        anywhere.check(&base.join("out/file")).unwrap();
        anywhere.check(Path::new("relative")).unwrap_err();
        Roots::new(&[base.join("missing")]).unwrap_err();
    }
}
