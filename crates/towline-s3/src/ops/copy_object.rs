//! CopyObject, whose status 200 may carry an error, and may come long before the
//! rest of the answer.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>

use http::Method;
use towline_core::{CopyObject, Operation, S3Error, Stored};

use super::copy_result;
use crate::client::S3Client;
use crate::headers;
use crate::request::Call;

impl S3Client {
    pub(crate) async fn do_copy_object(&self, request: CopyObject) -> Result<Stored, S3Error> {
        let call = Call::new(Operation::CopyObject, Method::PUT, &request.bucket)
            .key(&request.key)
            .headers(|map| {
                headers::set_copy_source(map, &request.source)?;
                headers::set_options(map, &request.options)?;
                if request.replace_metadata {
                    headers::set(map, "x-amz-metadata-directive", "REPLACE")?;
                }
                if request.replace_tags {
                    headers::set(map, "x-amz-tagging-directive", "REPLACE")?;
                }
                let algorithm = request.checksum.and_then(|algorithm| algorithm.s3_name());
                headers::set_some(map, "x-amz-checksum-algorithm", algorithm)?;
                headers::set_condition(map, request.condition.as_ref())
            })?
            .access(&request.access)?
            .extra(&request.extra)?;
        let mut answer = self.send(call).await?;
        let copied = copy_result::read(&mut answer, "CopyObjectResult").await?;
        Ok(Stored {
            etag: copied.etag,
            version_id: headers::version(&answer.headers),
            checksum: copied.checksum,
        })
    }
}
