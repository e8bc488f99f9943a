//! Whether an object has the properties that are asked for, where its bytes are the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use towline_core::{Direction, GetObject, GetTags, ObjectHead, ObjectOptions, Operation, S3};
use towline_s3::S3Client;

use super::MTIME_METADATA;
use super::comparison::Parts;
use crate::check_options::bad;
use crate::{Error, SubmitError, TransferUtility};

/// Refuses to compare what nobody asked for.
pub(crate) fn check(direction: Direction, asked: &ObjectOptions) -> Result<(), SubmitError> {
    let why = match direction {
        Direction::Upload if asks_for_some(asked) => return Ok(()),
        Direction::Upload => {
            "it compares the metadata, tags, class and headers that are asked for, and none is"
        }
        _ => "properties are of objects, and a file has none",
    };
    Err(bad("properties", why))
}

/// Whether any property of an object is not what is asked for. What is not asked for is
/// as it is: a class that a rule of the bucket chose stays.
pub(super) async fn differ(
    utility: &TransferUtility,
    parts: &Parts,
    key: &str,
) -> Result<bool, Error> {
    let like = &parts.like;
    let (place, asker) =
        utility.place_and_asker(&like.bucket, like.connection.as_ref(), parts.group)?;
    let object = GetObject {
        bucket: place.bucket.clone(),
        key: key.to_owned(),
        access: like.options.access.clone(),
        ..GetObject::default()
    };
    let head = move |s3: Arc<S3Client>| {
        let object = object.clone();
        async move { s3.head_object(object).await }
    };
    let asked = &like.options.object;
    let head = asker.ask(Operation::HeadObject, head).await?;
    if !has(&head, asked) {
        return Ok(true);
    }
    if asked.tags.is_empty() {
        return Ok(false);
    }
    let tags = GetTags {
        bucket: place.bucket,
        key: key.to_owned(),
        version_id: None,
        access: like.options.access.clone(),
    };
    let tags = move |s3: Arc<S3Client>| {
        let tags = tags.clone();
        async move { s3.get_object_tagging(tags).await }
    };
    let tags = asker.ask(Operation::GetObjectTagging, tags).await?;
    Ok(tags != asked.tags)
}

fn asks_for_some(asked: &ObjectOptions) -> bool {
    !has(&ObjectHead::default(), asked) || !asked.tags.is_empty()
}

fn has(head: &ObjectHead, asked: &ObjectOptions) -> bool {
    let is = |asked: &Option<String>, there: &Option<String>| asked.is_none() || asked == there;
    // S3 tells no class for the usual one.
    let class = head.storage_class.as_deref().unwrap_or("STANDARD");
    let class_is = asked.storage_class.as_deref().is_none_or(|it| it == class);
    let own = |metadata: &BTreeMap<String, String>| -> BTreeMap<String, String> {
        let own = metadata.iter().filter(|(name, _)| *name != MTIME_METADATA);
        own.map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
            .collect()
    };
    is(&asked.content_type, &head.content_type)
        && is(&asked.content_encoding, &head.content_encoding)
        && is(&asked.content_disposition, &head.content_disposition)
        && is(&asked.content_language, &head.content_language)
        && is(&asked.cache_control, &head.cache_control)
        && is(&asked.website_redirect, &head.redirect)
        && (asked.expires.is_none() || asked.expires == head.expires)
        && class_is
        && (asked.metadata.is_empty() || own(&asked.metadata) == own(&head.metadata))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_is_compared() {
        let metadata = [("a", "1"), (MTIME_METADATA, "5")];
        let mut head = ObjectHead {
            content_type: Some("text/plain".into()),
            storage_class: Some("GLACIER".into()),
            metadata: metadata
                .map(|(name, value)| (name.into(), value.into()))
                .into(),
            ..ObjectHead::default()
        };
        let mut asked = ObjectOptions::default();
        assert!(has(&head, &asked));
        assert!(!asks_for_some(&asked));
        asked.metadata = [("A".into(), "1".into())].into();
        assert!(
            has(&head, &asked),
            "names have no case, and times are not compared"
        );
        asked.metadata.insert("b".into(), "2".into());
        assert!(!has(&head, &asked));
        asked.metadata.clear();
        asked.storage_class = Some("STANDARD".into());
        assert!(!has(&head, &asked));
        head.storage_class = None;
        assert!(has(&head, &asked), "the usual class is not told");
    }
}
