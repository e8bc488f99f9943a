//! ListObjectsV2, one page.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>

use http::Method;
use towline_core::{ListObjects, ListedObject, ObjectsPage, Operation, S3Error};

use crate::client::S3Client;
use crate::headers;
use crate::request::Call;
use crate::uri::{Query, decode_form};
use crate::xml::{self, XmlError};

impl S3Client {
    pub(crate) async fn do_list_objects(
        &self,
        request: ListObjects,
    ) -> Result<ObjectsPage, S3Error> {
        let max_keys = request.max_keys.map(|most| most.to_string());
        let query = Query::default()
            .maybe("continuation-token", request.continuation.as_deref())
            .maybe("delimiter", request.delimiter.as_deref())
            .pair("encoding-type", "url")
            .pair("list-type", "2")
            .maybe("max-keys", max_keys.as_deref())
            .pair("prefix", &request.prefix)
            .maybe("start-after", request.start_after.as_deref());
        let call = Call::new(Operation::ListObjects, Method::GET, &request.bucket)
            .query(query)
            .access(&request.access)?;
        let mut answer = self.send(call).await?;
        let page = answer.page().await?;
        parse(&page, &request).map_err(|error| answer.bad_xml(error))
    }
}

#[derive(Default)]
struct Entry {
    key: Option<String>,
    size: Option<u64>,
    etag: Option<String>,
    last_modified: Option<String>,
    storage_class: Option<String>,
}

pub(super) fn parse(page: &[u8], request: &ListObjects) -> Result<ObjectsPage, XmlError> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut entry = Entry::default();
    let mut groups: Vec<String> = Vec::new();
    let mut truncated = None;
    let mut encoded = false;
    let mut next = None;
    let root = xml::walk(page, |path, text| match path {
        "IsTruncated" => {
            let more = xml::boolean(text, "IsTruncated")?;
            xml::once_value(&mut truncated, "IsTruncated", more)
        }
        "EncodingType" => {
            encoded = text.trim() == "url";
            Ok(())
        }
        "NextContinuationToken" => xml::once(&mut next, "NextContinuationToken", text),
        "Contents/Key" => xml::once(&mut entry.key, "Key", text),
        "Contents/ETag" => xml::once(&mut entry.etag, "ETag", text),
        "Contents/LastModified" => xml::once(&mut entry.last_modified, "LastModified", text),
        "Contents/StorageClass" => xml::once(&mut entry.storage_class, "StorageClass", text.trim()),
        "Contents/Size" => {
            let size: u64 = xml::number(text, "Size")?;
            xml::once_value(&mut entry.size, "Size", size)
        }
        "Contents" => {
            entries.push(std::mem::take(&mut entry));
            Ok(())
        }
        "CommonPrefixes/Prefix" => {
            groups.push(text.to_owned());
            Ok(())
        }
        _ => Ok(()),
    })?;
    xml::expect_root(root, "ListBucketResult")?;
    let decode = |text: String, name| match encoded {
        true => decode_form(&text).ok_or(XmlError::Value(name)),
        false => Ok(text),
    };
    let mut page = ObjectsPage::default();
    for entry in entries {
        let key = decode(entry.key.ok_or(XmlError::Missing("Key"))?, "Key")?;
        if !key.starts_with(&request.prefix) {
            continue; // not what was asked for
        }
        page.objects.push(ListedObject {
            key,
            size: entry.size.ok_or(XmlError::Missing("Size"))?,
            etag: entry.etag.as_deref().and_then(headers::etag),
            last_modified: entry.last_modified.as_deref().and_then(headers::iso_date),
            storage_class: entry.storage_class.filter(|class| !class.is_empty()),
        });
    }
    for group in groups {
        let group = decode(group, "Prefix")?;
        if group.starts_with(&request.prefix) {
            page.prefixes.push(group);
        }
    }
    // Who names a next page has one.
    let has_more = truncated.unwrap_or_else(|| next.as_ref().is_some_and(|it| !it.is_empty()));
    if has_more {
        let token =
            next.filter(|token| !token.is_empty() && request.continuation.as_ref() != Some(token));
        page.next = Some(token.ok_or(XmlError::Value("NextContinuationToken"))?);
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>\
        <NextContinuationToken>t2</NextContinuationToken>\
        <Contents><Key>p/a%00+b</Key><Size>5</Size><ETag>&quot;e&quot;</ETag>\
        <LastModified>2013-05-24T00:00:00.000Z</LastModified><StorageClass>GLACIER</StorageClass></Contents>\
        <Contents><Key>other</Key><Size>5</Size></Contents>\
        <CommonPrefixes><Prefix>p/d/</Prefix></CommonPrefixes></ListBucketResult>";

    fn request(continuation: Option<&str>) -> ListObjects {
        ListObjects {
            prefix: "p/".into(),
            continuation: continuation.map(str::to_owned),
            ..ListObjects::default()
        }
    }

    #[test]
    fn a_page_gives_decoded_keys_groups_and_the_next_token() {
        let page = parse(PAGE.as_bytes(), &request(None)).unwrap();
        assert_eq!(page.objects.len(), 1);
        assert_eq!(page.objects[0].key, "p/a\0 b");
        assert_eq!(page.objects[0].etag.as_deref(), Some("\"e\""));
        assert_eq!(page.objects[0].storage_class.as_deref(), Some("GLACIER"));
        assert_eq!(page.prefixes, ["p/d/"]);
        assert_eq!(page.next.as_deref(), Some("t2"));
    }

    #[test]
    fn a_token_that_repeats_is_refused() {
        assert!(parse(PAGE.as_bytes(), &request(Some("t2"))).is_err());
        let without = PAGE.replace("<NextContinuationToken>t2</NextContinuationToken>", "");
        assert!(parse(without.as_bytes(), &request(None)).is_err());
    }

    #[test]
    fn a_page_that_names_a_next_one_has_one_also_where_it_does_not_say_so() {
        let silent = PAGE.replace("<IsTruncated>true</IsTruncated>", "");
        let page = parse(silent.as_bytes(), &request(None)).unwrap();
        assert_eq!(page.next.as_deref(), Some("t2"));
        let last = silent.replace("<NextContinuationToken>t2</NextContinuationToken>", "");
        assert_eq!(parse(last.as_bytes(), &request(None)).unwrap().next, None);
        let said = PAGE.replace("true", "false");
        assert_eq!(parse(said.as_bytes(), &request(None)).unwrap().next, None);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(3000))]
        #[test]
        fn no_change_of_a_page_makes_the_reader_panic(at in 0usize..400, byte in 0u8..=255, cut in 0usize..500) {
            let mut page = PAGE.as_bytes().to_vec();
            let at = at % page.len();
            page[at] = byte;
            page.truncate(cut.max(at));
            let _ = parse(&page, &request(None));
        }
    }
}
