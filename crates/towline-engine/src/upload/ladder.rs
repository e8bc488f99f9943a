//! Which checksum goes with the bytes, where a store does not take every one.

use towline_core::{ChecksumAlgorithm, Failure, LocalFailure, PartNumber};

use super::open_upload;
use crate::act::Context;
use crate::budget::BUFFER;
use crate::copy;
use crate::profile::{Checks, Fact};

/// The checksums that were refused in one act. That it was for them is only
/// known, and told, once the same request is taken without.
#[derive(Debug, Default)]
pub(crate) struct Ladder {
    refused: Vec<ChecksumAlgorithm>,
    trailer_refused: bool,
}

impl Ladder {
    /// What to send now.
    pub(crate) fn algorithm(&self, context: &Context) -> ChecksumAlgorithm {
        let asked = copy::algorithm(context);
        context.profile.profile().checksum(asked, &self.refused)
    }

    /// Whether the checksum of a part goes behind its bytes, which are then read as they
    /// are sent; `None` where it may from the next part on. Only with the parts of a
    /// file: an object that was stored with what frames its bytes would be there for
    /// others to see.
    pub(crate) fn trails(
        &self,
        context: &Context,
        algorithm: ChecksumAlgorithm,
        part: PartNumber,
    ) -> Option<bool> {
        let can = !self.trailer_refused
            && open_upload(context).is_some()
            && !context.spec().is_stream()
            && context.plan().len(part) > BUFFER as u64
            && context.s3.sends_trailers(context.object().bucket.as_str());
        match can {
            true => context.profile.profile().trails(algorithm),
            false => Some(false),
        }
    }

    /// Whether a failure may be for the place of the checksum, so that it is worth
    /// while to send it in a header at once. A store that found other bytes, or shows no
    /// checksum, is sent headers from now on, if it never took a trailer.
    pub(crate) fn drops_trailer(&mut self, context: &Context, failure: &Failure) -> bool {
        let damaged = match failure {
            Failure::S3(error) if context.profile.profile().may_refuse_a_trailer(error) => {
                self.trailer_refused = true;
                return true;
            }
            Failure::S3(error) => matches!(error.code(), "BadDigest" | "IncompleteBody"),
            failure => matches!(failure, Failure::Local(LocalFailure::StoredWrong { .. })),
        };
        if damaged {
            context.learn(Fact::Trailers(false));
        }
        false
    }

    /// Whether a failure may be for the checksum, so that it is worth while to
    /// send a weaker one at once.
    pub(crate) fn steps_down(
        &mut self,
        context: &Context,
        sent: ChecksumAlgorithm,
        failure: &Failure,
    ) -> bool {
        let refused = match failure {
            Failure::S3(error) => context.profile.profile().may_refuse(sent, error),
            _ => false,
        };
        if refused {
            self.refused.push(sent);
        }
        refused
    }

    pub(crate) fn worked(self, context: &Context) {
        if self.trailer_refused {
            context.learn(Fact::Trailers(false));
        }
        for refused in self.refused {
            context.learn(Fact::Checksum(refused, Checks::Refused));
        }
    }
}
