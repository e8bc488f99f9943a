//! Objects beside transfers: listed and deleted.

use std::future::IntoFuture;
use std::pin::Pin;

use towline_core::{
    Access, Connection, DeleteObject, GroupId, ListObjects, ObjectsPage, Operation, S3,
};

use crate::{Error, TransferUtility, place};

/// One page of a bucket's objects, to be asked for. Await it.
///
/// ```no_run
/// # async fn example(utility: towline::TransferUtility) -> Result<(), towline::Error> {
/// let mut page = utility.list("my-bucket").prefix("photos/").await?;
/// while let Some(next) = page.next {
///     page = utility.list("my-bucket").prefix("photos/").continuation(next).await?;
/// }
/// # Ok(()) }
/// ```
#[must_use = "await it to ask for the page"]
#[derive(Clone, Debug)]
pub struct ListRequest {
    utility: TransferUtility,
    connection: Option<Connection>,
    /// For whom; its connection is taken as it stands.
    group: Option<GroupId>,
    list: ListObjects,
}

/// An object to be deleted. Await it.
#[must_use = "await it to delete the object"]
#[derive(Clone, Debug)]
pub struct DeleteRequest {
    utility: TransferUtility,
    connection: Option<Connection>,
    object: DeleteObject,
}

impl TransferUtility {
    /// One page of a bucket's objects, in the order of their keys. Await the
    /// request. An empty `bucket` is the default bucket.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>
    pub fn list(&self, bucket: impl Into<String>) -> ListRequest {
        ListRequest {
            utility: self.clone(),
            connection: None,
            group: None,
            list: ListObjects {
                bucket: bucket.into(),
                ..ListObjects::default()
            },
        }
    }

    /// Deletes an object; await the request. One that is not there is fine:
    /// S3 does not tell. Where the bucket keeps versions, the object is hidden
    /// behind a delete marker unless a version is named. An empty `bucket` is
    /// the default bucket.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html>
    pub fn delete_object(
        &self,
        bucket: impl Into<String>,
        key: impl Into<String>,
    ) -> DeleteRequest {
        DeleteRequest {
            utility: self.clone(),
            connection: None,
            object: DeleteObject {
                bucket: bucket.into(),
                key: key.into(),
                ..DeleteObject::default()
            },
        }
    }
}

impl ListRequest {
    /// Only keys that start with this. Default: all.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.list.prefix = prefix.into();
        self
    }

    /// Groups keys by what they have up to this behind the prefix, usually `/`:
    /// [`ObjectsPage::prefixes`]. Default: no groups.
    pub fn delimiter(mut self, delimiter: impl Into<String>) -> Self {
        self.list.delimiter = Some(delimiter.into()).filter(|text| !text.is_empty());
        self
    }

    /// Only keys behind this one. Default: from the first.
    pub fn start_after(mut self, key: impl Into<String>) -> Self {
        self.list.start_after = Some(key.into()).filter(|key| !key.is_empty());
        self
    }

    /// Goes on behind a page, by its [`ObjectsPage::next`].
    pub fn continuation(mut self, token: impl Into<String>) -> Self {
        self.list.continuation = Some(token.into());
        self
    }

    /// At most this many keys and groups on the page. Default, and the most
    /// that S3 gives: 1,000.
    pub fn max_keys(mut self, most: u32) -> Self {
        self.list.max_keys = Some(most);
        self
    }

    /// What S3 wants to see on the request: that the requester pays, who has to
    /// own the bucket. Default: nothing.
    pub fn access(mut self, access: Access) -> Self {
        self.list.access = access;
        self
    }

    /// Another connection than the utility's own.
    pub fn connection(mut self, connection: Connection) -> Self {
        self.connection = Some(connection);
        self
    }

    /// For a group, over the connection that was settled for it.
    pub(crate) fn of_group(mut self, group: GroupId, connection: Connection) -> Self {
        self.group = Some(group);
        self.connection(connection)
    }

    async fn send(self) -> Result<ObjectsPage, Error> {
        let (place, asker) = self.utility.place_and_asker(
            &self.list.bucket,
            self.connection.as_ref(),
            self.group,
        )?;
        let mut list = self.list;
        list.bucket = place.bucket;
        let send = move |s3: std::sync::Arc<towline_s3::S3Client>| {
            let list = list.clone();
            async move { s3.list_objects(list).await }
        };
        asker.ask(Operation::ListObjects, send).await
    }
}

impl DeleteRequest {
    /// A version of the object, which then is gone for good. Default: the
    /// object as it is now.
    pub fn version_id(mut self, version: impl Into<String>) -> Self {
        self.object.version_id = Some(version.into());
        self
    }

    /// What S3 wants to see on the request: that the requester pays, who has to
    /// own the bucket. Default: nothing.
    pub fn access(mut self, access: Access) -> Self {
        self.object.access = access;
        self
    }

    /// Another connection than the utility's own.
    pub fn connection(mut self, connection: Connection) -> Self {
        self.connection = Some(connection);
        self
    }

    async fn send(self) -> Result<(), Error> {
        let place = self
            .utility
            .place(&self.object.bucket, self.connection.as_ref())?;
        let asker = self.utility.asker(&place)?;
        let mut object = self.object;
        object.bucket = place.bucket;
        object.key = place::key(&object.key)?;
        let send = move |s3: std::sync::Arc<towline_s3::S3Client>| {
            let object = object.clone();
            async move { s3.delete_object(object).await }
        };
        asker.ask(Operation::DeleteObject, send).await
    }
}

type Sending<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

impl IntoFuture for ListRequest {
    type Output = Result<ObjectsPage, Error>;
    type IntoFuture = Sending<ObjectsPage>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl IntoFuture for DeleteRequest {
    type Output = Result<(), Error>;
    type IntoFuture = Sending<()>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
