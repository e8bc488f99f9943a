//! Bytes that are in no file: what a process uploads from its memory or a
//! reader, and what it takes out of a download as it arrives.
//!
//! They live as long as the process and the transfer. A transfer whose stream
//! is gone cannot go on: it fails, and nothing of it is left at S3.

mod reading;
mod sink;
mod source;

use std::sync::Arc;

use towline_core::PartNumber;

pub use reading::{Reading, SourceReader};
pub use sink::Sink;
pub use source::Source;
pub(crate) use source::{Begun, Given};

/// The stream of one transfer.
#[derive(Clone, Debug)]
pub(crate) enum Stream {
    Up(Arc<Source>),
    Down(Arc<Sink>),
}

impl Stream {
    /// Whether it is known how its transfer begins.
    pub(crate) fn has_begun(&self) -> bool {
        match self {
            Self::Up(source) => source.has_begun(),
            Self::Down(_) => true,
        }
    }

    /// Whether an act for this part would have something to do now.
    pub(crate) fn is_ready(&self, part: PartNumber) -> bool {
        match self {
            Self::Up(source) => source.is_ready(part),
            Self::Down(sink) => sink.has_room(part),
        }
    }

    /// The transfer is final: nobody reads or writes it any more.
    pub(crate) fn close(&self) {
        match self {
            Self::Up(source) => source.close(),
            Self::Down(sink) => sink.close(),
        }
    }
}
