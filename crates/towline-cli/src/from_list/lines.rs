//! The lines of a list, one after the other: CSV of two columns, or an object of
//! JSON each. One that is no good says so and stops no other.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, BufRead, Read};
use std::os::unix::ffi::OsStringExt;

use serde::Deserialize;
use towline::Priority;

/// No line is longer; it holds two paths and few options.
const LONGEST: usize = 1 << 20;

/// A line that is not empty, by its number from 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) pair: Result<Pair, String>,
}

/// What goes where.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) source: OsString,
    pub(crate) target: OsString,
    pub(crate) options: PairOptions,
}

/// What may be said of one pair apart from the others.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PairOptions {
    pub(crate) content_type: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) version_id: Option<String>,
    pub(crate) priority: Option<Priority>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    source: String,
    target: String,
    content_type: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    version_id: Option<String>,
    priority: Option<Priority>,
}

#[derive(Clone, Copy)]
enum Format {
    Csv,
    Json,
}

/// Gives each line, until there is no more or nobody wants one.
pub(super) fn read(mut from: impl BufRead, mut give: impl FnMut(Line) -> bool) -> io::Result<()> {
    let mut format = None;
    let mut line = Vec::new();
    for number in 1.. {
        let whole = match next(&mut from, &mut line)? {
            Next::End => return Ok(()),
            Next::Line => true,
            Next::TooLong => false,
        };
        if number == 1 && line.starts_with("\u{feff}".as_bytes()) {
            line.drain(.."\u{feff}".len());
        }
        if whole && line.trim_ascii().is_empty() {
            continue;
        }
        let is_first = format.is_none();
        let format = *format.get_or_insert(match line.trim_ascii_start().first() {
            Some(b'{') => Format::Json,
            _ => Format::Csv,
        });
        if is_first && line == b"source,target" {
            continue;
        }
        let pair = match (whole, format) {
            (false, _) => Err(format!("it is longer than {LONGEST} bytes")),
            (true, Format::Csv) => of_csv(&line),
            (true, Format::Json) => of_json(&line),
        };
        if !give(Line { number, pair }) {
            return Ok(());
        }
    }
    Ok(())
}

enum Next {
    End,
    Line,
    TooLong,
}

/// Reads a line without its end; of one that is too long only the beginning.
fn next(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Next> {
    line.clear();
    let most = LONGEST as u64 + 2;
    if from.by_ref().take(most).read_until(b'\n', line)? == 0 {
        return Ok(Next::End);
    }
    let is_whole = line.pop_if(|last| *last == b'\n').is_some();
    line.pop_if(|last| *last == b'\r');
    if line.len() <= LONGEST {
        return Ok(Next::Line);
    }
    if !is_whole {
        from.skip_until(b'\n')?;
    }
    Ok(Next::TooLong)
}

fn of_json(line: &[u8]) -> Result<Pair, String> {
    let object: Object = serde_json::from_slice(line).map_err(|error| {
        // It is said which line of the list this is.
        let words = error.to_string();
        let end = words.rfind(" at line 1 column");
        words[..end.unwrap_or(words.len())].to_owned()
    })?;
    Ok(Pair {
        source: object.source.into(),
        target: object.target.into(),
        options: PairOptions {
            content_type: object.content_type,
            metadata: object.metadata,
            version_id: object.version_id,
            priority: object.priority,
        },
    })
}

fn of_csv(line: &[u8]) -> Result<Pair, String> {
    let mut columns = columns(line)?.into_iter();
    match (columns.next(), columns.next(), columns.next()) {
        (Some(source), Some(target), None) => Ok(Pair {
            source: OsString::from_vec(source),
            target: OsString::from_vec(target),
            options: PairOptions::default(),
        }),
        (_, None, _) => Err("it has one column; write SOURCE,TARGET".into()),
        _ => Err("it has more than two columns; put what holds a comma in double quotes".into()),
    }
}

/// As RFC 4180 has it, but within a line: a path with a line feed is for JSON.
/// Any bytes are a path, so this is about bytes.
fn columns(line: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut columns = Vec::new();
    let mut rest = line;
    loop {
        let mut column = Vec::new();
        if let Some(quoted) = rest.strip_prefix(b"\"") {
            rest = quoted;
            loop {
                let end = rest.iter().position(|byte| *byte == b'"');
                let end = end.ok_or("a double quote is not closed")?;
                column.extend_from_slice(&rest[..end]);
                rest = &rest[end + 1..];
                match rest.strip_prefix(b"\"") {
                    Some(after) => rest = after,
                    None => break,
                }
                column.push(b'"');
            }
            if !matches!(rest.first(), None | Some(b',')) {
                return Err("something follows a closing double quote".into());
            }
        } else {
            let end = rest.iter().position(|byte| *byte == b',');
            let (plain, after) = rest.split_at(end.unwrap_or(rest.len()));
            column.extend_from_slice(plain);
            rest = after;
        }
        columns.push(column);
        match rest.strip_prefix(b",") {
            Some(after) => rest = after,
            None => return Ok(columns),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a text: the two ends, or a piece of why not.
    /// A line's number, and its pair or what is wrong with it.
    type Read<T> = (u64, Result<(T, T), T>);

    fn lines(text: &[u8]) -> Vec<Read<String>> {
        let mut all = Vec::new();
        let give = |line: Line| {
            let ends = |pair: Pair| {
                let text = |text: OsString| text.to_string_lossy().into_owned();
                (text(pair.source), text(pair.target))
            };
            all.push((line.number, line.pair.map(ends)));
            true
        };
        // Pieces as small as they can be.
        read(io::BufReader::with_capacity(1, text), give).unwrap();
        all
    }

    #[track_caller]
    fn assert_lines(text: &[u8], expected: &[Read<&str>]) {
        let is = lines(text);
        assert_eq!(is.len(), expected.len(), "{is:?}");
        for ((number, is), (expected_number, expected)) in is.iter().zip(expected) {
            assert_eq!(number, expected_number);
            match (is, expected) {
                (Ok((source, target)), Ok(expected)) => {
                    assert_eq!((source.as_str(), target.as_str()), *expected);
                }
                (Err(why), Err(piece)) => assert!(why.contains(piece), "{why}"),
                (is, expected) => panic!("{is:?} is not {expected:?}"),
            }
        }
    }

    #[test]
    fn csv_has_two_columns_and_quotes_where_needed() {
        let text = b"source,target\r\na,s3://b/a\n\n\"b, c\",\"s3://b/\"\"q\"\"\"\r\n , x";
        assert_lines(
            text,
            &[
                (2, Ok(("a", "s3://b/a"))),
                (4, Ok(("b, c", "s3://b/\"q\""))),
                (5, Ok((" ", " x"))),
            ],
        );
    }

    #[test]
    fn a_bad_line_is_told_with_its_number_and_stops_no_other() {
        assert_lines(
            b"one\na,b,c\n\"open,b\n\"a\"x,b\n\n\xff\xfe,b\nsource,target\n",
            &[
                (1, Err("one column")),
                (2, Err("more than two columns")),
                (3, Err("not closed")),
                (4, Err("follows a closing")),
                (6, Ok(("\u{fffd}\u{fffd}", "b"))),
                (7, Ok(("source", "target"))),
            ],
        );
        assert_lines(
            b"\xef\xbb\xbf {\"source\":\"a\\nb\",\"target\":\"s3://b/k\"}\n{\n{\"source\":\"a\"}\na,b\n{\"source\":\"a\",\"target\":\"t\",\"acl\":\"x\"}\n{\"source\":\"a\",\"target\":\"t\",\"priority\":\"urgent\"}",
            &[
                (1, Ok(("a\nb", "s3://b/k"))),
                (2, Err("EOF")),
                (3, Err("missing field `target`")),
                (4, Err("expected value")),
                (5, Err("unknown field `acl`")),
                (6, Err("unknown variant `urgent`")),
            ],
        );
    }

    #[test]
    fn a_line_of_json_has_few_options() {
        let text = br#"{"source":"a","target":"s3://b/k","content_type":"text/plain","metadata":{"by":"me"},"version_id":"v","priority":"high"}"#;
        let pair = of_json(text).unwrap();
        let options = PairOptions {
            content_type: Some("text/plain".into()),
            metadata: [("by".to_owned(), "me".to_owned())].into(),
            version_id: Some("v".into()),
            priority: Some(Priority::High),
        };
        assert_eq!(pair.options, options);
        assert!(!of_json(b"{}").unwrap_err().contains("line 1"));
    }

    #[test]
    fn a_line_without_end_is_not_kept() {
        let mut text = vec![b'x'; 3 * LONGEST];
        text.extend_from_slice(b"\na,b\n");
        assert_lines(&text, &[(1, Err("longer than")), (2, Ok(("a", "b")))]);
        let mut exact = vec![b'x'; LONGEST - 2];
        exact.extend_from_slice(b",b\r\n");
        assert!(lines(&exact)[0].1.is_ok());
        assert_lines(
            &[&[b'y'; LONGEST][..], b"\n"].concat(),
            &[(1, Err("one column"))],
        );
        assert_lines(b"", &[]);
    }

    #[test]
    fn whoever_wants_no_more_gets_no_more() {
        let mut seen = 0;
        let give = |_| {
            seen += 1;
            seen < 2
        };
        read(&b"a,b\nc,d\ne,f\n"[..], give).unwrap();
        assert_eq!(seen, 2);
    }
}
