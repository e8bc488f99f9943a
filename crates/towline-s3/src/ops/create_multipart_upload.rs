//! CreateMultipartUpload.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html>

use http::Method;
use towline_core::{CreateUpload, OpenedUpload, Operation, S3Error};

use crate::client::S3Client;
use crate::headers;
use crate::request::Call;
use crate::uri::Query;
use crate::xml::{self, XmlError};

impl S3Client {
    pub(crate) async fn do_create_multipart_upload(
        &self,
        request: CreateUpload,
    ) -> Result<OpenedUpload, S3Error> {
        let call = Call::new(
            Operation::CreateMultipartUpload,
            Method::POST,
            &request.bucket,
        )
        .key(&request.key)
        .signed_at(request.signed_at)
        .query(Query::default().flag("uploads"))
        .access_to_bytes(&request.access)?
        .extra(&request.extra)?
        .headers(|map| {
            headers::set_options(map, &request.options)?;
            if let Some((algorithm, kind)) = request.checksum {
                // MD5 goes with the parts, as Content-MD5.
                if let Some(name) = algorithm.s3_name() {
                    headers::set(map, "x-amz-checksum-algorithm", name)?;
                    headers::set(map, "x-amz-checksum-type", headers::kind_text(kind))?;
                }
            }
            Ok(())
        })?;
        let mut answer = self.send(call).await?;
        let page = answer.page().await?;
        let id = parse(&page).map_err(|error| answer.bad_xml(error))?;
        let checksum = headers::text(&answer.headers, "x-amz-checksum-algorithm");
        Ok(OpenedUpload {
            id,
            checksum: checksum.and_then(headers::algorithm_named),
        })
    }
}

pub(super) fn parse(page: &[u8]) -> Result<String, XmlError> {
    let mut id = None;
    let root = xml::walk(page, |path, text| match path {
        "UploadId" => xml::once(&mut id, "UploadId", text.trim()),
        _ => Ok(()),
    })?;
    xml::expect_root(root, "InitiateMultipartUploadResult")?;
    id.filter(|id| !id.is_empty())
        .ok_or(XmlError::Missing("UploadId"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_answer_gives_an_upload_id() {
        let answer = |inner: &str| {
            parse(
                format!("<InitiateMultipartUploadResult>{inner}</InitiateMultipartUploadResult>")
                    .as_bytes(),
            )
        };
        assert_eq!(answer("<UploadId>VX 1</UploadId>").unwrap(), "VX 1");
        assert_eq!(answer("<UploadId/>"), Err(XmlError::Missing("UploadId")));
        assert_eq!(
            answer("<UploadId>a</UploadId><UploadId>b</UploadId>"),
            Err(XmlError::Twice("UploadId"))
        );
        assert_eq!(parse(b"<Other/>"), Err(XmlError::Root("Other".into())));
    }
}
