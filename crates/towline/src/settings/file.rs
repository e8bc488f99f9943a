//! The configuration file: TOML, each key documented at
//! [`Builder::from_toml_file`].

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use towline_core::{Addressing, ConnectionSource};

use super::{SettingsError, read};
use crate::Builder;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    state_dir: Option<PathBuf>,
    bucket: Option<String>,
    endpoint: Option<String>,
    region: Option<String>,
    profile: Option<String>,
    addressing: Option<Addressing>,
    accelerate: Option<bool>,
    requests: Option<NonZeroUsize>,
    parts_per_transfer: Option<NonZeroUsize>,
    retry_limit: Option<u32>,
    service_check_interval_s: Option<NonZeroU64>,
    stall_timeout_s: Option<NonZeroU64>,
    progress_interval_ms: Option<NonZeroU64>,
    minimum_upload_part_size_mb: Option<u64>,
}

impl Builder {
    /// A builder with the settings of a TOML file. Each key may be left out;
    /// one that is not in this table is an error that names it and its line.
    ///
    /// | key | is | default |
    /// |---|---|---|
    /// | `state_dir` | [directory of the state](Self::state_dir); relative ones are beside the file | the XDG state directory |
    /// | `bucket` | [bucket](Self::default_bucket) of requests that name none | none |
    /// | `endpoint` | URL of a store that is not AWS | AWS |
    /// | `region` | region to sign for | by environment and files, else `us-east-1` |
    /// | `profile` | profile of AWS's files with the credentials | by environment and files |
    /// | `addressing` | `"auto"`, `"path"` or `"virtual"` | `"auto"` |
    /// | `accelerate` | AWS's transfer acceleration | `false` |
    /// | `requests` | requests at one time, over all transfers; 1 or more | automatic, see [`Config::requests`](crate::Config::requests) |
    /// | `parts_per_transfer` | parts of one transfer at one time; 1 or more | automatic, 5 at first |
    /// | `retry_limit` | failures in a row that are forgiven; 0 is one attempt | 8 |
    /// | `service_check_interval_s` | seconds until parked transfers are looked at again | 60 |
    /// | `stall_timeout_s` | seconds in which an attempt must move 1 KiB | 20 |
    /// | `progress_interval_ms` | milliseconds between two reports of progress | 100 |
    /// | `minimum_upload_part_size_mb` | [least size of a part](Self::minimum_upload_part_size_mb) in MiB, clamped to 5..=5,120 | 5 |
    ///
    /// ```toml
    /// state_dir = "/var/lib/my-app/towline"
    /// bucket = "my-bucket"
    /// region = "eu-west-1"
    /// requests = 8
    /// ```
    pub fn from_toml_file(path: impl AsRef<Path>) -> Result<Self, SettingsError> {
        let path = path.as_ref();
        let text = read(path)?;
        let file: File = toml::from_str(&text).map_err(|error| malformed(path, &text, &error))?;
        Ok(file.into_builder(path.parent().unwrap_or(Path::new(""))))
    }
}

impl File {
    fn into_builder(self, beside: &Path) -> Builder {
        let mut builder = Builder::new();
        builder.state_dir = self.state_dir.map(|dir| beside.join(dir));
        builder.default_bucket = self.bucket;
        let connection = &mut builder.connection;
        connection.endpoint = self.endpoint;
        connection.region = self.region;
        connection.addressing = self.addressing.unwrap_or_default();
        connection.accelerate = self.accelerate.unwrap_or_default();
        if let Some(profile) = self.profile {
            connection.source = ConnectionSource::Profile(profile);
        }
        let config = &mut builder.config;
        let number = |value: Option<NonZeroUsize>| value.map(NonZeroUsize::get);
        config.requests = number(self.requests).or(config.requests);
        config.parts_per_transfer = number(self.parts_per_transfer).or(config.parts_per_transfer);
        config.retry_limit = self.retry_limit.unwrap_or(config.retry_limit);
        let time = |slot: &mut Duration, value: Option<NonZeroU64>, unit: fn(u64) -> Duration| {
            *slot = value.map_or(*slot, |value| unit(value.get()));
        };
        let check = &mut config.service_check_interval;
        time(check, self.service_check_interval_s, Duration::from_secs);
        let stall = &mut config.stall_timeout;
        time(stall, self.stall_timeout_s, Duration::from_secs);
        let progress = &mut config.progress_interval;
        time(progress, self.progress_interval_ms, Duration::from_millis);
        match self.minimum_upload_part_size_mb {
            Some(mb) => builder.minimum_upload_part_size_mb(mb),
            None => builder,
        }
    }
}

/// Says where, and of which key; of the text itself nothing else is shown.
fn malformed(path: &Path, text: &str, error: &toml::de::Error) -> SettingsError {
    let at = error.span().map_or(0, |span| span.start);
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count();
    let key = text.lines().nth(line).and_then(|line| line.split_once('='));
    let why = match key.map(|(key, _)| key.trim()) {
        Some(key) if !key.is_empty() && !error.message().contains(&format!("`{key}`")) => {
            format!("{key}: {}", error.message())
        }
        _ => error.message().to_owned(),
    };
    SettingsError::Malformed {
        place: path.display().to_string(),
        line: line + 1,
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Builder, SettingsError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("towline.toml");
        std::fs::write(&path, text).unwrap();
        Builder::from_toml_file(&path)
    }

    #[test]
    fn every_key_reaches_its_setting() {
        let builder = read(
            "state_dir = \"state\"\nbucket = \"b-1\"\nendpoint = \"http://localhost:9000\"\n\
             region = \"eu-west-1\"\nprofile = \"work\"\naddressing = \"path\"\naccelerate = true\n\
             requests = 3\nparts_per_transfer = 2\nretry_limit = 0\nservice_check_interval_s = 5\n\
             stall_timeout_s = 6\nprogress_interval_ms = 7\nminimum_upload_part_size_mb = 3\n",
        )
        .unwrap();
        assert!(builder.state_dir.unwrap().ends_with("state"));
        assert_eq!(builder.default_bucket.as_deref(), Some("b-1"));
        let connection = builder.connection;
        assert_eq!(connection.source, ConnectionSource::Profile("work".into()));
        assert_eq!(
            connection.endpoint.as_deref(),
            Some("http://localhost:9000")
        );
        assert_eq!(connection.region.as_deref(), Some("eu-west-1"));
        assert_eq!(connection.addressing, Addressing::Path);
        assert!(connection.accelerate);
        let config = builder.config;
        assert_eq!(
            (config.requests, config.parts_per_transfer),
            (Some(3), Some(2))
        );
        assert_eq!(config.retry_limit, 0);
        assert_eq!(config.service_check_interval, Duration::from_secs(5));
        assert_eq!(config.stall_timeout, Duration::from_secs(6));
        assert_eq!(config.progress_interval, Duration::from_millis(7));
        assert_eq!(config.minimum_part_size.unwrap().bytes(), 5 << 20);
    }

    #[test]
    fn an_empty_file_changes_nothing() {
        let builder = read("# nothing\n").unwrap();
        assert_eq!(builder.state_dir, None);
        assert_eq!(builder.config.retry_limit, 8);
    }

    #[test]
    fn mistakes_are_told_with_their_line_and_key() {
        for (text, line, says) in [
            ("bucket = \"b\"\n\nbuckett = \"c\"\n", 3, "buckett"),
            ("retry_limit = 1\nrequests = 0\n", 2, "requests: "),
            ("stall_timeout_s = \"soon\"\n", 1, "stall_timeout_s: "),
            ("retry_limit = -1\n", 1, "retry_limit: "),
            ("addressing = \"sideways\"\n", 1, "sideways"),
            ("bucket = \n", 1, "bucket"),
            ("region = \"a\"\nregion = \"b\"\n", 2, "region"),
        ] {
            match read(text).unwrap_err() {
                SettingsError::Malformed { line: at, why, .. } => {
                    assert_eq!(at, line, "{text}: {why}");
                    assert!(why.contains(says), "{text}: {why}");
                }
                other => panic!("{other:?}"),
            }
        }
        let error = Builder::from_toml_file("/no/such/file.toml").unwrap_err();
        assert_eq!(error.code(), "SettingsUnreadable");
    }
}
