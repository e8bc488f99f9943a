//! Stores of old schemas, as SQL text: what they hold can be read and compared.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

/// The text of a store of an old schema. The second one added indexes, which some
/// builds of the first had too, and the third one tables.
pub(crate) fn text(schema: i64) -> String {
    let says = |schema: i64| format!("PRAGMA user_version = {schema};");
    let read = |schema| std::fs::read_to_string(file(schema)).unwrap();
    let first = read(1).replace(&says(1), &says(schema));
    match schema {
        3 => first + &read(3),
        _ => first,
    }
}

pub(crate) fn file(schema: i64) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upgrade");
    here.join(format!("schema-{schema}.sql"))
}

/// Makes a store of such a text, as the process that had it left it: closed, or
/// killed before what it wrote was moved out of the log.
pub(crate) fn make(dir: &Path, text: &str, closed: bool) {
    let path = dir.join("towline.db");
    let db = Connection::open(&path).unwrap();
    db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
        .unwrap();
    db.execute_batch(text).unwrap();
    drop(db);
    if !closed {
        let db = Connection::open(&path).unwrap();
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
            .unwrap();
        db.execute_batch("UPDATE transfers SET updated_at = updated_at")
            .unwrap();
    }
}

/// All of a database as SQL text.
pub(crate) fn dump(db: &Connection) -> String {
    let number = |pragma: &str| {
        db.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0))
            .unwrap()
    };
    let (id, version) = (number("application_id"), number("user_version"));
    let mut text = format!("PRAGMA application_id = {id};\nPRAGMA user_version = {version};\n");
    text.push_str("BEGIN;\n");
    let made = |kind: &str| -> Vec<(String, String)> {
        let sql = "SELECT name, sql FROM sqlite_schema WHERE type = ?1 AND sql IS NOT NULL
                   AND name NOT LIKE 'sqlite_%' ORDER BY rowid";
        let mut all = db.prepare(sql).unwrap();
        let rows = all.query_map([kind], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().map(Result::unwrap).collect()
    };
    let mut tables: Vec<String> = Vec::new();
    for (name, sql) in made("table") {
        writeln!(text, "{sql};").unwrap();
        tables.push(name);
    }
    tables.push("sqlite_sequence".into());
    for table in tables {
        if table == "sqlite_sequence" {
            text.push_str("DELETE FROM sqlite_sequence;\n"); // what the rows before made
        }
        for row in rows(db, &table) {
            writeln!(text, "INSERT INTO {table} VALUES ({row});").unwrap();
        }
    }
    for (_, sql) in made("index") {
        writeln!(text, "{sql};").unwrap();
    }
    text.push_str("COMMIT;\n");
    text
}

/// The rows of a table as SQL literals.
fn rows(db: &Connection, table: &str) -> Vec<String> {
    let columns: Vec<String> = {
        let mut all = db
            .prepare("SELECT name FROM pragma_table_info(?1)")
            .unwrap();
        let names = all.query_map([table], |row| row.get(0)).unwrap();
        names.map(Result::unwrap).collect()
    };
    let quoted: Vec<_> = columns
        .iter()
        .map(|name| format!("quote({name})"))
        .collect();
    let sql = format!("SELECT {} FROM {table}", quoted.join(" || ', ' || "));
    let mut all = db.prepare(&sql).unwrap();
    let rows = all.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}
