//! DeleteObject.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html>

use http::Method;
use towline_core::{DeleteObject, Operation, S3Error};

use crate::client::S3Client;
use crate::request::Call;
use crate::uri::Query;

impl S3Client {
    pub(crate) async fn do_delete_object(&self, request: DeleteObject) -> Result<(), S3Error> {
        let version = request.version_id.as_deref();
        let call = Call::new(Operation::DeleteObject, Method::DELETE, &request.bucket)
            .key(&request.key)
            .query(Query::default().maybe("versionId", version))
            .access(&request.access)?;
        let mut answer = self.send(call).await?;
        match answer.drain().await? {
            false => Ok(()),
            true => Err(answer.malformed("a body where none is due")),
        }
    }
}
