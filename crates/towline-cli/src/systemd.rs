//! What a service tells systemd, or another supervisor that speaks its protocol:
//! <https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html>.
//! A datagram of a few lines, for which a library would be more text than this.

use std::ffi::OsString;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// How often it is seen whether the engine answers; a watchdog may want it
/// more often.
const HEALTH: Duration = Duration::from_secs(5);

/// The supervisor that started this process, if one did that wants to know.
#[derive(Debug, Default)]
pub(crate) struct Systemd {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Systemd {
    /// As `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` say.
    pub(crate) fn of_environment() -> Self {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Self::default();
        };
        let socket = address(&name).and_then(|to| Ok((sender()?, to)));
        if let Err(error) = &socket {
            tracing::warn!(%error, "the service manager cannot be told");
        }
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let is_meant =
            number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let limit = number("WATCHDOG_USEC").filter(|limit| *limit > 0 && is_meant);
        Self {
            socket: socket.ok(),
            watchdog: limit.map(Duration::from_micros),
        }
    }

    /// The state is owned and served.
    pub(crate) fn ready(&self) {
        self.tell("READY=1\nSTATUS=ready");
    }

    /// Tells the watchdog of life as long as the engine says how much is under
    /// way; returns when it says that it has stopped. One that hangs says nothing.
    pub(crate) async fn while_it_answers<E>(&self, ask: impl AsyncFn() -> Result<usize, E>) {
        // As systemd advises, well within its limit.
        let period = self.watchdog.map_or(HEALTH, |limit| HEALTH.min(limit / 3));
        let mut late = false;
        loop {
            match tokio::time::timeout(period, ask()).await {
                Ok(Ok(under_way)) => {
                    late = false;
                    self.alive(under_way);
                }
                Ok(Err(_)) => return,
                Err(_) if !late => {
                    late = true;
                    tracing::error!("the engine does not answer");
                }
                Err(_) => {}
            }
            tokio::time::sleep(period).await;
        }
    }

    fn alive(&self, under_way: usize) {
        let ping = if self.watchdog.is_some() {
            "WATCHDOG=1\n"
        } else {
            ""
        };
        self.tell(&format!("{ping}STATUS={under_way} transfers under way"));
    }

    /// Somebody else still owns the state; that is no hang.
    pub(crate) fn waiting_for(&self, pid: u32) {
        self.tell(&format!(
            "EXTEND_TIMEOUT_USEC=30000000\nSTATUS=waiting until process {pid}, which owns the state, has left"
        ));
    }

    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=stopping");
    }

    pub(crate) fn status(&self, text: &str) {
        self.tell(&format!("STATUS={text}"));
    }

    fn tell(&self, message: &str) {
        if let Some((socket, to)) = &self.socket {
            // Nobody is there any more, or reads: nothing to be done.
            let _ = socket.send_to_addr(message.as_bytes(), to);
        }
    }
}

/// One that does not wait for a supervisor that does not read.
fn sender() -> std::io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A path, or a name of Linux's own after `@`.
fn address(name: &OsString) -> std::io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::ffi::OsStrExt;
        if let Some(name) = name.as_bytes().strip_prefix(b"@") {
            return SocketAddr::from_abstract_name(name);
        }
    }
    SocketAddr::from_pathname(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a watchdog with a limit of 30 ms hears in 500 ms, of which it reads
    /// nothing meanwhile: more than its socket holds.
    async fn heard(ask: impl AsyncFn() -> Result<usize, ()>) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let systemd = Systemd {
            socket: Some((sender().unwrap(), address(&path.into()).unwrap())),
            watchdog: Some(Duration::from_millis(30)),
        };
        let watched = systemd.while_it_answers(ask);
        let _ = tokio::time::timeout(Duration::from_millis(500), watched).await;
        let mut heard = Vec::new();
        let mut buffer = [0; 200];
        while let Ok(len) = socket.recv(&mut buffer) {
            heard.push(String::from_utf8_lossy(&buffer[..len]).into_owned());
        }
        heard
    }

    #[tokio::test]
    async fn the_watchdog_hears_of_an_engine_that_answers_and_nothing_of_one_that_hangs() {
        let alive = heard(async || Ok(3)).await;
        assert_eq!(
            alive.first().unwrap(),
            "WATCHDOG=1\nSTATUS=3 transfers under way"
        );
        let hangs = heard(async || std::future::pending().await).await;
        assert_eq!(hangs, [] as [String; 0]);
        let stopped = heard(async || Err(())).await;
        assert_eq!(stopped, [] as [String; 0]);
    }
}
