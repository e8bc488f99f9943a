//! DeleteObject.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html>

use http::Method;
use towline_core::{Operation, S3Error};

use crate::client::S3Client;
use crate::request::Call;
use crate::uri::Query;

impl S3Client {
    pub(crate) async fn do_delete_object(
        &self,
        bucket: &str,
        key: &str,
        version_id: Option<&str>,
    ) -> Result<(), S3Error> {
        let call = Call::new(Operation::DeleteObject, Method::DELETE, bucket)
            .key(key)
            .query(Query::default().maybe("versionId", version_id));
        let mut answer = self.send(call).await?;
        match answer.drain().await? {
            false => Ok(()),
            true => Err(answer.malformed("a body where none is due")),
        }
    }
}
