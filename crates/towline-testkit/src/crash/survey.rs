//! What a state directory holds, read beside whoever owns it: the rows as the
//! command lists them, and from the store itself what no list shows.

use std::path::{Path, PathBuf};

use serde_json::Value;
use towline_core::{Direction, Record, Remote, TransferId};
use towline_store_sqlite::SqliteReader;

use super::evidence::Row;
use super::scene::Scene;

impl Scene {
    /// The transfers of a state; none where there is no store yet.
    pub fn rows(&self, state_dir: &Path) -> Vec<Row> {
        let list = self.task(["list", "--json", "--limit", "1000000"]);
        let output = self.command(&list.in_state(state_dir)).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", state_dir.display());
        let text = String::from_utf8(output.stdout).unwrap();
        let mut rows: Vec<Row> = text
            .lines()
            .map(|line| row(state_dir, &serde_json::from_str(line).unwrap()))
            .collect();
        if rows.iter().any(Row::is_live) {
            let reader = SqliteReader::open(state_dir).unwrap();
            for row in rows.iter_mut().filter(|row| row.is_live()) {
                let id = TransferId::new(row.id);
                self.runtime.block_on(async {
                    let record = reader.get(id).await.unwrap();
                    let parts = reader.parts(id).await.unwrap();
                    let numbers = parts.into_iter().map(|part| part.number);
                    add_details(row, record, numbers.collect());
                });
            }
        }
        rows
    }
}

/// A transfer as the command shows it.
pub(crate) fn row(state_dir: &Path, json: &Value) -> Row {
    let text = |name: &str| json[name].as_str().map(str::to_owned);
    let number = |name: &str| json[name].as_u64();
    Row {
        state_dir: state_dir.to_owned(),
        id: number("id").unwrap(),
        direction: match json["type"].as_str() {
            Some("upload") => Direction::Upload,
            Some("download") => Direction::Download,
            other => panic!("{other:?} is no type of transfer: {json}"),
        },
        key: text("key").unwrap(),
        path: PathBuf::from(text("path").unwrap()),
        state: text("state").unwrap(),
        verified: text("verified"),
        error: json["error"].as_object().map(|_| json["error"].to_string()),
        generation: number("generation").unwrap().try_into().unwrap(),
        moved: number("bytes_transferred").unwrap(),
        total: number("bytes_total"),
        upload_id: None,
        temp: None,
        parts: Vec::new(),
    }
}

/// A live owner may have gone on since the list was made; then what the list
/// said stays without details.
fn add_details(row: &mut Row, record: Option<Record>, parts: Vec<towline_core::PartNumber>) {
    let Some(record) = record.filter(|record| record.generation == row.generation) else {
        return;
    };
    match record.remote {
        Some(Remote::Upload(id)) => row.upload_id = Some(id),
        Some(Remote::Object(_, temp)) => row.temp = Some(temp.name),
        None => {}
    }
    if let Some(plan) = record.plan {
        let part = |number: towline_core::PartNumber| (number.get(), plan.range(number));
        row.parts = parts.into_iter().map(part).collect();
    }
}
