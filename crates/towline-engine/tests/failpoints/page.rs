//! Holds `docs/crash-points.md` to the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use towline_core::failpoint::STORED;

/// How many lines the order of effects has, by section of the page.
const SECTIONS: [(&str, &str); 9] = [
    ("Submit", "12"),
    ("One PUT", "1234567"),
    ("Multipart upload", "123456789AB"),
    ("Download", "123456789A"),
    ("A small download that was listed", "12345"),
    ("An unanswered Complete", "abcdefg"),
    ("Cancel, pause, close", "123456789"),
    ("Recovery", "123456"),
    ("Upgrade of a store", "1234"),
];

/// Points that the engine does not reach: tests of the store do.
pub(crate) fn is_of_store(point: &str) -> bool {
    point.starts_with("migration.") || point.starts_with("checkpoint.")
}

/// Every crash point of the code, and the files that have it.
pub(crate) fn in_code() -> BTreeMap<String, Vec<PathBuf>> {
    let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for file in sources() {
        let text = fs::read_to_string(&file).unwrap();
        for rest in text.split("failpoint!(\"").skip(1) {
            let name = rest.split('"').next().unwrap().to_owned();
            found.entry(name).or_default().push(file.clone());
        }
        if text.contains("failpoint!(before ") {
            for name in STORED.iter().flat_map(|(before, after)| [before, after]) {
                let files = found.entry((*name).to_owned()).or_default();
                files.push(file.clone());
            }
        }
    }
    found
}

/// The source of every crate, but for what defines the macro.
fn sources() -> Vec<PathBuf> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let crates = fs::read_dir(crates).unwrap().flatten();
    let mut dirs: Vec<PathBuf> = crates.map(|of| of.path().join("src")).collect();
    let mut files = Vec::new();
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => dirs.push(path),
                path if path.ends_with("towline-core/src/failpoint.rs") => {}
                path => files.push(path),
            }
        }
    }
    files
}

/// A row of the page: its section, its line, its points, its files.
struct Row {
    section: String,
    line: String,
    points: Vec<String>,
    files: Vec<String>,
}

fn rows() -> Vec<Row> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/crash-points.md");
    let page = fs::read_to_string(page).unwrap();
    let (mut section, mut rows) = (String::new(), Vec::new());
    for text in page.lines() {
        if let Some(title) = text.strip_prefix("## ") {
            section = title.to_owned();
        }
        let cells: Vec<&str> = text.split('|').map(str::trim).collect();
        if let ["", line, _, points, files, _, ""] = cells[..]
            && line != "line"
            && !line.starts_with("--")
        {
            rows.push(Row {
                section: section.clone(),
                line: line.to_owned(),
                points: quoted(points),
                files: quoted(files),
            });
        }
    }
    rows
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_line_of_the_order_of_effects_has_a_crash_point() {
    let rows = rows();
    for (section, lines) in SECTIONS {
        let its: Vec<_> = rows.iter().filter(|row| row.section == section).collect();
        let there: String = its
            .iter()
            .map(|row| match row.line.as_str() {
                "10" => "A",
                "11" => "B",
                line => line,
            })
            .collect();
        assert_eq!(there, lines, "{section}");
        for row in its {
            assert!(!row.points.is_empty(), "{section}, line {}", row.line);
        }
    }
    let known: BTreeSet<_> = SECTIONS.iter().map(|(section, _)| *section).collect();
    let shown: BTreeSet<_> = rows.iter().map(|row| row.section.as_str()).collect();
    assert_eq!(shown, known);
}

#[test]
fn the_page_has_every_crash_point_of_the_code_and_no_other() {
    let code = in_code();
    let page: BTreeSet<String> = rows().into_iter().flat_map(|row| row.points).collect();
    let code_names: BTreeSet<String> = code.keys().cloned().collect();
    assert_eq!(page, code_names);
}

#[test]
fn each_crash_point_is_where_the_page_says() {
    let code = in_code();
    for row in rows() {
        for point in &row.points {
            let is_there = code[point]
                .iter()
                .any(|file| row.files.iter().any(|named| file.ends_with(named)));
            assert!(is_there, "{point} is not in {:?}", row.files);
        }
        for named in &row.files {
            let has_one = row.points.iter().any(|point| {
                let mut files = code[point].iter();
                files.any(|file| file.ends_with(named))
            });
            assert!(has_one, "{named} has none of {:?}", row.points);
        }
    }
}
