//! The library in a process of its own: whoever serves a disk must not have its
//! files in memory, and SQLite has.

use std::io::{BufRead, BufReader, Lines};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use towline::{
    Config, Connection, ConnectionSource, Credentials, Error, Query, State, StaticCredentials,
    Transfer, TransferUtility,
};

use crate::machine::Machine;
use crate::wanted::{Order, Step};

const JOB: &str = "TOWLINE_TEST_JOB";

/// Before each of its lines, which are among those of the test harness.
const MARK: &str = "@towline ";

/// Whoever is not done by then never will be.
const LIMIT: Duration = Duration::from_secs(120);

/// What an agent is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    endpoint: String,
    state_dir: PathBuf,
    settings: Settings,
    /// What it asks for; nothing: it finishes what it finds.
    orders: Vec<Order>,
}

/// What differs between recordings.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) sync_every: u64,
    pub(crate) parts_per_transfer: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sync_every: Config::default().sync_every,
            parts_per_transfer: 2,
        }
    }
}

/// What an agent says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Said {
    /// Of the order with this number.
    Step(usize, Step),
    /// What there is, just after opening.
    Opened(Vec<Transfer>),
    /// What there is once all has ended.
    Finished(Vec<Transfer>),
    /// A promise that is broken: its number, for whom, how.
    Broken(u8, String, String),
    Closed,
}

/// An agent at work; what it says, as it says it.
pub(crate) struct Agent {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Agent {
    pub(crate) fn start(machine: &Machine, settings: Settings, orders: Vec<Order>) -> Self {
        let job = Job {
            endpoint: machine.server.endpoint(),
            state_dir: machine.state_dir(),
            settings,
            orders,
        };
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "agent::the_library_in_a_process_of_its_own"])
            .args(["--ignored", "--nocapture"])
            .env(JOB, serde_json::to_string(&job).unwrap())
            .stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }
}

impl Iterator for Agent {
    type Item = Said;

    fn next(&mut self) -> Option<Said> {
        loop {
            let line = self.lines.next()?.unwrap();
            // The harness writes no end of line before a test of its own does.
            if let Some((_, said)) = line.split_once(MARK) {
                return Some(serde_json::from_str(said).unwrap());
            }
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn say(said: &Said) {
    println!("{MARK}{}", serde_json::to_string(said).unwrap());
}

#[test]
#[ignore = "run by other tests, as a process of its own"]
fn the_library_in_a_process_of_its_own() {
    let Ok(job) = std::env::var(JOB) else {
        return;
    };
    let job: Job = serde_json::from_str(&job).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(job.carry_out());
}

impl Job {
    async fn carry_out(self) {
        let utility = match self.open().await {
            Ok(utility) => utility,
            Err(error) => {
                let what = format!("it does not open: {error}");
                return say(&Said::Broken(1, "the store".into(), what));
            }
        };
        if self.orders.is_empty() {
            finish(&utility).await;
        }
        let at_work: Vec<_> = self
            .orders
            .into_iter()
            .enumerate()
            .map(|(number, order)| tokio::spawn(order.carry_out(number, utility.clone())))
            .collect();
        for one in at_work {
            one.await.unwrap();
        }
        match utility.close().await {
            Ok(()) => say(&Said::Closed),
            Err(error) => {
                let what = format!("it does not close: {error}");
                say(&Said::Broken(4, "the utility".into(), what));
            }
        }
    }

    async fn open(&self) -> Result<TransferUtility, Error> {
        let mut config = Config::default();
        config.requests = Some(4);
        config.parts_per_transfer = Some(self.settings.parts_per_transfer);
        config.worker_threads = 2;
        config.service_check_interval = Duration::from_millis(500);
        config.late_answer_limit = Duration::from_secs(2);
        config.sync_every = self.settings.sync_every;
        TransferUtility::builder()
            .state_dir(&self.state_dir)
            .config(config)
            .connection(Connection {
                source: ConnectionSource::Registered("test".into()),
                endpoint: Some(self.endpoint.clone()),
                region: Some("us-east-1".into()),
                ..Connection::default()
            })
            .credentials(
                "test",
                StaticCredentials(Credentials::new("test", "testsecret")),
            )
            .without_network_monitor()
            .open()
            .await
    }
}

/// Resumes what is paused, and waits for all.
async fn finish(utility: &TransferUtility) {
    let opened = all(utility).await;
    say(&Said::Opened(opened.clone()));
    for row in opened {
        let observer = match utility.observe(row.id).await {
            Ok(observer) => observer,
            Err(error) => {
                say(&Said::Broken(1, row.key, error.to_string()));
                continue;
            }
        };
        if row.state == State::Paused {
            observer.resume().await.unwrap();
        }
        if tokio::time::timeout(LIMIT, observer.finished())
            .await
            .is_err()
        {
            let what = format!("it does not end: {:?}", observer.transfer());
            say(&Said::Broken(9, row.key, what));
        }
    }
    say(&Said::Finished(all(utility).await));
}

async fn all(utility: &TransferUtility) -> Vec<Transfer> {
    let query = Query {
        limit: 1000,
        ..Query::default()
    };
    utility.find(query).await.unwrap().0
}
