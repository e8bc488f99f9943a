//! Who holds the lock of a state directory, asked without touching the lock:
//! one who tried to take it could make a command fail.

use std::path::Path;

/// Whether process `pid` holds the lock of this state. Always `false` where
/// there is no `/proc`.
pub(crate) fn holds_lock(pid: u32, state_dir: &Path) -> bool {
    let lock = state_dir.join("towline.lock");
    let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false; // it has ended
    };
    descriptors.flatten().any(|descriptor| {
        let Ok(target) = std::fs::read_link(descriptor.path()) else {
            return false;
        };
        // A lock on a file that was removed meanwhile is an owner as well.
        let target = target.to_string_lossy().into_owned();
        let name = target.strip_suffix(" (deleted)").unwrap_or(&target);
        Path::new(name) == lock && {
            let number = descriptor.file_name();
            let info = format!("/proc/{pid}/fdinfo/{}", number.to_string_lossy());
            std::fs::read_to_string(info).is_ok_and(|info| has_exclusive_lock(&info))
        }
    })
}

/// Two of these processes that hold the lock at one time.
pub(crate) fn two_owners(pids: &[u32], state_dir: &Path) -> Option<(u32, u32)> {
    let mut owners = pids.iter().filter(|pid| holds_lock(**pid, state_dir));
    let (first, second) = (owners.next()?, owners.next()?);
    // The first may have left before the second came.
    holds_lock(*first, state_dir).then_some((*first, *second))
}

/// The processes that a command left in the background on this state.
pub(crate) fn background(state_dir: &Path) -> Vec<u32> {
    let dir = state_dir.as_os_str().as_encoded_bytes();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|process| process.file_name().to_str()?.parse().ok());
    let on_this_state = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let args: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        args.contains(&&b"--until-idle"[..]) && args.contains(&dir)
    };
    pids.filter(on_this_state).collect()
}

/// <https://man7.org/linux/man-pages/man5/proc_pid_fdinfo.5.html>
fn has_exclusive_lock(info: &str) -> bool {
    info.lines().any(|line| {
        line.starts_with("lock:") && line.contains(" FLOCK ") && line.contains(" WRITE ")
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn an_exclusive_lock_is_seen_and_an_open_file_alone_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let pid = std::process::id();
        let file = std::fs::File::create(dir.join("towline.lock")).unwrap();
        assert!(!holds_lock(pid, &dir));
        file.lock_shared().unwrap();
        assert!(!holds_lock(pid, &dir));
        file.unlock().unwrap();
        file.lock().unwrap();
        assert!(holds_lock(pid, &dir));
        std::fs::remove_file(dir.join("towline.lock")).unwrap();
        assert!(holds_lock(pid, &dir), "the file is gone, its lock is not");
        drop(file);
        assert!(!holds_lock(pid, &dir));
    }

    #[test]
    fn two_owners_are_told_from_one() {
        // This process twice stands for two that both hold a lock.
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let pid = std::process::id();
        let file = std::fs::File::create(dir.join("towline.lock")).unwrap();
        assert_eq!(two_owners(&[pid, pid], &dir), None);
        file.lock().unwrap();
        assert_eq!(two_owners(&[pid, 1], &dir), None);
        assert_eq!(two_owners(&[pid, pid], &dir), Some((pid, pid)));
    }
}
