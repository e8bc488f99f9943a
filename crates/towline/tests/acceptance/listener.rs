//! Listeners: told in order, and unable to harm a transfer. T50, T51.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use towline::{Config, ErrorRecord, State, TransferId, TransferListener};
use towline_testserver::Operation;

use crate::{BUCKET, Scene, completed, content, until};

const MIB: usize = 1 << 20;

#[derive(Debug, PartialEq)]
enum Told {
    State(State),
    Progress(u64, Option<u64>),
    Error(String),
}

/// Notes what it is told.
struct Notes(Sender<Told>);

impl Notes {
    fn new() -> (Self, Receiver<Told>) {
        let (sender, receiver) = channel();
        (Self(sender), receiver)
    }
}

impl TransferListener for Notes {
    fn on_state_changed(&mut self, _id: TransferId, state: State) {
        drop(self.0.send(Told::State(state)));
    }

    fn on_progress_changed(&mut self, _id: TransferId, bytes: u64, total: Option<u64>) {
        drop(self.0.send(Told::Progress(bytes, total)));
    }

    fn on_error(&mut self, _id: TransferId, error: &ErrorRecord) {
        drop(self.0.send(Told::Error(error.code.clone())));
    }
}

/// All that was told, once the listener is gone.
async fn everything(told: Receiver<Told>) -> Vec<Told> {
    tokio::task::spawn_blocking(move || told.iter().collect())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn t50_all_progress_is_told_before_the_end_and_no_more_often_than_asked() {
    let mut config = Config::default();
    config.progress_interval = Duration::from_millis(200);
    let scene = Scene::with(config).await;
    let size = 5 * MIB as u64;
    let path = scene.file("source", &content(5 * MIB));
    scene.server.faults().bandwidth(3 << 20);
    let observer = scene.utility.upload(BUCKET, "key", &path).await.unwrap();
    let begun = Instant::now();
    let (notes, told) = Notes::new();
    observer.set_listener(notes);
    completed(observer.finished().await.unwrap());
    let took = begun.elapsed();
    let told = everything(told).await;
    assert_eq!(told.last(), Some(&Told::State(State::Completed)));
    let before_last = &told[told.len() - 2];
    assert_eq!(before_last, &Told::Progress(size, Some(size)), "{told:?}");
    let progress = told
        .iter()
        .filter(|told| matches!(told, Told::Progress(..)));
    let most = took.as_millis() / 200 + 4; // the first, the last, and the changes of state
    let progress = progress.count();
    assert!(
        (4..=most as usize).contains(&progress),
        "{progress} in {took:?}: {told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn t50_an_error_is_told_before_the_state_it_leads_to() {
    let scene = Scene::start().await;
    let path = scene.file("source", &content(10));
    scene
        .server
        .faults()
        .delay(Operation::PutObject, Duration::from_millis(100));
    let observer = scene.utility.upload("no-such-bucket", "key", &path);
    let observer = observer.await.unwrap();
    let (notes, told) = Notes::new();
    observer.set_listener(notes);
    let failed = observer.finished().await.unwrap();
    let told = everything(told).await;
    let code = failed.error.unwrap().code;
    let end = [Told::Error(code), Told::State(State::Failed)];
    assert_eq!(told[told.len() - 2..], end, "{told:?}");
}

/// Does not come back until it is let go.
struct Blocks(Receiver<()>);

impl TransferListener for Blocks {
    fn on_state_changed(&mut self, _id: TransferId, _state: State) {
        let _ = self.0.recv();
    }
}

struct Panics(Sender<()>);

impl TransferListener for Panics {
    fn on_state_changed(&mut self, _id: TransferId, _state: State) {
        let _ = self.0.send(());
        panic!("as a listener may");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t51_a_listener_that_blocks_harms_no_transfer_and_no_other_utility() {
    let scene = Scene::start().await;
    let neighbour = Scene::start().await;
    let path = scene.file("source", &content(20 * MIB));
    let (let_go, wait) = channel();
    let observer = scene.utility.upload(BUCKET, "key", &path).await.unwrap();
    observer.set_listener(Blocks(wait));
    let behind = scene.utility.upload(BUCKET, "behind", &path).await.unwrap();
    let (notes, told_behind) = Notes::new();
    behind.set_listener(notes);
    completed(observer.finished().await.unwrap());
    completed(behind.finished().await.unwrap());
    scene.upload("another", &path).await;

    let observer = neighbour.utility.upload(BUCKET, "key", &path);
    let observer = observer.await.unwrap();
    let (notes, told) = Notes::new();
    observer.set_listener(notes);
    completed(observer.finished().await.unwrap());
    let told = everything(told).await;
    assert_eq!(told.last(), Some(&Told::State(State::Completed)));

    // What waited behind it is told when it is let go, and in few words.
    drop(let_go);
    let told = everything(told_behind).await;
    assert_eq!(told.last(), Some(&Told::State(State::Completed)));
    assert!(told.len() < 20, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t51_a_listener_that_panics_is_not_called_again_and_harms_nobody() {
    let scene = Scene::start().await;
    let path = scene.file("source", &content(20 * MIB));
    scene.server.faults().bandwidth(20 << 20);
    let observer = scene.utility.upload(BUCKET, "key", &path).await.unwrap();
    let behind = scene.utility.upload(BUCKET, "behind", &path).await.unwrap();
    let (called, calls) = channel();
    observer.set_listener(Panics(called));
    let (notes, told) = Notes::new();
    behind.set_listener(notes);
    completed(observer.finished().await.unwrap());
    completed(behind.finished().await.unwrap());
    let told = everything(told).await;
    assert_eq!(told.last(), Some(&Told::State(State::Completed)));
    let calls = tokio::task::spawn_blocking(move || calls.iter().count());
    assert_eq!(calls.await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn t51_setting_a_listener_replaces_the_one_before_and_clearing_ends_it() {
    let scene = Scene::start().await;
    let path = scene.file("source", &content(10 * MIB));
    scene.server.faults().bandwidth(4 << 20);
    let observer = scene.utility.upload(BUCKET, "key", &path).await.unwrap();
    let (notes, first) = Notes::new();
    observer.set_listener(notes);
    until("it moves", || observer.bytes_transferred() > 1 << 20).await;
    let (notes, second) = Notes::new();
    observer.clone().set_listener(notes);
    // The first one ends while the transfer runs: it was replaced.
    let first = everything(first).await;
    assert!(!observer.state().is_final());
    assert!(!first.contains(&Told::State(State::Completed)));
    assert!(first.contains(&Told::State(State::InProgress)), "{first:?}");
    until("the second one is told", || {
        second
            .try_recv()
            .is_ok_and(|told| told == Told::State(State::InProgress))
    })
    .await;
    observer.clear_listener();
    let second = everything(second).await;
    assert!(!observer.state().is_final());
    assert!(!second.contains(&Told::State(State::Completed)));
    scene.server.faults().bandwidth(0);
    completed(observer.finished().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn t51_a_reader_of_updates_that_is_slow_misses_no_end() {
    use futures_util::StreamExt as _;
    let scene = Scene::start().await;
    let path = scene.file("source", &content(20 * MIB));
    let observer = scene.utility.upload(BUCKET, "key", &path).await.unwrap();
    let mut updates = observer.updates();
    let first = updates.next().await.unwrap();
    assert!(!first.state.is_final());
    completed(observer.finished().await.unwrap());
    let rest: Vec<_> = updates.collect().await;
    let last = rest.last().unwrap();
    assert_eq!(last.state, State::Completed);
    assert!(rest.len() < 3, "in-between ones coalesce");
}

#[tokio::test(flavor = "multi_thread")]
async fn t51_a_listener_is_told_the_end_also_when_the_observer_is_dropped_at_once() {
    let scene = Scene::start().await;
    let path = scene.file("source", &content(6 * MIB));
    let (notes, told) = Notes::new();
    let upload = scene.utility.upload(BUCKET, "key", &path).listener(notes);
    drop(upload.await.unwrap());
    let told = everything(told).await;
    assert_eq!(
        told.last(),
        Some(&Told::State(State::Completed)),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn t51_closing_waits_for_the_last_calls_and_not_for_a_listener_that_blocks() {
    struct Slow(Sender<State>, Duration);
    impl TransferListener for Slow {
        fn on_state_changed(&mut self, _id: TransferId, state: State) {
            std::thread::sleep(self.1);
            let _ = self.0.send(state);
        }
    }
    for (each, told_all) in [
        (Duration::from_millis(300), true),
        (Duration::from_secs(30), false),
    ] {
        let scene = Scene::start().await;
        let path = scene.file("source", b"bytes");
        let (sender, told) = channel();
        let upload = scene.utility.upload(BUCKET, "key", &path);
        let observer = upload.listener(Slow(sender, each)).await.unwrap();
        completed(observer.finished().await.unwrap());
        let begun = Instant::now();
        scene.utility.close().await.unwrap();
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{:?}",
            begun.elapsed()
        );
        let end = told.try_iter().last();
        assert_eq!(end == Some(State::Completed), told_all, "{end:?}");
    }
}
