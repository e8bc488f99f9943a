//! CompleteMultipartUpload, whose status 200 may carry an error.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>

use std::fmt::Write as _;

use http::Method;
use towline_core::{
    ChecksumAlgorithm, CompleteUpload, CompletedPart, Operation, S3Error, S3ErrorKind, Stored,
};

use super::{checksum_element, take_checksum};
use crate::client::S3Client;
use crate::error::ErrorDocument;
use crate::headers;
use crate::request::{Call, Payload};
use crate::uri::Query;
use crate::xml::{self, XmlError};

impl S3Client {
    pub(crate) async fn do_complete_multipart_upload(
        &self,
        request: CompleteUpload,
    ) -> Result<Stored, S3Error> {
        let upload = &request.upload;
        let call = Call::new(
            Operation::CompleteMultipartUpload,
            Method::POST,
            &upload.bucket,
        )
        .key(&upload.key)
        .query(Query::default().pair("uploadId", &upload.id))
        .headers(|map| {
            headers::set(map, "content-type", "application/xml")?;
            headers::set(map, "x-amz-mp-object-size", &request.size.to_string())?;
            let checksum = request.checksum.as_ref();
            // Content-MD5 here would be of the list of parts, not of the object.
            headers::set_checksum(
                map,
                checksum.filter(|sum| sum.algorithm().s3_name().is_some()),
            );
            let kind = request.checksum_kind.map(headers::kind_text);
            headers::set_some(map, "x-amz-checksum-type", kind)?;
            headers::set_condition(map, request.condition.as_ref())
        })?
        .access_to_bytes(&upload.access)?
        .payload(Payload::Bytes(list(&request.parts).into()));
        let mut answer = self.send(call).await?;
        let page = answer.page().await?;
        match parse(&page).map_err(|error| answer.bad_xml(error))? {
            Parsed::Stored(mut stored) => {
                stored.version_id = headers::version(&answer.headers);
                Ok(stored)
            }
            Parsed::Error(document) => {
                let mut facts = answer.error(S3ErrorKind::Answer, "");
                document.tell(&mut facts);
                Err(facts)
            }
        }
    }
}

fn list(parts: &[CompletedPart]) -> String {
    let mut xml = String::with_capacity(64 + parts.len() * 160);
    xml.push_str("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for part in parts {
        xml.push_str("<Part>");
        if let Some((name, sum)) = part
            .checksum
            .as_ref()
            .and_then(|s| Some((checksum_element(s)?, s)))
        {
            let _ = write!(xml, "<{name}>{}</{name}>", headers::checksum_text(sum));
        }
        xml.push_str("<ETag>");
        xml::escape(&part.etag, &mut xml);
        let _ = write!(
            xml,
            "</ETag><PartNumber>{}</PartNumber></Part>",
            part.number
        );
    }
    xml.push_str("</CompleteMultipartUpload>");
    xml
}

pub(super) enum Parsed {
    Stored(Stored),
    Error(ErrorDocument),
}

pub(super) fn parse(page: &[u8]) -> Result<Parsed, XmlError> {
    let mut error = ErrorDocument::default();
    let mut etag = None;
    let mut key = None;
    let mut kind = None;
    let mut checksum: Option<(ChecksumAlgorithm, String)> = None;
    let root = xml::walk(page, |path, text| {
        error.take(path, text)?;
        match path {
            "ETag" => xml::once(&mut etag, "ETag", text),
            "Key" => xml::once(&mut key, "Key", text),
            "ChecksumType" => xml::once(&mut kind, "ChecksumType", text.trim()),
            _ => take_checksum(&mut checksum, path, text),
        }
    })?;
    if root == "Error" {
        return match error.code.as_deref() {
            None | Some("") => Err(XmlError::Missing("Code")),
            Some(_) => Ok(Parsed::Error(error)),
        };
    }
    xml::expect_root(root, "CompleteMultipartUploadResult")?;
    // Ceph leaves the ETag empty, but says that there is one.
    let etag = etag.ok_or(XmlError::Missing("ETag"))?;
    Ok(Parsed::Stored(Stored {
        etag: headers::etag(&etag),
        version_id: None,
        checksum: checksum.and_then(|(algorithm, value)| {
            headers::parse_checksum(algorithm, &value, kind.as_deref())
        }),
    }))
}

#[cfg(test)]
mod tests {
    use towline_core::{Checksum, ChecksumKind};

    use super::*;

    #[test]
    fn parts_are_listed_with_escaped_etags_and_their_checksums() {
        let parts = [CompletedPart {
            number: 7,
            etag: "\"a&b\"".into(),
            checksum: Some(Checksum::new(ChecksumAlgorithm::Crc32c, &[0; 4]).unwrap()),
        }];
        assert!(list(&parts).contains(
            "<Part><ChecksumCRC32C>AAAAAA==</ChecksumCRC32C><ETag>&quot;a&amp;b&quot;</ETag>\
             <PartNumber>7</PartNumber></Part>"
        ));
    }

    #[test]
    fn success_and_error_are_told_apart_by_the_root() {
        let page = b"<?xml version='1.0'?>\n   \n<CompleteMultipartUploadResult xmlns='x'><Key>k</Key>\
            <ETag>\"e-2\"</ETag><ChecksumCRC32>AAAAAA==-2</ChecksumCRC32></CompleteMultipartUploadResult>";
        let Ok(Parsed::Stored(stored)) = parse(page) else {
            panic!()
        };
        assert_eq!(stored.etag.as_deref(), Some("\"e-2\""));
        assert_eq!(stored.checksum.unwrap().1, ChecksumKind::Composite);
        let Ok(Parsed::Error(error)) = parse(b"<Error><Code>InternalError</Code></Error>") else {
            panic!()
        };
        assert_eq!(error.code.as_deref(), Some("InternalError"));
        for page in [
            "",
            " ",
            "<Error/>",
            "<CompleteMultipartUploadResult/>",
            "<html/>",
            "<Comp",
        ] {
            assert!(parse(page.as_bytes()).is_err(), "{page}");
        }
        let ceph = b"<CompleteMultipartUploadResult><ETag></ETag></CompleteMultipartUploadResult>";
        assert!(matches!(
            parse(ceph),
            Ok(Parsed::Stored(Stored { etag: None, .. }))
        ));
    }
}
