//! What a copy of a prefix is made of: the prefix of its sources, and each object
//! below it.

use std::fmt;
use std::path::Path;

use towline_core::{BucketName, GroupId, ListedObject, NotListed, ObjectOptions};

use super::entries::{Entry, Step};
use super::{ListingRequest, Place};
use crate::check_options::bad;
use crate::prefix::{ObjectPages, bad_prefix};
use crate::{Error, SubmitError, TransferRequest, TransferUtility, check};

/// The sources of a copy: all objects below a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) bucket: BucketName,
    prefix: String,
}

impl Origin {
    pub(super) fn read(url: &Path, default: Option<&BucketName>) -> Result<Self, SubmitError> {
        let (bucket, prefix) = check::bucket_of_origin(url, default)?;
        if !(prefix.is_empty() || prefix.ends_with('/')) {
            return Err(bad_prefix());
        }
        Ok(Self {
            bucket,
            prefix: prefix.to_owned(),
        })
    }

    /// Refuses to copy into itself, which would have no end, and onto itself where
    /// nothing would change.
    pub(super) fn check_target(
        &self,
        bucket: &str,
        prefix: &str,
        options: &ObjectOptions,
    ) -> Result<(), SubmitError> {
        if self.bucket.as_str() != bucket || !prefix.starts_with(&self.prefix) {
            return Ok(());
        }
        if self.prefix == prefix {
            return check::onto_itself_with(options);
        }
        let why = format!("s3://{bucket}/{prefix} lies below it: each copy would be copied again");
        Err(bad("source", why))
    }

    fn holds(&self, bucket: &str, key: &str) -> bool {
        self.bucket.as_str() == bucket && key.starts_with(&self.prefix)
    }
}

/// As it is stored.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

/// The copies of a prefix, page by page.
pub(super) struct Copies {
    pages: ObjectPages,
    origin: Origin,
    asked: ListingRequest,
    /// Each object becomes another one of its own.
    onto_itself: bool,
}

impl Copies {
    /// From the start, or behind a place.
    pub(super) fn of(
        group: GroupId,
        asked: ListingRequest,
        behind: Option<Place>,
    ) -> Result<Self, Error> {
        let origin = Origin::read(&asked.dir, None)?;
        let like = &asked.like;
        let mut access = like.options.access.clone();
        // That of the copies; the sources may be somebody else's.
        access.expected_bucket_owner = None;
        let mut pages = ObjectPages::of(group, origin.bucket.as_str(), &origin.prefix, access);
        if let Some(connection) = &like.connection {
            pages = pages.connection(connection.clone());
        }
        if let Some(place) = behind {
            pages = pages.behind(place.after);
        }
        Ok(Self {
            onto_itself: origin.bucket.as_str() == like.bucket && origin.prefix == asked.prefix,
            pages,
            origin,
            asked,
        })
    }

    pub(super) async fn next(&mut self, utility: &TransferUtility) -> Result<Step, Error> {
        let objects = self.pages.next(utility).await?.unwrap_or_default();
        Ok(Step {
            found: objects.len() as u64,
            entries: objects.into_iter().map(|it| self.entry(it)).collect(),
            place: self.pages.after().map(|after| Place {
                after: after.to_owned(),
                files: Vec::new(),
            }),
            last: self.pages.is_done(),
            ..Step::default()
        })
    }

    fn entry(&self, object: ListedObject) -> Entry {
        let (origin, asked) = (&self.origin, &self.asked);
        let mut request = TransferRequest {
            key: format!("{}{}", asked.prefix, self.pages.below(&object.key)),
            ..asked.like.clone()
        };
        request.path = format!("s3://{}/{}", origin.bucket, object.key).into();
        let without = |skipped, code: &str, why: &str| {
            Entry::Without(NotListed {
                skipped,
                key: Some(request.key.clone()),
                path: Some(request.path.clone()),
                code: code.into(),
                why: why.into(),
            })
        };
        if request.key.is_empty() && object.size == 0 {
            return without(true, "IsDirectory", "it stands for the prefix itself");
        }
        if !self.onto_itself && origin.holds(&request.bucket, &request.key) {
            let why = "its copy would be a source of the same copies";
            return without(false, "WithinSource", why);
        }
        Entry::Wanted {
            bytes: object.size,
            request: Box::new(request),
            listed: Some(object),
        }
    }
}
