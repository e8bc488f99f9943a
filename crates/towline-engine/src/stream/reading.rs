//! Reads a reader into the parts of an upload, ahead of its requests.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use towline_core::{LocalFailure, PartNumber, PartPlan, PlanError, TransferOptions};

use super::source::{Begun, Source};

/// What a process gives to be read.
pub type SourceReader = Pin<Box<dyn AsyncRead + Send>>;

/// A reader, and what is known of it.
pub struct Reading {
    /// Read once, to its end.
    pub reader: SourceReader,
    /// How many bytes it has; with others the upload fails.
    pub length: Option<u64>,
    /// About how many bytes to expect, where their number is not known: an upload
    /// of more than 122 GiB needs it.
    pub expected: Option<u64>,
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading")
            .field("length", &self.length)
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

impl Source {
    /// Reads a reader to its end, as fast as its bytes are taken, and says with
    /// `wake` when there may be something to do. A reader with another length
    /// than was `announced` fails the upload.
    pub(crate) async fn read(
        self: Arc<Self>,
        reading: Reading,
        options: TransferOptions,
        wake: impl Fn() + Send,
    ) {
        let mut pump = Pump {
            source: &self,
            reader: reading.reader,
            carried: BytesMut::new(),
            ended: false,
            read: 0,
        };
        let result = match reading.length {
            Some(length) => pump.known(length, &options, &wake).await,
            None => pump.unknown(reading.expected, &options, &wake).await,
        };
        if let Err(failure) = result {
            self.update(|state| state.failed = Some(failure));
        }
        wake();
    }
}

/// Reads one reader into one source.
struct Pump<'a> {
    source: &'a Source,
    reader: SourceReader,
    /// Read past the last part.
    carried: BytesMut,
    ended: bool,
    /// Bytes in whole parts.
    read: u64,
}

impl Pump<'_> {
    async fn known(
        &mut self,
        length: u64,
        options: &TransferOptions,
        wake: &(impl Fn() + Send),
    ) -> Result<(), LocalFailure> {
        let plan = PartPlan::for_upload(length, options).map_err(unplannable)?;
        self.source
            .update(|state| state.begun = Some(Begun::Known(length)));
        wake();
        for part in plan.numbers() {
            let Some(bytes) = self.next(plan.len(part)).await? else {
                return Ok(());
            };
            let (whole, last) = (bytes.len() as u64, part.get() == plan.parts());
            if whole < plan.len(part) || last != self.ended {
                let much = if last && !self.ended { "more" } else { "fewer" };
                let why = format!("the stream has {much} bytes than the {length} announced");
                return Err(LocalFailure::StreamLength { why });
            }
            self.hold(part, bytes, wake);
        }
        Ok(())
    }

    async fn unknown(
        &mut self,
        expected: Option<u64>,
        options: &TransferOptions,
        wake: &(impl Fn() + Send),
    ) -> Result<(), LocalFailure> {
        let plan = PartPlan::open(options.part_size, expected).map_err(unplannable)?;
        let Some(first) = self.next(plan.len(PartNumber::FIRST)).await? else {
            return Ok(());
        };
        if self.ended {
            return self.whole(first, options, wake);
        }
        self.source
            .update(|state| state.begun = Some(Begun::Open(plan)));
        self.hold(PartNumber::FIRST, first, wake);
        for part in plan.numbers().skip(1) {
            let Some(bytes) = self.next(plan.len(part)).await? else {
                return Ok(());
            };
            self.hold(part, bytes, wake);
            if self.ended {
                return Ok(());
            }
        }
        let why = format!(
            "the stream has more than {} bytes, which is the most for one of unknown length; \
             say how many to expect",
            plan.size()
        );
        Err(LocalFailure::StreamLength { why })
    }

    /// It ended within the first part: its length is known from the start.
    fn whole(
        &mut self,
        bytes: Bytes,
        options: &TransferOptions,
        wake: &impl Fn(),
    ) -> Result<(), LocalFailure> {
        let size = bytes.len() as u64;
        let plan = PartPlan::for_upload(size, options).map_err(unplannable)?;
        self.source.update(|state| {
            for part in plan.numbers() {
                let range = plan.range(part);
                let at = |offset| usize::try_from(offset).unwrap_or(usize::MAX);
                let bytes = bytes.slice(at(range.start)..at(range.end));
                state.held.insert(part, bytes);
            }
            state.produced = plan.parts();
            state.begun = Some(Begun::Known(size));
            state.ended = Some(size);
        });
        wake();
        Ok(())
    }

    /// Hands over a part. That it is the last is said with it: a short one must
    /// not be taken for one of an open plan.
    fn hold(&mut self, part: PartNumber, bytes: Bytes, wake: &impl Fn()) {
        self.read += bytes.len() as u64;
        let ended = self.ended.then_some(self.read);
        self.source.update(|state| {
            state.held.insert(part, bytes);
            state.produced = part.get();
            state.ended = ended;
        });
        wake();
    }

    /// The next so many bytes, fewer at the end; and looks one byte further, so
    /// that the last part is known to be the last. `None` when nobody wants them
    /// any more.
    async fn next(&mut self, len: u64) -> Result<Option<Bytes>, LocalFailure> {
        let Ok(len) = usize::try_from(len) else {
            return Ok(None);
        };
        if !self.source.has_room(len).await {
            return Ok(None);
        }
        let mut bytes = BytesMut::with_capacity(len + 1);
        bytes.extend_from_slice(&self.carried);
        self.carried.clear();
        while bytes.len() <= len && !self.ended {
            let left = len + 1 - bytes.len();
            let mut limited = self.reader.as_mut().take(left as u64);
            let read = tokio::select! {
                read = limited.read_buf(&mut bytes) => read.map_err(|error| unreadable(&error))?,
                () = self.source.closed() => return Ok(None),
            };
            self.ended = read == 0;
        }
        if bytes.len() > len {
            self.carried = BytesMut::from(&bytes[len..]);
            bytes.truncate(len);
        }
        Ok(Some(bytes.freeze()))
    }
}

fn unreadable(error: &std::io::Error) -> LocalFailure {
    LocalFailure::SourceUnreadable {
        path: "the stream".into(),
        why: error.to_string(),
        missing: false,
    }
}

fn unplannable(error: PlanError) -> LocalFailure {
    let why = error.to_string();
    LocalFailure::Unplannable { why }
}
