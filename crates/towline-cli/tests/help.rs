//! Completions and manual pages, as shells and readers of manuals see them.

#![allow(clippy::unwrap_used)] // in tests it is the assertion

mod terminal;

use std::process::Command;

use terminal::{MIB, Terminal, said};

/// What a shell with the completions loaded makes of words, the last of which is
/// being typed.
fn completed(terminal: &Terminal, words: &[&str]) -> Vec<String> {
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_towline"));
    let script = r#"
        source <(towline completions bash)
        COMP_WORDS=(towline "$@")
        COMP_CWORD=$#
        COMPREPLY=()
        complete -p towline >&2
        function=$(complete -p towline | sed 's/.*-F \([a-z_]*\).*/\1/')
        "$function" towline "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", script, "bash"]).args(words);
    bash.env("TOWLINE_STATE_DIR", terminal.scene.path("state"));
    let path = std::env::var("PATH").unwrap();
    bash.env(
        "PATH",
        format!("{}:{path}", binary.parent().unwrap().display()),
    );
    let output = bash.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let words = String::from_utf8(output.stdout).unwrap();
    let words = words.lines().filter(|line| !line.is_empty());
    words.map(str::to_owned).collect()
}

#[test]
fn bash_completes_verbs_options_values_and_the_numbers_of_transfers() {
    let terminal = Terminal::start();
    assert_eq!(completed(&terminal, &["pa"]), ["pause"]);
    assert_eq!(
        completed(&terminal, &["daemon", "sta"]),
        ["start", "status"]
    );
    assert_eq!(
        completed(&terminal, &["upload", "--storage"]),
        ["--storage-class"]
    );
    assert_eq!(completed(&terminal, &["list", "--type", "up"]), ["upload"]);

    terminal.scene.file("file", MIB, 1);
    // A key that looks like a field of its own.
    terminal.done(["upload", "file", "s3://bucket/{\"id\":99,"]);
    terminal.done(["upload", "file", "s3://bucket/two"]);
    assert_eq!(completed(&terminal, &["show", ""]), ["1", "2"]);
    assert_eq!(completed(&terminal, &["show", "2"]), ["2"]);
    // None is paused.
    assert_eq!(completed(&terminal, &["resume", ""]), [] as [String; 0]);
    assert_eq!(completed(&terminal, &["pause", "--al"]), ["--all"]);
}

#[test]
fn other_shells_have_completions_too() {
    let terminal = Terminal::start();
    for (shell, text) in [("zsh", "#compdef towline"), ("fish", "complete -c towline")] {
        let script = terminal.done(["completions", shell]);
        assert!(
            script.contains(text) && script.contains("storage-class"),
            "{shell}"
        );
        // Where the shell is there, it reads them.
        let file = terminal.scene.path(shell);
        std::fs::write(&file, script).unwrap();
        if let Ok(output) = Command::new(shell).arg("-n").arg(&file).output() {
            assert!(output.status.success(), "{}", said(&output));
        }
    }
}

/// Renders a page as a reader of manuals does; `None` where none is there.
fn rendered(page: &std::path::Path) -> Option<std::process::Output> {
    let mut man = Command::new("man");
    man.args(["--warnings", "-l"]).arg(page);
    let mut groff = Command::new("groff");
    groff.args(["-man", "-Tascii", "-ww"]).arg(page);
    let mut mandoc = Command::new("mandoc");
    mandoc.args(["-T", "ascii", "-W", "error"]).arg(page);
    let readers = [man, groff, mandoc].into_iter();
    readers
        .filter_map(|mut reader| {
            reader.env("MANWIDTH", "80").env("LC_ALL", "C.UTF-8");
            reader.output().ok()
        })
        .next()
}

#[test]
fn there_is_a_manual_page_of_every_verb_without_a_warning() {
    let terminal = Terminal::start();
    let page = terminal.done(["man"]);
    assert!(page.contains(".TH towline 1"), "{page}");
    terminal.done(["man", "pages"]);
    let dir = terminal.scene.path("pages");
    let pages = std::fs::read_dir(&dir).unwrap().flatten();
    let pages: Vec<_> = pages.map(|page| page.path()).collect();
    for name in [
        "towline.1",
        "towline-upload.1",
        "towline-pause.1",
        "towline-daemon-run.1",
    ] {
        assert!(pages.contains(&dir.join(name)), "{name} in {pages:?}");
    }
    for page in &pages {
        let text = std::fs::read_to_string(page).unwrap();
        assert!(!text.contains("until-idle"), "hidden: {}", page.display());
        if let Some(output) = rendered(page) {
            assert!(output.status.success(), "{}", said(&output));
            let warnings = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(warnings, "", "{}", page.display());
        }
    }
}

#[test]
fn a_manual_that_cannot_be_written_is_an_error_that_names_it() {
    let terminal = Terminal::start();
    terminal.scene.file("file", 1, 1);
    terminal.refused(["man", "file"], "file: ");
}
