//! Whether a file and an object are equal: told later, and without fetching the
//! object where its checksums allow it.

mod bytes;
mod compare;
mod object;
mod outcome;

use std::future::IntoFuture;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use towline_core::{
    Access, Connection, Extra, GetObject, GroupId, LocalFailure, Proof, Record, StoreError,
    TransferId,
};

pub use outcome::{Verification, VerifyDoubt, VerifyProof, VerifyResult};

use crate::{Error, SubmitError, TransferUtility, check, place};

/// A file and an object to be compared. Await it.
///
/// ```no_run
/// # async fn example(utility: towline::TransferUtility) -> Result<(), towline::Error> {
/// use towline::VerifyResult;
///
/// let told = utility.verify("/data/big.iso", "my-bucket", "big.iso").await?;
/// match told.result {
///     VerifyResult::Equal => println!("equal, by {:?}", told.proof),
///     VerifyResult::Different | VerifyResult::Unknown => println!("{}", told.message),
/// }
/// # Ok(()) }
/// ```
#[must_use = "await it to compare them"]
pub struct VerifyRequest {
    utility: TransferUtility,
    subject: Subject,
    connection: Option<Connection>,
    group: Option<GroupId>,
    version_id: Option<String>,
    access: Option<Access>,
    download: bool,
    progress: Arc<dyn Fn(u64, u64) + Send + Sync>,
}

/// What is compared.
enum Subject {
    These {
        bucket: String,
        key: String,
        path: PathBuf,
    },
    Transfer(TransferId),
    Record(Box<Record>),
}

/// What is known of a transfer's object and of how it was cut.
#[derive(Default)]
struct Known {
    proof: Option<Proof>,
    part_size: Option<u64>,
    /// Only a range of the object is in the file.
    is_range: bool,
}

impl TransferUtility {
    /// Compares a file with an object. The file is read once; the object is
    /// fetched only if that is [asked for](VerifyRequest::download). An empty
    /// `bucket` is the default bucket.
    ///
    /// They are compared by a checksum of all bytes, else by the checksum of the
    /// parts' checksums, else by the ETag where it is an MD5 or one of the parts'
    /// MD5s; where the store keeps none of these, [`VerifyResult::Unknown`] is
    /// told, also if the lengths agree.
    pub fn verify(
        &self,
        file: impl AsRef<Path>,
        bucket: impl Into<String>,
        key: impl Into<String>,
    ) -> VerifyRequest {
        self.verify_subject(Subject::These {
            bucket: bucket.into(),
            key: key.into(),
            path: file.as_ref().to_owned(),
        })
    }

    /// Compares the file of a transfer with its object: the version that it made
    /// or read, with what is recorded of it. Awaiting it fails with
    /// [`StoreError::Unknown`] where there is no such transfer, and with
    /// `BadOption` if its bytes are in no file.
    pub fn verify_transfer(&self, id: TransferId) -> VerifyRequest {
        self.verify_subject(Subject::Transfer(id))
    }

    /// As [`verify_transfer`](Self::verify_transfer), of a transfer in another
    /// store, such as [`SqliteReader`](crate::SqliteReader) gives it.
    pub fn verify_record(&self, record: Record) -> VerifyRequest {
        self.verify_subject(Subject::Record(Box::new(record)))
    }

    fn verify_subject(&self, subject: Subject) -> VerifyRequest {
        VerifyRequest {
            utility: self.clone(),
            subject,
            connection: None,
            group: None,
            version_id: None,
            access: None,
            download: false,
            progress: Arc::new(|_, _| {}),
        }
    }
}

impl VerifyRequest {
    /// A version of the object. Default: the current one, or that of the transfer.
    pub fn version_id(mut self, version: impl Into<String>) -> Self {
        self.version_id = Some(version.into());
        self
    }

    /// What S3 wants to see on the requests: that the requester pays, who has to
    /// own the bucket, the key of an object that is encrypted with one that S3
    /// does not keep. Default: nothing, or as the transfer had it.
    pub fn access(mut self, access: Access) -> Self {
        self.access = Some(access);
        self
    }

    /// Another connection than the utility's own, or the transfer's.
    pub fn connection(mut self, connection: Connection) -> Self {
        self.connection = Some(connection);
        self
    }

    /// For a group, over the connection that was settled for it.
    pub(crate) fn of_group(mut self, group: GroupId, connection: Connection) -> Self {
        self.group = Some(group);
        self.connection(connection)
    }

    /// Fetches the object and compares byte by byte, storing none. Default: no.
    pub fn download(mut self, download: bool) -> Self {
        self.download = download;
        self
    }

    /// Is called with the bytes that are compared so far, and with all that there
    /// are. Where bytes have to be read a second time it begins again.
    pub fn progress(mut self, told: impl Fn(u64, u64) + Send + Sync + 'static) -> Self {
        self.progress = Arc::new(told);
        self
    }

    async fn send(self) -> Result<Verification, Error> {
        let record = match &self.subject {
            Subject::These { .. } => None,
            Subject::Transfer(id) => {
                let record = self.utility.store().get(*id).await?;
                Some(Box::new(record.ok_or(StoreError::Unknown(*id))?))
            }
            Subject::Record(record) => Some(record.clone()),
        };
        let (bucket, key, path, known, recorded) = match (&self.subject, record) {
            (_, Some(record)) => of_record(*record)?,
            (Subject::These { bucket, key, path }, None) => {
                let (bucket, key, path) = (bucket.clone(), key.clone(), path.clone());
                (bucket, key, path, Known::default(), Recorded::default())
            }
            (_, None) => return Err(Error::Closed), // it was read above
        };
        let connection = self.connection.or(recorded.connection);
        let (place, asker) =
            self.utility
                .place_and_asker(&bucket, connection.as_ref(), self.group)?;
        let path = check::absolute(&path)?;
        if path.is_dir() {
            return Err(SubmitError::Directory { path }.into());
        }
        let object = GetObject {
            bucket: place.bucket,
            key: place::key(&key)?,
            version_id: self.version_id.or(recorded.version_id),
            access: self.access.unwrap_or(recorded.access),
            extra: recorded.extra,
            ..GetObject::default()
        };
        let comparison = compare::Comparison {
            asker: asker.clone(),
            object,
            path,
            known,
            download: self.download,
            progress: self.progress,
        };
        // Where the transfers run: whoever waits needs no runtime.
        asker.with_client(|_| comparison.run()).await?
    }
}

/// How a transfer reached its object.
#[derive(Default)]
struct Recorded {
    connection: Option<Connection>,
    version_id: Option<String>,
    access: Access,
    extra: Extra,
}

fn of_record(record: Record) -> Result<(String, String, PathBuf, Known, Recorded), SubmitError> {
    if record.spec.is_stream() {
        return Err(SubmitError::BadOption {
            option: "transfer".into(),
            why: format!("the bytes of transfer {} are in no file", record.id),
        });
    }
    if record.spec.direction == towline_core::Direction::Copy {
        return Err(SubmitError::BadOption {
            option: "transfer".into(),
            why: format!("transfer {} is a copy, and has no file", record.id),
        });
    }
    let (spec, proof) = (&record.spec, record.proof);
    let renamed = proof.as_ref().and_then(|proof| proof.renamed);
    let version = proof.as_ref().and_then(|proof| proof.version_id.clone());
    let recorded = Recorded {
        connection: Some(spec.connection.clone()),
        version_id: version.or(spec.object.version_id.clone()),
        access: spec.options.access.clone(),
        extra: match spec.direction {
            towline_core::Direction::Download => spec.options.extra.clone(),
            towline_core::Direction::Upload | towline_core::Direction::Copy => Extra::default(),
        },
    };
    let known = Known {
        proof,
        part_size: record.plan.and_then(|plan| plan.part_size()),
        is_range: spec.options.range.is_some(),
    };
    let object = &spec.object;
    let path = towline_engine::numbered(&spec.path, renamed);
    let (bucket, key) = (object.bucket.as_str().into(), object.key.as_str().into());
    Ok((bucket, key, path, known, recorded))
}

impl From<LocalFailure> for Error {
    fn from(failure: LocalFailure) -> Self {
        SubmitError::Source(failure).into()
    }
}

impl IntoFuture for VerifyRequest {
    type Output = Result<Verification, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl std::fmt::Debug for VerifyRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyRequest").finish_non_exhaustive()
    }
}
