//! The files below a directory, in the order of their keys: that of the bytes of
//! UTF-8, as S3 lists. A directory is sorted as its name and `/`.
//!
//! Of each directory on the way to the current file the entries that are still to
//! come are in memory, and nothing else.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use towline_core::{FileIdentity, Timestamp};
use towline_engine::{component_of, identity_of, kind_if_special, may_go_on};

use super::SyncFilter;

/// A walk that was begun.
#[derive(Debug)]
pub(crate) struct Walk {
    filter: Arc<SyncFilter>,
    names: Names,
    /// All up to here was found before.
    after: Option<String>,
    levels: Vec<Level>,
}

/// Which keys paths stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// Those that are written so; what no key is written as is passed over.
    Keys,
    /// Those that are written so; what no key is written as is its own key.
    KeysOrThemselves,
    /// Each is its own key.
    Themselves,
}

#[derive(Debug)]
struct Level {
    /// The key of the directory, with `/`.
    prefix: String,
    entries: std::vec::IntoIter<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// What the keys of it begin with below its directory: of a directory with `/`.
    name: Option<String>,
    /// Whether a key is written so.
    is_proper: bool,
    path: PathBuf,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Directory,
    File,
    No(NoFile),
}

/// What a walk came by.
#[derive(Debug)]
pub(crate) enum Found {
    File(LocalFile),
    LeftOut(Missed),
}

/// A regular file.
#[derive(Debug)]
pub(crate) struct LocalFile {
    pub(crate) key: String,
    pub(crate) path: PathBuf,
    pub(crate) identity: FileIdentity,
}

/// What is left out.
#[derive(Debug)]
pub(crate) struct Missed {
    /// Of a directory that cannot be read with `/`; `None` where it has none.
    pub(crate) key: Option<String>,
    /// What the keys in its directory begin with, where it has none itself.
    pub(crate) dir: String,
    pub(crate) path: PathBuf,
    pub(crate) why: NoFile,
}

/// Why something is no file with a key.
#[derive(Debug)]
pub(crate) enum NoFile {
    Link,
    Special(&'static str),
    NotUtf8,
    /// Another file has its key.
    Clash(PathBuf),
    /// It, or what is in it, is not known.
    Unreadable(std::io::Error),
}

impl NoFile {
    /// A stable name of it, and words.
    pub(crate) fn told(self) -> (&'static str, String) {
        match self {
            Self::Link => ("SymbolicLink", "it is a symbolic link".into()),
            Self::Special(kind) => ("NotRegular", format!("it is {kind}, not a regular file")),
            Self::NotUtf8 => ("NotUtf8", "its name is not UTF-8, and a key is".into()),
            Self::Clash(holder) => (
                "TargetClash",
                format!("it would have the key of {}", holder.display()),
            ),
            Self::Unreadable(error) => ("SourceUnreadable", format!("cannot read it: {error}")),
        }
    }

    /// Something went wrong; else it is so by rule.
    pub(crate) fn is_error(&self) -> bool {
        !matches!(self, Self::Link | Self::Special(_))
    }
}

impl LocalFile {
    pub(crate) fn modified(&self) -> Timestamp {
        Timestamp::from_millis(self.identity.modified_ns.div_euclid(1_000_000))
    }
}

impl Found {
    pub(crate) fn key(&self) -> Option<&str> {
        match self {
            Self::File(file) => Some(&file.key),
            Self::LeftOut(missed) => missed.key.as_deref(),
        }
    }
}

impl Walk {
    /// A walk of a directory, of which nothing is read yet.
    pub(crate) fn new(dir: &Path, filter: Arc<SyncFilter>, names: Names) -> Self {
        let top = Entry {
            name: Some(String::new()),
            is_proper: true,
            path: dir.to_owned(),
            kind: Kind::Directory,
        };
        let top = Level {
            prefix: String::new(),
            entries: vec![top].into_iter(),
        };
        Self {
            filter,
            names,
            after: None,
            levels: vec![top],
        }
    }

    /// Goes on behind this key.
    pub(crate) fn behind(mut self, key: String) -> Self {
        self.after = Some(key);
        self
    }

    /// Whether an entry was found before: of a directory all that is in it.
    fn is_behind(&self, prefix: &str, entry: &Entry, key: Option<&str>) -> bool {
        let Some(after) = &self.after else {
            return false;
        };
        match key {
            // What has no key comes first in its directory.
            None => after.len() > prefix.len() && after.starts_with(prefix),
            Some(key) if matches!(entry.kind, Kind::Directory) => {
                key == after || (key < after.as_str() && !after.starts_with(key))
            }
            Some(key) => key <= after.as_str(),
        }
    }

    fn enter(&mut self, key: String, path: PathBuf) -> Option<Found> {
        if !key.is_empty() && !self.filter.enters(without_slash(&key), true) {
            return None;
        }
        match read(&path, self.names) {
            Ok(entries) => {
                self.levels.push(Level {
                    prefix: key,
                    entries: entries.into_iter(),
                });
                None
            }
            // It is gone since it was seen; the top was there.
            Err(error) if is_gone(&error) && !key.is_empty() => None,
            Err(error) => Some(left_out(Some(key), path, NoFile::Unreadable(error))),
        }
    }

    fn file(&self, key: String, path: PathBuf) -> Option<Found> {
        if !self.filter.takes(&key) {
            return None;
        }
        let why = match std::fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_symlink() => NoFile::Link,
            Ok(meta) => match kind_if_special(&meta) {
                None => {
                    let identity = identity_of(&meta);
                    return Some(Found::File(LocalFile {
                        key,
                        path,
                        identity,
                    }));
                }
                Some(kind) => NoFile::Special(kind),
            },
            Err(error) if is_gone(&error) => return None,
            Err(error) => NoFile::Unreadable(error),
        };
        Some(left_out(Some(key), path, why))
    }
}

impl Iterator for Walk {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            let level = self.levels.last_mut()?;
            let Some(entry) = level.entries.next() else {
                self.levels.pop();
                continue;
            };
            let prefix = &self.levels.last()?.prefix;
            let key = (entry.name.as_ref()).map(|name| format!("{prefix}{name}"));
            if self.is_behind(prefix, &entry, key.as_deref()) {
                continue;
            }
            let found = match (entry.kind, key) {
                (Kind::Directory, Some(key)) => self.enter(key, entry.path),
                (Kind::File, Some(key)) => self.file(key, entry.path),
                (Kind::No(why), Some(key)) => {
                    // A link may stand for a directory, below which includes take some.
                    let is_taken = self.filter.enters(without_slash(&key), false);
                    is_taken.then(|| left_out(Some(key), entry.path, why))
                }
                (Kind::No(why), None) => {
                    let dir = prefix.clone();
                    let (key, path) = (None, entry.path);
                    Some(Found::LeftOut(Missed {
                        key,
                        dir,
                        path,
                        why,
                    }))
                }
                (Kind::Directory | Kind::File, None) => None,
            };
            if found.is_some() {
                return found;
            }
        }
    }
}

fn left_out(key: Option<String>, path: PathBuf, why: NoFile) -> Found {
    let dir = String::new();
    Found::LeftOut(Missed {
        key,
        dir,
        path,
        why,
    })
}

/// The key of a directory, as patterns and names have it.
pub(crate) fn without_slash(key: &str) -> &str {
    key.strip_suffix('/').unwrap_or(key)
}

fn is_gone(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
}

/// What is in a directory, in order.
fn read(dir: &Path, names: Names) -> std::io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    read_into(dir, &[], names, &mut entries)?;
    // Of several with one key, the one that the key is written as comes first.
    entries.sort_by(|a, b| (&a.name, !a.is_proper).cmp(&(&b.name, !b.is_proper)));
    let mut at = 0;
    for next in 1..entries.len() {
        if entries[next].name.is_some() && entries[next].name == entries[at].name {
            let holder = entries[at].path.clone();
            entries[next].kind = Kind::No(NoFile::Clash(holder));
        } else {
            at = next;
        }
    }
    Ok(entries)
}

/// Adds what is in a directory; a component that is too long for a name is cut
/// into directories, which are read as one with it.
fn read_into(
    dir: &Path,
    pieces: &[String],
    how: Names,
    entries: &mut Vec<Entry>,
) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        let kind = entry.file_type()?;
        let Ok(name) = entry.file_name().into_string() else {
            entries.push(Entry {
                name: None,
                is_proper: false,
                path,
                kind: Kind::No(NoFile::NotUtf8),
            });
            continue;
        };
        if name.starts_with(".towline-") && name.ends_with(".part") {
            continue; // a download of ours under way
        }
        if kind.is_dir() && how != Names::Themselves && may_go_on(&name) {
            let pieces = [pieces, &[name]].concat();
            read_into(&path, &pieces, how, entries)?;
            continue;
        }
        let names: Vec<&str> = pieces.iter().chain([&name]).map(String::as_str).collect();
        let component = match how {
            Names::Themselves => Some(names.join("/")),
            Names::Keys | Names::KeysOrThemselves => component_of(&names),
        };
        let is_proper = component.is_some();
        let mut key = match component {
            Some(component) => component,
            None if how == Names::KeysOrThemselves => names.join("/"),
            None => continue,
        };
        let kind = if kind.is_dir() {
            key.push('/');
            Kind::Directory
        } else if kind.is_symlink() {
            Kind::No(NoFile::Link)
        } else {
            Kind::File // or it is looked at more closely when its turn comes
        };
        entries.push(Entry {
            name: Some(key),
            is_proper,
            path,
            kind,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;

    use super::*;

    fn walk(dir: &Path, literal: bool) -> Vec<Found> {
        let names = match literal {
            true => Names::KeysOrThemselves,
            false => Names::Keys,
        };
        Walk::new(dir, Arc::default(), names).collect()
    }

    fn keys(found: &[Found]) -> Vec<&str> {
        found.iter().filter_map(Found::key).collect()
    }

    fn write(dir: &Path, below: impl AsRef<Path>) {
        let path = dir.join(below);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }

    #[test]
    fn keys_come_in_the_order_of_bytes_where_that_of_paths_is_another() {
        let dir = tempfile::tempdir().unwrap();
        for file in [
            "a-b", "a.b", "a/b", "a/b.c/d", "a/b0", "a0", "\u{e9}", "~", "B",
        ] {
            write(dir.path(), file);
        }
        let found = walk(dir.path(), true);
        assert_eq!(
            keys(&found),
            [
                "B", "a-b", "a.b", "a/b", "a/b.c/d", "a/b0", "a0", "~", "\u{e9}"
            ]
        );
    }

    #[test]
    fn a_walk_that_goes_on_behind_a_key_finds_what_came_behind_it_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["a-b", "a.b", "a/b", "a/b.c/d", "a/b0", "a0", "b/c/d", "~"] {
            write(dir.path(), file);
        }
        for bad in [&b"0\xff"[..], b"a/x\xff", b"b/x\xff", b"b/c/x\xff"] {
            write(dir.path(), std::ffi::OsStr::from_bytes(bad));
        }
        let walk = || Walk::new(dir.path(), Arc::default(), Names::Themselves);
        let told = |found: Found| match found {
            Found::File(file) => file.path,
            Found::LeftOut(missed) => missed.path,
        };
        let all: Vec<Found> = walk().collect();
        assert_eq!(all.len(), 12);
        for (at, key) in all.iter().enumerate().map(|(at, it)| (at, it.key())) {
            let Some(key) = key else { continue };
            let rest: Vec<_> = walk().behind(key.to_owned()).map(told).collect();
            let expected: Vec<_> = walk().skip(at + 1).map(told).collect();
            assert_eq!(rest, expected, "behind {key}");
        }
    }

    #[test]
    fn f68_links_are_left_out_and_not_followed_and_special_files_and_bad_names_too() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "d/file");
        write(dir.path(), ".towline-0123456789abcdef.part");
        symlink("d", dir.path().join("loop")).unwrap();
        symlink("..", dir.path().join("d/up")).unwrap();
        let bad = std::ffi::OsStr::from_bytes(b"bad\xff");
        std::fs::write(dir.path().join(bad), "").unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("s")).unwrap();
        let found = walk(dir.path(), true);
        assert_eq!(keys(&found), ["d/file", "d/up", "loop", "s"]);
        let files = found.iter().filter(|found| matches!(found, Found::File(_)));
        assert_eq!(files.count(), 1);
        let whys: Vec<String> = found
            .iter()
            .filter_map(|found| match found {
                Found::LeftOut(missed) => Some(format!("{:?}", missed.why)),
                Found::File(_) => None,
            })
            .collect();
        assert_eq!(whys, ["NotUtf8", "Link", "Link", "Special(\"a socket\")"]);
    }

    #[test]
    fn what_no_key_is_written_as_is_its_own_key_for_uploads_and_none_for_downloads() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["a%2Fb", "x/%2F", "%2E%2E/c", "%41"] {
            write(dir.path(), file);
        }
        let found = walk(dir.path(), true);
        assert_eq!(keys(&found), ["%41", "../c", "a%2Fb", "x/"]);
        let found = walk(dir.path(), false);
        assert_eq!(keys(&found), ["%41", "../c", "x/"]);
        // The key of one is the name of the other.
        write(dir.path(), "a%252Fb");
        let found = walk(dir.path(), true);
        let clash = found.iter().find_map(|found| match found {
            Found::LeftOut(missed) => Some(missed),
            Found::File(_) => None,
        });
        let clash = clash.unwrap();
        assert_eq!(clash.key.as_deref(), Some("a%2Fb"));
        assert!(matches!(&clash.why, NoFile::Clash(path) if path.ends_with("a%252Fb")));
        assert!(clash.path.ends_with("a%2Fb"));
    }

    #[test]
    fn a_directory_that_is_left_out_is_not_entered_and_one_that_cannot_be_read_is_told() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "a/b");
        write(dir.path(), "tmp/c");
        let filter = Arc::new(SyncFilter::default().exclude("tmp/").unwrap());
        let found: Vec<Found> = Walk::new(dir.path(), filter, Names::KeysOrThemselves).collect();
        assert_eq!(keys(&found), ["a/b"]);
        // A file in the place of a directory cannot be listed by anybody.
        let found = walk(&dir.path().join("a/b"), true);
        let [Found::LeftOut(missed)] = &found[..] else {
            panic!("{found:?}");
        };
        assert!(matches!(missed.why, NoFile::Unreadable(_)));
    }

    /// A component of a key, often one whose name sorts otherwise, or is long.
    fn component() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just(String::new()),
            Just("a".into()),
            Just("a.b".into()),
            Just("..".into()),
            Just("%2F".into()),
            Just("\u{1b}".into()),
            Just("k".repeat(252)),
            Just("k".repeat(300)),
            "[a-b!.%/0-~]{1,3}".prop_map(|text| text.replace('/', "")),
        ];
        (piece.clone(), piece).prop_map(|(one, other)| one + &other)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_files_of_random_keys_are_found_in_the_order_of_the_bytes_of_the_keys(
            all in prop::collection::vec(prop::collection::vec(component(), 1..4), 1..20)
        ) {
            let dir = tempfile::tempdir().unwrap();
            let mut written = BTreeMap::new();
            for components in all {
                let key = components.join("/");
                let path = dir.path().join(towline_engine::path_of(&key));
                if path.as_os_str().len() > 3000 {
                    continue;
                }
                // Where a file is in the way of a directory, there is no such file.
                if std::fs::create_dir_all(path.parent().unwrap()).is_ok()
                    && !path.is_dir()
                    && std::fs::write(&path, "x").is_ok()
                {
                    written.insert(key, path);
                }
            }
            for literal in [true, false] {
                let found = walk(dir.path(), literal);
                let found: Vec<(&str, &Path)> = found
                    .iter()
                    .map(|found| match found {
                        Found::File(file) => (file.key.as_str(), file.path.as_path()),
                        Found::LeftOut(missed) => panic!("{missed:?}"),
                    })
                    .collect();
                // A map of text is in the order of its bytes.
                let expected: Vec<(&str, &Path)> = written
                    .iter()
                    .map(|(key, path)| (key.as_str(), path.as_path()))
                    .collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
