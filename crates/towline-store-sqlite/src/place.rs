//! The directory of a store: made private, and refused where it is not safe.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use towline_core::StoreError;

/// Creates the directory (0700) if it is not there, and checks that nobody
/// else can write to it and that it is on a local disk.
pub(crate) fn prepare(dir: &Path) -> Result<(), StoreError> {
    let unusable = |why: String| StoreError::Unusable {
        path: dir.to_path_buf(),
        why,
    };
    if !dir.exists() {
        create(dir).map_err(|error| unusable(error.to_string()))?;
    }
    let found = fs::metadata(dir).map_err(|error| unusable(error.to_string()))?;
    if !found.is_dir() {
        return Err(unusable("it is not a directory".into()));
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(unusable(format!(
            "it belongs to another user (uid {})",
            found.uid()
        )));
    }
    if found.mode() & 0o002 != 0 {
        return Err(unusable(
            "every user may write to it; `chmod o-w` it".into(),
        ));
    }
    if let Some(kind) = network_file_system(dir, &found) {
        return Err(unusable(format!(
            "it is on a network file system ({kind}), where locks and write-ahead logs are not \
             safe; choose a directory on a local disk"
        )));
    }
    Ok(())
}

/// Makes the names of a directory and of all above it durable, whoever made
/// them. Those that cannot be opened or written are not ours and were there
/// before.
pub(crate) fn sync_path(dir: &Path) -> std::io::Result<()> {
    use std::io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    let dir = dir.canonicalize()?;
    for above in dir.ancestors().skip(1) {
        match File::open(above).and_then(|above| above.sync_all()) {
            Ok(()) => {}
            Err(error) if error.kind() == PermissionDenied => break,
            Err(error)
                if matches!(
                    error.kind(),
                    InvalidInput | ReadOnlyFilesystem | Unsupported
                ) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes a file's entry in its directory durable.
pub(crate) fn sync_dir(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}

fn create(dir: &Path) -> std::io::Result<()> {
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(dir) {
        // Another process was faster; whose it is gets checked.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        created => created?,
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
}

#[cfg(target_os = "linux")]
fn network_file_system(dir: &Path, found: &fs::Metadata) -> Option<String> {
    let kind = rustix::fs::statfs(dir).ok()?.f_type;
    if let Some(name) = network_name(u32::try_from(kind & 0xffff_ffff).ok()?) {
        return Some(name.into());
    }
    let device = found.dev();
    let device = format!(
        "{}:{}",
        rustix::fs::major(device),
        rustix::fs::minor(device)
    );
    remote_fuse(&fs::read_to_string("/proc/self/mountinfo").ok()?, &device)
}

#[cfg(not(target_os = "linux"))]
fn network_file_system(_: &Path, _: &fs::Metadata) -> Option<String> {
    None
}

/// The network file system that has this number in Linux's `statfs`.
/// <https://man7.org/linux/man-pages/man2/statfs.2.html>
#[cfg(any(target_os = "linux", test))]
fn network_name(kind: u32) -> Option<&'static str> {
    Some(match kind {
        0x6969 => "nfs",
        0x517b => "smb",
        0xff53_4d42 => "cifs",
        0xfe53_4d42 => "smb2",
        0x0102_1997 => "9p",
        0x7375_7245 => "coda",
        0x564c => "ncp",
        0x5346_414f | 0x6b41_4653 => "afs",
        0x00c3_6400 => "ceph",
        0x0bd0_0bd0 => "lustre",
        0x0116_1970 => "gfs2",
        0x7461_636f => "ocfs2",
        _ => return None,
    })
}

/// The type of the FUSE mount of a device, if its files are elsewhere.
#[cfg(any(target_os = "linux", test))]
fn remote_fuse(mountinfo: &str, device: &str) -> Option<String> {
    const REMOTE: [&str; 9] = [
        "sshfs",
        "rclone",
        "s3fs",
        "gcsfuse",
        "glusterfs",
        "mount-s3",
        "goofys",
        "davfs",
        "juicefs",
    ];
    let mount = mountinfo
        .lines()
        .find(|line| line.split(' ').nth(2) == Some(device))?;
    let kind = mount.split_once(" - ")?.1.split(' ').next()?;
    let program = kind.strip_prefix("fuse.")?;
    REMOTE.contains(&program).then(|| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_told_from_local_ones() {
        assert_eq!(network_name(0x6969), Some("nfs"));
        assert_eq!(network_name(0xff53_4d42), Some("cifs"));
        for local in [0xef53, 0x0102_1994, 0x9123_683e, 0x5846_5342, 0x6573_5546] {
            assert_eq!(network_name(local), None, "{local:x}");
        }
        let mounts = "36 35 0:30 / /home rw shared:1 - fuse.sshfs user@host:/ rw\n\
                      37 35 0:31 / /data rw - fuse.fuse-overlayfs overlay rw\n";
        assert_eq!(remote_fuse(mounts, "0:30").as_deref(), Some("fuse.sshfs"));
        assert_eq!(remote_fuse(mounts, "0:31"), None);
        assert_eq!(remote_fuse(mounts, "8:1"), None);
    }
}
