//! What a bucket's lifecycle does to uploads that are paused for long.

use std::sync::Arc;

use towline_core::Operation;
use towline_s3::{LifecycleRule, S3Client};

use crate::{Error, TransferUtility};

/// A bucket's rules about multipart uploads that are not completed.
///
/// S3 aborts such an upload the given number of days after it was *opened*,
/// however lately its parts were sent. A transfer that stays paused for longer
/// starts again from zero when it is resumed.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpu-abort-incomplete-mpu-lifecycle-config.html>
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LifecycleCheck {
    /// The rules in force that abort open uploads; empty where uploads that
    /// nobody completes stay, and are paid for, until they are aborted by hand
    /// ([`TransferUtility::leftovers`]).
    pub rules: Vec<AbortRule>,
}

/// A rule that aborts multipart uploads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AbortRule {
    /// Its name, if it has one.
    pub id: Option<String>,
    /// Uploads of keys that start with this; all when empty.
    pub prefix: String,
    /// So many days after they were opened.
    pub days: u32,
}

impl LifecycleCheck {
    /// After how many days S3 aborts an upload of this key; `None`: never.
    pub fn days_for(&self, key: &str) -> Option<u32> {
        let about = self
            .rules
            .iter()
            .filter(|rule| key.starts_with(&rule.prefix));
        about.map(|rule| rule.days).min()
    }

    /// The rule that the bucket should have, where no rule covers all its keys:
    /// leftovers go after 7 days. As JSON for `aws s3api
    /// put-bucket-lifecycle-configuration --lifecycle-configuration`, which
    /// replaces all rules: add those that are there already.
    pub fn recommended_json(&self) -> Option<&'static str> {
        self.lacks_rule().then_some(RECOMMENDED_JSON)
    }

    /// The same as the XML of PutBucketLifecycleConfiguration.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html>
    pub fn recommended_xml(&self) -> Option<&'static str> {
        self.lacks_rule().then_some(RECOMMENDED_XML)
    }

    fn lacks_rule(&self) -> bool {
        !self.rules.iter().any(|rule| rule.prefix.is_empty())
    }
}

const RECOMMENDED_JSON: &str = r#"{"Rules":[{"ID":"abort-incomplete-uploads","Status":"Enabled","Filter":{"Prefix":""},"AbortIncompleteMultipartUpload":{"DaysAfterInitiation":7}}]}"#;

const RECOMMENDED_XML: &str = "<LifecycleConfiguration \
    xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule><ID>abort-incomplete-uploads</ID>\
    <Filter><Prefix></Prefix></Filter><Status>Enabled</Status><AbortIncompleteMultipartUpload>\
    <DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>\
    </LifecycleConfiguration>";

impl TransferUtility {
    /// Whether the bucket aborts multipart uploads that stay open, and when.
    /// An empty `bucket` is the default bucket. Changes nothing; needs the
    /// permission `s3:GetLifecycleConfiguration`.
    pub async fn check_lifecycle(&self, bucket: &str) -> Result<LifecycleCheck, Error> {
        let place = self.place(bucket, None)?;
        let asker = self.asker(&place)?;
        let bucket = Arc::new(place.bucket);
        let send = move |s3: Arc<S3Client>| {
            let bucket = bucket.clone();
            async move { s3.get_bucket_lifecycle(&bucket).await }
        };
        let operation = Operation::GetBucketLifecycleConfiguration;
        Ok(LifecycleCheck::of(asker.ask(operation, send).await?))
    }
}

impl LifecycleCheck {
    pub(crate) fn of(rules: Vec<LifecycleRule>) -> Self {
        let aborting = rules.into_iter().filter(|rule| rule.enabled);
        let aborting = aborting.filter_map(|rule| {
            Some(AbortRule {
                days: rule.abort_after_days?,
                id: rule.id,
                prefix: rule.prefix,
            })
        });
        Self {
            rules: aborting.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_that_comes_first_counts_and_one_for_all_keys_is_recommended() {
        let rule = |prefix: &str, days| AbortRule {
            id: None,
            prefix: prefix.into(),
            days,
        };
        let check = LifecycleCheck {
            rules: vec![rule("a/", 9), rule("a/b", 3)],
        };
        assert_eq!(check.days_for("a/b/c"), Some(3));
        assert_eq!(check.days_for("a/c"), Some(9));
        assert_eq!(check.days_for("b"), None);
        let json: serde_json::Value =
            serde_json::from_str(check.recommended_json().unwrap()).unwrap();
        let days = &json["Rules"][0]["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"];
        assert_eq!(days, 7);
        assert!(check.recommended_xml().unwrap().contains(">7<"));
        let check = LifecycleCheck {
            rules: vec![rule("", 30)],
        };
        assert_eq!(check.recommended_json(), None);
    }
}
