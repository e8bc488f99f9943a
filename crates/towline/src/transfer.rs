//! A transfer as it is shown: the same fields in Rust and in JSON.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use towline_core::{
    Direction, ErrorRecord, Outcome, Priority, Reason, Record, State, Timestamp, TransferId,
    Verified,
};
use towline_engine::Snapshot;

use crate::path_json;

/// A transfer at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Transfer {
    /// Its number in the store.
    pub id: TransferId,
    /// Which way the bytes go.
    #[serde(rename = "type")]
    pub direction: Direction,
    /// Where it is.
    pub state: State,
    /// Why it is there, where that is not plain.
    pub reason: Option<Reason>,
    /// How it ended, once it has.
    pub outcome: Option<Outcome>,
    /// The object's bucket.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// The version asked for, if one was; of a copy, of its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// The source of a copy, as `s3://BUCKET/KEY`; otherwise the file: under the name it took, where the target's was taken and it was
    /// to take another. Empty for bytes and streams. In JSON with replacement characters where it is not UTF-8,
    /// and then whole in `path_b64`.
    #[serde(flatten, with = "path_json")]
    pub path: PathBuf,
    /// The group that it belongs to, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Whether it goes ahead of others. In JSON only where it is not normal.
    #[serde(default, skip_serializing_if = "is_normal")]
    pub priority: Priority,
    /// Length in bytes, once known.
    pub bytes_total: Option<u64>,
    /// Bytes moved. Equal to the total only when completed.
    pub bytes_transferred: u64,
    /// Counts starts from zero, from 1.
    pub generation: u32,
    /// The last error, where it failed, waits or started anew because of one.
    pub error: Option<ErrorRecord>,
    /// By what its completion is proven.
    pub verified: Option<Verified>,
    /// The object's ETag, once completed.
    pub etag: Option<String>,
    /// When it was asked for, in milliseconds since 1970.
    pub created_at: Timestamp,
    /// When its phase last changed, in milliseconds since 1970.
    pub updated_at: Timestamp,
    /// The endpoint it goes to; `None` is AWS.
    pub endpoint: Option<String>,
    #[serde(skip)]
    store_answered: bool,
}

impl Transfer {
    /// A transfer that nobody runs, as its store has it.
    pub fn at_rest(record: Record) -> Self {
        Snapshot::at_rest(record).into()
    }

    /// Whether its store has ever answered this process: its endpoint and
    /// credentials work.
    pub fn store_answered(&self) -> bool {
        self.store_answered
    }

    /// The same, with what another process said of
    /// [`store_answered`](Self::store_answered), which is not in the JSON.
    pub fn with_store_answered(mut self, answered: bool) -> Self {
        self.store_answered = answered;
        self
    }
}

pub(crate) fn is_normal(priority: &Priority) -> bool {
    *priority == Priority::Normal
}

impl From<Snapshot> for Transfer {
    fn from(snapshot: Snapshot) -> Self {
        let Snapshot {
            record,
            status,
            bytes_transferred,
            store_answered,
            ..
        } = snapshot;
        let renamed = record.proof.as_ref().and_then(|proof| proof.renamed);
        let bytes_total = record.bytes_total();
        let object = &record.spec.object;
        Self {
            id: record.id,
            direction: record.spec.direction,
            state: status.state,
            reason: status.reason,
            outcome: record.outcome,
            bucket: object.bucket.as_str().to_owned(),
            key: object.key.as_str().to_owned(),
            version_id: object.version_id.clone(),
            path: towline_engine::numbered(&record.spec.path, renamed),
            group: record.spec.group.clone(),
            priority: record.spec.options.priority,
            bytes_total,
            bytes_transferred,
            generation: record.generation,
            error: record.error,
            verified: record.proof.as_ref().map(|proof| proof.verified),
            etag: record.proof.and_then(|proof| proof.etag),
            created_at: record.created_at,
            updated_at: record.updated_at,
            endpoint: record.spec.connection.endpoint.clone(),
            store_answered,
        }
    }
}
