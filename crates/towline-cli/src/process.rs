//! What a service does to its own process before it holds anything.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// So many open files are enough for every transfer and client.
const FILES: u64 = 65_536;

/// Leaves no memory behind for others to read, and lets as many files be open
/// as the system allows.
pub(crate) fn prepare() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "a crash may leave a core dump");
    }
    #[cfg(target_os = "linux")]
    if let Err(error) =
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
    {
        tracing::warn!(%error, "the memory may be read by other processes of the user");
    }
    let files = getrlimit(Resource::Nofile);
    let most = files.maximum.map_or(FILES, |most| most.min(FILES));
    if files.current.is_some_and(|now| now < most) {
        let raised = Rlimit {
            current: Some(most),
            ..files
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::debug!(%error, "few files may be open");
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn s22_a_service_leaves_no_core_and_is_not_dumpable() {
        prepare();
        assert_eq!(getrlimit(Resource::Core).maximum, Some(0));
        let dumpable = rustix::process::dumpable_behavior().unwrap();
        assert_eq!(dumpable, rustix::process::DumpableBehavior::NotDumpable);
        let files = getrlimit(Resource::Nofile);
        assert!(files.current >= files.maximum.map(|most| most.min(FILES)));
    }
}
