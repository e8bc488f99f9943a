//! What S3 answers to a copy: the head of a success at once, white space as long as it
//! is at work, and then what it made, or why it did not.

use towline_core::{Checksum, ChecksumAlgorithm, ChecksumKind, S3Error, S3ErrorKind};

use super::take_checksum;
use crate::error::ErrorDocument;
use crate::headers;
use crate::request::Answer;
use crate::xml::{self, XmlError};

/// An object or a part as it was made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Copied {
    pub(super) etag: Option<String>,
    pub(super) checksum: Option<(Checksum, ChecksumKind)>,
}

pub(super) enum Parsed {
    Copied(Copied),
    Error(ErrorDocument),
}

/// Reads the answer to its end.
pub(super) async fn read(answer: &mut Answer, root: &'static str) -> Result<Copied, S3Error> {
    let page = answer.page().await?;
    match parse(&page, root).map_err(|error| answer.bad_xml(error))? {
        Parsed::Copied(copied) => Ok(copied),
        Parsed::Error(document) => {
            let mut facts = answer.error(S3ErrorKind::Answer, "");
            document.tell(&mut facts);
            Err(facts)
        }
    }
}

pub(super) fn parse(page: &[u8], expected: &'static str) -> Result<Parsed, XmlError> {
    let mut error = ErrorDocument::default();
    let mut etag = None;
    let mut kind = None;
    let mut checksum: Option<(ChecksumAlgorithm, String)> = None;
    let root = xml::walk(page, |path, text| {
        error.take(path, text)?;
        match path {
            "ETag" => xml::once(&mut etag, "ETag", text),
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
    xml::expect_root(root, expected)?;
    let etag = etag.ok_or(XmlError::Missing("ETag"))?;
    Ok(Parsed::Copied(Copied {
        etag: headers::etag(&etag),
        checksum: checksum.and_then(|(algorithm, value)| {
            headers::parse_checksum(algorithm, &value, kind.as_deref())
        }),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_made_only_where_the_answer_says_so_to_its_end() {
        let page = b"<?xml version='1.0'?>\n   \n<CopyObjectResult xmlns='x'><LastModified>t</LastModified>\
            <ETag>&quot;e&quot;</ETag><ChecksumType>FULL_OBJECT</ChecksumType>\
            <ChecksumCRC32>AAAAAA==</ChecksumCRC32></CopyObjectResult>";
        let Ok(Parsed::Copied(copied)) = parse(page, "CopyObjectResult") else {
            panic!()
        };
        assert_eq!(copied.etag.as_deref(), Some("\"e\""));
        assert_eq!(copied.checksum.unwrap().1, ChecksumKind::FullObject);
        let error = b"  <Error><Code>SlowDown</Code><Message>m</Message></Error>";
        let Ok(Parsed::Error(error)) = parse(error, "CopyPartResult") else {
            panic!()
        };
        assert_eq!(error.code.as_deref(), Some("SlowDown"));
        for page in [
            "",
            "   ",
            "<Error/>",
            "<CopyPartResult/>",
            "<CopyObjectResult><ETag>e</ETag></CopyObjectResult>",
            "<CopyPartResult><ETag>e</ETag>",
            "<CopyPartResult><ETag>e</ETag><ETag>f</ETag></CopyPartResult>",
        ] {
            assert!(parse(page.as_bytes(), "CopyPartResult").is_err(), "{page}");
        }
    }
}
