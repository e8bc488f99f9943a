//! What reads a server's words, fed with any bytes: each function panics where
//! a promise of the readers is broken. Driven by the targets in `fuzz/`, and by
//! the seeded test below where there is no fuzzer.

#![allow(missing_docs, unreachable_pub, reason = "for the fuzz targets alone")]

use http::{HeaderMap, HeaderName, HeaderValue};
use towline_core::{
    ChecksumAlgorithm, ListObjects, ObjectVersion, Operation, S3Error, S3ErrorKind, Timestamp,
};

use super::{
    complete_multipart_upload, copy_result, create_multipart_upload, delete_objects,
    get_bucket_lifecycle, get_object_tagging, list_multipart_uploads, list_objects, list_parts,
};
use crate::error::{ErrorDocument, read_headers};
use crate::headers;
use crate::xml::{self, XmlError};

/// XML of any kind of answer; and, with the bytes as dice, XML that is sound.
pub fn xml(bytes: &[u8]) {
    let mut deepest = 0;
    let root = xml::walk(bytes, |path, text| {
        assert!(text.len() <= 64 << 10, "a text of {} bytes", text.len());
        assert!(path.split('/').all(|name| (1..=256).contains(&name.len())));
        deepest = deepest.max(path.split('/').count());
        Ok(())
    });
    assert!(deepest < 32, "{deepest} levels");
    if root.is_ok() {
        // The end of its last markup belongs to it.
        let end = bytes.iter().rposition(|byte| *byte == b'>').unwrap_or(0);
        assert!(xml::walk(&bytes[..end], |_, _| Ok(())).is_err(), "cut off");
        let doctype = [b"<!DOCTYPE x>", bytes].concat();
        let refused = xml::walk(&doctype, |_, _| Ok(()));
        let bom = bytes.starts_with("\u{feff}".as_bytes());
        assert!(bom || refused == Err(XmlError::Doctype), "{refused:?}");
        let twice = [bytes, b"<again/>"].concat();
        assert!(xml::walk(&twice, |_, _| Ok(())).is_err(), "two roots");
    }
    pages(bytes);
    sound_page(bytes);
}

fn pages(bytes: &[u8]) {
    let asked = ListObjects {
        prefix: "p".into(),
        continuation: Some("t".into()),
        ..ListObjects::default()
    };
    if let Ok(page) = list_objects::parse(bytes, &asked) {
        assert!(page.objects.iter().all(|it| it.key.starts_with("p")));
        assert!(page.prefixes.iter().all(|it| it.starts_with("p")));
        assert!(page.next.is_none_or(|next| !next.is_empty() && next != "t"));
    }
    if let Ok(page) = list_parts::parse(bytes, 1) {
        let numbers: Vec<_> = page.parts.iter().map(|part| part.number).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        assert!(numbers.iter().all(|it| (2..=10_000).contains(it)));
        assert!(page.next.is_none_or(|next| (2..=10_000).contains(&next)));
    }
    if let Ok(page) = list_multipart_uploads::parse(bytes, "a", None) {
        assert!(page.uploads.iter().all(|it| it.key.starts_with("a")));
        assert!(page.next.is_none_or(|next| !next.key.is_empty()));
    }
    if let Ok(id) = create_multipart_upload::parse(bytes) {
        assert!(!id.is_empty());
    }
    use complete_multipart_upload::{Parsed, parse};
    match parse(bytes) {
        Ok(Parsed::Stored(stored)) => {
            // Success is never told by what is an error as well.
            assert!(ErrorDocument::parse(bytes).is_none());
            assert!(
                stored
                    .etag
                    .is_none_or(|etag| !etag.trim_matches('"').is_empty())
            );
        }
        Ok(Parsed::Error(_)) => assert!(ErrorDocument::parse(bytes).is_some()),
        Err(_) => {}
    }
    match copy_result::parse(bytes, "CopyObjectResult") {
        Ok(copy_result::Parsed::Copied(copied)) => {
            assert!(ErrorDocument::parse(bytes).is_none());
            assert!(
                copied
                    .etag
                    .is_none_or(|etag| !etag.trim_matches('"').is_empty())
            );
        }
        Ok(copy_result::Parsed::Error(_)) => assert!(ErrorDocument::parse(bytes).is_some()),
        Err(_) => {}
    }
    let _ = get_object_tagging::parse(bytes);
    let asked = ["a", "b"].map(ObjectVersion::from);
    match delete_objects::parse(bytes, &asked) {
        Ok(delete_objects::Parsed::Told(told)) => {
            assert!(ErrorDocument::parse(bytes).is_none());
            assert!(told.deleted.iter().all(|it| asked.contains(it)));
            let failed = told.failed.iter();
            assert!(failed.clone().all(|it| asked.contains(&it.object)));
            assert!(failed.clone().all(|it| !it.code.is_empty()));
        }
        Ok(delete_objects::Parsed::Error(_)) => assert!(ErrorDocument::parse(bytes).is_some()),
        Err(_) => {}
    }
    if let Some(document) = ErrorDocument::parse(bytes) {
        let mut facts = S3Error::new(Operation::GetObject, S3ErrorKind::Answer, "");
        document.tell(&mut facts);
        assert!(facts.region.is_none_or(|region| is_part_of_host(&region)));
        assert!(facts.server_date.is_none_or(is_a_date));
    }
    let _ = get_bucket_lifecycle::parse(bytes);
}

/// A list of parts written in one of many ways is read as what it was.
fn sound_page(bytes: &[u8]) {
    let mut dice = bytes.iter().copied();
    let mut roll = || usize::from(dice.next().unwrap_or(0));
    let prefix = ["", "s3:", "a-b:"][roll() % 3];
    let mut page = ["", "<?xml version=\"1.0\"?>\n  ", "\u{feff}<!-- -->"][roll() % 3].to_owned();
    let element = |page: &mut String, name: &str, text: &str, how: usize| {
        let gap = ["", "\n ", "<!-- <x> -->", "<?pi ?>"][how % 4];
        page.push_str(&format!("{gap}<{prefix}{name}>"));
        match how / 4 % 3 {
            0 => xml::escape(text, page),
            1 if !text.contains(['\r', '\n']) => page.push_str(&format!("<![CDATA[{text}]]>")),
            _ => page.extend(text.chars().map(|c| format!("&#x{:x};", u32::from(c)))),
        }
        page.push_str(&format!("</{prefix}{name}>{gap}"));
    };
    page.push_str(&format!("<{prefix}ListPartsResult xmlns:s3=\"u\">"));
    let mut expected = Vec::new();
    let mut number = 0;
    for _ in 0..roll() % 5 {
        number += 1 + roll() as u32;
        let size = (roll() as u64) << (roll() % 56);
        let text = ['a', '"', '&', '<', '>', '\'', 'ä', '\u{1f980}', '/', '-'];
        let etag: String = (0..1 + roll() % 8).map(|_| text[roll() % 10]).collect();
        page.push_str(&format!("<{prefix}Part>"));
        element(&mut page, "PartNumber", &number.to_string(), roll());
        element(&mut page, "ETag", &etag, roll());
        element(&mut page, "Unknown", "", roll());
        element(&mut page, "Size", &size.to_string(), roll());
        page.push_str(&format!("</{prefix}Part>"));
        expected.push((number, etag, size));
    }
    page.push_str(&format!("</{prefix}ListPartsResult>"));
    let read = list_parts::parse(page.as_bytes(), 0).unwrap_or_else(|e| panic!("{e}: {page}"));
    let read: Vec<_> = read
        .parts
        .into_iter()
        .map(|it| (it.number, it.etag, it.size))
        .collect();
    assert_eq!(read, expected, "{page}");
    // Anything twice is refused, wherever it stands.
    if let Some(at) = page.find("</Part>") {
        page.insert_str(at, "<Size>1</Size>");
        assert!(list_parts::parse(page.as_bytes(), 0).is_err(), "{page}");
    }
}

/// The headers of an answer, a line each.
pub fn headers(bytes: &[u8]) {
    let mut map = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n').take(100) {
        let mut halves = line.splitn(2, |byte| *byte == b':');
        let (name, value) = (halves.next().unwrap_or(b""), halves.next().unwrap_or(b""));
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name),
            HeaderValue::from_bytes(value.trim_ascii()),
        ) {
            map.append(name, value);
        }
    }
    let head = headers::object_head(&map, headers::number(&map, "content-length"));
    assert!(
        head.etag
            .is_none_or(|etag| !etag.trim_matches('"').is_empty())
    );
    assert!(
        head.version_id
            .is_none_or(|version| version != "null" && !version.is_empty())
    );
    for at in [head.last_modified, head.expires].into_iter().flatten() {
        assert!(is_a_date(at), "{at:?}");
    }
    for (sum, kind) in headers::checksums(&map) {
        let text = headers::checksum_text(&sum);
        let kind_text = Some(headers::kind_text(kind));
        let again = headers::parse_checksum(sum.algorithm(), &text, kind_text);
        assert_eq!(again, Some((sum, kind)), "{text}");
    }
    let mut facts = S3Error::new(Operation::GetObject, S3ErrorKind::Answer, "");
    read_headers(&mut facts, &map);
    assert!(facts.region.is_none_or(|region| is_part_of_host(&region)));
    assert!(facts.retry_after.is_none_or(|wait| wait.as_secs() <= 300));
    if headers::contradiction(&map).is_none() {
        let etags = map.get_all("etag").iter().collect::<Vec<_>>();
        assert!(etags.windows(2).all(|two| two[0] == two[1]), "{etags:?}");
    }
    if headers::are_bounded(&map) {
        assert!(map.values().map(HeaderValue::len).sum::<usize>() <= 64 << 10);
    }
}

/// A range, a number, a date, a checksum: as text, and made of the bytes.
pub fn ranges(bytes: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(bytes) {
        let map: HeaderMap = ["content-range", "content-length"]
            .map(|name| (HeaderName::from_static(name), value.clone()))
            .into_iter()
            .collect();
        if let Some((range, total)) = headers::content_range(&map) {
            assert!(range.start < range.end && total.is_none_or(|total| range.end <= total));
            // Nothing but these numbers was in it: no signs, no spaces.
            let said = headers::text(&map, "content-range").unwrap_or_default();
            assert_eq!(without_zeroes(said), range_text(&range, total), "{said}");
        }
        if let Some(number) = headers::number::<u64>(&map, "content-length") {
            let said = headers::text(&map, "content-length").unwrap_or_default();
            assert_eq!(without_zeroes(said), number.to_string());
        }
    }
    let text = String::from_utf8_lossy(bytes);
    for at in [headers::iso_date(&text), headers::http_date(&text)] {
        assert!(at.is_none_or(is_a_date), "{text}: {at:?}");
    }
    if let Some(at) = headers::http_date(&text) {
        let again = headers::http_date(&headers::http_text(at));
        assert_eq!(again, Some(at), "{text}");
    }
    for algorithm in ChecksumAlgorithm::ALL {
        if let Some((sum, _)) = headers::parse_checksum(algorithm, &text, None) {
            let (said, _) = text.trim().split_once('-').unwrap_or((text.trim(), ""));
            assert_eq!(headers::checksum_text(&sum), said, "one spelling alone");
        }
    }
    made_range(bytes);
}

fn made_range(bytes: &[u8]) {
    let number = |at: usize| {
        let eight = bytes.get(8 * at..8 * at + 8)?.try_into().ok()?;
        Some(u64::from_le_bytes(eight))
    };
    let (Some(first), Some(last), Some(total)) = (number(0), number(1), number(2)) else {
        return;
    };
    let text = format!("bytes {first}-{last}/{total}");
    let mut map = HeaderMap::new();
    map.insert(
        "content-range",
        HeaderValue::from_str(&text).expect("it is ASCII"),
    );
    let sound = first <= last && last < total;
    let expected = sound.then(|| (first..last + 1, Some(total)));
    assert_eq!(headers::content_range(&map), expected, "{text}");
}

fn range_text(range: &std::ops::Range<u64>, total: Option<u64>) -> String {
    let total = total.map_or("*".to_owned(), |total| total.to_string());
    format!("bytes {}-{}/{total}", range.start, range.end - 1)
}

/// The same with its numbers as they are usually written.
fn without_zeroes(text: &str) -> String {
    let mut plain = String::new();
    let mut digits = 0;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let more = rest.peek().is_some_and(char::is_ascii_digit);
        digits = if c.is_ascii_digit() { digits } else { 0 };
        if c == '0' && digits == 0 && more {
            continue;
        }
        digits += usize::from(c.is_ascii_digit());
        plain.push(c);
    }
    plain
}

fn is_part_of_host(region: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=64).contains(&region.len()) && region.bytes().all(known)
}

/// From 1970 to the end of 9999.
fn is_a_date(at: Timestamp) -> bool {
    (0..=253_402_300_800_999).contains(&at.as_millis())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use fastrand::Rng;

    use super::*;

    const WORDS: [&[u8]; 28] = [
        b"<",
        b">",
        b"</",
        b"/>",
        b"&amp;",
        b"&#0;",
        b"&#x110000;",
        b"&x;",
        b"<![CDATA[",
        b"]]>",
        b"<!--",
        b"-->",
        b"<!DOCTYPE x>",
        b"<?",
        b"?>",
        b"<Part>",
        b"</Part>",
        b"<Size>5</Size>",
        b"\xff",
        b"\0",
        b"\r\n",
        b":",
        b"-1",
        b"18446744073709551616",
        b"etag: \"x\"\n",
        b"bytes ",
        b"/*",
        b"-",
    ];

    /// Fewer than this.
    fn any_bytes(dice: &mut Rng, most: usize) -> Vec<u8> {
        let count = dice.usize(..most);
        (0..count).map(|_| dice.u8(..)).collect()
    }

    /// Changes one thing, as a fuzzer does that knows nothing.
    fn mutate(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], dice: &mut Rng) {
        let at = dice.usize(..=bytes.len());
        let end = (at + dice.usize(..40)).min(bytes.len());
        match dice.usize(..8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.usize(..8),
            1 if at < bytes.len() => bytes[at] = dice.u8(..),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            4 => drop(bytes.splice(at..at, WORDS[dice.usize(..WORDS.len())].iter().copied())),
            5 => {
                let other = &seeds[dice.usize(..seeds.len())];
                let from = dice.usize(..other.len());
                let to = (from + dice.usize(..200)).min(other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            6 => bytes.truncate(at),
            _ => {
                let some = any_bytes(dice, 12);
                bytes.splice(at..at, some);
            }
        }
    }

    fn seeds(target: &str) -> Vec<Vec<u8>> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
        let mut paths: Vec<_> = std::fs::read_dir(dir.join(target))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        paths
            .iter()
            .map(|path| std::fs::read(path).unwrap())
            .collect()
    }

    /// `TOWLINE_FUZZ_CASES=n` makes n cases of each target.
    fn drive(target: &str, cases: usize, feed: fn(&[u8])) {
        let slow = cfg!(debug_assertions); // not optimised
        let cases = if slow { cases / 10 } else { cases };
        let cases = std::env::var("TOWLINE_FUZZ_CASES").map_or(cases, |n| n.parse().unwrap());
        let seeds = seeds(target);
        seeds.iter().for_each(|seed| feed(seed));
        for case in 0..cases {
            let mut dice = Rng::with_seed(case as u64);
            let mut bytes = match dice.usize(..8) {
                0 => any_bytes(&mut dice, 300),
                _ => seeds[dice.usize(..seeds.len())].clone(),
            };
            for _ in 0..=dice.usize(..4) {
                mutate(&mut bytes, &seeds, &mut dice);
            }
            let fed = std::panic::catch_unwind(|| feed(&bytes));
            assert!(
                fed.is_ok(),
                "case {case}: {:?}",
                String::from_utf8_lossy(&bytes)
            );
        }
    }

    #[test]
    fn no_bytes_break_what_is_promised_of_xml() {
        drive("xml", 100_000, xml);
    }

    #[test]
    fn no_bytes_break_what_is_promised_of_headers() {
        drive("headers", 100_000, headers);
    }

    #[test]
    fn no_bytes_break_what_is_promised_of_ranges_numbers_and_dates() {
        drive("ranges", 200_000, ranges);
    }
}
