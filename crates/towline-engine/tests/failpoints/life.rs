//! One process: an engine, and what its user does meanwhile.

use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use towline_core::{Command, Direction, NewTransfer, Phase, State, Store, TransferId};
use towline_engine::{Config, Engine};
use towline_testkit::simulation::{Request, SimulatedS3, SimulatedStores};

use crate::flows::{Flow, Script};
use crate::judge;
use crate::tripwire::{Crash, Tripwire};
use crate::world::{BUCKET, SOURCE, User, World, content};

/// What follows a life.
enum Next {
    /// The user is done.
    Done,
    /// The user opens it again.
    Reopen,
    Crashed,
}

/// What came of a run.
pub(crate) struct Run {
    /// The points that were reached after the last crash, in order.
    pub(crate) trace: Vec<&'static str>,
    /// Whether all crashes came.
    pub(crate) crashed: bool,
    /// What S3 was asked in all lives.
    pub(crate) requests: Vec<Request>,
}

/// Lives a flow through crashes to its end, and judges what is left.
pub(crate) fn run(flow: &'static Flow, crashes: &[Crash]) -> Run {
    let wire = Tripwire::new(crashes);
    let watched = wire.install();
    let mut world = None;
    loop {
        match live(flow, &mut world, &wire) {
            Next::Crashed => {
                wire.revive();
                if let Some(world) = &mut world {
                    world.crashed();
                }
            }
            Next::Reopen => {}
            Next::Done => break,
        }
    }
    drop(watched);
    let world = world.expect("there was a life");
    judge::judge(&world);
    Run {
        requests: world.history(),
        trace: wire.trace(),
        crashed: wire.to_come() == 0,
    }
}

fn live(flow: &'static Flow, world: &mut Option<World>, wire: &Tripwire) -> Next {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    let next = runtime.block_on(async {
        if let Some(world) = world {
            // Its clock goes on where that of the last life stopped.
            tokio::time::advance(world.passed).await;
        }
        let world = world.get_or_insert_with(|| World::new(flow));
        let begun = Instant::now();
        let mut script = tokio::spawn(script(Life::of(world, wire)));
        let next = tokio::select! {
            biased;
            () = wire.died() => Next::Crashed,
            ended = timeout(Duration::from_secs(7200), &mut script) => match ended {
                Ok(Ok(next)) => next,
                Ok(Err(_)) if wire.is_dead() => Next::Crashed,
                Ok(Err(failed)) => resume_unwind(failed.into_panic()),
                Err(_) => panic!("it does not end: {:#?}", world.s3.history()),
            },
        };
        world.passed += begun.elapsed();
        next
    });
    drop(runtime); // and all that runs on it
    next
}

/// What the script of one life works with.
struct Life {
    flow: &'static Flow,
    wire: Tripwire,
    user: Arc<User>,
    store: Arc<dyn Store>,
    s3: SimulatedS3,
    request: NewTransfer,
    stores: Arc<SimulatedStores>,
    config: Config,
    path: PathBuf,
}

impl Life {
    fn of(world: &World, wire: &Tripwire) -> Self {
        Self {
            flow: world.flow,
            wire: wire.clone(),
            user: Arc::clone(&world.user),
            store: world.store(),
            s3: world.s3.clone(),
            request: world.request(),
            stores: Arc::clone(&world.stores),
            config: world.config(),
            path: world.path(),
        }
    }

    /// Nobody hears an answer of a process that has died.
    async fn answer<T, E: std::fmt::Debug>(&self, answer: Result<T, E>) -> T {
        if self.wire.is_dead() {
            std::future::pending::<()>().await;
        }
        answer.unwrap()
    }

    async fn phase(&self, id: TransferId) -> Phase {
        self.store.get(id).await.unwrap().unwrap().phase
    }

    /// Until it is mid-way: a part is recorded, the last one is not.
    async fn is_midway(&self, id: TransferId) {
        loop {
            let parts = self.store.parts(id).await.unwrap().len();
            if parts > 0 || self.phase(id).await.is_final() {
                return;
            }
            sleep(Duration::from_millis(3)).await;
        }
    }

    /// Until its last part is sent whole, and not answered.
    async fn last_part_is_sent(&self, id: TransferId) {
        loop {
            let sent = self.s3.history().into_iter().any(|request| {
                request.part == Some(2) && request.bytes == self.flow.len % (5 << 20)
            });
            if sent || self.phase(id).await.is_final() {
                return;
            }
            sleep(Duration::from_millis(3)).await;
        }
    }
}

async fn script(life: Life) -> Next {
    let user = Arc::clone(&life.user);
    if user.known().cursor.is_none() {
        user.read_changes(&*life.store).await; // from here on
    }
    let started = Engine::start_simulated(
        Arc::clone(&life.store),
        life.stores.clone(),
        life.config.clone(),
    );
    let engine = Arc::new(started.await.unwrap());
    tokio::spawn(read_changes(Arc::clone(&engine), Arc::clone(&user)));
    // Who was not answered asks again; whatever was recorded is one transfer.
    let submitted = user.known().id;
    let id = match submitted {
        Some(id) => id,
        None => {
            let made = engine.submit(vec![life.request.clone()]).await;
            let made = life.answer(made).await;
            let id = made[0].record().id;
            user.known().id = Some(id);
            id
        }
    };
    tokio::spawn(watch_progress(Arc::clone(&engine), Arc::clone(&user), id));
    let slow = |bytes_per_second| life.s3.set_bandwidth(bytes_per_second);
    match life.flow.script {
        Script::Wait => {}
        Script::Pause | Script::PauseLate => {
            if !user.has("paused") {
                if life.flow.script == Script::Pause {
                    slow(Some(4 << 20)); // its last part takes a while
                    life.is_midway(id).await;
                } else {
                    life.last_part_is_sent(id).await;
                }
                let paused = engine.command(id, Command::Pause).await;
                if life.answer(Ok::<_, ()>(paused)).await.is_ok() {
                    let before = life.s3.history().len();
                    sleep(Duration::from_secs(5)).await;
                    let after = life.s3.history().len();
                    assert_eq!(before, after, "something of a paused transfer runs");
                }
                slow(None);
                user.answered("paused");
            }
            if !user.has("resumed") {
                let phase = life.phase(id).await;
                let stays = phase == Phase::Paused || phase.is_final() || user.has("resuming");
                assert!(stays, "it was paused and is {phase:?}");
                user.answered("resuming");
                let resumed = engine.command(id, Command::Resume).await;
                let _ = life.answer(Ok::<_, ()>(resumed)).await; // unless it has ended
                user.answered("resumed");
            }
        }
        Script::Cancel => {
            if !user.has("canceled") {
                if life.flow.after.is_empty() {
                    slow(Some(4 << 20));
                    life.is_midway(id).await;
                }
                let canceled = engine.command(id, Command::Cancel).await;
                let _ = life.answer(Ok::<_, ()>(canceled)).await; // unless it has ended
                slow(None);
                user.answered("canceled");
            }
        }
        Script::CancelLate => {
            if !user.has("canceled") {
                let engine = Arc::clone(&engine);
                life.wire.once("rename.ended", move || {
                    let mut command = Box::pin(async move {
                        let _ = engine.command(id, Command::Cancel).await;
                        user.answered("canceled");
                    });
                    // It is on its way before the act can tell of its end.
                    let mut context = Context::from_waker(Waker::noop());
                    if command.as_mut().poll(&mut context).is_pending() {
                        tokio::spawn(command);
                    }
                });
            }
        }
        Script::Close => {
            if !user.has("closed") {
                slow(Some(4 << 20));
                life.is_midway(id).await;
                let closed = engine.close().await;
                life.answer(closed).await;
                slow(None);
                user.answered("closed");
                return Next::Reopen;
            }
        }
        Script::Rewrite => {
            if !user.has("rewritten") {
                life.is_midway(id).await;
                let now = content(life.flow.len, 2);
                match life.flow.direction {
                    Direction::Copy => life.s3.put(BUCKET, SOURCE, now),
                    _ => std::fs::write(&life.path, now).unwrap(),
                }
                user.answered("rewritten");
            }
        }
    }
    let watch = engine.watch(id).await;
    let mut watch = life.answer(watch).await;
    while !watch.now().status.state.is_final() {
        let next = watch.next().await;
        let carried = next.is_some() || watch.now().status.state.is_final();
        life.answer(carried.then_some(()).ok_or("nobody carries it"))
            .await;
    }
    let closed = engine.close().await;
    life.answer(closed).await;
    Next::Done
}

/// A reader that keeps its cursor.
async fn read_changes(engine: Arc<Engine>, user: Arc<User>) {
    let mut durable = engine.durable();
    while durable.changed().await.is_ok() {
        user.read_changes(&**engine.store()).await;
    }
}

/// What is shown never goes back, but with another generation, and is all only
/// at the end.
async fn watch_progress(engine: Arc<Engine>, user: Arc<User>, id: TransferId) {
    let Ok(mut watch) = engine.watch(id).await else {
        return;
    };
    let mut shown = (0, 0);
    while let Some(now) = watch.next().await {
        let next = (now.record.generation, now.bytes_transferred);
        let all = now.record.bytes_total() == Some(now.bytes_transferred);
        let done = now.status.state == State::Completed;
        if next < shown || (all && !done) {
            let wrong = format!("shown were {shown:?}, then {next:?} as {:?}", now.status);
            user.known().wrong.push(wrong);
        }
        shown = next;
    }
}
