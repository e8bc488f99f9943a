//! A store that is not one of ours, or not whole, is refused with exit code 3 and
//! left as it is, and the message says what to do. T37.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::terminal::{MIB, Terminal, said};

/// A terminal whose state holds a few completed transfers, and no log.
fn with_a_store() -> Terminal {
    let terminal = Terminal::start();
    terminal.scene.file("file", MIB, 1);
    for n in 0..3 {
        terminal.done(["upload", "file", &format!("s3://bucket/{n}")]);
    }
    terminal
}

fn database(terminal: &Terminal) -> PathBuf {
    terminal.scene.path("state/towline.db")
}

/// Every file but the lock, which is information only.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(dir).unwrap().flatten();
    let files = entries.map(|entry| entry.path());
    files
        .filter(|path| !path.ends_with("towline.lock"))
        .map(|path| (path.clone(), std::fs::read(&path).unwrap()))
        .collect()
}

const OWNERS: [&[&str]; 6] = [
    &["upload", "file", "s3://bucket/new"],
    &["download", "s3://bucket/0", "copy"],
    &["resume", "--all"],
    &["cancel", "1"],
    &["remove", "1"],
    &["daemon", "run"],
];
const READERS: [&[&str]; 2] = [&["list"], &["show", "1"]];

/// Asserts that these commands refuse the store, say these words, and change nothing.
fn refused(terminal: &Terminal, commands: &[&[&str]], words: &[&str]) {
    let state = terminal.scene.path("state");
    let before = contents(&state);
    for command in commands {
        let output = terminal.begin(*command).output();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(3), "{command:?}: {said}");
        for word in words {
            assert!(said.contains(word), "no {word:?} in {said}");
        }
        assert_eq!(said.lines().count(), 2, "no more than a line: {said}");
        assert!(contents(&state) == before, "{command:?} changed something");
    }
}

#[test]
fn t37_a_store_that_is_damaged_or_cut_off_is_refused_with_3_and_left_as_it_is() {
    let terminal = with_a_store();
    let path = database(&terminal);
    let whole = std::fs::read(&path).unwrap();
    let words = [
        "is damaged",
        "left as it is",
        "Move it aside",
        "restore a backup",
    ];
    let mut spoiled = whole.clone();
    spoiled[4096..8192].fill(0xa5);
    std::fs::write(&path, &spoiled).unwrap();
    refused(&terminal, &OWNERS, &words);
    for keep in [0, 50, 4096, whole.len() - 4096, whole.len() - 1] {
        std::fs::write(&path, &whole[..keep]).unwrap();
        refused(&terminal, &OWNERS, &words);
        refused(&terminal, &READERS, &words);
    }
    // What the message says helps: the transfers of the backup are there again.
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(terminal.states().len(), 3);
    std::fs::rename(&path, terminal.scene.path("aside")).unwrap();
    terminal.done(["upload", "file", "s3://bucket/new"]);
    assert_eq!(terminal.states(), ["completed"]);
}

#[test]
fn t37_a_store_of_another_program_is_refused_with_3_and_left_as_it_is() {
    let terminal = with_a_store();
    let path = database(&terminal);
    let words = ["is not a Towline store", "left as it is", "--state-dir"];
    let mut other = std::fs::read(&path).unwrap();
    // Where SQLite keeps the mark of the program: https://www.sqlite.org/fileformat.html
    other[68..72].copy_from_slice(b"MPBx");
    for bytes in [other, b"dear diary,\n".to_vec(), vec![0xa5; 9000]] {
        std::fs::write(&path, bytes).unwrap();
        refused(&terminal, &OWNERS, &words);
        refused(&terminal, &READERS, &words);
    }
}

#[test]
fn t37_a_store_of_a_newer_version_is_refused_with_3_and_left_as_it_is() {
    let terminal = with_a_store();
    let path = database(&terminal);
    let mut newer = std::fs::read(&path).unwrap();
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    std::fs::write(&path, newer).unwrap();
    let words = ["newer Towline", "schema 99", "left as it is", "--state-dir"];
    refused(&terminal, &OWNERS, &words);
    refused(&terminal, &READERS, &words);
}
