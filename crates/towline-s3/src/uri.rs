//! Percent-encoding exactly as S3 signs it. Nothing here normalises: a key is
//! taken byte by byte, so `//`, `.` and `..` stay what they are.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// All but the unreserved characters of RFC 3986.
const STRICT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The same, but `/` stays: for keys in a path.
const PATH: &AsciiSet = &STRICT.remove(b'/');

/// Appends a key to a path.
pub(crate) fn push_key(path: &mut String, key: &str) {
    path.extend(utf8_percent_encode(key, PATH));
}

/// A value of a query parameter, or of `x-amz-tagging`.
pub(crate) fn encode(value: &str) -> String {
    utf8_percent_encode(value, STRICT).to_string()
}

/// The parameters of a request, in the order given.
#[derive(Default)]
pub(crate) struct Query(String);

impl Query {
    /// A parameter without a value, such as `uploads`.
    pub(crate) fn flag(mut self, name: &str) -> Self {
        self.separate();
        self.0.push_str(name);
        self.0.push('=');
        self
    }

    pub(crate) fn pair(mut self, name: &str, value: &str) -> Self {
        self.separate();
        self.0.extend(utf8_percent_encode(name, STRICT));
        self.0.push('=');
        self.0.extend(utf8_percent_encode(value, STRICT));
        self
    }

    pub(crate) fn maybe(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.pair(name, value),
            None => self,
        }
    }

    fn separate(&mut self) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Decodes what S3 encoded because of `encoding-type=url` (a space is `+`).
pub(crate) fn decode_form(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced)
        .decode_utf8()
        .ok()
        .map(|text| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_slashes_and_dots_and_encodes_all_else() {
        for (key, encoded) in [
            ("a//b", "a//b"),
            ("../x", "../x"),
            ("/lead", "/lead"),
            ("sp ace+plus", "sp%20ace%2Bplus"),
            ("%41", "%2541"),
            ("ünï", "%C3%BCn%C3%AF"),
            ("?#&=*'()!~", "%3F%23%26%3D%2A%27%28%29%21~"),
            ("\u{1}\n", "%01%0A"),
        ] {
            let mut path = String::new();
            push_key(&mut path, key);
            assert_eq!(path, encoded);
        }
    }

    #[test]
    fn a_listed_key_is_decoded_as_s3_encodes_it() {
        assert_eq!(decode_form("a+b%2Bc%2F%C3%A4").as_deref(), Some("a b+c/ä"));
        assert_eq!(decode_form("%FF"), None);
    }
}
