//! What happens to a transfer.

use crate::{
    Failure, FileIdentity, Fingerprint, ObjectIdentity, Outcome, PartNumber, PartPlan, PartRow,
    Proof, Temp,
};

/// Something that has happened; it cannot be refused.
///
/// An act that was told to stop reports only [`Event::PartMoved`], [`Event::UploadOpened`],
/// [`Event::Fetched`], and [`Event::Finished`] of a download, or of an object in one request:
/// what else it did is asked for again.
#[derive(Debug)]
pub enum Event {
    /// The scheduler has admitted it: for the first time, or after a crash.
    Started,
    /// The source was looked at anew, for a new generation.
    Inspected(Fingerprint),
    /// Uploads of streams: so much came that it goes in parts, and the length is
    /// not known yet.
    StreamBegun(PartPlan),
    /// Uploads of streams: asked for this part, the stream said that it has
    /// ended before or within it.
    StreamEnded {
        /// Which part; it is not moved yet.
        part: PartNumber,
        /// All bytes of the stream.
        size: u64,
    },
    /// Copies: the object to copy is known.
    OriginFound {
        /// Which version of the object.
        identity: ObjectIdentity,
        /// Its length in bytes.
        size: u64,
    },
    /// Downloads: nothing is to be moved.
    Spared(Outcome),
    /// The multipart upload is open, under this name.
    UploadOpened(String),
    /// The object to download is known, and where its bytes will go.
    ObjectFound {
        /// Which version of the object.
        identity: ObjectIdentity,
        /// Its length in bytes.
        size: u64,
        /// The temporary file, not made yet.
        temp: Temp,
        /// The store gives no ranges, so it is fetched in one piece.
        in_one: bool,
    },
    /// Downloads: the object was small, and is there under its name, whole, proven
    /// and durable.
    Fetched {
        /// Its length in bytes.
        size: u64,
        /// By what it is proven.
        proof: Proof,
    },
    /// S3 or the disk was asked what is there.
    Reconciled(Found),
    /// A part is where it belongs.
    PartMoved(PartRow),
    /// An attempt at a part did not succeed.
    PartFailed {
        /// Which part.
        part: PartNumber,
        /// Why.
        failure: Failure,
    },
    /// The temporary file is whole, proven and durable.
    Sealed(FileIdentity),
    /// The object or file is there, and shown to be right.
    Finished(Proof),
    /// Nothing of it is left.
    Discarded,
    /// The act of the phase did not succeed.
    ActFailed(Failure),
    /// A wait that was asked for is over.
    WaitOver(Item),
    /// The cause it was parked for may have ended.
    Unparked,
    /// The store cannot be reached at all, as a request beside its own has shown.
    Unreachable(Failure),
    /// The network that there is now is none that it may use.
    Barred,
}

/// What an attempt is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    /// A part.
    Part(PartNumber),
    /// The act of the phase.
    Act,
}

/// What S3 or the disk has of a transfer in doubt.
#[derive(Debug)]
pub enum Found {
    /// The request in question had no effect.
    Nothing,
    /// The upload is open and has these parts, each as planned.
    Upload {
        /// S3's name for it.
        id: String,
        /// Its parts.
        parts: Vec<PartRow>,
    },
    /// The temporary file is there; of the recorded parts it lacks these.
    Temp {
        /// Parts whose bytes are not there after all.
        lost: Vec<PartNumber>,
    },
    /// It is done already.
    Landed(Proof),
    /// The upload or the temporary file is gone.
    Gone,
    /// The upload is gone and the object is not ours: a Complete that was sent
    /// may still be applied, if its answer is not known.
    Unseen,
    /// Another object stands there, and the condition forbids to replace it.
    Conflict(Failure),
}
