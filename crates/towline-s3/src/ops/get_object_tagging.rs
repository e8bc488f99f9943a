//! GetObjectTagging.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTagging.html>

use http::Method;
use towline_core::{GetTags, Operation, S3Error, Tags};

use crate::client::S3Client;
use crate::request::Call;
use crate::uri::Query;
use crate::xml::{self, XmlError};

impl S3Client {
    pub(crate) async fn do_get_object_tagging(&self, request: GetTags) -> Result<Tags, S3Error> {
        let query = Query::default()
            .flag("tagging")
            .maybe("versionId", request.version_id.as_deref());
        let call = Call::new(Operation::GetObjectTagging, Method::GET, &request.bucket)
            .key(&request.key)
            .query(query)
            .access(&request.access)?;
        let mut answer = self.send(call).await?;
        let page = answer.page().await?;
        parse(&page).map_err(|error| answer.bad_xml(error))
    }
}

pub(super) fn parse(page: &[u8]) -> Result<Tags, XmlError> {
    let mut tags = Tags::new();
    let (mut key, mut value) = (None, None);
    let root = xml::walk(page, |path, text| match path {
        "TagSet/Tag/Key" => xml::once(&mut key, "Key", text),
        "TagSet/Tag/Value" => xml::once(&mut value, "Value", text),
        "TagSet/Tag" => {
            let key = key.take().ok_or(XmlError::Missing("Key"))?;
            match tags.insert(key, value.take().unwrap_or_default()) {
                Some(_) => Err(XmlError::Twice("Key")),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    })?;
    xml::expect_root(root, "Tagging")?;
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_one_by_one_and_none_twice() {
        let page =
            |tags: &str| parse(format!("<Tagging><TagSet>{tags}</TagSet></Tagging>").as_bytes());
        let one = "<Tag><Key>a b</Key><Value>1&amp;2</Value></Tag>";
        assert_eq!(page("").unwrap(), Tags::new());
        let read = page(&format!("{one}<Tag><Key>c</Key><Value/></Tag>")).unwrap();
        let expected = [("a b", "1&2"), ("c", "")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(read, Tags::from(expected));
        assert_eq!(page(&format!("{one}{one}")), Err(XmlError::Twice("Key")));
        assert_eq!(
            page("<Tag><Value>v</Value></Tag>"),
            Err(XmlError::Missing("Key"))
        );
        assert_eq!(parse(b"<Other/>"), Err(XmlError::Root("Other".into())));
    }
}
