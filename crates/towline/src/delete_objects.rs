//! Many objects deleted at once, and of each that is still there the reason.

use std::collections::{HashMap, HashSet};
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::join_all;
use towline_core::{
    Access, Connection, DeleteObject, DeleteObjects, Failure, History, NotDeleted, ObjectVersion,
    ObjectsDeleted, Operation, Reaction, S3, S3Error, S3ErrorKind, react,
};
use towline_s3::S3Client;

use crate::ask::Asker;
use crate::{Error, RequestError, SubmitError, TransferUtility, place};

/// So many are deleted at one time where each has a request of its own.
const TOGETHER: usize = 16;

/// What became of objects that were to be deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeletedObjects {
    /// How many are gone, or were not there.
    pub deleted: usize,
    /// Those that are still there, as far as is known, in the order of their keys.
    pub failed: Vec<NotDeleted>,
}

/// Objects to be deleted. Await it.
#[must_use = "await it to delete the objects"]
#[derive(Clone, Debug)]
pub struct DeleteObjectsRequest {
    utility: TransferUtility,
    connection: Option<Connection>,
    request: DeleteObjects,
}

impl TransferUtility {
    /// Deletes up to 1,000 objects; await the request. Objects that are not
    /// there are fine. Where the bucket keeps versions, an object is hidden
    /// behind a delete marker unless a version of it is named. An empty `bucket`
    /// is the default bucket.
    ///
    /// One request deletes them all. What it cannot name for sure, does not tell
    /// of or could not delete just then is deleted by a request of its own, and
    /// all are where the store does not have that operation.
    ///
    /// Fails when S3 refuses the request as a whole. Objects that it does not
    /// delete are no error: [`DeletedObjects::failed`] says why.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>
    pub fn delete_objects<T: Into<ObjectVersion>>(
        &self,
        bucket: impl Into<String>,
        objects: impl IntoIterator<Item = T>,
    ) -> DeleteObjectsRequest {
        DeleteObjectsRequest {
            utility: self.clone(),
            connection: None,
            request: DeleteObjects {
                bucket: bucket.into(),
                objects: objects.into_iter().map(Into::into).collect(),
                ..DeleteObjects::default()
            },
        }
    }
}

impl DeleteObjectsRequest {
    /// What S3 wants to see on the request: that the requester pays, who has to
    /// own the bucket. Default: nothing.
    pub fn access(mut self, access: Access) -> Self {
        self.request.access = access;
        self
    }

    /// Another connection than the utility's own.
    pub fn connection(mut self, connection: Connection) -> Self {
        self.connection = Some(connection);
        self
    }

    async fn send(self) -> Result<DeletedObjects, Error> {
        let mut request = self.request;
        let place = self
            .utility
            .place(&request.bucket, self.connection.as_ref())?;
        check(&request.objects)?;
        let asker = self.utility.asker(&place)?;
        request.bucket = place.bucket;
        let objects = std::mem::take(&mut request.objects);
        let (listed, single) = objects.into_iter().partition(ObjectVersion::is_safe_in_xml);
        let mut deletion = Deletion {
            asker,
            request,
            single,
            done: DeletedObjects::default(),
        };
        deletion.by_list(listed).await?;
        deletion.one_by_one().await?;
        let mut done = deletion.done;
        done.failed.sort_by(|a, b| a.object.cmp(&b.object));
        Ok(done)
    }
}

fn check(objects: &[ObjectVersion]) -> Result<(), SubmitError> {
    if objects.len() > DeleteObjects::MOST {
        return Err(SubmitError::BadOption {
            option: "objects".into(),
            why: format!(
                "one request deletes 1,000 of them at most, not {}",
                objects.len()
            ),
        });
    }
    let mut keys = objects.iter().map(|object| &object.key);
    keys.try_for_each(|key| place::key(key).map(drop))
}

/// One request, on its way.
struct Deletion {
    asker: Asker,
    /// Without objects.
    request: DeleteObjects,
    /// Those that are still to be deleted by requests of their own.
    single: Vec<ObjectVersion>,
    done: DeletedObjects,
}

impl Deletion {
    async fn by_list(&mut self, listed: Vec<ObjectVersion>) -> Result<(), Error> {
        if listed.is_empty() {
            return Ok(());
        }
        let request = DeleteObjects {
            objects: listed.clone(),
            ..self.request.clone()
        };
        let send = move |s3: Arc<S3Client>| {
            let request = request.clone();
            async move { s3.delete_objects(request).await }
        };
        match self.asker.ask(Operation::DeleteObjects, send).await {
            Ok(told) => self.sort(listed, told),
            Err(Error::Request(error)) if is_not_offered(&error) => self.single.extend(listed),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Who is gone, who is not, and who has to be asked for alone.
    fn sort(&mut self, listed: Vec<ObjectVersion>, told: ObjectsDeleted) {
        let deleted: HashSet<ObjectVersion> = told.deleted.into_iter().collect();
        let failed = told.failed.into_iter();
        let failed: HashMap<_, _> = failed.map(|it| (it.object.clone(), it)).collect();
        for object in listed {
            match failed.get(&object) {
                Some(failed) if is_gone(&failed.code) => self.done.deleted += 1,
                Some(failed) if may_pass(&failed.code) => self.single.push(object),
                Some(failed) => self.done.failed.push(failed.clone()),
                None if deleted.contains(&object) => self.done.deleted += 1,
                None => self.single.push(object),
            }
        }
    }

    async fn one_by_one(&mut self) -> Result<(), Error> {
        let single = std::mem::take(&mut self.single);
        let mut unanswered: Option<NotDeleted> = None;
        for some in single.chunks(TOGETHER) {
            if let Some(why) = &unanswered {
                // Nobody is there: the rest would only wait for the same.
                let left = some.iter().map(|object| NotDeleted {
                    object: object.clone(),
                    ..why.clone()
                });
                self.done.failed.extend(left);
                continue;
            }
            let asked = join_all(some.iter().map(|object| self.delete(object))).await;
            for (object, asked) in some.iter().zip(asked) {
                let error = match asked {
                    Ok(()) => {
                        self.done.deleted += 1;
                        continue;
                    }
                    Err(Error::Request(error)) if is_gone(error.code()) => {
                        self.done.deleted += 1;
                        continue;
                    }
                    Err(Error::Request(error)) => error,
                    Err(error) => return Err(error),
                };
                let failed = NotDeleted {
                    object: object.clone(),
                    code: error.code().to_owned(),
                    message: error.message().to_owned(),
                };
                if error.http_status().is_none() {
                    unanswered = Some(failed.clone());
                }
                self.done.failed.push(failed);
            }
        }
        Ok(())
    }

    async fn delete(&self, object: &ObjectVersion) -> Result<(), Error> {
        let object = DeleteObject {
            bucket: self.request.bucket.clone(),
            key: object.key.clone(),
            version_id: object.version_id.clone(),
            access: self.request.access.clone(),
        };
        let send = move |s3: Arc<S3Client>| {
            let object = object.clone();
            async move { s3.delete_object(object).await }
        };
        self.asker.ask(Operation::DeleteObject, send).await
    }
}

/// The store has no DeleteObjects.
fn is_not_offered(error: &RequestError) -> bool {
    matches!(error.http_status(), Some(405 | 501))
        || matches!(
            error.code(),
            "NotImplemented" | "MethodNotAllowed" | "NotSupported"
        )
}

/// Some stores say so where others call it deleted.
fn is_gone(code: &str) -> bool {
    code == "NoSuchKey"
}

/// Whether the same may work when it is asked for again.
fn may_pass(code: &str) -> bool {
    let mut error = S3Error::new(Operation::DeleteObject, S3ErrorKind::Answer, "");
    error.code = Some(code.to_owned());
    let reaction = react(&Failure::from(error), History::new(1));
    !matches!(reaction, Reaction::GiveUp | Reaction::Fail)
}

impl IntoFuture for DeleteObjectsRequest {
    type Output = Result<DeletedObjects, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_asked_for_again_and_what_is_denied_is_not() {
        for code in ["InternalError", "SlowDown", "ExpiredToken", "SomethingNew"] {
            assert!(may_pass(code), "{code}");
        }
        for code in ["AccessDenied", "NoSuchVersion", "NotImplemented"] {
            assert!(!may_pass(code), "{code}");
        }
    }

    #[test]
    fn too_many_objects_and_keys_that_are_none_are_refused() {
        let refused = |objects: &[ObjectVersion]| check(objects).unwrap_err().code();
        assert_eq!(refused(&vec!["a".into(); 1001]), "BadOption");
        assert_eq!(refused(&["a".into(), "".into()]), "EmptyKey");
        assert_eq!(refused(&["k".repeat(1025).into()]), "KeyTooLong");
        assert!(check(&vec!["a".into(); 1000]).is_ok());
    }
}
