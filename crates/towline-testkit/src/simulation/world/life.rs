//! Lives through a world, from its beginning to when everything has ended.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use towline_core::{Command, Direction, NetworkClass, Outcome, Phase, Query, Record};
use towline_engine::{Config, numbered};

use super::Broken;
use super::facts::{Facts, Landed, Limits};
use super::process::{BUCKET, Process, Shared};
use super::shape::{self, Act, COPIES_SINCE, SOURCES, TARGETS};
use crate::simulation::{
    Committed, Network, SimulatedDisk, SimulatedS3, SimulatedState, Trace, Weather,
};

/// By then all must have ended after the last thing went wrong.
const LIMIT: Duration = Duration::from_secs(2 * 3600);

pub(super) async fn live(
    seed: u64,
    broken: Option<Broken>,
    with_copies: bool,
) -> (Facts, String, Duration) {
    let mut world = World::new(seed, broken).await;
    // Drawn apart, so that all else follows from a seed as it does without them.
    world.copies = with_copies.then(|| fastrand::Rng::with_seed(!seed));
    world.be_born().await;
    let mut acts = shape::acts(&mut world.dice, world.others);
    if let Some(dice) = &mut world.copies {
        acts.extend(shape::acts_of_copies(dice, world.others..world.jobs));
        acts.sort_by_key(|(at, _)| *at);
    }
    for (at, act) in acts {
        let now = world.shared.trace.elapsed();
        tokio::time::sleep(at.saturating_sub(now)).await;
        world.perform(act).await;
        world.see_to_the_process(false).await;
    }
    world.calm_down().await;
    world.die().await
}

struct World {
    shared: Arc<Shared>,
    dice: fastrand::Rng,
    /// What is drawn for copies, in worlds that have some.
    copies: Option<fastrand::Rng>,
    jobs: usize,
    /// So many of them, the first ones, are no copies.
    others: usize,
    config: Config,
    process: Option<Process>,
}

impl World {
    async fn new(seed: u64, broken: Option<Broken>) -> Self {
        let mut dice = fastrand::Rng::with_seed(seed);
        let trace = Trace::default();
        let dirs = [SOURCES, TARGETS].map(Path::new);
        let disk = SimulatedDisk::new(&trace, dice.u64(..), dirs);
        let s3 = SimulatedS3::traced(trace.clone(), dice.u64(..));
        let facts: Arc<Mutex<Facts>> = Arc::default();
        let state = SimulatedState::new(&trace, dice.u64(..)).witnessed(witness(&disk, &facts));
        let mut config = Config::default();
        config.requests = Some(dice.usize(1..6));
        config.parts_per_transfer = Some(dice.usize(1..5));
        config.byte_budget = [0, 1 << 20, 40 << 20][dice.usize(0..3)];
        config.progress_interval = Duration::from_millis(700);
        config.late_answer_limit = Duration::from_secs(90);
        config.window = [2, 512][dice.usize(0..2)];
        s3.set_latency(Duration::from_millis(dice.u64(1..300)));
        s3.set_bandwidth(dice.bool().then(|| dice.u64(20_000..1_000_000)));
        break_it(broken, &disk, &s3, &state);
        let shared = Shared {
            trace,
            disk,
            s3,
            state,
            broken,
            facts,
        };
        Self {
            shared: Arc::new(shared),
            dice,
            copies: None,
            jobs: 0,
            others: 0,
            config,
            process: None,
        }
    }

    async fn be_born(&mut self) {
        if self.shared.broken == Some(Broken::BelievesBytes) {
            let (faults, lies) = (300, 1000);
            self.shared.s3.set_weather(Weather { faults, lies });
        }
        for (job, bytes) in shape::jobs(&mut self.dice) {
            let before = (self.dice.bool()).then(|| shape::content(&mut self.dice, 3000));
            let shared = &self.shared;
            shared
                .trace
                .note(format_args!("job: {job:?}, {} bytes", bytes.len()));
            match job.direction {
                Direction::Copy => unreachable!("those are drawn apart"),
                Direction::Upload => {
                    shared.disk.write(&job.path, bytes.to_vec());
                    if let Some(before) = before.filter(|_| self.dice.bool()) {
                        shared.s3.put(BUCKET, &job.key, before);
                    }
                }
                Direction::Download => {
                    shared.s3.put(BUCKET, &job.key, bytes.clone());
                    if let Some(before) = &before {
                        shared.disk.write(&job.path, before.to_vec());
                    }
                    shared.facts().before.insert(job.path.clone(), before);
                }
            }
            shared.facts().accept(job, bytes);
        }
        self.others = self.shared.facts().jobs.len();
        if let Some(dice) = &mut self.copies {
            for (job, bytes, before) in shape::copies(dice, self.others) {
                let shared = &self.shared;
                shared
                    .trace
                    .note(format_args!("job: {job:?}, {} bytes", bytes.len()));
                shared.s3.put(BUCKET, &job.source(), bytes.clone());
                if let Some(before) = before {
                    shared.s3.put(BUCKET, &job.key, before);
                }
                shared.facts().accept(job, bytes);
            }
        }
        self.jobs = self.shared.facts().jobs.len();
        let changes = self.shared.state.look().changes(None, 1).await;
        self.shared.facts().cursor = changes.ok().map(|changes| changes.cursor);
        self.start().await;
    }

    async fn start(&mut self) {
        let seed = self.dice.u64(..);
        let process = Process::start(&self.shared, &self.config, seed).await;
        self.process = Some(process);
    }

    async fn perform(&mut self, act: Act) {
        self.shared.trace.note(format_args!("world: {act:?}"));
        let shared = Arc::clone(&self.shared);
        match act {
            Act::Submit(job) => self.on_process(|process| process.submit(job)),
            Act::Command(job, command) => self.on_process(|process| process.command(job, command)),
            Act::Remove(job) => self.on_process(|process| process.remove(job)),
            Act::ChangeSource(job, how) => self.change_source(job, how),
            Act::Weather { faults, lies } => shared.s3.set_weather(Weather { faults, lies }),
            Act::Network(network) => shared.s3.set_network(network),
            Act::Hint => self.on_process(|process| {
                let _ = process.engine().network_changed(NetworkClass::default());
            }),
            Act::Throttle(most) => shared.s3.throttle_above(most),
            Act::Credentials { lifetime, given } => {
                shared.s3.set_lifetime_of_credentials(lifetime);
                shared.s3.give_credentials(given);
            }
            Act::Clock(ahead) => {
                shared.s3.set_clock_ahead(ahead);
                shared.facts().clock_jumped = true;
            }
            Act::Disk {
                free,
                errors,
                failing_syncs,
            } => shared.disk.rule(|rules| {
                rules.capacity = free.unwrap_or(u64::MAX);
                rules.errors = errors;
                rules.failing_syncs = failing_syncs;
            }),
            Act::FailingCommits(often) => shared.state.rule(|rules| rules.failing_commits = often),
            Act::Bandwidth(rate) => shared.s3.set_bandwidth(rate),
            Act::Limits(requests, parts) => {
                let extra = usize::from(shared.broken == Some(Broken::ExceedsLimits)) * 6;
                let (place, at) = (shared.trace.now(), shared.trace.elapsed());
                shared.facts().limits.push(Limits {
                    place,
                    at,
                    requests,
                    parts,
                });
                self.on_process(|process| {
                    let _ = process
                        .engine()
                        .set_limits(Some(requests + extra), Some(parts + extra));
                });
            }
            Act::Kill { down } => {
                if shared.broken == Some(Broken::TwoOwners) {
                    let old = self.process.take();
                    self.start().await;
                    tokio::time::sleep(Duration::from_secs(2)).await;
                    if let Some(old) = old {
                        old.kill().await;
                    }
                    return;
                }
                self.end(false).await;
                self.come_back(down).await;
            }
            Act::LosePower { down } => {
                self.end(false).await;
                shared.disk.lose_power();
                self.come_back(down).await;
            }
            Act::Close { down } => {
                self.end(true).await;
                self.come_back(down).await;
            }
        }
    }

    fn on_process(&mut self, what: impl FnOnce(&mut Process)) {
        if let Some(process) = &mut self.process {
            what(process);
        }
    }

    async fn end(&mut self, in_order: bool) {
        match self.process.take() {
            Some(process) if in_order => process.close().await,
            Some(process) => process.kill().await,
            None => {}
        }
    }

    /// Begins again after a while; may die once more soon after it has begun.
    async fn come_back(&mut self, down: Duration) {
        tokio::time::sleep(down).await;
        self.start().await;
        while self.dice.u8(0..3) == 0 {
            let lives = Duration::from_micros([500, 20_000, 400_000][self.dice.usize(0..3)]);
            tokio::time::sleep(lives.mul_f64(self.dice.f64())).await;
            self.end(false).await;
            if self.dice.u8(0..3) == 0 {
                self.shared.disk.lose_power();
            }
            self.start().await;
        }
        self.see_to_the_process(true).await;
    }

    /// Begins anew where the store failed; asks again for what was not confirmed.
    async fn see_to_the_process(&mut self, begun: bool) {
        let broken = self.process.as_ref().is_none_or(Process::is_broken);
        if broken {
            self.end(false).await;
            self.start().await;
        }
        if broken || begun {
            let submitted = self.shared.facts().jobs.len();
            for job in 0..submitted {
                let is_new = self.shared.facts().jobs[job].id.is_none();
                let early = job >= self.others && self.shared.trace.elapsed() < COPIES_SINCE;
                let began = is_new && !early && self.dice_of(job).bool();
                if began {
                    self.on_process(|process| process.submit(job));
                }
            }
        }
    }

    /// What is drawn for a job is drawn from these.
    fn dice_of(&mut self, job: usize) -> &mut fastrand::Rng {
        match &mut self.copies {
            Some(copies) if job >= self.others => copies,
            _ => &mut self.dice,
        }
    }

    fn change_source(&mut self, number: usize, how: shape::Change) {
        let shared = Arc::clone(&self.shared);
        let job = shared.facts().jobs[number].clone();
        let source = job.source();
        let was = match job.direction {
            Direction::Upload => shared.disk.read(&job.path).map(Bytes::from),
            Direction::Download | Direction::Copy => shared.s3.object(BUCKET, &source),
        };
        let Some(was) = was else { return };
        let now = shape::changed(self.dice_of(number), &was, how);
        if let Some(now) = &now {
            let mut facts = shared.facts();
            let versions = facts.sources.entry(source.clone()).or_default();
            versions.push(now.clone());
        }
        let replaced = matches!(how, shape::Change::Replaced);
        match (job.direction, now) {
            (Direction::Upload, Some(now)) if replaced => {
                shared.disk.replace(&job.path, now.into())
            }
            (Direction::Upload, Some(now)) => shared.disk.write(&job.path, now.into()),
            (Direction::Upload, None) => shared.disk.remove(&job.path),
            (_, Some(now)) => shared.s3.put(BUCKET, &source, now),
            (_, None) => shared.s3.delete(BUCKET, &source),
        }
    }

    /// Nothing goes wrong any more, and everybody wants all to end.
    async fn calm_down(&mut self) {
        let shared = Arc::clone(&self.shared);
        shared
            .trace
            .note(format_args!("world: all is well from here on"));
        shared.s3.set_weather(Weather::default());
        shared.s3.set_network(Network::Up);
        shared.s3.set_bandwidth(None);
        shared.s3.throttle_above(None);
        shared.s3.set_lifetime_of_credentials(None);
        shared.s3.give_credentials(true);
        shared.s3.set_clock_ahead(0);
        shared.state.rule(|rules| rules.failing_commits = 0);
        shared.disk.rule(|rules| {
            rules.capacity = u64::MAX;
            rules.errors = 0;
            rules.failing_syncs = 0;
        });
        for job in 0..self.jobs {
            self.on_process(|process| process.submit(job));
        }
        self.see_to_the_process(true).await;
        let begun = shared.trace.elapsed();
        let mut retried = vec![0; self.jobs];
        let mut wait = Duration::from_millis(200);
        loop {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(20));
            let records = self.records().await;
            let mut open = Vec::new();
            for (job, retried) in retried.iter_mut().enumerate() {
                let (id, removed) = {
                    let job = &shared.facts().jobs[job];
                    (job.id, job.removed)
                };
                let Some(record) = records.iter().find(|record| Some(record.id) == id) else {
                    if id.is_none() && self.can_be_asked(job) {
                        self.on_process(|process| process.submit(job));
                        open.push(format!("job {job} is not recorded"));
                    } else if !removed && id.is_some() {
                        continue; // lost: the oracle tells
                    }
                    continue;
                };
                match record.phase {
                    Phase::Paused => {
                        self.on_process(|process| process.command(job, Command::Resume))
                    }
                    Phase::Failed if *retried < 3 => {
                        *retried += 1;
                        self.on_process(|process| process.command(job, Command::Retry));
                    }
                    phase if phase.is_final() => continue,
                    _ => {}
                }
                open.push(format!(
                    "transfer {} is {:?}: {:?}",
                    record.id, record.phase, record.error
                ));
            }
            if open.is_empty() {
                return;
            }
            if shared.trace.elapsed() > begun + LIMIT {
                shared.facts().stuck = open;
                return;
            }
            self.see_to_the_process(false).await;
        }
    }

    fn can_be_asked(&self, job: usize) -> bool {
        let job = self.shared.facts().jobs[job].clone();
        job.direction != Direction::Upload || self.shared.disk.read(&job.path).is_some()
    }

    async fn records(&self) -> Vec<Record> {
        let all = Query {
            limit: 1000,
            ..Query::default()
        };
        let page = self.shared.state.look().find(all).await;
        page.map(|page| page.transfers).unwrap_or_default()
    }

    async fn die(mut self) -> (Facts, String, Duration) {
        // Whoever follows hears of the last end.
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.end(true).await;
        let shared = Arc::clone(&self.shared);
        shared.disk.lose_power();
        let mut facts = shared.facts().clone();
        facts.requests = shared.s3.history();
        facts.versions = shared.s3.versions();
        let opened = shared.s3.opened();
        let left = shared.s3.open_upload_ids().into_iter();
        facts.open_uploads = left
            .map(|left| {
                let by = opened.iter().find(|(_, id, _)| *id == left);
                (left, by.and_then(|(_, _, by)| *by))
            })
            .collect();
        let of = |job: &super::Job| [job.key.clone(), job.source()];
        let keys: Vec<String> = facts.jobs.iter().flat_map(of).collect();
        let missing = keys
            .into_iter()
            .filter(|key| shared.s3.object(BUCKET, key).is_none());
        facts.missing_objects = missing.collect();
        facts.commits = shared.state.log();
        facts.named = shared.disk.named();
        let files = shared.disk.files().into_iter();
        facts.files = files
            .map(|path| {
                let bytes = shared.disk.read(&path).unwrap_or_default();
                (path, bytes.into())
            })
            .collect();
        let records = self.records().await.into_iter();
        facts.records = records.map(|record| (record.id, record)).collect();
        facts.open_files = shared.disk.open_files();
        (facts, shared.trace.text(), shared.trace.elapsed())
    }
}

impl Facts {
    /// It is asked for, and its source has these bytes.
    fn accept(&mut self, job: super::Job, bytes: Bytes) {
        let versions = self.sources.entry(job.source()).or_default();
        versions.push(bytes);
        self.jobs.push(job);
    }
}

/// Looks at the target at the moment in which its download is recorded as done.
fn witness(
    disk: &SimulatedDisk,
    facts: &Arc<Mutex<Facts>>,
) -> impl Fn(&Committed) + Send + Sync + 'static {
    let (disk, facts) = (disk.clone(), Arc::clone(facts));
    move |committed| {
        let record = &committed.record;
        let done = record.phase == Phase::Completed
            && record.spec.direction == Direction::Download
            && record.outcome != Some(Outcome::NotModified);
        if !done {
            return;
        }
        let renamed = record.proof.as_ref().and_then(|proof| proof.renamed);
        let path: PathBuf = numbered(&record.spec.path, renamed);
        let landed = Landed {
            record: record.clone(),
            now: disk.read(&path),
            synced: disk.read_synced(&path),
        };
        let mut facts = facts.lock().unwrap_or_else(PoisonError::into_inner);
        facts.landed.push(landed);
    }
}

fn break_it(
    broken: Option<Broken>,
    disk: &SimulatedDisk,
    s3: &SimulatedS3,
    state: &SimulatedState,
) {
    match broken {
        Some(Broken::ActsBeforeItsStore) => state.rule(|rules| rules.lies = true),
        Some(Broken::DropsSubmits) => state.rule(|rules| rules.drops_submits = true),
        Some(Broken::ForgetsParts) => state.rule(|rules| rules.forgets_parts = true),
        Some(Broken::HidesEnds) => state.rule(|rules| rules.hides_ends = true),
        Some(Broken::ForgetsTheUnfinished) => state.rule(|rules| rules.hides_unfinished = true),
        Some(Broken::SkipsTheFingerprint) => disk.rule(|rules| rules.hides_changes = true),
        Some(Broken::IgnoresSyncs) => disk.rule(|rules| rules.syncs_lie = true),
        Some(Broken::RenamesInWords) => disk.rule(|rules| rules.renames_lie = true),
        Some(Broken::KeepsTemporaryFiles) => disk.rule(|rules| rules.keeps_removed = true),
        Some(Broken::LittersTheDisk) => disk.rule(|rules| rules.litters = true),
        Some(Broken::NeverAborts) => s3.rule(|rules| rules.keeps_uploads = true),
        Some(Broken::BelievesBytes) => s3.rule(|rules| rules.shows_no_checksums = true),
        Some(Broken::CopiesWhatever) => s3.rule(|rules| {
            rules.copies_whatever = true;
            rules.shows_no_checksums = true;
        }),
        Some(Broken::SendsAgainUnasked) => s3.rule(|rules| rules.denies_objects = true),
        Some(Broken::ShowsLess | Broken::ExceedsLimits | Broken::TwoOwners) | None => {}
    }
}
