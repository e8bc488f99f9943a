//! ListParts, one page.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html>

use http::Method;
use towline_core::{ChecksumAlgorithm, ListedPart, Operation, PartsPage, S3Error, Upload};

use super::take_checksum;
use crate::client::S3Client;
use crate::headers;
use crate::request::Call;
use crate::uri::Query;
use crate::xml::{self, XmlError};

/// An upload has no more parts.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
const MAX_PARTS: u32 = 10_000;

impl S3Client {
    pub(crate) async fn do_list_parts(
        &self,
        upload: &Upload,
        after: Option<u32>,
    ) -> Result<PartsPage, S3Error> {
        let marker = after.map(|number| number.to_string());
        let query = Query::default()
            .maybe("part-number-marker", marker.as_deref())
            .pair("uploadId", &upload.id);
        let call = Call::new(Operation::ListParts, Method::GET, &upload.bucket)
            .key(&upload.key)
            .query(query)
            .access_to_bytes(&upload.access)?;
        let mut answer = self.send(call).await?;
        let page = answer.page().await?;
        parse(&page, after.unwrap_or(0)).map_err(|error| answer.bad_xml(error))
    }
}

#[derive(Default)]
struct Entry {
    number: Option<u32>,
    etag: Option<String>,
    size: Option<u64>,
    checksum: Option<(ChecksumAlgorithm, String)>,
}

pub(super) fn parse(page: &[u8], after: u32) -> Result<PartsPage, XmlError> {
    let mut parts: Vec<ListedPart> = Vec::new();
    let mut entry = Entry::default();
    let mut truncated = None;
    let mut marker: Option<u32> = None;
    let root = xml::walk(page, |path, text| {
        match path {
            "IsTruncated" => {
                let more = xml::boolean(text, "IsTruncated")?;
                xml::once_value(&mut truncated, "IsTruncated", more)?;
            }
            // Absent or 0 on a last page.
            "NextPartNumberMarker" if !text.trim().is_empty() => {
                let next = part_number(text, "NextPartNumberMarker")?;
                xml::once_value(&mut marker, "NextPartNumberMarker", next)?;
            }
            "Part/PartNumber" => {
                let number = part_number(text, "PartNumber")?;
                xml::once_value(&mut entry.number, "PartNumber", number)?;
            }
            "Part/ETag" => xml::once(&mut entry.etag, "ETag", text.trim())?,
            "Part/Size" => {
                let size: u64 = xml::number(text, "Size")?;
                xml::once_value(&mut entry.size, "Size", size)?;
            }
            "Part" => {
                let done = std::mem::take(&mut entry);
                let number = done.number.ok_or(XmlError::Missing("PartNumber"))?;
                let last = parts.last().map_or(after, |part| part.number);
                if number <= last {
                    return Err(XmlError::Value("PartNumber")); // not increasing
                }
                parts.push(ListedPart {
                    number,
                    etag: done.etag.ok_or(XmlError::Missing("ETag"))?,
                    size: done.size.ok_or(XmlError::Missing("Size"))?,
                    checksum: done.checksum.and_then(|(algorithm, value)| {
                        Some(headers::parse_checksum(algorithm, &value, None)?.0)
                    }),
                });
            }
            _ => {
                if let Some(element) = path.strip_prefix("Part/") {
                    take_checksum(&mut entry.checksum, element, text)?;
                }
            }
        }
        Ok(())
    })?;
    xml::expect_listing(root, "ListParts")?;
    let next = match truncated {
        None | Some(false) => None,
        Some(true) => Some(
            marker
                .filter(|next| *next > after)
                .ok_or(XmlError::Value("NextPartNumberMarker"))?,
        ),
    };
    Ok(PartsPage { parts, next })
}

/// A number that a part, or the last one of a page, may have.
fn part_number(text: &str, name: &'static str) -> Result<u32, XmlError> {
    let number = xml::number(text, name)?;
    match number <= MAX_PARTS {
        true => Ok(number),
        false => Err(XmlError::Value(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<ListPartsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
        <Bucket>b</Bucket><PartNumberMarker>1</PartNumberMarker>\
        <NextPartNumberMarker>3</NextPartNumberMarker><IsTruncated>true</IsTruncated>\
        <Part><PartNumber>2</PartNumber><ETag>\"a\"</ETag><Size>10</Size>\
        <ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part>\
        <Part><PartNumber>3</PartNumber><ETag>\"b\"</ETag><Size>0</Size></Part></ListPartsResult>";

    #[test]
    fn a_page_gives_its_parts_and_where_the_next_starts() {
        let page = parse(PAGE.as_bytes(), 1).unwrap();
        assert_eq!(page.next, Some(3));
        assert_eq!(page.parts.len(), 2);
        assert_eq!(page.parts[0].etag, "\"a\"");
        assert!(page.parts[0].checksum.is_some());
    }

    #[test]
    fn a_store_may_call_its_page_a_response() {
        let page = PAGE.replace("ListPartsResult", "ListPartsResponse");
        assert_eq!(parse(page.as_bytes(), 1).unwrap().parts.len(), 2);
        let other = PAGE.replace("ListPartsResult", "ListBucketResult");
        assert!(parse(other.as_bytes(), 1).is_err());
    }

    #[test]
    fn a_page_that_does_not_advance_or_does_not_add_up_is_refused() {
        assert!(parse(PAGE.as_bytes(), 3).is_err());
        for (from, to) in [
            (">10<", ">-1<"),
            (">10<", ">18446744073709551616<"),
            ("<PartNumber>3", "<PartNumber>2"),
            ("<Size>0</Size>", ""),
            (">true<", ">maybe<"),
            (">3</NextPartNumberMarker>", ">10001</NextPartNumberMarker>"),
            ("<PartNumber>3", "<PartNumber>10001"),
            ("<Size>10<", "<Size>10</Size><Size>11<"),
            (
                "<IsTruncated>",
                "<IsTruncated>false</IsTruncated><IsTruncated>",
            ),
            ("<NextPartNumberMarker>3", "<NextPartNumberMarker>1"),
        ] {
            let page = PAGE.replace(from, to);
            assert!(parse(page.as_bytes(), 1).is_err(), "{to}");
        }
    }
}
