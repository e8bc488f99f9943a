//! Small files of the state directory, of this user alone whatever the umask.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::secret::Secret;

/// The token of the HTTP API, in the state directory.
pub const TOKEN: &str = "token";
/// Where the HTTP API listens, in the state directory.
pub const ADDRESS: &str = "towline.http";

/// The token of a state: the one that is there, or a new one.
///
/// Fails where others may read it, or where it is no file of this user.
pub(crate) fn token(dir: &Path) -> io::Result<Secret> {
    let path = dir.join(TOKEN);
    match std::fs::symlink_metadata(&path) {
        Ok(_) => read_token(&path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let token = Secret::random()?;
            put(dir, TOKEN, token.expose())?;
            Ok(token)
        }
        Err(error) => Err(error),
    }
}

fn read_token(path: &Path) -> io::Result<Secret> {
    let unfit = |why: &str| {
        let remedy = "remove it to have a new one made";
        let text = format!("{}: {why}; {remedy}", path.display());
        io::Error::new(io::ErrorKind::PermissionDenied, text)
    };
    let no_links = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let mut open = OpenOptions::new();
    let open = open.read(true).custom_flags(no_links.bits().cast_signed());
    let file = open.open(path).map_err(|error| unfit(&error.to_string()))?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(unfit("it is not a regular file"));
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(unfit("it belongs to another user"));
    }
    if found.mode() & 0o077 != 0 {
        return Err(unfit("others than its owner may read or write it"));
    }
    let mut text = String::new();
    file.take(100)
        .read_to_string(&mut text)
        .map_err(|error| unfit(&error.to_string()))?;
    Secret::parse(text.trim_end()).ok_or_else(|| unfit("it holds no token"))
}

/// Puts a file in place in one step, durably, with mode 0600.
pub(crate) fn put(dir: &Path, name: &str, line: &str) -> io::Result<()> {
    let new = dir.join(format!(".{name}.new"));
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut open = OpenOptions::new();
    let mut file = open.write(true).create_new(true).mode(0o600).open(&new)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    writeln!(file, "{line}")?;
    file.sync_all()?;
    std::fs::rename(&new, dir.join(name))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s4_a_token_that_others_may_read_is_refused_and_its_own_stays_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let first = token(dir.path()).unwrap();
        assert_eq!(token(dir.path()).unwrap(), first);
        let path = dir.path().join(TOKEN);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        for wide in [0o640, 0o604, 0o620, 0o666] {
            std::fs::set_permissions(&path, Permissions::from_mode(wide)).unwrap();
            let refused = token(dir.path()).unwrap_err().to_string();
            assert!(refused.contains("others than its owner"), "{refused}");
        }
        std::fs::rename(&path, dir.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &path).unwrap();
        token(dir.path()).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "short\n").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let refused = token(dir.path()).unwrap_err().to_string();
        assert!(refused.contains("holds no token"), "{refused}");
    }
}
