//! Where the socket is, and who may be at its other end.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// The socket, in the state directory.
pub const SOCKET: &str = "towline.sock";
/// A socket that is not ready yet.
const NEW: &str = ".towline.sock.new";

/// The longest path that a socket address holds on every Unix.
const PATH_MAX: usize = 100;

/// The socket of a state directory.
pub fn socket_path(dir: &Path) -> PathBuf {
    dir.join(SOCKET)
}

/// Takes the place of any socket that is there. Only the owner of the state may:
/// what is there was left by an owner before.
pub(crate) fn bind(dir: &Path) -> io::Result<UnixListener> {
    let reach = Reach::to(dir)?;
    let (new, place) = (reach.dir.join(NEW), reach.dir.join(SOCKET));
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&new)?;
    // Nobody else can reach it in between: the directory is the user's alone.
    std::fs::set_permissions(&new, Permissions::from_mode(0o600))?;
    std::fs::rename(&new, &place)?;
    Ok(listener)
}

/// Takes the socket away, so that nobody waits for an owner that left.
pub(crate) fn unbind(dir: &Path) {
    let _ = std::fs::remove_file(socket_path(dir));
}

/// Connects to the owner, if there is one and it is of this user.
pub(crate) async fn connect(dir: &Path) -> io::Result<UnixStream> {
    let reach = Reach::to(dir)?;
    let stream = UnixStream::connect(reach.dir.join(SOCKET)).await?;
    if !is_ours(&stream) {
        let why = "the socket belongs to another user";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    Ok(stream)
}

/// Whether the other end runs as the same user.
pub(crate) fn is_ours(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own)
}

/// A way to a directory that is short enough for a socket's address.
struct Reach {
    dir: PathBuf,
    _open: Option<File>,
}

impl Reach {
    fn to(dir: &Path) -> io::Result<Self> {
        if dir.as_os_str().as_bytes().len() + NEW.len() < PATH_MAX {
            return Ok(Self {
                dir: dir.to_owned(),
                _open: None,
            });
        }
        let open = File::open(dir)?;
        let dir = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()));
        if !dir.exists() {
            let why = "the path of the state directory is too long for a socket";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        Ok(Self {
            dir,
            _open: Some(open),
        })
    }
}
