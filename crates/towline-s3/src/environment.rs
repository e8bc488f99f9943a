//! What the process was started with: `AWS_*`, proxies, the home directory.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Environment variables and home directory, read once so that a process sees
/// one state of them and tests can give their own.
#[derive(Clone, Default)]
pub struct Environment {
    vars: HashMap<String, String>,
    home: Option<PathBuf>,
    #[cfg(feature = "aws-config")]
    of_process: bool,
}

impl Environment {
    /// The variables and home directory of this process. Variables that are not
    /// UTF-8 are left out.
    pub fn of_process() -> Self {
        let vars: HashMap<_, _> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let home = std::env::home_dir();
        Self {
            vars,
            home,
            #[cfg(feature = "aws-config")]
            of_process: true,
        }
    }

    /// The given variables and home directory, nothing of the process.
    pub fn new<N: Into<String>, V: Into<String>>(
        vars: impl IntoIterator<Item = (N, V)>,
        home: Option<PathBuf>,
    ) -> Self {
        let vars = vars
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Self {
            vars,
            home,
            #[cfg(feature = "aws-config")]
            of_process: false,
        }
    }

    /// Whether it is what the process has, as AWS's own chain reads it.
    #[cfg(feature = "aws-config")]
    pub(crate) fn is_of_process(&self) -> bool {
        self.of_process
    }

    /// A variable that is set and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.vars
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The first of these that is set and not empty.
    pub(crate) fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name))
    }

    /// A path, with a leading `~/` replaced.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), &self.home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(path),
        }
    }

    /// A file below the home directory.
    pub(crate) fn in_home(&self, path: impl AsRef<Path>) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join(path))
    }
}

impl fmt::Debug for Environment {
    /// The names alone: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<_> = self.vars.keys().collect();
        names.sort();
        f.debug_struct("Environment")
            .field("vars", &names)
            .field("home", &self.home)
            .finish()
    }
}
