//! What was counted before somebody was asked: in a temporary file, so that memory
//! does not grow with it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Lines, Seek, Write};

use towline::ListedObject;

use crate::error::Error;

/// A key, and which object it was.
type Entry = (String, Option<String>);

/// Writes down what is counted.
pub(super) struct Counting {
    pub(super) objects: u64,
    pub(super) bytes: u64,
    file: BufWriter<File>,
}

impl Counting {
    pub(super) fn begin() -> Result<Self, Error> {
        Ok(Self {
            objects: 0,
            bytes: 0,
            file: BufWriter::new(tempfile::tempfile().map_err(failed)?),
        })
    }

    pub(super) fn add(&mut self, object: &ListedObject) -> Result<(), Error> {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(object.size);
        let entry = serde_json::to_string(&(&object.key, &object.etag)).map_err(io::Error::from);
        entry
            .and_then(|entry| writeln!(self.file, "{entry}"))
            .map_err(failed)
    }

    pub(super) fn done(self) -> Result<Counted, Error> {
        let mut file = self
            .file
            .into_inner()
            .map_err(|error| failed(error.into_error()))?;
        file.rewind().map_err(failed)?;
        let mut counted = Counted {
            lines: BufReader::new(file).lines(),
            next: None,
        };
        counted.advance()?;
        Ok(counted)
    }
}

/// What was counted, in the order of the listing.
pub(super) struct Counted {
    lines: Lines<BufReader<File>>,
    next: Option<Entry>,
}

impl Counted {
    /// Whether this very object was counted. To be asked in the order of the listing.
    pub(super) fn has(&mut self, object: &ListedObject) -> Result<bool, Error> {
        while self.next.as_ref().is_some_and(|(key, _)| *key < object.key) {
            self.advance()?;
        }
        let same = |(key, etag): &Entry| *key == object.key && *etag == object.etag;
        Ok(self.next.as_ref().is_some_and(same))
    }

    fn advance(&mut self) -> Result<(), Error> {
        let line = self.lines.next().transpose().map_err(failed)?;
        let entry = line.map(|line| serde_json::from_str(&line).map_err(io::Error::from));
        self.next = entry.transpose().map_err(failed)?;
        Ok(())
    }
}

#[allow(clippy::needless_pass_by_value)] // for `map_err`
fn failed(error: io::Error) -> Error {
    Error::Failed(format!("cannot keep what was counted: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_counted_and_is_the_same_is_known_again() {
        let object = |key: &str, etag: &str| ListedObject {
            key: key.to_owned(),
            etag: Some(etag.to_owned()),
            size: 1,
            last_modified: None,
            storage_class: None,
        };
        let mut counting = Counting::begin().unwrap();
        for key in ["a", "b\n", "d", "e"] {
            counting.add(&object(key, "1")).unwrap();
        }
        assert_eq!((counting.objects, counting.bytes), (4, 4));
        let mut counted = counting.done().unwrap();
        for (key, etag, known) in [
            ("a", "1", true),
            ("aa", "1", false),
            ("b\n", "1", true),
            ("d", "2", false),
            ("e", "1", true),
            ("f", "1", false),
        ] {
            assert_eq!(counted.has(&object(key, etag)).unwrap(), known, "{key:?}");
        }
    }
}
