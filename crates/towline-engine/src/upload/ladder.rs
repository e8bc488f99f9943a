//! Which checksum goes with the bytes, where a store does not take every one.

use towline_core::{ChecksumAlgorithm, Failure};

use crate::act::Context;
use crate::copy;
use crate::profile::{Checks, Fact};

/// The checksums that were refused in one act. That it was for them is only
/// known, and told, once the same request is taken without.
#[derive(Debug, Default)]
pub(crate) struct Ladder(Vec<ChecksumAlgorithm>);

impl Ladder {
    /// What to send now.
    pub(crate) fn algorithm(&self, context: &Context) -> ChecksumAlgorithm {
        let asked = copy::algorithm(context);
        context.profile.profile().checksum(asked, &self.0)
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
            self.0.push(sent);
        }
        refused
    }

    pub(crate) fn worked(self, context: &Context) {
        for refused in self.0 {
            context.learn(Fact::Checksum(refused, Checks::Refused));
        }
    }
}
