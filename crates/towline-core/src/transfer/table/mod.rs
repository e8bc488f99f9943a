//! Holds `docs/states.md` against the code: every transition that any history
//! can make is on the page, and every one on the page can be made.

mod reachable;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::LazyLock;

use self::reachable::Reachable;
use crate::State;

/// What leads where, by the headings and names of the page.
type Table = BTreeMap<(String, String), BTreeSet<String>>;

const STATES: &str = "States";

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/states.md");
    std::fs::read_to_string(path).unwrap()
}

/// Every row of the page's tables whose first cell has names in backticks.
fn documented() -> Table {
    let page = page();
    let mut section = "";
    let mut table = Table::new();
    for line in page.lines() {
        if line.starts_with('#') {
            section = line.trim_start_matches('#').trim();
        } else if line.starts_with("| `") {
            let mut cells = line.split('|').skip(1).map(names);
            let (from, to) = (cells.next().unwrap(), cells.next().unwrap());
            for on in from {
                let row = table.entry((section.into(), on.into())).or_default();
                row.extend(to.iter().map(|name| name.to_string()));
            }
        }
    }
    table
}

fn names(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Whether the page says that the one state may become the other.
pub(super) fn is_documented(from: State, to: State) -> bool {
    static PAGE: LazyLock<Table> = LazyLock::new(documented);
    let row = PAGE.get(&(STATES.to_string(), from.to_string()));
    row.is_some_and(|row| row.contains(to.as_str()))
}

fn print(table: &Table) -> String {
    let (mut text, mut last) = (String::new(), "");
    for ((section, on), next) in table {
        if section != last {
            writeln!(text, "\n### {section}\n").unwrap();
            last = section;
        }
        let next: Vec<String> = next.iter().map(|name| format!("`{name}`")).collect();
        writeln!(text, "| `{on}` | {} |", next.join(", ")).unwrap();
    }
    text
}

#[test]
fn the_documented_table_is_what_the_code_does() {
    let code = Reachable::explore();
    let page = documented();
    let both = || {
        code.table
            .keys()
            .chain(page.keys())
            .collect::<BTreeSet<_>>()
    };
    let none = BTreeSet::new();
    let mut wrong = String::new();
    for key in both() {
        let of = |table: &Table| table.get(key).unwrap_or(&none).clone();
        let (does, says) = (of(&code.table), of(&page));
        if does != says {
            writeln!(
                wrong,
                "{key:?}: the code does {does:?}, the page says {says:?}"
            )
            .unwrap();
        }
    }
    let whole = print(&code.table);
    assert!(wrong.is_empty(), "{wrong}\nThe code gives:\n{whole}");
}
