//! Options under the names that AWS's mobile transfer utilities have for them.

use std::time::Duration;

use towline_core::PartSize;

use crate::Builder;

impl Builder {
    /// The least size of a part in MiB, which is the threshold of multipart
    /// uploads too. Default 5. Clamped to 5..=5,120, S3's own limits, with a
    /// warning in the log; a [`PartSize`] is refused instead.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
    pub fn minimum_upload_part_size_mb(mut self, mb: u64) -> Self {
        self.config.minimum_part_size = Some(clamped(mb));
        self
    }

    /// Requests at one time, over all transfers: a hard cap, 1 at least.
    /// Default: automatic.
    pub fn transfer_thread_pool_size(mut self, size: usize) -> Self {
        self.config.requests = Some(size.max(1));
        self
    }

    /// Parked transfers are looked at again at least this often. Default 60 s.
    pub fn transfer_service_check_interval(mut self, interval: Duration) -> Self {
        self.config.service_check_interval = interval;
        self
    }

    /// Failures in a row of one request that are forgiven; 0 means one attempt.
    /// Default 8.
    pub fn retry_limit(mut self, failures: u32) -> Self {
        self.config.retry_limit = failures;
        self
    }
}

/// A part size in MiB, moved into the range that S3 accepts.
fn clamped(mb: u64) -> PartSize {
    let bytes = mb.saturating_mul(1 << 20);
    match PartSize::from_bytes(bytes) {
        Ok(size) => size,
        Err(_) => {
            let nearest = if bytes < PartSize::MIN.bytes() {
                PartSize::MIN
            } else {
                PartSize::MAX
            };
            let (asked_bytes, used_bytes) = (bytes, nearest.bytes());
            tracing::warn!(asked_bytes, used_bytes, "a minimum part size was clamped");
            nearest
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn t3_a_minimum_part_size_is_clamped_to_what_s3_accepts() {
        for (mb, mib) in [
            (0, 5),
            (3, 5),
            (5, 5),
            (16, 16),
            (5 * 1024, 5 * 1024),
            (6 * 1024, 5 * 1024),
            (u64::MAX, 5 * 1024),
        ] {
            assert_eq!(clamped(mb).bytes(), mib * MIB, "{mb}");
        }
        assert!(PartSize::from_bytes(3 * MIB).is_err());
        let builder = Builder::new().minimum_upload_part_size_mb(16);
        assert_eq!(builder.config.minimum_part_size, Some(clamped(16)));
    }
}
