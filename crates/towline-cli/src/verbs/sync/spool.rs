//! The deletions of a plan, kept on disk until they may be carried out, so that what
//! is deleted is what was shown, and memory does not grow with it.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Seek, Write};

use serde_json::{from_str, to_writer};
use towline::SyncDeletion;

use crate::error::Error;

/// What is being written down.
pub(super) struct Draft {
    deletions: BufWriter<File>,
    pub(super) transfers: u64,
    pub(super) bytes: u64,
    pub(super) to_delete: u64,
}

/// What was written down.
pub(super) struct Spool {
    deletions: BufReader<File>,
}

impl Draft {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self {
            deletions: BufWriter::new(tempfile::tempfile().map_err(failed)?),
            transfers: 0,
            bytes: 0,
            to_delete: 0,
        })
    }

    pub(super) fn delete(&mut self, deletion: &SyncDeletion) -> Result<(), Error> {
        self.to_delete += 1;
        to_writer(&mut self.deletions, deletion).map_err(|error| failed(error.into()))?;
        self.deletions.write_all(b"\n").map_err(failed)
    }

    pub(super) fn finish(self) -> Result<Spool, Error> {
        Ok(Spool {
            deletions: rewound(self.deletions)?,
        })
    }
}

impl Spool {
    pub(super) fn next_deletion(&mut self) -> Result<Option<SyncDeletion>, Error> {
        let line = next_line(&mut self.deletions)?;
        let deletion = line.map(|line| from_str(&line)).transpose();
        deletion.map_err(|error| failed(error.into()))
    }
}

fn rewound(writer: BufWriter<File>) -> Result<BufReader<File>, Error> {
    let file = writer.into_inner();
    let mut file = file.map_err(|error| failed(error.into_error()))?;
    file.rewind().map_err(failed)?;
    Ok(BufReader::new(file))
}

fn next_line(lines: &mut BufReader<File>) -> Result<Option<String>, Error> {
    let mut line = String::new();
    let read = lines.read_line(&mut line).map_err(failed)?;
    Ok((read > 0).then_some(line))
}

fn failed(error: std::io::Error) -> Error {
    Error::Failed(format!("cannot keep the plan in a temporary file: {error}"))
}
