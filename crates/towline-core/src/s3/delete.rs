//! What goes into DeleteObjects and what comes back.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>

use crate::Access;

/// An object by its key, or one version of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectVersion {
    /// Its key.
    pub key: String,
    /// A version; `None` is the object as it is now.
    pub version_id: Option<String>,
}

impl ObjectVersion {
    /// Whether XML names it and nothing else, whoever reads it. XML 1.0 has no
    /// way to write most control characters, and readers change or drop those
    /// that it has, and white space at the ends of a text: the object that is
    /// named then is another one.
    pub fn is_safe_in_xml(&self) -> bool {
        let is_safe = |text: &str| {
            text.trim() == text
                && !text.chars().any(|c| {
                    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}')
                })
        };
        is_safe(&self.key) && self.version_id.as_deref().is_none_or(is_safe)
    }
}

impl From<String> for ObjectVersion {
    fn from(key: String) -> Self {
        Self {
            key,
            version_id: None,
        }
    }
}

impl From<&str> for ObjectVersion {
    fn from(key: &str) -> Self {
        key.to_owned().into()
    }
}

/// DeleteObjects.
#[derive(Clone, Debug, Default)]
pub struct DeleteObjects {
    /// The bucket.
    pub bucket: String,
    /// 1 to [`MOST`](Self::MOST), all of them
    /// [safe in XML](ObjectVersion::is_safe_in_xml).
    pub objects: Vec<ObjectVersion>,
    /// What every request carries.
    pub access: Access,
}

impl DeleteObjects {
    /// The most that one request may name.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>
    pub const MOST: usize = 1000;
}

/// S3's answer to DeleteObjects. It names only what was asked for; of an object
/// that is in neither list nothing was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectsDeleted {
    /// They are gone, or were not there.
    pub deleted: Vec<ObjectVersion>,
    /// They are still there.
    pub failed: Vec<NotDeleted>,
}

/// An object that was not deleted, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotDeleted {
    /// Which.
    pub object: ObjectVersion,
    /// S3's code, such as `AccessDenied`.
    pub code: String,
    /// S3's words; may be empty.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_no_reader_of_xml_changes_are_safe() {
        for key in ["a", "a b", "&<>\"'", "ünï 😀", "a//b", "..", "%00"] {
            assert!(ObjectVersion::from(key).is_safe_in_xml(), "{key:?}");
        }
        for key in [
            " a", "a ", "a\u{a0}", "\u{1}", "a\nb", "a\tb", "a\rb", "\u{7f}", "\u{85}", "\u{2028}",
            "\u{fffe}", "\u{ffff}", " ",
        ] {
            assert!(!ObjectVersion::from(key).is_safe_in_xml(), "{key:?}");
        }
        let version = ObjectVersion {
            key: "a".into(),
            version_id: Some("v\n".into()),
        };
        assert!(!version.is_safe_in_xml());
    }
}
