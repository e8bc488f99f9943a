//! DeleteObjects: up to 1,000 of them, and what became of each.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>

use std::collections::HashSet;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::Method;
use md5::{Digest, Md5};
use towline_core::{
    DeleteObjects, NotDeleted, ObjectVersion, ObjectsDeleted, Operation, S3Error, S3ErrorKind,
};

use crate::client::S3Client;
use crate::error::ErrorDocument;
use crate::headers;
use crate::request::{Call, Payload, invalid};
use crate::uri::Query;
use crate::xml::{self, XmlError};

impl S3Client {
    pub(crate) async fn do_delete_objects(
        &self,
        request: DeleteObjects,
    ) -> Result<ObjectsDeleted, S3Error> {
        let operation = Operation::DeleteObjects;
        let list = list(&request.objects).map_err(|error| invalid(operation, error))?;
        // S3 asks for a checksum of the list, and this one every store knows.
        let sum = BASE64_STANDARD.encode(Md5::digest(list.as_bytes()));
        let call = Call::new(operation, Method::POST, &request.bucket)
            .query(Query::default().flag("delete"))
            .headers(|map| {
                headers::set(map, "content-type", "application/xml")?;
                headers::set(map, "content-md5", &sum)
            })?
            .access(&request.access)?
            .payload(Payload::Bytes(list.into()));
        let mut answer = self.send(call).await?;
        let page = answer.page().await?;
        match parse(&page, &request.objects).map_err(|error| answer.bad_xml(error))? {
            Parsed::Told(told) => Ok(told),
            Parsed::Error(document) => {
                let mut facts = answer.error(S3ErrorKind::Answer, "");
                document.tell(&mut facts);
                Err(facts)
            }
        }
    }
}

/// A list that S3 would not take, or would take for another.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum BadList {
    #[error("a list of objects to delete has 1 to 1,000 of them, not {0}")]
    Count(usize),
    #[error("XML cannot name {0:?} for sure")]
    Unsafe(String),
}

fn list(objects: &[ObjectVersion]) -> Result<String, BadList> {
    if objects.is_empty() || objects.len() > DeleteObjects::MOST {
        return Err(BadList::Count(objects.len()));
    }
    let mut list = String::with_capacity(128 + objects.len() * 96);
    list.push_str("<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for object in objects {
        if !object.is_safe_in_xml() {
            return Err(BadList::Unsafe(object.key.clone()));
        }
        list.push_str("<Object><Key>");
        xml::escape(&object.key, &mut list);
        list.push_str("</Key>");
        if let Some(version) = &object.version_id {
            list.push_str("<VersionId>");
            xml::escape(version, &mut list);
            list.push_str("</VersionId>");
        }
        list.push_str("</Object>");
    }
    list.push_str("</Delete>");
    Ok(list)
}

pub(super) enum Parsed {
    Told(ObjectsDeleted),
    Error(ErrorDocument),
}

/// What is said of one object.
#[derive(Default)]
struct Entry {
    key: Option<String>,
    version_id: Option<String>,
    code: Option<String>,
    message: Option<String>,
}

pub(super) fn parse(page: &[u8], asked: &[ObjectVersion]) -> Result<Parsed, XmlError> {
    let asked: HashSet<&ObjectVersion> = asked.iter().collect();
    let mut document = ErrorDocument::default();
    let mut told = ObjectsDeleted::default();
    let mut entry = Entry::default();
    let root = xml::walk(page, |path, text| {
        document.take(path, text)?;
        match path {
            "Deleted/Key" | "Error/Key" => xml::once(&mut entry.key, "Key", text),
            "Deleted/VersionId" | "Error/VersionId" => {
                xml::once(&mut entry.version_id, "VersionId", text)
            }
            "Error/Code" => xml::once(&mut entry.code, "Code", text.trim()),
            "Error/Message" => xml::once(&mut entry.message, "Message", text),
            "Deleted" => {
                let object = std::mem::take(&mut entry).object(&asked)?;
                told.deleted.extend(object);
                Ok(())
            }
            "Error" => {
                let mut entry = std::mem::take(&mut entry);
                let code = entry.code.take().filter(|code| !code.is_empty());
                let code = code.ok_or(XmlError::Missing("Code"))?;
                let message = entry.message.take().unwrap_or_default();
                let object = entry.object(&asked)?;
                told.failed.extend(object.map(|object| NotDeleted {
                    object,
                    code,
                    message,
                }));
                Ok(())
            }
            _ => Ok(()),
        }
    })?;
    if root == "Error" {
        return match document.code.as_deref() {
            None | Some("") => Err(XmlError::Missing("Code")),
            Some(_) => Ok(Parsed::Error(document)),
        };
    }
    xml::expect_root(root, "DeleteResult")?;
    Ok(Parsed::Told(told))
}

impl Entry {
    /// The object as it was asked for; `None` where it was not. S3 may tell the
    /// version of one that was asked for without.
    fn object(self, asked: &HashSet<&ObjectVersion>) -> Result<Option<ObjectVersion>, XmlError> {
        let named = ObjectVersion {
            key: self.key.ok_or(XmlError::Missing("Key"))?,
            version_id: self.version_id,
        };
        if asked.contains(&named) {
            return Ok(Some(named));
        }
        let now = ObjectVersion::from(named.key);
        Ok(asked.contains(&now).then_some(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(page: &str, asked: &[ObjectVersion]) -> ObjectsDeleted {
        match parse(page.as_bytes(), asked) {
            Ok(Parsed::Told(told)) => told,
            Ok(Parsed::Error(error)) => panic!("{error:?}"),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn objects_are_listed_escaped_and_with_their_versions() {
        let objects = [
            "a&b<c>\"d'".into(),
            ObjectVersion {
                key: "ünï 😀".into(),
                version_id: Some("v&1".into()),
            },
        ];
        assert_eq!(
            list(&objects).unwrap(),
            "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Object><Key>a&amp;b&lt;c&gt;&quot;d'</Key></Object>\
             <Object><Key>ünï 😀</Key><VersionId>v&amp;1</VersionId></Object></Delete>"
        );
    }

    #[test]
    fn what_xml_cannot_name_and_lists_of_none_or_too_many_are_refused() {
        for key in ["a\u{1}b", "a\nb", "a\rb", " a", "\u{ffff}"] {
            let refused = list(&["fine".into(), key.into()]);
            assert_eq!(refused, Err(BadList::Unsafe(key.into())));
        }
        let many = |count| vec![ObjectVersion::from("a"); count];
        assert_eq!(list(&[]), Err(BadList::Count(0)));
        assert_eq!(list(&many(1001)), Err(BadList::Count(1001)));
        assert!(list(&many(1000)).is_ok());
    }

    #[test]
    fn what_is_listed_is_read_as_what_it_was() {
        for key in ["a&b<c>\"d'", "ünï 😀", "]]>", "&amp;", "a  b", "%0A+"] {
            let list = list(&[key.into()]).unwrap();
            let mut read = None;
            xml::walk(list.as_bytes(), |path, text| match path {
                "Object/Key" => xml::once(&mut read, "Key", text),
                _ => Ok(()),
            })
            .unwrap();
            assert_eq!(read.as_deref(), Some(key));
        }
    }

    #[test]
    fn what_became_of_each_is_told_as_it_was_asked_for_and_of_others_nothing() {
        let version = |key: &str, version: &str| ObjectVersion {
            key: key.into(),
            version_id: Some(version.into()),
        };
        let asked = ["a&b".into(), "c".into(), version("d", "1"), "e".into()];
        let page = "<?xml version=\"1.0\"?>\n<DeleteResult xmlns=\"x\">\
            <Deleted><Key>a&amp;b</Key><DeleteMarker>true</DeleteMarker>\
            <DeleteMarkerVersionId>m</DeleteMarkerVersionId></Deleted>\
            <Error><Key>c</Key><VersionId></VersionId><Code>AccessDenied</Code><Message>no</Message></Error>\
            <Deleted><Key>d</Key><VersionId>1</VersionId></Deleted>\
            <Deleted><Key>d</Key><VersionId>2</VersionId></Deleted>\
            <Deleted><Key>other</Key></Deleted>\
            <Error><Key>other</Key><Code>X</Code></Error></DeleteResult>";
        let told = told(page, &asked);
        assert_eq!(told.deleted, ["a&b".into(), version("d", "1")]);
        assert_eq!(
            told.failed,
            [NotDeleted {
                object: "c".into(),
                code: "AccessDenied".into(),
                message: "no".into(),
            }]
        );
    }

    #[test]
    fn an_answer_that_says_nothing_is_one_and_an_error_is_none() {
        let asked = ["a"].map(ObjectVersion::from);
        assert_eq!(told("<DeleteResult/>", &asked), ObjectsDeleted::default());
        let error = parse(b"<Error><Code>InternalError</Code></Error>", &asked);
        let Ok(Parsed::Error(error)) = error else {
            panic!("it is an error")
        };
        assert_eq!(error.code.as_deref(), Some("InternalError"));
        for page in [
            "",
            "<Error/>",
            "<html/>",
            "<DeleteResult>",
            "<DeleteResult><Deleted/></DeleteResult>",
            "<DeleteResult><Deleted><Key>a</Key><Key>a</Key></Deleted></DeleteResult>",
            "<DeleteResult><Error><Key>a</Key></Error></DeleteResult>",
            "<DeleteResult><Error><Code>X</Code></Error></DeleteResult>",
        ] {
            assert!(parse(page.as_bytes(), &asked).is_err(), "{page}");
        }
    }
}
