//! What to transfer, as plain data.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use towline_core::{
    BucketName, Connection, Direction, Fingerprint, ListedObject, ObjectAddress, ObjectKey, Spec,
    Timestamp, TransferOptions,
};

use crate::{SubmitError, TransferUtility, check, check_options, path_json};

/// One transfer to be submitted with [`TransferUtility::submit`].
///
/// [`TransferUtility::upload`] and [`TransferUtility::download`] build it step
/// by step; this is the form in which requests come from files and sockets.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TransferRequest {
    /// Which way the bytes go.
    #[serde(rename = "type")]
    pub direction: Direction,
    /// The object's bucket; empty is the default bucket.
    #[serde(default)]
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// Downloads: a version of the object; copies: of the source. Default: the
    /// current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// The file; of a copy the source, as `s3://BUCKET/KEY`. In JSON `path`, or `path_b64` where it is not UTF-8.
    #[serde(flatten, with = "path_json")]
    pub path: PathBuf,
    /// How to reach the store. Default: the utility's own connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
    /// How to carry it.
    #[serde(default)]
    pub options: TransferOptions,
    /// The caller's own name for this request: the same one again is the same
    /// transfer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The name of the group that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Cancels an unfinished transfer of the same and starts anew.
    #[serde(default)]
    pub restart: bool,
    /// Downloads: what a listing told of the object. A small one is then fetched in
    /// one request; what turns out to be otherwise is asked for as usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<Listed>,
    /// Its bytes are in no file: the path is empty.
    #[serde(skip)]
    pub(crate) stream: bool,
    /// Uploads of streams: their length in bytes, where it is known.
    #[serde(skip)]
    pub(crate) length: Option<u64>,
}

impl TransferRequest {
    /// An upload of a file.
    pub fn upload(
        bucket: impl Into<String>,
        key: impl Into<String>,
        file: impl AsRef<Path>,
    ) -> Self {
        Self::new(Direction::Upload, bucket.into(), key.into(), file.as_ref())
    }

    /// A download to a file.
    pub fn download(
        bucket: impl Into<String>,
        key: impl Into<String>,
        file: impl AsRef<Path>,
    ) -> Self {
        Self::new(
            Direction::Download,
            bucket.into(),
            key.into(),
            file.as_ref(),
        )
    }

    /// A copy of an object.
    pub fn copy(
        source_bucket: impl Into<String>,
        source_key: impl Into<String>,
        bucket: impl Into<String>,
        key: impl Into<String>,
    ) -> Self {
        let source = format!("s3://{}/{}", source_bucket.into(), source_key.into());
        Self::new(
            Direction::Copy,
            bucket.into(),
            key.into(),
            Path::new(&source),
        )
    }

    /// One whose bytes come from, or go to, this process.
    pub(crate) fn stream(direction: Direction, bucket: String, key: String) -> Self {
        Self {
            stream: true,
            ..Self::new(direction, bucket, key, Path::new(""))
        }
    }

    /// The bytes are in this file after all.
    pub(crate) fn be_of_file(&mut self, path: &Path) {
        self.path = path.to_owned();
        self.stream = false;
    }

    fn new(direction: Direction, bucket: String, key: String, path: &Path) -> Self {
        Self {
            direction,
            bucket,
            key,
            version_id: None,
            path: path.to_owned(),
            connection: None,
            options: TransferOptions::default(),
            token: None,
            group: None,
            restart: false,
            listed: None,
            stream: false,
            length: None,
        }
    }

    /// Checks what can be checked on this machine, and settles what is left
    /// open: default bucket, absolute path, content type, and what its
    /// connection means here. One that another process has `resolved` is taken
    /// as it stands.
    pub(crate) fn settle(
        &self,
        utility: &TransferUtility,
        resolved: bool,
    ) -> Result<Settled, SubmitError> {
        let bucket = match (self.bucket.is_empty(), utility.default_bucket()) {
            (true, Some(bucket)) => bucket.clone(),
            _ => BucketName::new(self.bucket.as_str())?,
        };
        let key = ObjectKey::new(self.key.as_str())?;
        let mut object = ObjectAddress::new(bucket, key);
        object.version_id = self.version_id.clone();
        let path = match self.direction {
            Direction::Copy => check::origin(&self.path, utility.default_bucket())?,
            _ if self.stream => PathBuf::new(),
            _ => check::absolute(&self.path)?,
        };
        let bucket = object.bucket.as_str();
        let connection = match &self.connection {
            Some(connection) if resolved => utility.check_connection(connection, bucket)?,
            Some(connection) => utility.resolve(connection, bucket)?,
            None => utility.resolve(utility.default_connection(), bucket)?,
        };
        let mut options = self.options.clone();
        check_options::settle(&mut options, self.direction, |key| utility.lacks_key(key))?;
        if self.direction == Direction::Upload && options.object.content_type.is_none() {
            let name = if self.stream {
                Path::new(&self.key)
            } else {
                &path
            };
            let guess = mime_guess::from_path(name).first_or_octet_stream();
            options.object.content_type = Some(guess.to_string());
        }
        if self.direction == Direction::Upload {
            options.part_size = options.part_size.or(utility.config().minimum_part_size);
        }
        if self.direction != Direction::Download && self.listed.is_some() {
            return Err(check_options::bad("listed", "only downloads have one"));
        }
        let source = match self.direction {
            Direction::Upload if self.stream => check::stream(self.length, &options)?,
            Direction::Download if self.stream => None,
            Direction::Upload => Some(check::source(&path, &options)?),
            // It is looked at when its turn comes.
            Direction::Copy => None,
            Direction::Download => {
                match options.root_depth {
                    Some(depth) => check::beneath(&path, depth)?,
                    None => check::target(&path)?,
                }
                let listed = self.listed.as_ref();
                listed.map(|it| Fingerprint::of_listed(it.size, it.last_modified))
            }
        };
        let spec = Spec {
            direction: self.direction,
            connection,
            object,
            path,
            options,
            token: self.token.clone(),
            group: self.group.clone(),
        };
        if let Some(origin) = spec.origin() {
            towline_s3::check_bucket(&spec.connection, origin.bucket.as_str())?;
            check::copy(&spec, &origin)?;
        }
        Ok(Settled {
            spec,
            source,
            restart: self.restart,
        })
    }
}

/// What a listing told of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its length in bytes.
    pub size: u64,
    /// When it was stored. Without it the object is asked for as usual.
    pub last_modified: Option<Timestamp>,
}

impl From<&ListedObject> for Listed {
    fn from(object: &ListedObject) -> Self {
        Self {
            size: object.size,
            last_modified: object.last_modified,
        }
    }
}

/// A request that was found good.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    pub(crate) spec: Spec,
    /// Uploads: the source as it is now. Downloads: what a listing told.
    pub(crate) source: Option<Fingerprint>,
    pub(crate) restart: bool,
}
