//! Holds `docs/failures.md` against the tables: every row is on the page as it
//! is here, in the same order, and nothing else is.

use std::fmt::Write;
use std::ops::RangeInclusive;

use super::answers::ROWS;
use super::meaning::Meaning;
use super::{local, unanswered};
use crate::{LocalFailure, Operation, S3Error, S3ErrorKind};

/// The tables of a section of the page, without their heads: the first `columns`
/// cells of each row, since the others say it in words.
fn documented(section: &str, columns: usize) -> Vec<Vec<String>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/failures.md");
    let page = std::fs::read_to_string(path).unwrap();
    let heading = format!("## {section}");
    let lines = page.lines().skip_while(|line| **line != heading).skip(1);
    let its = lines.take_while(|line| !line.starts_with("## "));
    let cells = |line: &str| {
        line.trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .take(columns)
            .collect()
    };
    its.filter(|line| line.starts_with('|'))
        .skip(2)
        .map(cells)
        .collect()
}

#[track_caller]
fn agree(section: &str, code: Vec<Vec<String>>) {
    let page = documented(section, code[0].len());
    let print = |rows: &[Vec<String>]| {
        rows.iter().fold(String::new(), |mut text, row| {
            writeln!(text, "| {} |", row.join(" | ")).unwrap();
            text
        })
    };
    assert!(
        page == code,
        "{section}: the code gives\n{}\nthe page has\n{}",
        print(&code),
        print(&page)
    );
}

fn quoted<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let all: Vec<_> = names
        .into_iter()
        .map(|name| format!("`{}`", name.as_ref()))
        .collect();
    all.join(", ")
}

fn codes(codes: &[&str]) -> String {
    let named: Vec<&&str> = codes.iter().filter(|code| !code.is_empty()).collect();
    match (named.is_empty(), codes.len() > named.len()) {
        (true, false) => "any".into(),
        (true, true) => "none".into(),
        (false, false) => quoted(named),
        (false, true) => format!("{}, none", quoted(named)),
    }
}

fn status(ranges: &[RangeInclusive<u16>]) -> String {
    let one = |range: &RangeInclusive<u16>| match (*range.start(), *range.end()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}–{last}"),
    };
    match ranges {
        [] => "any".into(),
        ranges => ranges.iter().map(one).collect::<Vec<_>>().join(", "),
    }
}

fn operations(operations: &[Operation]) -> String {
    match operations {
        [] => "any".into(),
        operations => quoted(operations.iter().map(|operation| operation.to_string())),
    }
}

#[test]
fn the_page_says_of_every_answer_what_the_table_does() {
    let rows = ROWS.iter().map(|row| {
        vec![
            codes(row.codes),
            status(row.status),
            operations(row.operations),
            row.meaning.name().into(),
        ]
    });
    agree("What S3 answers", rows.collect());
}

#[test]
fn the_page_says_of_every_lost_answer_what_the_code_does() {
    let kinds = [
        S3ErrorKind::Credentials,
        S3ErrorKind::Dns,
        S3ErrorKind::Connect,
        S3ErrorKind::Foreign,
        S3ErrorKind::Tls,
        S3ErrorKind::Transport,
        S3ErrorKind::Stalled,
        S3ErrorKind::Body,
        S3ErrorKind::Malformed,
        S3ErrorKind::Invalid,
    ];
    let mut rows = Vec::new();
    for kind in kinds {
        let meaning = |operation| {
            let mut error = S3Error::new(operation, kind, "");
            error.request_sent = true;
            unanswered::meaning(&error).name().to_owned()
        };
        rows.push(vec![
            format!("`{kind:?}`"),
            meaning(Operation::PutObject),
            meaning(Operation::GetObject),
        ]);
    }
    agree("When no answer came", rows);
}

#[test]
fn the_page_says_of_every_failure_of_this_machine_what_the_code_does() {
    let text = String::new;
    let all = [
        LocalFailure::SourceChanged {
            path: text(),
            why: text(),
        },
        LocalFailure::SourceUnreadable {
            path: text(),
            why: text(),
            missing: true,
        },
        LocalFailure::SourceUnreadable {
            path: text(),
            why: text(),
            missing: false,
        },
        LocalFailure::SourceReadFailed {
            path: text(),
            offset: 0,
            why: text(),
        },
        LocalFailure::OutOfDescriptors {
            path: text(),
            why: text(),
        },
        LocalFailure::ObjectChanged { object: text() },
        LocalFailure::DiskFull {
            path: text(),
            why: text(),
        },
        LocalFailure::TargetUnwritable {
            path: text(),
            why: text(),
            read_only: true,
        },
        LocalFailure::TargetUnwritable {
            path: text(),
            why: text(),
            read_only: false,
        },
        LocalFailure::TargetAway {
            path: text(),
            why: text(),
        },
        LocalFailure::SyncFailed {
            path: text(),
            why: text(),
        },
        LocalFailure::TargetExists { path: text() },
        LocalFailure::TempGone { path: text() },
        LocalFailure::WrongBytes {
            object: text(),
            why: text(),
        },
        LocalFailure::NoRanges { object: text() },
        LocalFailure::WrongWhole {
            object: text(),
            why: text(),
        },
        LocalFailure::StoredWrong {
            object: text(),
            why: text(),
        },
        LocalFailure::SourceNotReopenable,
        LocalFailure::TargetNotReopenable,
        LocalFailure::StreamLength { why: text() },
        LocalFailure::NoSuchRange {
            object: text(),
            size: 0,
        },
        LocalFailure::Connection { why: text() },
        LocalFailure::Unplannable { why: text() },
    ];
    let rows = all.iter().map(|failure| {
        let read_only = matches!(
            failure,
            LocalFailure::TargetUnwritable {
                read_only: true,
                ..
            }
        );
        let away = matches!(failure, LocalFailure::TargetAway { .. });
        let note = match (read_only, away) {
            (true, _) => ", a read-only file system",
            (_, true) => ", a directory that is gone or may not be written now",
            _ => "",
        };
        let code = format!("{}{note}", quoted([failure.code()]));
        vec![code, local::meaning(failure).name().into()]
    });
    agree("On this machine", rows.collect());
}

#[test]
fn the_page_explains_every_meaning() {
    let names = Meaning::ALL.map(|meaning| vec![meaning.name().to_owned()]);
    agree("What Towline does", names.into());
}
