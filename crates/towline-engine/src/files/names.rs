//! Which file an object's key stands for below a directory.
//!
//! A key is taken apart at its `/`. A component that is a good file name is
//! itself; what is none is written as the bytes of its characters, `%` and two
//! hexadecimal digits in upper case, so that two keys never have one file and
//! the key can be read off the path again ([`key_of`]):
//!
//! | in a key | in a path |
//! |---|---|
//! | an empty component, as in `a//b`, `/a` | `%2F` |
//! | `.`, `..` as a component | `%2E`, `%2E%2E` |
//! | control characters (U+0000 to U+001F, U+007F to U+009F) | `%00`, `%C2%85` |
//! | `%` before what would read as one of these | `%25` |
//! | a component of over 255 bytes | directories whose names end in `%2D`, and the rest of it |
//! | the name of a temporary file of a download, `.towline-….part` | `%2Etowline-….part` |
//!
//! A key that ends in `/` is a directory if the object has no bytes, and the file
//! `%2F` in it otherwise.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use icu_normalizer::DecomposingNormalizerBorrowed;

/// The longest name that file systems take, in bytes.
const LONGEST: usize = 255;
/// A piece of a longer name ends in this.
const GOES_ON: &str = "%2D";
/// So many names are remembered, where names must be compared.
const MOST_COMPARED: usize = 4_000_000;

/// What a key stands for, relative to the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// A file.
    File(PathBuf),
    /// A directory; empty for the chosen one itself.
    Directory(PathBuf),
}

/// Why a key has no file of its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unnameable {
    /// A file and a directory would have one name.
    #[error("{key:?} is an object too: one name cannot be a file and a directory")]
    FileAndDirectory {
        /// The key that is the file.
        key: String,
    },
    /// The file system takes its name for that of another.
    #[error("the file system of the target takes its name for that of another key")]
    Folds,
    /// There are too many names to tell whether the file system takes two for one.
    #[error(
        "more than {MOST_COMPARED} names cannot be compared, and the file system takes some for one another"
    )]
    TooMany,
}

/// The file below a directory that a key stands for.
pub fn path_of(key: &str) -> PathBuf {
    key.split('/').flat_map(names_of).collect()
}

/// The key that a path below a directory was made of; `None` where no key has
/// this path.
pub fn key_of(path: &Path) -> Option<String> {
    let mut key = String::new();
    let mut within = false;
    for (at, name) in path.iter().enumerate() {
        let name = name.to_str()?;
        if at > 0 && !within {
            key.push('/');
        }
        let name = match name.strip_suffix(GOES_ON) {
            Some(piece) => {
                within = true;
                piece
            }
            None => {
                within = false;
                name
            }
        };
        if name != "%2F" {
            decode(name, &mut key);
        }
    }
    (path_of(&key) == path).then_some(key)
}

/// The component of a key that names were made of: one name, or those of the
/// directories that a long component is cut into, and its rest. `None` where no
/// component has these names.
pub fn component_of(names: &[&str]) -> Option<String> {
    let (last, pieces) = names.split_last()?;
    let mut component = String::new();
    for piece in pieces {
        decode(piece.strip_suffix(GOES_ON)?, &mut component);
    }
    if *last != "%2F" {
        decode(last, &mut component);
    }
    (names_of(&component) == names).then_some(component)
}

/// Whether a directory may be a piece of a component that is too long for a name.
pub fn may_go_on(name: &str) -> bool {
    // A piece is full: what comes next, of at most 6 bytes, had no room.
    name.len() > LONGEST - 6 && name.ends_with(GOES_ON)
}

/// The names that a component of a key has: one, unless it is too long.
fn names_of(component: &str) -> Vec<String> {
    if component.is_empty() {
        return vec!["%2F".into()];
    }
    let dots = matches!(component, "." | "..");
    let like_ours = component.starts_with(".towline-") && component.ends_with(".part");
    let mut units: Vec<String> = Vec::new();
    for (at, c) in component.char_indices() {
        units.push(match c {
            '.' if dots || (like_ours && at == 0) => escaped('.'),
            '%' if escape(&component[at..]).is_some() => escaped('%'),
            c if c.is_control() => escaped(c),
            c => c.into(),
        });
    }
    let mut left: usize = units.iter().map(String::len).sum();
    let mut names = vec![String::new()];
    for unit in units {
        let room = match left > LONGEST {
            true => LONGEST - GOES_ON.len(),
            false => LONGEST,
        };
        let last = names.len() - 1;
        let (name, len) = (&mut names[last], unit.len());
        // `left` counts from the beginning of this name.
        if name.len() + len > room {
            left -= name.len();
            name.push_str(GOES_ON);
            // Not that the rest is `..`, or looks like a file of ours.
            let unit = if unit == "." { escaped('.') } else { unit };
            left += unit.len() - len;
            names.push(unit);
        } else {
            name.push_str(&unit);
        }
    }
    names
}

fn escaped(c: char) -> String {
    let mut bytes = [0; 4];
    let bytes = c.encode_utf8(&mut bytes).bytes();
    bytes.map(|byte| format!("%{byte:02X}")).collect()
}

/// The character that a text begins with in its escaped form, and the length of
/// that.
fn escape(text: &str) -> Option<(char, usize)> {
    let byte = |at: usize| {
        let digits = text.get(at..at + 3)?.strip_prefix('%')?;
        let hex = digits
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
        hex.then(|| u8::from_str_radix(digits, 16).ok())?
    };
    match byte(0)? {
        one @ (0..=0x1f | 0x7f | b'%' | b'-' | b'.' | b'/') => Some((one.into(), 3)),
        0xc2 => match byte(3)? {
            two @ 0x80..=0x9f => Some((two.into(), 6)),
            _ => None,
        },
        _ => None,
    }
}

fn decode(mut name: &str, key: &mut String) {
    while let Some(c) = name.chars().next() {
        let (c, len) = match c {
            '%' => escape(name).unwrap_or((c, 1)),
            c => (c, c.len_utf8()),
        };
        key.push(c);
        name = &name[len..];
    }
}

/// Gives keys their places below one directory, and sees those that have none of
/// their own. Its memory is that of a key, unless the file system takes different
/// names for one.
#[derive(Debug)]
pub struct KeyNames {
    /// The keys of files so far that further ones may go on from; each begins
    /// with the one before.
    files: Vec<String>,
    /// Where names fold: what has each folded name. A file, or else a directory.
    folded: Option<HashMap<u64, bool>>,
    state: RandomState,
}

impl KeyNames {
    /// For a directory whose file system takes names for one another that differ
    /// in case or in their Unicode form alone, or does not.
    pub fn new(folds: bool) -> Self {
        Self {
            files: Vec::new(),
            folded: folds.then(HashMap::new),
            state: RandomState::new(),
        }
    }

    /// Goes on behind a key, on a file system that takes no names for one another,
    /// where [`open_files`](Self::open_files) were so many.
    pub fn behind(key: &str, open_files: &[usize]) -> Self {
        let files = open_files.iter().filter_map(|len| key.get(..*len));
        Self {
            files: files.map(str::to_owned).collect(),
            ..Self::new(false)
        }
    }

    /// Whether names are compared: then all of them so far have to be known.
    pub fn compares(&self) -> bool {
        self.folded.is_some()
    }

    /// The lengths of those beginnings of the last key that are files.
    pub fn open_files(&self) -> Vec<usize> {
        self.files.iter().map(String::len).collect()
    }

    /// The place of the next key, in the order of a listing.
    pub fn place(&mut self, key: &str, size: u64) -> Result<KeyPlace, Unnameable> {
        let marker = if size == 0 {
            key.strip_suffix('/')
        } else {
            None
        };
        if key.is_empty() && size == 0 {
            return Ok(KeyPlace::Directory(PathBuf::new()));
        }
        while self
            .files
            .pop_if(|file| !key.starts_with(file.as_str()))
            .is_some()
        {}
        let above = |file: &&String| key.as_bytes().get(file.len()) == Some(&b'/');
        if let Some(file) = self.files.iter().find(above) {
            return Err(Unnameable::FileAndDirectory { key: file.clone() });
        }
        let path = path_of(marker.unwrap_or(key));
        self.compare(&path, marker.is_none())?;
        if marker.is_some() {
            return Ok(KeyPlace::Directory(path));
        }
        if !key.is_empty() {
            self.files.push(key.to_owned());
        }
        Ok(KeyPlace::File(path))
    }

    /// Whether a name is another's, to a file system that folds.
    fn compare(&mut self, path: &Path, is_file: bool) -> Result<(), Unnameable> {
        let Some(known) = &mut self.folded else {
            return Ok(());
        };
        if known.len() >= MOST_COMPARED {
            return Err(Unnameable::TooMany);
        }
        let state = &self.state;
        let hash = |path: &Path| state.hash_one(fold(&path.to_string_lossy()));
        let dirs: Vec<u64> = path.ancestors().skip(1).map(hash).collect();
        let own = hash(path);
        // Directories may be shared, files may not.
        let taken = dirs.iter().any(|dir| known.get(dir) == Some(&true));
        let own_is = known.get(&own).copied();
        if taken || own_is.is_some_and(|there| there || is_file) {
            return Err(Unnameable::Folds);
        }
        known.extend(dirs.into_iter().map(|dir| (dir, false)));
        known.insert(own, is_file);
        Ok(())
    }
}

/// Equal for names that some file system takes for one; for some that none does,
/// too. Without case, marks in their decomposed form, nothing that is not seen.
fn fold(name: &str) -> String {
    let decomposed = DecomposingNormalizerBorrowed::new_nfkd();
    let upper: String = decomposed.normalize(name).to_uppercase();
    let lower = upper.to_lowercase();
    let seen = |c: &char| {
        !matches!(c, '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
    };
    let lower: String = lower.chars().filter(seen).collect();
    decomposed.normalize(&lower).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(names: &mut KeyNames, key: &str) -> Result<PathBuf, Unnameable> {
        names.place(key, 1).map(|place| match place {
            KeyPlace::File(path) => path,
            KeyPlace::Directory(path) => panic!("{key:?} is the directory {path:?}"),
        })
    }

    #[test]
    fn a_key_whose_components_are_good_names_is_its_own_path() {
        for key in [
            "a",
            "a/b/c.txt",
            "sp ace+plus",
            "ünï/çødé",
            "a%20b",
            "100%",
            "%",
            "%zz",
            "%2f",
            "%41",
            "...",
            ".hidden",
            "..a",
            "q?x=1&y#z",
            "~(x)'!*",
            "-rf",
            "a\\b",
            "C:",
            "nul",
            "%C3%A4",
        ] {
            assert_eq!(path_of(key), Path::new(key));
        }
    }

    #[test]
    fn names_that_go_on_behind_a_key_clash_as_if_all_before_it_were_known() {
        let keys = ["a", "a/b", "a/b/c", "b/c", "b/c/d", "ü", "ü/x", "z"];
        for at in 0..keys.len() {
            let mut all = KeyNames::new(false);
            for key in &keys[..=at] {
                let _ = all.place(key, 1);
            }
            let mut rest = KeyNames::behind(keys[at], &all.open_files());
            for key in &keys[at + 1..] {
                assert_eq!(rest.place(key, 1), all.place(key, 1), "{key} behind {at}");
            }
        }
    }

    #[test]
    fn s15_what_is_no_good_name_is_written_otherwise_and_can_be_read_again() {
        let long = "k".repeat(1024);
        let pieces = format!(
            "{0}%2D/{0}%2D/{0}%2D/{0}%2D/{1}",
            "k".repeat(252),
            "k".repeat(16)
        );
        for (key, path) in [
            (".", "%2E"),
            ("..", "%2E%2E"),
            ("../../etc/passwd", "%2E%2E/%2E%2E/etc/passwd"),
            ("a/./b/../c", "a/%2E/b/%2E%2E/c"),
            ("/etc/passwd", "%2F/etc/passwd"),
            ("//", "%2F/%2F/%2F"),
            ("a//b", "a/%2F/b"),
            ("a/", "a/%2F"),
            ("", "%2F"),
            ("a\0b", "a%00b"),
            ("\u{1b}[2J\u{7}\r\n\u{7f}\u{85}", "%1B[2J%07%0D%0A%7F%C2%85"),
            ("%2E%2E/x", "%252E%252E/x"),
            ("%2F", "%252F"),
            ("%25", "%2525"),
            ("%C2%85", "%25C2%85"),
            (
                ".towline-0123456789abcdef.part",
                "%2Etowline-0123456789abcdef.part",
            ),
            (&long, &pieces),
        ] {
            assert_eq!(path_of(key), Path::new(path), "{key:?}");
            assert_eq!(key_of(Path::new(path)).as_deref(), Some(key), "{path}");
        }
    }

    #[test]
    fn what_no_key_is_written_as_is_read_as_none() {
        for path in [
            "%41%2E",
            "..",
            "/a",
            "a/%2E%2E%2E",
            "%2D",
            "a%2Fb",
            "x%2D/y",
            "%00/%2D",
        ] {
            assert_eq!(key_of(Path::new(path)), None, "{path}");
        }
    }

    #[test]
    fn names_of_a_component_are_read_as_it_and_other_names_as_none() {
        let long = "k".repeat(600);
        for component in ["a", "", ".", "..", "a%20b", "%2F", "x\u{85}", &long] {
            let names = names_of(component);
            let (last, pieces) = names.split_last().unwrap();
            assert!(pieces.iter().all(|piece| may_go_on(piece)), "{pieces:?}");
            assert!(!may_go_on(last), "{last:?}");
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            assert_eq!(component_of(&names).as_deref(), Some(component));
        }
        for names in [&["a%2Fb"][..], &["%00x%00", "%2D"], &["x%2D", "y"], &[]] {
            assert_eq!(component_of(names), None, "{names:?}");
        }
    }

    #[test]
    fn f74_a_key_that_ends_in_a_slash_is_a_directory_without_bytes_and_a_file_with_some() {
        let mut names = KeyNames::new(false);
        let directory = |path: &str| Ok(KeyPlace::Directory(path.into()));
        assert_eq!(names.place("", 0), directory(""));
        assert_eq!(names.place("", 5), Ok(KeyPlace::File("%2F".into())));
        assert_eq!(names.place("a/", 0), directory("a"));
        assert_eq!(names.place("a/b/", 7), Ok(KeyPlace::File("a/b/%2F".into())));
        assert_eq!(names.place("a/b/c", 7), Ok(KeyPlace::File("a/b/c".into())));
    }

    #[test]
    fn f73_a_key_below_another_object_is_told_and_what_lies_between_is_not() {
        let mut names = KeyNames::new(false);
        assert!(file(&mut names, "a").is_ok());
        assert!(file(&mut names, "a-b").is_ok());
        assert!(file(&mut names, "a-b.c").is_ok());
        let told = Err(Unnameable::FileAndDirectory { key: "a".into() });
        assert_eq!(file(&mut names, "a/b"), told);
        assert_eq!(file(&mut names, "a/b/c"), told);
        assert_eq!(names.place("a/d/", 0).map(drop), told.clone().map(drop));
        assert!(file(&mut names, "ab/c").is_ok());
        assert!(file(&mut names, "b/a").is_ok());
    }

    #[test]
    fn f73_names_that_a_file_system_takes_for_one_are_told_where_it_does() {
        let clashes = [
            ("README", "readme"),
            ("dir/x", "DIR/X"),
            ("caf\u{e9}", "cafe\u{301}"),
            ("stra\u{df}e", "STRASSE"),
            ("\u{212b}", "\u{e5}"),
            ("a", "A/b"),
            ("B/c", "b"),
            ("\u{3c3}", "\u{3c2}"),
        ];
        for (one, other) in clashes {
            let mut names = KeyNames::new(true);
            assert!(file(&mut names, one).is_ok());
            assert_eq!(
                file(&mut names, other),
                Err(Unnameable::Folds),
                "{one} {other}"
            );
            let mut names = KeyNames::new(false);
            assert!(file(&mut names, one).is_ok() && file(&mut names, other).is_ok());
        }
        let mut names = KeyNames::new(true);
        for fine in ["Dir/a", "dir/b", "dir", "DIR/c/d"]
            .into_iter()
            .filter(|key| *key != "dir")
        {
            assert!(file(&mut names, fine).is_ok(), "{fine}");
        }
        assert_eq!(
            names.place("DIR/", 0),
            Ok(KeyPlace::Directory("DIR".into()))
        );
    }
}
