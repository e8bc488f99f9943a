//! What goes over the socket of groups that list their own transfers.

use serde::{Deserialize, Serialize};
use towline::{Cursor, Group, GroupId, GroupRequest, HandedOver, NotListed};
use utoipa::{IntoParams, ToSchema};

use crate::schema;

/// A group to be begun.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginGroup {
    /// Which directory or prefix, and where to.
    #[schema(value_type = schema::GroupRequest)]
    pub request: GroupRequest,
    /// The client's own credentials, for connections of the environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::HandedOver>)]
    pub credentials: Option<HandedOver>,
}

/// What became of a [`BeginGroup`].
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GroupBegun {
    /// The group: a new one, or the unfinished one that is the same.
    #[schema(value_type = schema::Group)]
    pub group: Group,
    /// A place before its first change: following from here misses nothing.
    #[schema(value_type = String)]
    pub cursor: Cursor,
}

/// Which groups to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub struct FindGroups {
    /// Only those of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Only those that have not had their end.
    pub unended: bool,
    /// Where the last page ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<u64>)]
    pub after: Option<GroupId>,
    /// Newest first instead of oldest first.
    pub newest_first: bool,
    /// At most this many, 100 at most; default 20. Each transfer of each is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A page of groups.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GroupsFound {
    /// The groups.
    #[schema(value_type = Vec<schema::Group>)]
    pub groups: Vec<Group>,
    /// Where the next page starts; `None` on the last.
    #[schema(value_type = Option<u64>)]
    pub next: Option<GroupId>,
}

/// Which page of what a group has no transfers for.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub struct FindLeftOut {
    /// What needs no transfer, instead of what can have none.
    pub skipped: bool,
    /// How many came before.
    pub after: u64,
    /// At most this many, 1000 at most; default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A page of what a group has no transfers for. Ten thousand of each kind are kept.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LeftOutFound {
    /// In the order in which they were found.
    pub left_out: Vec<LeftOutSeen>,
    /// Where the next page starts; `None` on the last.
    pub next: Option<u64>,
}

/// A file or an object that has no transfer in a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LeftOutSeen {
    /// Its key, where it has one.
    pub key: Option<String>,
    /// Its file, where it has one, with replacement characters where it is not
    /// UTF-8.
    pub path: Option<String>,
    /// A stable name of the reason.
    pub code: String,
    /// The reason in words.
    pub why: String,
}

impl From<NotListed> for LeftOutSeen {
    fn from(left_out: NotListed) -> Self {
        let path = left_out.path;
        Self {
            key: left_out.key,
            path: path.map(|path| path.to_string_lossy().into_owned()),
            code: left_out.code,
            why: left_out.why,
        }
    }
}

/// What to do to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupVerb {
    /// List nothing more, and pause its transfers.
    Pause,
    /// Go on with it, and with its paused transfers.
    Resume,
    /// List nothing more, and cancel its unfinished transfers.
    Cancel,
    /// Forget it and its transfers; unfinished ones are canceled first.
    Remove,
    /// Go on with it if nobody does; what is paused stays paused.
    Carry,
}

impl GroupVerb {
    /// Its name in the routes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
            Self::Remove => "remove",
            Self::Carry => "carry",
        }
    }
}

/// How a group is steered.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SteerGroup {
    /// The client's own credentials, for connections of the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::HandedOver>)]
    pub credentials: Option<HandedOver>,
}

/// What became of a group that was steered.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GroupSteered {
    /// Whether anything had to change.
    pub changed: bool,
    /// The group after that; `None` once it is removed.
    #[schema(value_type = Option<schema::Group>)]
    pub group: Option<Group>,
    /// A place before its change: following from here misses nothing.
    #[schema(value_type = String)]
    pub cursor: Cursor,
}
