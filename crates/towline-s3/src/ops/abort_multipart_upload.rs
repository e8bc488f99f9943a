//! AbortMultipartUpload.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html>

use http::Method;
use towline_core::{Operation, S3Error, Upload};

use crate::client::S3Client;
use crate::request::Call;
use crate::uri::Query;

impl S3Client {
    pub(crate) async fn do_abort_multipart_upload(&self, upload: &Upload) -> Result<(), S3Error> {
        let call = Call::new(
            Operation::AbortMultipartUpload,
            Method::DELETE,
            &upload.bucket,
        )
        .key(&upload.key)
        .query(Query::default().pair("uploadId", &upload.id))
        .access(&upload.access)?;
        let mut answer = self.send(call).await?;
        match answer.drain().await? {
            false => Ok(()),
            true => Err(answer.malformed("a body where none is due")),
        }
    }
}
