//! UploadPartCopy, whose answers are as those of CopyObject.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html>

use http::Method;
use towline_core::{Operation, PartStored, S3Error, UploadPartCopy};

use super::copy_result;
use crate::client::S3Client;
use crate::headers;
use crate::request::Call;
use crate::uri::Query;

impl S3Client {
    pub(crate) async fn do_upload_part_copy(
        &self,
        request: UploadPartCopy,
    ) -> Result<PartStored, S3Error> {
        let upload = &request.upload;
        let query = Query::default()
            .pair("partNumber", &request.number.to_string())
            .pair("uploadId", &upload.id);
        let call = Call::new(Operation::UploadPartCopy, Method::PUT, &upload.bucket)
            .key(&upload.key)
            .query(query)
            .headers(|map| {
                headers::set_copy_source(map, &request.source)?;
                let range = request.range.as_ref().map(|range| {
                    let last = range.end.saturating_sub(1);
                    format!("bytes={}-{last}", range.start)
                });
                headers::set_some(map, "x-amz-copy-source-range", range.as_deref())
            })?
            .access(&upload.access)?;
        let mut answer = self.send(call).await?;
        let copied = copy_result::read(&mut answer, "CopyPartResult").await?;
        Ok(PartStored {
            etag: copied.etag,
            checksum: copied.checksum.map(|(checksum, _)| checksum),
        })
    }
}
