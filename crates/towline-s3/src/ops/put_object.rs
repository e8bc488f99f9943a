//! PutObject.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>

use http::Method;
use towline_core::{Body, Operation, PutObject, S3Error, Stored};

use super::stored_etag;
use crate::client::S3Client;
use crate::headers;
use crate::request::{Call, Payload};

impl S3Client {
    pub(crate) async fn do_put_object(
        &self,
        request: PutObject,
        body: Body,
    ) -> Result<Stored, S3Error> {
        let call = Call::new(Operation::PutObject, Method::PUT, &request.bucket)
            .key(&request.key)
            .headers(|map| {
                headers::set_options(map, &request.options)?;
                headers::set_checksum(map, request.checksum.as_ref());
                headers::set_condition(map, request.condition.as_ref())
            })?
            .access_to_bytes(&request.access)?
            .extra(&request.extra)?
            .payload(Payload::Body(body));
        let mut answer = self.send(call).await?;
        let etag = stored_etag(&mut answer).await?;
        Ok(Stored {
            etag,
            version_id: headers::version(&answer.headers),
            checksum: headers::checksums(&answer.headers).into_iter().next(),
        })
    }
}
