//! `awsconfiguration.json`, the file that mobile apps with AWS's SDKs ship.

use std::path::Path;

use serde_json::Value;
use towline_core::Addressing;

use super::{SettingsError, read};
use crate::Builder;
use crate::builder::Pool;

/// The storage emulator of AWS's mobile tools.
const EMULATOR: &str = "http://localhost:20005";

impl Builder {
    /// A builder with the settings of an `awsconfiguration.json`: bucket and
    /// region of a section of `S3TransferUtility` (usually `Default`), and the
    /// identity pool of `CredentialsProvider.CognitoIdentity`, where there is
    /// one, as a guest of it. The pool needs the feature `cognito`, unless other
    /// credentials or another connection are set on the builder afterwards.
    ///
    /// ```json
    /// {
    ///   "CredentialsProvider": { "CognitoIdentity": { "Default": {
    ///     "PoolId": "us-east-1:00000000-0000-0000-0000-000000000000", "Region": "us-east-1" } } },
    ///   "S3TransferUtility": { "Default": { "Bucket": "my-bucket", "Region": "us-east-1" } }
    /// }
    /// ```
    ///
    /// `DangerouslyConnectToHTTPEndpointForTesting` in the section of
    /// `S3TransferUtility` leads to a local emulator instead: plain HTTP to
    /// `localhost:20005`, the bucket in the path.
    pub fn from_aws_configuration(text: &str, section: &str) -> Result<Self, SettingsError> {
        let json: Value = serde_json::from_str(text).map_err(|error| SettingsError::Malformed {
            place: "awsconfiguration.json".to_owned(),
            line: error.line(),
            why: match error.classify() {
                serde_json::error::Category::Eof => "it ends too early".to_owned(),
                _ => format!("not JSON at column {}", error.column()),
            },
        })?;
        let storage = Section::find(&json, &["S3TransferUtility", section])?;
        let mut builder = Self::new();
        builder.default_bucket = Some(storage.text("Bucket")?);
        builder.connection.region = Some(storage.text("Region")?);
        if storage.flag("DangerouslyConnectToHTTPEndpointForTesting")? {
            builder.connection.endpoint = Some(EMULATOR.to_owned());
            builder.connection.addressing = Addressing::Path;
        }
        if json
            .pointer("/CredentialsProvider/CognitoIdentity")
            .is_some()
        {
            let names = ["CredentialsProvider", "CognitoIdentity", section];
            // One pool may serve all sections.
            let pool = Section::find(&json, &names).or_else(|error| {
                Section::find(&json, &[names[0], names[1], "Default"]).map_err(|_| error)
            })?;
            builder.pool = Some(Pool {
                id: pool.text("PoolId")?,
                region: pool.text("Region")?,
            });
        }
        Ok(builder)
    }

    /// As [`from_aws_configuration`](Self::from_aws_configuration), from a file.
    pub fn from_aws_configuration_file(
        path: impl AsRef<Path>,
        section: &str,
    ) -> Result<Self, SettingsError> {
        Self::from_aws_configuration(&read(path.as_ref())?, section)
    }
}

/// An object of the file, with the names that lead to it.
struct Section<'a> {
    name: String,
    object: &'a Value,
}

impl<'a> Section<'a> {
    fn find(json: &'a Value, names: &[&str]) -> Result<Self, SettingsError> {
        let found = names.iter().try_fold(json, |object, name| object.get(name));
        let name = names.join(".");
        match found.filter(|object| object.is_object()) {
            Some(object) => Ok(Self { name, object }),
            None => Err(SettingsError::NoSection { section: name }),
        }
    }

    fn text(&self, key: &'static str) -> Result<String, SettingsError> {
        let text = self.object.get(key).and_then(Value::as_str);
        let text = text.filter(|text| !text.is_empty());
        text.map(str::to_owned).ok_or_else(|| self.lacks(key))
    }

    fn flag(&self, key: &'static str) -> Result<bool, SettingsError> {
        match self.object.get(key) {
            None => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| self.lacks(key)),
        }
    }

    fn lacks(&self, key: &'static str) -> SettingsError {
        SettingsError::NoKey {
            section: self.name.clone(),
            key,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{
        "UserAgent": "aws-amplify-cli/0.1.0", "Version": "1.0",
        "CredentialsProvider": { "CognitoIdentity": { "Default": {
            "PoolId": "eu-west-1:5a4f", "Region": "eu-west-1" } } },
        "S3TransferUtility": {
            "Default": { "Bucket": "photos", "Region": "eu-west-2" },
            "Local": { "Bucket": "photos", "Region": "us-east-1",
                "DangerouslyConnectToHTTPEndpointForTesting": true } }
    }"#;

    #[test]
    fn bucket_region_and_pool_are_taken() {
        let builder = Builder::from_aws_configuration(FILE, "Default").unwrap();
        assert_eq!(builder.default_bucket.as_deref(), Some("photos"));
        assert_eq!(builder.connection.region.as_deref(), Some("eu-west-2"));
        assert_eq!(builder.connection.endpoint, None);
        let pool = builder.pool.unwrap();
        assert_eq!(
            (pool.id.as_str(), pool.region.as_str()),
            ("eu-west-1:5a4f", "eu-west-1")
        );
    }

    #[test]
    fn the_flag_for_testing_leads_to_the_emulator() {
        let builder = Builder::from_aws_configuration(FILE, "Local").unwrap();
        assert_eq!(builder.connection.endpoint.as_deref(), Some(EMULATOR));
        assert_eq!(builder.connection.addressing, Addressing::Path);
    }

    #[test]
    fn what_is_missing_is_named() {
        for (from, to, section, says) in [
            ("", "", "Other", "S3TransferUtility.Other"),
            (
                "S3TransferUtility",
                "Storage",
                "Default",
                "S3TransferUtility.Default",
            ),
            (
                "\"Bucket\"",
                "\"bucket\"",
                "Default",
                "Bucket in S3TransferUtility.Default",
            ),
            (
                "\"eu-west-2\"",
                "7",
                "Default",
                "Region in S3TransferUtility.Default",
            ),
            (
                "\"PoolId\"",
                "\"Pool\"",
                "Default",
                "PoolId in CredentialsProvider.CognitoIdentity",
            ),
            (
                ": true",
                ": 1",
                "Local",
                "DangerouslyConnectToHTTPEndpointForTesting",
            ),
            ("}", "", "Default", "line"),
        ] {
            let text = FILE.replace(from, to);
            let error = Builder::from_aws_configuration(&text, section).unwrap_err();
            assert!(error.to_string().contains(says), "{says}: {error}");
        }
    }
}
