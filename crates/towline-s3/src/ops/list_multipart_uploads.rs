//! ListMultipartUploads, one page.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html>

use http::Method;
use towline_core::{ListUploads, ListedUpload, Operation, S3Error, UploadMarker, UploadsPage};

use crate::client::S3Client;
use crate::headers;
use crate::request::Call;
use crate::uri::{Query, decode_form};
use crate::xml::{self, XmlError};

impl S3Client {
    pub(crate) async fn do_list_multipart_uploads(
        &self,
        request: ListUploads,
    ) -> Result<UploadsPage, S3Error> {
        let ListUploads {
            bucket,
            prefix,
            after,
            access,
        } = request;
        let marker = after.as_ref();
        let query = Query::default()
            .pair("encoding-type", "url")
            .maybe("key-marker", marker.map(|marker| marker.key.as_str()))
            .pair("prefix", &prefix)
            .maybe(
                "upload-id-marker",
                marker.and_then(|marker| marker.upload_id.as_deref()),
            )
            .flag("uploads");
        let call = Call::new(Operation::ListMultipartUploads, Method::GET, &bucket)
            .query(query)
            .access(&access)?;
        let mut answer = self.send(call).await?;
        let page = answer.page().await?;
        parse(&page, &prefix, after.as_ref()).map_err(|error| answer.bad_xml(error))
    }
}

#[derive(Default)]
struct Entry {
    key: Option<String>,
    upload_id: Option<String>,
    initiated: Option<String>,
    initiator: Option<String>,
}

pub(super) fn parse(
    page: &[u8],
    prefix: &str,
    after: Option<&UploadMarker>,
) -> Result<UploadsPage, XmlError> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut entry = Entry::default();
    let mut truncated = None;
    let mut encoded = false;
    let (mut next_key, mut next_id) = (None, None);
    let root = xml::walk(page, |path, text| match path {
        "IsTruncated" => {
            let more = xml::boolean(text, "IsTruncated")?;
            xml::once_value(&mut truncated, "IsTruncated", more)
        }
        "EncodingType" => {
            encoded = text.trim() == "url";
            Ok(())
        }
        "NextKeyMarker" => xml::once(&mut next_key, "NextKeyMarker", text),
        "NextUploadIdMarker" => xml::once(&mut next_id, "NextUploadIdMarker", text),
        "Upload/Key" => xml::once(&mut entry.key, "Key", text),
        "Upload/UploadId" => xml::once(&mut entry.upload_id, "UploadId", text),
        "Upload/Initiated" => xml::once(&mut entry.initiated, "Initiated", text),
        "Upload/Initiator/ID" => xml::once(&mut entry.initiator, "Initiator", text),
        "Upload" => {
            entries.push(std::mem::take(&mut entry));
            Ok(())
        }
        _ => Ok(()),
    })?;
    xml::expect_root(root, "ListMultipartUploadsResult")?;
    let decode = |text: String, name| match encoded {
        true => decode_form(&text).ok_or(XmlError::Value(name)),
        false => Ok(text),
    };
    let mut uploads = Vec::with_capacity(entries.len());
    for entry in entries {
        let key = decode(entry.key.ok_or(XmlError::Missing("Key"))?, "Key")?;
        if !key.starts_with(prefix) {
            continue; // not what was asked for
        }
        uploads.push(ListedUpload {
            key,
            upload_id: entry.upload_id.ok_or(XmlError::Missing("UploadId"))?,
            initiated: entry.initiated.as_deref().and_then(headers::iso_date),
            initiator: entry.initiator.filter(|id| !id.is_empty()),
        });
    }
    if truncated != Some(true) {
        return Ok(UploadsPage {
            uploads,
            next: None,
        });
    }
    let next = UploadMarker {
        key: decode(next_key.unwrap_or_default(), "NextKeyMarker")?,
        upload_id: next_id.filter(|id| !id.is_empty()),
    };
    // Keys advance; within one key only S3 knows the order of its upload ids.
    let advances = match after {
        Some(after) => next.key > after.key || (next.key == after.key && next != *after),
        None => !next.key.is_empty(),
    };
    match advances {
        true => Ok(UploadsPage {
            uploads,
            next: Some(next),
        }),
        false => Err(XmlError::Value("NextKeyMarker")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(truncated: bool, next: &str) -> String {
        format!(
            "<ListMultipartUploadsResult><EncodingType>url</EncodingType><NextKeyMarker>{next}</NextKeyMarker>\
             <NextUploadIdMarker>u</NextUploadIdMarker><IsTruncated>{truncated}</IsTruncated>\
             <Upload><Key>a+b%2F%C3%A4</Key><UploadId>1</UploadId><Initiator><ID>me</ID></Initiator>\
             <Initiated>2013-05-24T00:00:00.000Z</Initiated></Upload>\
             <Upload><Key>foreign</Key><UploadId>2</UploadId></Upload></ListMultipartUploadsResult>"
        )
    }

    #[test]
    fn keys_are_decoded_and_foreign_ones_left_out() {
        let page = parse(page(false, "").as_bytes(), "a", None).unwrap();
        assert_eq!(page.next, None);
        assert_eq!(page.uploads.len(), 1);
        assert_eq!(page.uploads[0].key, "a b/ä");
        assert_eq!(page.uploads[0].initiator.as_deref(), Some("me"));
        assert!(page.uploads[0].initiated.is_some());
    }

    #[test]
    fn a_marker_that_does_not_advance_is_refused() {
        let marker = |key: &str| UploadMarker {
            key: key.into(),
            upload_id: Some("u".into()),
        };
        let read = |next: &str, after: Option<UploadMarker>| {
            parse(page(true, next).as_bytes(), "", after.as_ref()).map(|page| page.next)
        };
        assert_eq!(read("b", Some(marker("a"))), Ok(Some(marker("b"))));
        assert!(read("b", Some(marker("b"))).is_err());
        assert!(read("a", Some(marker("b"))).is_err());
        assert!(read("", None).is_err());
    }
}
