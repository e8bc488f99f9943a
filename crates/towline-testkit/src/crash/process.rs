//! The processes of a run: started, signalled, waited for, and what they said.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// By what a process is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGKILL: it notices nothing.
    Kill,
    /// SIGTERM: it may tidy up.
    Terminate,
    /// SIGINT, as by Ctrl-C.
    Interrupt,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl From<ExitStatus> for End {
    fn from(status: ExitStatus) -> Self {
        match status.code() {
            Some(code) => Self::Code(code),
            None => Self::Signal(status.signal().unwrap_or_default()),
        }
    }
}

/// Why and how a process was ended by the harness.
#[derive(Clone, Debug)]
pub struct Kill {
    /// By which signal.
    pub signal: Signal,
    /// The trigger, in words.
    pub trigger: String,
    /// From the signal to the end of the process.
    pub took: Duration,
}

/// One process that has ended.
#[derive(Clone, Debug)]
pub struct Run {
    /// Which of the tasks it carried out.
    pub task: usize,
    /// Its state directory.
    pub state_dir: PathBuf,
    /// Its number.
    pub pid: u32,
    /// How it ended.
    pub end: End,
    /// `None` when it was left alone.
    pub killed: Option<Kill>,
    /// Whether it was killed, or asked to end: it may have answered with 0, or
    /// have been about to.
    pub signalled: bool,
    /// Exit codes that are no failure when it was left alone, besides 0.
    pub also_fine: Vec<i32>,
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
}

impl Run {
    /// The JSON objects it wrote; a last line cut by a kill is left out.
    pub fn json_lines(&self) -> impl Iterator<Item = serde_json::Value> + '_ {
        let lines = self.stdout.lines();
        lines.filter_map(|line| serde_json::from_str(line).ok())
    }
}

/// Whether there was such a process to be signalled.
pub(crate) fn send(pid: u32, signal: Signal) -> bool {
    let signal = match signal {
        Signal::Kill => rustix::process::Signal::KILL,
        Signal::Terminate => rustix::process::Signal::TERM,
        Signal::Interrupt => rustix::process::Signal::INT,
    };
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process(pid.unwrap(), signal).is_ok()
}

/// A process that runs. Its output goes to files, so it never waits for a reader.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) task: usize,
    pub(crate) state_dir: PathBuf,
    child: Child,
    output: PathBuf,
    killed: Option<(Signal, String, Instant)>,
}

/// How long a process may take to end by a signal before it is killed for good.
const PATIENCE: Duration = Duration::from_secs(30);

impl Process {
    pub(crate) fn start(
        task: usize,
        mut command: Command,
        state_dir: &Path,
        output: PathBuf,
    ) -> Self {
        let child = command
            .stdout(File::create(output.with_extension("out")).unwrap())
            .stderr(File::create(output.with_extension("err")).unwrap())
            .spawn()
            .unwrap();
        Self {
            task,
            state_dir: state_dir.to_owned(),
            child,
            output,
            killed: None,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        if let Some((signal, _, at)) = &self.killed
            && *signal != Signal::Kill
            && at.elapsed() > PATIENCE
        {
            self.child.kill().unwrap(); // how long it took is told
        }
        self.child.try_wait().unwrap().is_some()
    }

    /// Whether it was sent a signal already.
    pub(crate) fn is_killed(&self) -> bool {
        self.killed.is_some()
    }

    /// Sends the signal, unless it has ended by itself.
    pub(crate) fn kill(&mut self, signal: Signal, trigger: String) -> bool {
        if self.is_killed() || self.has_ended() {
            return false;
        }
        self.killed = Some((signal, trigger, Instant::now()));
        // Not waited for yet, so the number is still its own.
        assert!(send(self.pid(), signal));
        true
    }

    /// What became of it. Waits for its end.
    pub(crate) fn into_run(mut self) -> Run {
        let end = self.child.wait().unwrap().into();
        let asked_to_end = matches!(&self.killed, Some((signal, ..)) if *signal != Signal::Kill);
        // It may have been quicker than the signal.
        let killed = self.killed.take().filter(|(signal, ..)| match signal {
            Signal::Kill => matches!(end, End::Signal(_)),
            Signal::Terminate | Signal::Interrupt => end != End::Code(0),
        });
        let said = |stream: &str| {
            let bytes = std::fs::read(self.output.with_extension(stream)).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Run {
            task: self.task,
            pid: self.pid(),
            end,
            signalled: asked_to_end || killed.is_some(),
            killed: killed.map(|(signal, trigger, at)| Kill {
                signal,
                trigger,
                took: at.elapsed(),
            }),
            also_fine: Vec::new(),
            stdout: said("out"),
            stderr: said("err"),
            state_dir: self.state_dir.clone(),
        }
    }
}

impl Drop for Process {
    /// A test that panics leaves nothing running.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
