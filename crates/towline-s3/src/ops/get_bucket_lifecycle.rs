//! GetBucketLifecycleConfiguration, as far as it is about open uploads.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLifecycleConfiguration.html>

use http::Method;
use towline_core::{Operation, S3Error};

use crate::client::S3Client;
use crate::request::Call;
use crate::uri::Query;
use crate::xml::{self, XmlError};

/// One rule of a bucket's lifecycle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LifecycleRule {
    /// Its name, if it has one.
    pub id: Option<String>,
    /// Whether it is in force.
    pub enabled: bool,
    /// It is about keys that start with this; all when empty.
    pub prefix: String,
    /// It aborts multipart uploads this many days after they were opened.
    pub abort_after_days: Option<u32>,
}

impl S3Client {
    /// The rules of a bucket's lifecycle; none when it has no lifecycle.
    /// Needs the permission `s3:GetLifecycleConfiguration`.
    pub async fn get_bucket_lifecycle(&self, bucket: &str) -> Result<Vec<LifecycleRule>, S3Error> {
        let operation = Operation::GetBucketLifecycleConfiguration;
        let query = Query::default().flag("lifecycle");
        let call = Call::new(operation, Method::GET, bucket).query(query);
        let mut answer = match self.send(call).await {
            Err(error) if error.code() == "NoSuchLifecycleConfiguration" => return Ok(Vec::new()),
            answer => answer?,
        };
        let page = answer.page().await?;
        parse(&page).map_err(|error| answer.bad_xml(error))
    }
}

pub(super) fn parse(page: &[u8]) -> Result<Vec<LifecycleRule>, XmlError> {
    let mut rules = Vec::new();
    let mut rule = LifecycleRule::default();
    let mut prefix = None;
    let root = xml::walk(page, |path, text| {
        match path {
            "Rule/ID" => xml::once(&mut rule.id, "ID", text)?,
            "Rule/Status" => rule.enabled = text.trim() == "Enabled",
            "Rule/Prefix" | "Rule/Filter/Prefix" | "Rule/Filter/And/Prefix" => {
                xml::once(&mut prefix, "Prefix", text)?;
            }
            "Rule/AbortIncompleteMultipartUpload/DaysAfterInitiation" => {
                rule.abort_after_days = Some(xml::number(text, "DaysAfterInitiation")?);
            }
            "Rule" => {
                rule.prefix = prefix.take().unwrap_or_default();
                rules.push(std::mem::take(&mut rule));
            }
            _ => {}
        }
        Ok(())
    })?;
    xml::expect_root(root, "LifecycleConfiguration")?;
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<LifecycleConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
        <Rule><ID>tidy</ID><Filter><Prefix>photos/</Prefix></Filter><Status>Enabled</Status>\
        <AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation>\
        </AbortIncompleteMultipartUpload></Rule>\
        <Rule><Prefix/><Status>Disabled</Status><AbortIncompleteMultipartUpload>\
        <DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>\
        <Rule><ID>old</ID><Filter><And><Prefix>logs/</Prefix><Tag><Key>k</Key><Value>v</Value></Tag>\
        </And></Filter><Status>Enabled</Status><Expiration><Days>30</Days></Expiration></Rule>\
        </LifecycleConfiguration>";

    #[test]
    fn rules_tell_their_prefix_and_when_they_abort_uploads() {
        let rules = parse(PAGE.as_bytes()).unwrap();
        let seen: Vec<_> = rules
            .iter()
            .map(|rule| (rule.enabled, rule.prefix.as_str(), rule.abort_after_days))
            .collect();
        assert_eq!(
            seen,
            [
                (true, "photos/", Some(7)),
                (false, "", Some(1)),
                (true, "logs/", None)
            ]
        );
        assert_eq!(rules[0].id.as_deref(), Some("tidy"));
        assert_eq!(rules[1].id, None);
    }

    #[test]
    fn what_is_no_lifecycle_is_refused() {
        for (from, to) in [
            ("LifecycleConfiguration", "ListBucketResult"),
            (">7<", ">-7<"),
            (">7<", ">soon<"),
            (
                "<Prefix>photos/</Prefix>",
                "<Prefix>a</Prefix><Prefix>b</Prefix>",
            ),
        ] {
            assert!(parse(PAGE.replace(from, to).as_bytes()).is_err(), "{to}");
        }
    }
}
