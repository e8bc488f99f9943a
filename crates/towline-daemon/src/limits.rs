//! Limits as they go over the socket.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use towline::Bandwidth;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};

/// How much is done at one time, and how fast.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Limits {
    /// Requests over all transfers.
    pub requests: usize,
    /// Parts of one transfer; null is automatic.
    #[serde(default)]
    #[schema(required)]
    pub parts_per_transfer: Option<usize>,
    /// Requests a second over all transfers; null is no cap.
    #[serde(default)]
    #[schema(required)]
    pub request_rate: Option<u32>,
    /// How fast the bytes of all transfers may move.
    #[serde(default)]
    #[schema(required)]
    pub bandwidth: Caps,
    /// How fast those of the transfers of one group may, by its name. Their bytes count for all
    /// transfers too.
    #[serde(default)]
    #[schema(required)]
    pub groups: BTreeMap<String, Caps>,
}

/// Caps in bytes a second; null is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Caps {
    /// On what is sent.
    #[schema(required)]
    pub upload: Option<u64>,
    /// On what is received.
    #[schema(required)]
    pub download: Option<u64>,
}

impl From<Bandwidth> for Caps {
    fn from(bandwidth: Bandwidth) -> Self {
        Self {
            upload: bandwidth.upload.map(|rate| rate.bytes_per_second()),
            download: bandwidth.download.map(|rate| rate.bytes_per_second()),
        }
    }
}

/// Limits to be set; what is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SetLimits {
    /// Requests over all transfers, 1 to 256.
    #[schema(minimum = 1, maximum = 256)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u16>,
    /// Parts of one transfer, 1 to 256.
    #[schema(minimum = 1, maximum = 256)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts_per_transfer: Option<u16>,
    /// Requests a second over all transfers, 1 or more; null lifts the cap.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>, minimum = 1)]
    pub request_rate: Option<Option<u32>>,
    /// How fast the bytes of all transfers may move; null lifts both caps.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<SetCaps>)]
    pub bandwidth: Option<Option<SetCaps>>,
    /// How fast those of one group may, by its name; null lifts both caps. The group need not
    /// be there.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(schema_with = groups_to_set)]
    pub groups: BTreeMap<String, Option<SetCaps>>,
}

/// Caps to be set, in bytes a second, 1024 or more; null lifts a cap, and what is left out stays
/// as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SetCaps {
    /// On what is sent.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, minimum = 1024)]
    pub upload: Option<Option<u64>>,
    /// On what is received.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, minimum = 1024)]
    pub download: Option<Option<u64>>,
}

impl SetCaps {
    /// Lifts the caps of both directions.
    pub const LIFT: Self = Self {
        upload: Some(None),
        download: Some(None),
    };
}

/// What is there was given, also where it is null.
fn given<'de, D, T>(value: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(value).map(Some)
}

/// A map whose values may be null, which cannot be derived.
fn groups_to_set() -> RefOr<Schema> {
    let caps = OneOfBuilder::new()
        .item(ObjectBuilder::new().schema_type(Type::Null))
        .item(Ref::from_schema_name(SetCaps::name()));
    let words = "How fast the bytes of one group may move, by its name; null lifts both caps. \
                 The group need not be there.";
    let groups = ObjectBuilder::new()
        .description(Some(words))
        .additional_properties(Some(Schema::OneOf(caps.build())));
    groups.into()
}
