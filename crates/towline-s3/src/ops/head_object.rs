//! HeadObject. Its errors have no body: only the status tells.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>

use http::{HeaderMap, Method};
use towline_core::{GetObject, ObjectHead, Operation, S3Error};

use crate::client::S3Client;
use crate::headers::{self, BadHeader};
use crate::request::{Answer, Call};
use crate::uri::Query;

impl S3Client {
    pub(crate) async fn do_head_object(&self, request: GetObject) -> Result<ObjectHead, S3Error> {
        let call = Call::new(Operation::HeadObject, Method::HEAD, &request.bucket)
            .key(&request.key)
            .query(query(&request))
            .headers(|map| set_headers(map, &request))?
            .access_to_bytes(&request.access)?
            .extra(&request.extra)?;
        let answer = self.send(call).await?;
        expect_object(&answer)?;
        let (range, size) = match headers::content_range(&answer.headers) {
            Some((range, total)) => (Some(range), total),
            None if answer.status.as_u16() == 206 => (None, None),
            None => (None, headers::number(&answer.headers, "content-length")),
        };
        Ok(ObjectHead {
            range,
            ..headers::object_head(&answer.headers, size)
        })
    }
}

/// The parameters that HEAD and GET share.
pub(super) fn query(request: &GetObject) -> Query {
    let part = request.part_number.map(|number| number.to_string());
    Query::default()
        .maybe("partNumber", part.as_deref())
        .maybe("versionId", request.version_id.as_deref())
}

/// The headers that HEAD and GET share.
pub(super) fn set_headers(map: &mut HeaderMap, request: &GetObject) -> Result<(), BadHeader> {
    headers::set(map, "x-amz-checksum-mode", "ENABLED")?;
    headers::set_read_condition(map, &request.condition)?;
    match &request.range {
        Some(range) => {
            let last = range.end.saturating_sub(1);
            headers::set(map, "range", &format!("bytes={}-{last}", range.start))
        }
        None => Ok(()),
    }
}

/// Somebody else's page, such as a captive portal's, has neither an ETag nor
/// any header of S3's.
pub(super) fn expect_object(answer: &Answer) -> Result<(), S3Error> {
    match answer.has_marks_of_s3() {
        true => Ok(()),
        false => Err(answer.malformed("no ETag and no header of S3's")),
    }
}
