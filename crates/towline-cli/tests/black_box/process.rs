//! What the system tells of a process.
// Each test binary uses a part of it.
#![allow(dead_code)]

use std::path::Path;

/// A field of `/proc/PID/status`, in KiB; `None` once the process has ended.
fn status_kib(pid: u32, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// What it has in memory now, in KiB.
pub(crate) fn resident_kib(pid: u32) -> Option<u64> {
    status_kib(pid, "VmRSS:")
}

/// The most it had in memory at one time, in KiB.
pub(crate) fn peak_kib(pid: u32) -> Option<u64> {
    status_kib(pid, "VmHWM:")
}

/// How many descriptors it has open.
pub(crate) fn descriptors(pid: u32) -> Option<u64> {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    Some(open.count() as u64)
}

/// The length of a file in bytes, 0 where there is none.
pub(crate) fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |found| found.len())
}
