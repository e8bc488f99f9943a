//! What can be set about an engine.

use std::num::NonZeroU32;
use std::sync::LazyLock;
use std::time::Duration;

use crate::bandwidth::Bandwidth;

/// How an engine runs. Plain data; [`Config::default`] is what the command uses.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Requests at one time, over all transfers. Default: `None`, automatic. Then each
    /// bucket begins with 2·(cpus+1) and gets more while that moves more, up to 256
    /// or what the descriptors allow.
    pub requests: Option<usize>,
    /// Parts of one transfer at one time. Default: `None`, automatic. Then there are 5 at
    /// first, and more as the requests to their bucket become more; where the number of
    /// requests is set, one less than these, if that is more than 5.
    pub parts_per_transfer: Option<usize>,
    /// The most bytes a second, each way, over all transfers. Default: no cap.
    pub bandwidth: Bandwidth,
    /// The most requests a second, over all transfers. Default: no cap.
    pub request_rate: Option<NonZeroU32>,
    /// Bytes of file content held in memory, over all transfers. Default 44 MiB.
    pub byte_budget: usize,
    /// Unfinished transfers held in memory; the others wait in the store. So many
    /// of normal priority, and a quarter of it of each other one. Default 512.
    pub window: usize,
    /// Failures in a row of one item that are forgiven; 0 means one attempt.
    /// Default 8.
    pub retry_limit: u32,
    /// An attempt that moves under 1 KiB in this time is given up. Default 20 s.
    pub stall_timeout: Duration,
    /// An answer must begin this long after its request was sent. Default 30 s.
    pub first_byte_timeout: Duration,
    /// A Complete whose answer was lost may still be applied: its object is
    /// looked for so long before the parts are sent anew. Default 10 min.
    pub late_answer_limit: Duration,
    /// Parked transfers are looked at again at least this often. Default 60 s.
    pub service_check_interval: Duration,
    /// A download is synced to disk after so many bytes, and after 5 s: power loss
    /// costs at most these, and what was in flight. Default 256 MiB.
    pub sync_every: u64,
    /// Progress is published at most this often. Default 100 ms.
    pub progress_interval: Duration,
    /// A group lists nothing more while it has so many unfinished transfers; it goes
    /// ahead of them by as many, and up to a thousand. Default 2,000.
    pub listed_ahead: usize,
    /// Which unfinished transfers of its store it goes on with. Default: all.
    pub recovery: Recovery,
    /// Uploads that name no part size have this one, and what is not longer goes in
    /// one PUT: the old API's minimum part size. Default: none, parts go by length.
    pub minimum_part_size: Option<towline_core::PartSize>,
    /// Threads that carry bytes. Default: the number of CPUs, at most 8.
    pub worker_threads: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            requests: None,
            parts_per_transfer: None,
            bandwidth: Bandwidth::NONE,
            request_rate: None,
            byte_budget: 44 << 20,
            window: 512,
            retry_limit: towline_core::History::DEFAULT_LIMIT,
            stall_timeout: Duration::from_secs(20),
            first_byte_timeout: Duration::from_secs(30),
            late_answer_limit: Duration::from_secs(600),
            service_check_interval: Duration::from_secs(60),
            sync_every: 256 << 20,
            progress_interval: Duration::from_millis(100),
            listed_ahead: 2000,
            recovery: Recovery::default(),
            minimum_part_size: None,
            worker_threads: cpus().min(8),
        }
    }
}

/// Parts of one transfer at one time, at first, where their number is automatic.
pub(crate) const FIRST_PARTS: usize = 5;

/// Which unfinished transfers an engine goes on with when it starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recovery {
    /// Every one that is not paused.
    #[default]
    All,
    /// Only those that are submitted to it or steered through it.
    Named,
}

/// How many CPUs this process may use. To ask takes a dozen system calls, so it is asked once.
pub(crate) fn cpus() -> usize {
    static CPUS: LazyLock<usize> =
        LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));
    *CPUS
}
