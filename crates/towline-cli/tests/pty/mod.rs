//! A terminal that a test looks at: a real pseudo terminal, and what stands on
//! its screen.
// Each test binary uses a part of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

/// Longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(120);

pub struct Pty {
    master: File,
    /// Kept open, so that what it is set to can be seen after the command.
    slave: File,
    before: Termios,
    child: Child,
    seen: Arc<Mutex<Seen>>,
}

struct Seen {
    screen: vt100::Parser,
    bytes: Vec<u8>,
}

impl Pty {
    /// Runs a command on a new terminal of this size.
    pub fn run(mut command: Command, width: u16, height: u16) -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let name = name.to_str().unwrap();
        let slave = OpenOptions::new()
            .read(true)
            .write(true)
            .open(name)
            .unwrap();
        tcsetwinsize(&slave, size(width, height)).unwrap();
        let before = tcgetattr(&slave).unwrap();
        let child = command
            .env("TERM", "xterm-256color")
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave.try_clone().unwrap())
            .spawn()
            .unwrap();
        let master = File::from(master);
        let seen = Arc::new(Mutex::new(Seen {
            screen: vt100::Parser::new(some(height), some(width), 0),
            bytes: Vec::new(),
        }));
        let (mut reader, into) = (master.try_clone().unwrap(), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(len @ 1..) = reader.read(&mut buffer) {
                let mut seen = into.lock().unwrap();
                seen.screen.process(&buffer[..len]);
                seen.bytes.extend_from_slice(&buffer[..len]);
            }
        });
        Self {
            master,
            slave,
            before,
            child,
            seen,
        }
    }

    pub fn types(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Without a session of its own, the command is told by hand.
    pub fn resize(&mut self, width: u16, height: u16) {
        tcsetwinsize(&self.slave, size(width, height)).unwrap();
        let mut seen = self.seen.lock().unwrap();
        seen.screen.screen_mut().set_size(some(height), some(width));
        drop(seen);
        self.signal("WINCH");
    }

    /// What stands on the screen, line by line.
    pub fn lines(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let screen = seen.screen.screen();
        let (_, width) = screen.size();
        screen.rows(0, width.get()).collect()
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.seen.lock().unwrap().bytes.clone()
    }

    pub fn shows(&self, text: &str) -> bool {
        self.lines().iter().any(|line| line.contains(text))
    }

    pub fn until_it_shows(&self, text: &str) {
        self.until(text, |pty| pty.shows(text));
    }

    pub fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            let lines = self.lines().join("\n");
            assert!(
                start.elapsed() < DEADLINE,
                "waited in vain for {what:?}:\n{lines}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the end of the command; gives its exit code.
    pub fn ends(&mut self) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(start.elapsed() < DEADLINE, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its modes, its screen and its cursor are as they were.
    pub fn assert_as_before(&self) {
        let now = tcgetattr(&self.slave).unwrap();
        assert_eq!(now.local_modes, self.before.local_modes);
        assert_eq!(now.input_modes, self.before.input_modes);
        assert_eq!(now.output_modes, self.before.output_modes);
        // What was written last may still be on its way to the screen.
        self.until("the screen as before", |pty| {
            let seen = pty.seen.lock().unwrap();
            let screen = seen.screen.screen();
            !screen.alternate_screen() && !screen.hide_cursor()
        });
    }

    pub fn is_taken(&self) -> bool {
        self.seen.lock().unwrap().screen.screen().alternate_screen()
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn some(size: u16) -> NonZeroU16 {
    NonZeroU16::new(size).unwrap()
}

fn size(width: u16, height: u16) -> Winsize {
    Winsize {
        ws_col: width,
        ws_row: height,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}
