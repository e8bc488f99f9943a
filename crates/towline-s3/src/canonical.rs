//! What the signature of a request's headers covers.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>

use std::fmt::Write as _;
use std::time::SystemTime;

use http::HeaderMap;
use time::OffsetDateTime;

/// Headers that are made by signing, or may change on the way.
const NOT_SIGNED: [&str; 4] = [
    "authorization",
    "transfer-encoding",
    "user-agent",
    "x-amzn-trace-id",
];

/// What a request amounts to, however it is written.
pub(crate) struct CanonicalRequest {
    pub(crate) text: String,
    /// Their names, with `;` between them.
    pub(crate) signed_headers: String,
}

impl CanonicalRequest {
    /// `uri` begins with a scheme and an authority; its path and its query are encoded.
    pub(crate) fn of(method: &str, uri: &str, headers: &HeaderMap, payload_hash: &str) -> Self {
        let (path, query) = path_and_query(uri);
        let mut signed: Vec<(&str, &str)> = headers
            .iter()
            .filter(|(name, _)| !NOT_SIGNED.contains(&name.as_str()))
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
            .collect();
        // Stable: values of one name stay in the order in which they are sent.
        signed.sort_by_key(|(name, _)| *name);
        let mut text = String::with_capacity(1024);
        let mut names = String::with_capacity(256);
        text.extend([method, "\n", path, "\n"]);
        push_query(&mut text, query);
        let mut last = "";
        for (name, value) in signed {
            if name == last {
                text.push(',');
            } else {
                text.extend(["\n", name, ":"]);
                names.extend([if names.is_empty() { "" } else { ";" }, name]);
            }
            last = name;
            push_value(&mut text, value);
        }
        text.extend(["\n\n", &names, "\n", payload_hash]);
        Self {
            text,
            signed_headers: names,
        }
    }
}

fn path_and_query(uri: &str) -> (&str, &str) {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let path = rest.find('/').map_or("/", |at| &rest[at..]);
    path.split_once('?').unwrap_or((path, ""))
}

/// In the order of their names, then of their values.
fn push_query(text: &mut String, query: &str) {
    let mut pairs: Vec<(&str, &str)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    pairs.sort_unstable();
    for (n, (name, value)) in pairs.into_iter().enumerate() {
        text.extend([if n == 0 { "" } else { "&" }, name, "=", value]);
    }
}

/// Without the spaces around it, and with one for each row of spaces in it.
fn push_value(text: &mut String, value: &str) {
    let value = value.trim_matches(' ');
    if !value.contains("  ") {
        text.push_str(value);
        return;
    }
    for (n, word) in value.split(' ').filter(|word| !word.is_empty()).enumerate() {
        text.extend([if n == 0 { "" } else { " " }, word]);
    }
}

/// How many characters of a stamp are the date.
pub(crate) const DATE_LEN: usize = 8;

/// `20130524T000000Z`.
pub(crate) fn stamp(time: SystemTime) -> String {
    let at = OffsetDateTime::from(time);
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second) = at.to_hms();
    let mut text = String::with_capacity(16);
    let month = u8::from(month);
    let _ = write!(
        text,
        "{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_spaces_is_one_and_those_around_are_none() {
        for (value, canonical) in [
            ("a", "a"),
            ("  a  b   c ", "a b c"),
            ("", ""),
            ("   ", ""),
            ("a\tb", "a\tb"),
        ] {
            let mut text = String::new();
            push_value(&mut text, value);
            assert_eq!(text, canonical, "{value:?}");
        }
    }
}
