//! Reads S3's XML with limits: no DTD, no foreign entities, bounded depth, text
//! and size. Whatever breaks a rule is an error, never a guess.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};

/// An answer that carries a page.
pub(crate) const MAX_PAGE: usize = 16 << 20;
/// The body of an error.
pub(crate) const MAX_ERROR_BODY: usize = 64 << 10;
const MAX_DEPTH: usize = 32;
const MAX_TEXT: usize = 64 << 10;
const MAX_NAME: usize = 256;

/// What is wrong with an answer's XML.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum XmlError {
    #[error("not UTF-8")]
    NotUtf8,
    #[error("not well-formed XML")]
    NotWellFormed,
    #[error("no root element")]
    Empty,
    #[error("XML with a DOCTYPE")]
    Doctype,
    #[error("XML with the unknown entity &{0};")]
    Entity(String),
    #[error("XML over a limit: {0}")]
    Limit(&'static str),
    #[error("XML with text beside elements")]
    Mixed,
    #[error("XML with root <{0}>")]
    Root(String),
    #[error("XML with <{0}> twice")]
    Twice(&'static str),
    #[error("XML without <{0}>")]
    Missing(&'static str),
    #[error("XML with a bad <{0}>")]
    Value(&'static str),
}

/// Calls `on` with the path below the root (`Contents/Key`) and the text of
/// every element as it closes, and gives the root's local name. A caller sees
/// the closing of a container after those of all it contains.
pub(crate) fn walk(
    xml: &[u8],
    mut on: impl FnMut(&str, &str) -> Result<(), XmlError>,
) -> Result<String, XmlError> {
    let text = std::str::from_utf8(xml).map_err(|_| XmlError::NotUtf8)?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    reader.config_mut().expand_empty_elements = true;
    let mut root: Option<String> = None;
    let mut path = String::new();
    let mut starts: Vec<usize> = Vec::new(); // where each open element's name starts in `path`
    let mut open = false; // inside the root
    let mut value = String::new();
    let mut parent = false; // an element was closed inside the open one
    loop {
        match reader.read_event().map_err(|_| XmlError::NotWellFormed)? {
            Event::Start(tag) => {
                let name = tag.local_name();
                let name: &str = name.as_ref();
                if name.is_empty() || name.len() > MAX_NAME {
                    return Err(XmlError::Limit("length of a name"));
                }
                // The parser takes any: `<Part/Size>` is no Size of a Part.
                if !name.chars().all(is_of_name) {
                    return Err(XmlError::NotWellFormed);
                }
                if !value.trim().is_empty() {
                    return Err(XmlError::Mixed);
                }
                value.clear();
                parent = false;
                if !open {
                    if root.is_some() {
                        return Err(XmlError::NotWellFormed);
                    }
                    root = Some(name.to_owned());
                    open = true;
                    continue;
                }
                if starts.len() + 2 > MAX_DEPTH {
                    return Err(XmlError::Limit("depth"));
                }
                starts.push(path.len());
                if !path.is_empty() {
                    path.push('/');
                }
                path.push_str(name);
            }
            Event::End(_) => {
                if parent && !value.trim().is_empty() {
                    return Err(XmlError::Mixed);
                }
                parent = true;
                let Some(start) = starts.pop() else {
                    if !open {
                        return Err(XmlError::NotWellFormed);
                    }
                    open = false;
                    continue;
                };
                on(&path, &value)?;
                path.truncate(start);
                value.clear();
            }
            Event::Text(text) => push(&mut value, &text.xml10_content(), open)?,
            Event::CData(text) => push(&mut value, &text.xml10_content(), open)?,
            Event::GeneralRef(entity) => {
                let mut buffer = [0; 4];
                push(&mut value, resolve(&entity)?.encode_utf8(&mut buffer), open)?;
            }
            Event::DocType(_) => return Err(XmlError::Doctype),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
            Event::Empty(_) => return Err(XmlError::NotWellFormed), // expanded above
            Event::Eof => break,
        }
    }
    match root {
        Some(root) if !open => Ok(root),
        Some(_) => Err(XmlError::NotWellFormed),
        None => Err(XmlError::Empty),
    }
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

fn push(value: &mut String, text: &str, open: bool) -> Result<(), XmlError> {
    if !open {
        return match text.trim().is_empty() {
            true => Ok(()),
            false => Err(XmlError::NotWellFormed),
        };
    }
    if value.len() + text.len() > MAX_TEXT {
        return Err(XmlError::Limit("length of a text"));
    }
    value.push_str(text);
    Ok(())
}

fn resolve(entity: &BytesRef<'_>) -> Result<char, XmlError> {
    let unknown = || XmlError::Entity(entity.chars().take(16).collect());
    if let Some(c) = entity.resolve_char_ref().map_err(|_| unknown())? {
        return Ok(c);
    }
    match &**entity {
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "amp" => Ok('&'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => Err(unknown()),
    }
}

/// Escapes text that goes into a request's XML.
pub(crate) fn escape(text: &str, into: &mut String) {
    for c in text.chars() {
        match c {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            '\r' => into.push_str("&#13;"),
            c => into.push(c),
        }
    }
}

/// Fails unless the root is that of the listing: `ListPartsResult`, or
/// `ListPartsResponse` as some stores spell it.
pub(crate) fn expect_listing(root: String, stem: &str) -> Result<(), XmlError> {
    match root.strip_prefix(stem) {
        Some("Result" | "Response") => Ok(()),
        _ => Err(XmlError::Root(root)),
    }
}

/// Fails unless the root is the one expected.
pub(crate) fn expect_root(root: String, expected: &str) -> Result<(), XmlError> {
    if root == expected {
        Ok(())
    } else {
        Err(XmlError::Root(root))
    }
}

/// Keeps a text that may come once.
pub(crate) fn once(
    slot: &mut Option<String>,
    name: &'static str,
    text: &str,
) -> Result<(), XmlError> {
    once_value(slot, name, text.to_owned())
}

/// Keeps a value that may come once.
pub(crate) fn once_value<T>(
    slot: &mut Option<T>,
    name: &'static str,
    value: T,
) -> Result<(), XmlError> {
    if slot.is_some() {
        return Err(XmlError::Twice(name));
    }
    *slot = Some(value);
    Ok(())
}

/// A number that is there and fits.
pub(crate) fn number<N: std::str::FromStr>(text: &str, name: &'static str) -> Result<N, XmlError> {
    text.trim().parse().map_err(|_| XmlError::Value(name))
}

/// `true` or `false`.
pub(crate) fn boolean(text: &str, name: &'static str) -> Result<bool, XmlError> {
    match text.trim() {
        "true" => Ok(true),
        "false" | "" => Ok(false),
        _ => Err(XmlError::Value(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(xml: &str) -> Result<(String, Vec<(String, String)>), XmlError> {
        let mut all = Vec::new();
        let root = walk(xml.as_bytes(), |path, text| {
            all.push((path.to_owned(), text.to_owned()));
            Ok(())
        })?;
        Ok((root, all))
    }

    #[test]
    fn elements_close_in_order_with_their_path_and_text() {
        let (root, all) = leaves(
            "<?xml version=\"1.0\"?>\n<R xmlns=\"u\"><a>1 &amp; &#50;</a><b><c/><d> x </d></b></R>\n",
        )
        .unwrap();
        assert_eq!(root, "R");
        let all: Vec<_> = all.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
        assert_eq!(
            all,
            [("a", "1 & 2"), ("b/c", ""), ("b/d", " x "), ("b", "")]
        );
    }

    #[test]
    fn what_is_no_whole_document_is_refused() {
        for xml in [
            "",
            "  ",
            "OK",
            "<a>",
            "<a><b></a></b>",
            "<a/><b/>",
            "<a/>x",
            "</a>",
            "<a>&bomb;</a>",
            "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
            "<a>\u{0}",
            "<a",
            "{\"a\":1}",
            "<a><b/c>1</b/c></a>",
            "<a><b\"c/></a>",
            "<a><b>1<c/></b></a>",
            "<a><b><c/>1</b></a>",
            "<a><b/>1</a>",
            "<a>1<b/></a>",
        ] {
            assert!(leaves(xml).is_err(), "{xml:?}");
        }
        assert_eq!(
            leaves("<!DOCTYPE html><html></html>"),
            Err(XmlError::Doctype)
        );
    }

    #[test]
    fn depth_and_text_are_bounded() {
        let deep = |n: usize| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
        assert!(leaves(&deep(32)).is_ok());
        assert_eq!(leaves(&deep(33)), Err(XmlError::Limit("depth")));
        let long = |n: usize| format!("<a><b>{}</b></a>", "x".repeat(n));
        assert!(leaves(&long(65_536)).is_ok());
        assert!(leaves(&long(65_537)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(0u8..=255, 0..200)) {
            let _ = walk(&bytes, |_, _| Ok(()));
        }

        #[test]
        fn no_markup_makes_the_reader_panic(text in "[<>&;#x/!\\[\\]A-D \"'=?-]{0,120}") {
            let _ = walk(text.as_bytes(), |_, _| Ok(()));
        }
    }
}
