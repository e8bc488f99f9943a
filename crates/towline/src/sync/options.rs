//! How a directory and a prefix are compared.

use serde::{Deserialize, Serialize};

use super::{SyncCompare, SyncFilter};

/// How a directory and a prefix are compared, as plain data: in a
/// [`GroupRequest`](crate::GroupRequest) it makes the group a sync.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SyncOptions {
    /// What makes a file and an object the same. Default: their length, and that the
    /// source is not newer.
    pub compare: SyncCompare,
    /// What is left out on both sides. Default: nothing.
    pub filter: SyncFilter,
    /// Uploads get the time of their file's last change as metadata, see
    /// [`MTIME_METADATA`](crate::MTIME_METADATA). Default: no.
    pub record_mtime: bool,
    /// Uploads: an object that is the same otherwise is uploaded again where its metadata,
    /// tags, class or headers are not what is asked for; see
    /// [`SyncRequest::properties`](crate::SyncRequest::properties). Default: no.
    pub properties: bool,
}

impl SyncOptions {
    /// Whether the same is asked for, whenever that was.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let plain = |it: &Self| {
            let filter = it.filter.clone().at_any_time();
            serde_json::to_value(Self {
                filter,
                ..it.clone()
            })
            .ok()
        };
        plain(self) == plain(other)
    }
}
