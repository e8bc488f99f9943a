//! Which files and objects are kept in step: patterns as in a `.gitignore`, and
//! bounds of length and time.

use std::time::Duration;

use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Serialize};
use towline_core::Timestamp;

use crate::check_options::bad;
use crate::{SubmitError, submit};

/// What a [`SyncRequest`](crate::SyncRequest) leaves out, on both sides. Default:
/// nothing.
///
/// Patterns are those of a `.gitignore`, matched with what follows the prefix in a
/// key, which is the path below the directory. `*` and `?` do not match `/`, `**`
/// does. A pattern with a `/` at its beginning or in its middle is anchored at the
/// top, any other matches at every depth. One that ends in `/` matches directories,
/// and all in them. `{a,b}` matches either, and `\` takes a character as it is.
///
/// ```
/// # fn example() -> Result<(), towline::SubmitError> {
/// use towline::SyncFilter;
///
/// let filter = SyncFilter::default()
///     .exclude_lines("# as git does\n/target/\n*.tmp\n!keep.tmp\n")?
///     .include("photos/")?
///     .max_size(5 << 30);
/// # let _ = filter; Ok(()) }
/// # example().unwrap();
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SyncFilter {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exclude: Vec<Rule>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    include: Vec<Rule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    newer_than_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    older_than_ms: Option<u64>,
    /// When ages are counted from: fixed once, so that they mean the same in a later
    /// process.
    #[serde(skip_serializing_if = "Option::is_none")]
    as_of: Option<Timestamp>,
}

/// A line of a `.gitignore`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Rule {
    text: String,
    glob: GlobMatcher,
    /// It began with `!`.
    is_exception: bool,
    /// It ended in `/`.
    is_of_directories: bool,
}

impl SyncFilter {
    /// Leaves out what matches; after `!`, takes back what an earlier pattern left
    /// out, unless its directory is left out. Of several patterns the last one that
    /// matches decides.
    ///
    /// Fails where it is no pattern.
    pub fn exclude(mut self, pattern: &str) -> Result<Self, SubmitError> {
        self.exclude.push(Rule::of(pattern, "exclude")?);
        Ok(self)
    }

    /// The same with each line of a `.gitignore`; empty ones and comments (`#`)
    /// are passed over.
    pub fn exclude_lines(mut self, lines: &str) -> Result<Self, SubmitError> {
        for line in lines.lines().map(without_spaces_behind) {
            if !line.is_empty() && !line.starts_with('#') {
                self.exclude.push(Rule::of(line, "exclude")?);
            }
        }
        Ok(self)
    }

    /// Takes only what matches this, or another one of these, and is not left out.
    ///
    /// Fails where it is no pattern.
    pub fn include(mut self, pattern: &str) -> Result<Self, SubmitError> {
        self.include.push(Rule::of(pattern, "include")?);
        Ok(self)
    }

    /// Leaves out what is shorter than this, in bytes. Default: nothing.
    pub fn min_size(mut self, bytes: u64) -> Self {
        self.min_size = Some(bytes);
        self
    }

    /// Leaves out what is longer than this, in bytes. Default: nothing.
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.max_size = Some(bytes);
        self
    }

    /// Leaves out what was last changed longer ago than this. Default: nothing.
    pub fn newer_than(mut self, age: Duration) -> Self {
        self.newer_than_ms = Some(millis(age));
        self.fixed()
    }

    /// Leaves out what was last changed within this time. Default: nothing.
    pub fn older_than(mut self, age: Duration) -> Self {
        self.older_than_ms = Some(millis(age));
        self.fixed()
    }

    /// Counts ages from now on, unless they are counted from an earlier time.
    pub(crate) fn fixed(mut self) -> Self {
        self.as_of = Some(self.as_of.unwrap_or_else(submit::now));
        self
    }

    /// As it was asked for, whenever that was.
    pub(crate) fn at_any_time(mut self) -> Self {
        self.as_of = None;
        self
    }

    /// Whether a key is taken, as far as its name goes.
    pub(super) fn takes(&self, key: &str) -> bool {
        if !self.enters(key, false) {
            return false;
        }
        let mut included = parts(key, false).map(|part| verdict(&self.include, part));
        self.include.is_empty() || included.any(|verdict| verdict == Some(true))
    }

    /// Whether anything below a directory may be taken; or whether a file is not
    /// left out.
    pub(super) fn enters(&self, key: &str, is_directory: bool) -> bool {
        self.exclude.is_empty()
            || !parts(key, is_directory).any(|part| verdict(&self.exclude, part) == Some(true))
    }

    /// Whether something of this length and time is taken.
    pub(super) fn takes_one(&self, size: u64, modified: Option<Timestamp>) -> bool {
        let as_of = self.as_of.unwrap_or_else(submit::now).as_millis();
        let in_time = |age: Option<u64>, is_in: fn(i64, i64) -> bool| {
            let age = age.map(|age| i64::try_from(age).unwrap_or(i64::MAX));
            age.is_none_or(|age| {
                modified.is_none_or(|at| is_in(at.as_millis(), as_of.saturating_sub(age)))
            })
        };
        self.min_size.is_none_or(|least| size >= least)
            && self.max_size.is_none_or(|most| size <= most)
            && in_time(self.newer_than_ms, |at, bound| at >= bound)
            && in_time(self.older_than_ms, |at, bound| at <= bound)
    }
}

impl Rule {
    fn of(pattern: &str, option: &str) -> Result<Self, SubmitError> {
        let wrong = |why: &str| bad(option, format!("{pattern:?} is no pattern: {why}"));
        let (is_exception, rest) = match pattern.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, pattern),
        };
        let (is_of_directories, rest) = match rest.strip_suffix('/') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let body = rest.strip_prefix('/').unwrap_or(rest);
        if body.is_empty() {
            return Err(wrong("it is empty"));
        }
        let glob = match rest.contains('/') {
            true => body.to_owned(),
            false => format!("**/{body}"),
        };
        let glob = GlobBuilder::new(&glob)
            .literal_separator(true)
            .backslash_escape(true)
            .build()
            .map_err(|error| wrong(&error.kind().to_string()))?;
        Ok(Self {
            text: pattern.to_owned(),
            glob: glob.compile_matcher(),
            is_exception,
            is_of_directories,
        })
    }
}

impl TryFrom<String> for Rule {
    type Error = SubmitError;

    fn try_from(text: String) -> Result<Self, SubmitError> {
        Self::of(&text, "filter")
    }
}

impl From<Rule> for String {
    fn from(rule: Rule) -> Self {
        rule.text
    }
}

/// What the last rule that matches says; `None` where none does.
fn verdict(rules: &[Rule], (name, is_directory): (&str, bool)) -> Option<bool> {
    let matches =
        |rule: &&Rule| (is_directory || !rule.is_of_directories) && rule.glob.is_match(name);
    rules.iter().rfind(matches).map(|rule| !rule.is_exception)
}

/// The directories that a key is in, and it itself, each with whether it is a
/// directory.
fn parts(key: &str, is_directory: bool) -> impl Iterator<Item = (&str, bool)> {
    let above = key
        .match_indices('/')
        .map(move |(at, _)| (&key[..at], true));
    above.chain([(key, is_directory)])
}

/// A line of a `.gitignore`: spaces at its end do not count, unless after `\`.
fn without_spaces_behind(line: &str) -> &str {
    let trimmed = line.trim_end_matches([' ', '\r']);
    match trimmed.ends_with('\\') {
        true => &line[..line.len().min(trimmed.len() + 1)],
        false => trimmed,
    }
}

fn millis(age: Duration) -> u64 {
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn excluding(lines: &str) -> SyncFilter {
        SyncFilter::default().exclude_lines(lines).unwrap()
    }

    #[test]
    fn patterns_mean_what_they_mean_in_a_gitignore() {
        for (lines, left_out, taken) in [
            ("*.tmp", &["a.tmp", "x/y/b.tmp"][..], &["a.tmpx", "tmp"][..]),
            ("/top", &["top", "top/a"], &["x/top", "topx"]),
            ("a/b", &["a/b", "a/b/c"], &["x/a/b", "a/bc"]),
            ("build/", &["build/a", "x/build/b/c"], &["build", "x/build"]),
            ("**/x/*.o", &["x/a.o", "a/b/x/c.o"], &["x/a/b.o", "y.o"]),
            ("d/**", &["d/a", "d/e/f"], &["d"]),
            ("*.o\n!keep.o", &["a.o", "x/a.o"], &["keep.o", "x/keep.o"]),
            ("dir/\n!dir/keep", &["dir/keep"], &["other/dir"]),
            ("\\#a\n\\!b\n# c", &["#a", "!b"], &["# c", "a", "b"]),
            ("a \nb\\ \r", &["a", "b "], &["a ", "b"]),
            ("*.{jpg,png}", &["a.jpg", "x/a.png"], &["a.gif"]),
            ("\u{e9}?", &["\u{e9}x"], &["\u{e9}", "\u{e9}/x"]),
            ("foo.", &["foo.", "x/foo."], &["foo"]),
        ] {
            let filter = excluding(lines);
            for key in left_out {
                assert!(!filter.takes(key), "{lines:?} leaves out {key:?}");
            }
            for key in taken {
                assert!(filter.takes(key), "{lines:?} takes {key:?}");
            }
        }
    }

    #[test]
    fn of_what_is_included_only_what_is_not_left_out_is_taken() {
        let filter = SyncFilter::default().include("photos/").unwrap();
        let filter = filter.include("*.txt").unwrap().exclude("tmp*").unwrap();
        for (key, taken) in [
            ("photos/a.jpg", true),
            ("x/photos/b/c", true),
            ("x/a.txt", true),
            ("a.jpg", false),
            ("photos", false),
            ("photos/tmp1", false),
            ("tmp/a.txt", false),
        ] {
            assert_eq!(filter.takes(key), taken, "{key}");
        }
        assert!(filter.enters("any", true) && !filter.enters("tmp", true));
    }

    #[test]
    fn keys_that_are_no_good_paths_are_matched_too() {
        let filter = excluding("/etc\n..\n*.tmp");
        assert!(filter.takes("a//b") && filter.takes("") && filter.takes("/"));
        for key in ["../x", "a/../b", "//a.tmp", "etc/passwd"] {
            assert!(!filter.takes(key), "{key:?}");
        }
    }

    #[test]
    fn bounds_are_inclusive_and_what_has_no_time_is_within_all() {
        let hour = Duration::from_secs(3600);
        let filter = SyncFilter::default().min_size(2).max_size(4);
        let sizes: Vec<u64> = (0..7)
            .filter(|size| filter.takes_one(*size, None))
            .collect();
        assert_eq!(sizes, [2, 3, 4]);
        let now = Some(Timestamp::from(SystemTime::now()));
        let filter = SyncFilter::default();
        assert!(filter.clone().newer_than(hour).takes_one(0, now));
        assert!(!filter.clone().older_than(hour).takes_one(0, now));
        let old = Some(Timestamp::from_millis(0));
        assert!(!filter.clone().newer_than(hour).takes_one(0, old));
        assert!(filter.older_than(hour).takes_one(0, old));
    }

    #[test]
    fn a_filter_that_is_kept_means_what_it_meant_also_later() {
        let hour = Duration::from_secs(3600);
        let filter = excluding("*.tmp\n!keep.tmp").include("/a/").unwrap();
        let filter = filter.max_size(5).newer_than(hour);
        let kept = serde_json::to_string(&filter).unwrap();
        let read: SyncFilter = serde_json::from_str(&kept).unwrap();
        for (key, taken) in [
            ("a/x", true),
            ("a/x.tmp", false),
            ("a/keep.tmp", true),
            ("b", false),
        ] {
            assert_eq!(read.takes(key), taken, "{key}");
        }
        let begun = read.as_of.unwrap();
        assert!(!read.takes_one(6, Some(begun)));
        assert!(read.takes_one(5, Some(begun.plus_secs(-3600))));
        assert!(!read.takes_one(5, Some(begun.plus_secs(-3601))));
        let asked = |filter: SyncFilter| serde_json::to_string(&filter.at_any_time()).unwrap();
        assert_eq!(asked(read), asked(filter));
        let bad = serde_json::from_str::<SyncFilter>("{\"exclude\":[\"[a\"]}").unwrap_err();
        assert!(bad.to_string().contains("\"[a\""), "{bad}");
    }

    #[test]
    fn what_is_no_pattern_is_refused_and_named() {
        for pattern in ["", "/", "!", "[a", "{a"] {
            let refused = SyncFilter::default().exclude(pattern).unwrap_err();
            assert_eq!(refused.code(), "BadOption");
            assert!(refused.to_string().contains(&format!("{pattern:?}")));
        }
    }
}
