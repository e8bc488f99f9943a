//! UploadPart.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html>

use http::Method;
use towline_core::{Body, Operation, PartChecksum, PartStored, S3Error, UploadPart};

use super::stored_etag;
use crate::client::S3Client;
use crate::headers;
use crate::request::{Call, Payload};
use crate::uri::Query;

impl S3Client {
    pub(crate) async fn do_upload_part(
        &self,
        request: UploadPart,
        body: Body,
    ) -> Result<PartStored, S3Error> {
        let upload = &request.upload;
        let query = Query::default()
            .pair("partNumber", &request.number.to_string())
            .pair("uploadId", &upload.id);
        let call = Call::new(Operation::UploadPart, Method::PUT, &upload.bucket)
            .key(&upload.key)
            .query(query)
            .access_to_bytes(&upload.access)?
            .headers(|map| {
                match &request.checksum {
                    Some(PartChecksum::Header(sum)) => headers::set_checksum(map, Some(sum)),
                    Some(PartChecksum::Trailer(trailer)) => headers::set_trailer(map, trailer),
                    None => {}
                }
                Ok(())
            })?
            .payload(match request.checksum {
                Some(PartChecksum::Trailer(trailer)) => Payload::Trailed(body, trailer),
                _ => Payload::Body(body),
            });
        let mut answer = self.send(call).await?;
        let etag = stored_etag(&mut answer).await?;
        let checksum = headers::checksums(&answer.headers).into_iter().next();
        Ok(PartStored {
            etag,
            checksum: checksum.map(|(checksum, _)| checksum),
        })
    }
}
