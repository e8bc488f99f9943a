//! A process of a world: an engine, and the calls of those who use it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use towline_core::{
    Changed, Changes, Command, Connection, Direction, NewTransfer, ObjectAddress, Phase, Spec,
    Store, Timestamp, TransferId,
};
use towline_engine::{Config, Disk, Engine, Simulated, Snapshot};

use super::Broken;
use super::facts::{Asked, Facts, Limits, Run, Shown};
use crate::simulation::{SimulatedDisk, SimulatedS3, SimulatedState, SimulatedStores, Trace};

pub(super) const BUCKET: &str = "bucket";
const ENDPOINT: &str = "https://store.example";

/// What all processes of a world share.
pub(super) struct Shared {
    pub(super) trace: Trace,
    pub(super) disk: SimulatedDisk,
    pub(super) s3: SimulatedS3,
    pub(super) state: SimulatedState,
    pub(super) broken: Option<Broken>,
    pub(super) facts: Arc<Mutex<Facts>>,
}

impl Shared {
    pub(super) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is(&self, broken: Broken) -> bool {
        self.broken == Some(broken)
    }
}

pub(super) struct Process {
    shared: Arc<Shared>,
    engine: Arc<Engine>,
    store: Arc<dyn Store>,
    calls: JoinSet<()>,
    run: usize,
    /// How often the store had failed before.
    failures: u64,
}

impl Process {
    pub(super) async fn start(shared: &Arc<Shared>, config: &Config, seed: u64) -> Self {
        let began = shared.trace.note(format_args!("a process begins"));
        let store = shared.state.open();
        let stores = SimulatedStores::with([(ENDPOINT, &shared.s3)]);
        let simulated = Simulated {
            since: shared.trace.start(),
            disk: Arc::new(shared.disk.clone()),
            seed,
        };
        let mut config = config.clone();
        let run = {
            let mut facts = shared.facts();
            let client = shared.s3.clients() + 1;
            facts.limits.push(Limits {
                place: began,
                at: shared.trace.elapsed(),
                requests: config.requests.unwrap_or(usize::MAX),
                parts: config.parts_per_transfer.unwrap_or(usize::MAX),
            });
            facts.runs.push(Run {
                began,
                ended: None,
                client,
            });
            facts.runs.len() - 1
        };
        if shared.is(Broken::ExceedsLimits) {
            config.requests = config.requests.map(|requests| requests + 6);
            config.parts_per_transfer = config.parts_per_transfer.map(|parts| parts + 6);
        }
        let engine = Engine::start_in(simulated, Arc::clone(&store), stores, config).await;
        let mut process = Self {
            shared: Arc::clone(shared),
            engine: Arc::new(engine.expect("a simulated engine needs nothing of the system")),
            store,
            calls: JoinSet::new(),
            run,
            failures: shared.state.failures(),
        };
        process.follow();
        let ids: Vec<TransferId> = shared
            .facts()
            .jobs
            .iter()
            .filter_map(|job| job.id)
            .collect();
        for id in ids {
            process.watch(id);
        }
        process
    }

    /// Its store failed, so it does nothing more.
    pub(super) fn is_broken(&self) -> bool {
        self.shared.state.failures() > self.failures
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// It is dead from here on.
    pub(super) async fn kill(mut self) {
        self.engine.kill();
        self.calls.abort_all();
        self.shared.state.crash();
        self.ended("is killed");
        drop(self);
        // What is dead is buried: its open files are closed.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// It ends in order.
    pub(super) async fn close(mut self) {
        let closed = self.engine.close().await;
        self.shared.trace.note(format_args!("closed: {closed:?}"));
        self.engine.kill();
        self.calls.abort_all();
        self.ended("ends");
        drop(self);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    fn ended(&self, how: &str) {
        let at = self
            .shared
            .trace
            .note(format_args!("process {} {how}", self.run));
        self.shared.facts().runs[self.run].ended = Some(at);
    }

    /// Submits a job, if it is not confirmed yet.
    pub(super) fn submit(&mut self, job: usize) {
        let (shared, engine) = (Arc::clone(&self.shared), Arc::clone(&self.engine));
        let asked = shared.facts().jobs[job].clone();
        if asked.id.is_some() {
            return;
        }
        let mut watchers = self.watcher();
        self.calls.spawn(async move {
            let source = match asked.direction {
                Direction::Upload => match shared.disk.stat(&asked.path) {
                    Ok(stat) => Some(stat.fingerprint),
                    Err(_) => return, // refused before anything is recorded
                },
                // Every other one was listed.
                Direction::Download if job % 2 == 1 => shared.s3.listed(BUCKET, &asked.key),
                Direction::Download | Direction::Copy => None,
            };
            // By its age a copy is told from what stood there before.
            let created_at = match asked.direction {
                Direction::Copy => shared.s3.our_time(),
                Direction::Upload | Direction::Download => Timestamp::from_millis(1),
            };
            let new = NewTransfer {
                source,
                spec: Spec {
                    direction: asked.direction,
                    connection: Connection {
                        endpoint: Some(ENDPOINT.into()),
                        ..Connection::default()
                    },
                    object: ObjectAddress::new(
                        BUCKET.to_owned().try_into().expect("it is a name"),
                        asked.key.clone().try_into().expect("it is a key"),
                    ),
                    path: asked.path.clone(),
                    options: asked.options.clone(),
                    token: Some(format!("job-{job}")),
                    group: None,
                },
                created_at,
            };
            match engine.submit(vec![new]).await {
                Ok(created) => {
                    let id = created[0].record().id;
                    shared
                        .trace
                        .note(format_args!("user: job {job} is transfer {id}"));
                    shared.facts().jobs[job].id = Some(id);
                    watchers(id).await;
                }
                Err(error) => drop(shared.trace.note(format_args!("user: job {job}: {error}"))),
            }
        });
    }

    pub(super) fn command(&mut self, job: usize, command: Command) {
        let shared = Arc::clone(&self.shared);
        let Some(id) = shared.facts().jobs[job].id else {
            return;
        };
        let at = shared.trace.note(format_args!("user: {command:?} {id}"));
        let number = {
            let mut facts = shared.facts();
            facts.commands.push(Asked {
                at,
                job,
                command,
                confirmed: None,
            });
            facts.commands.len() - 1
        };
        let engine = Arc::clone(&self.engine);
        let mut watchers = self.watcher();
        self.calls.spawn(async move {
            let answer = engine.command(id, command).await;
            let at = shared
                .trace
                .note(format_args!("user: {command:?} {id}: {answer:?}"));
            if answer.is_ok() {
                shared.facts().commands[number].confirmed = Some(at);
                if let Command::Resume | Command::Retry = command {
                    watchers(id).await;
                }
            }
        });
    }

    pub(super) fn remove(&mut self, job: usize) {
        let shared = Arc::clone(&self.shared);
        let Some(id) = shared.facts().jobs[job].id else {
            return;
        };
        let engine = Arc::clone(&self.engine);
        self.calls.spawn(async move {
            let Ok(Some(record)) = shared.state.look().get(id).await else {
                return;
            };
            // What a failed one still holds the facade gives up first. Where it
            // cannot, the error names it, and a user keeps the record.
            let holds = record.remote.is_some() || record.asked.is_some();
            if record.phase.is_final() && !(record.phase == Phase::Failed && holds) {
                shared.facts().jobs[job].removed = true;
                let removed = engine.remove(vec![id]).await;
                shared
                    .trace
                    .note(format_args!("user: remove {id}: {removed:?}"));
            }
        });
    }

    fn watch(&mut self, id: TransferId) {
        let mut watcher = self.watcher();
        self.calls.spawn(async move { watcher(id).await });
    }

    /// Notes what is shown of a transfer, until it comes to rest.
    fn watcher(&self) -> impl FnMut(TransferId) -> BoxFuture + Send + use<> {
        let (shared, engine) = (Arc::clone(&self.shared), Arc::clone(&self.engine));
        move |id| {
            let (shared, engine) = (Arc::clone(&shared), Arc::clone(&engine));
            Box::pin(async move {
                let Ok(mut watch) = engine.watch(id).await else {
                    return;
                };
                drop(engine);
                let watcher = shared.trace.note(format_args!("watch {id}"));
                let watcher = usize::try_from(watcher).unwrap_or_default();
                note(&shared, watcher, &watch.now());
                while let Some(now) = watch.next().await {
                    note(&shared, watcher, &now);
                }
            })
        }
    }

    /// Follows all transfers from where the one before it was.
    fn follow(&mut self) {
        let (shared, store) = (Arc::clone(&self.shared), Arc::clone(&self.store));
        let mut durable = self.engine.durable();
        self.calls.spawn(async move {
            loop {
                let cursor = shared.facts().cursor;
                let Ok(changes) = store.changes(cursor, 3).await else {
                    return;
                };
                let none = changes.changed.is_empty();
                take(&shared, changes);
                if none && durable.changed().await.is_err() {
                    return;
                }
            }
        });
    }
}

/// What was heard and up to where is kept in one step.
fn take(shared: &Shared, changes: Changes) {
    let mut facts = shared.facts();
    facts.cursor = Some(changes.cursor);
    for changed in changes.changed {
        if let Changed::Transfer(record) = changed {
            let (id, phase) = (record.id, record.phase);
            shared.trace.note(format_args!("told: {id} is {phase:?}"));
            facts.told.push(*record);
        }
    }
}

type BoxFuture = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

fn note(shared: &Shared, watcher: usize, now: &Snapshot) {
    let (id, bytes, state) = (now.record.id, now.bytes_transferred, now.status.state);
    let at = shared.trace.note(format_args!(
        "shown: {id} {state} {:?}, {bytes} bytes",
        now.status.reason
    ));
    let less = shared.is(Broken::ShowsLess) && at.is_multiple_of(3);
    shared.facts().shown.push(Shown {
        at,
        watcher,
        id,
        generation: now.record.generation,
        bytes: if less { bytes / 2 } else { bytes },
        total: now.record.bytes_total(),
        state,
        reason: now.status.reason,
        phase: now.record.phase,
    });
}
