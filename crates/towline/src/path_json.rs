//! A path in JSON: `path`, with replacement characters where it is not UTF-8,
//! and then whole in `path_b64`.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
struct Fields {
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path_b64: Option<String>,
}

pub(crate) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    let whole = path.to_str().is_some();
    let fields = Fields {
        path: path.to_string_lossy().into_owned(),
        path_b64: (!whole).then(|| STANDARD.encode(path.as_os_str().as_bytes())),
    };
    fields.serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let fields = Fields::deserialize(deserializer)?;
    match fields.path_b64 {
        None => Ok(fields.path.into()),
        Some(text) => {
            let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
            Ok(OsString::from_vec(bytes).into())
        }
    }
}
