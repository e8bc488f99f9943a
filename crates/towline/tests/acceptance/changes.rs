//! Reading what changed with a cursor that is kept.

use std::collections::BTreeMap;

use towline::{Cursor, State, TransferChange, TransferId};

use crate::{BUCKET, Scene, content};

/// How often each transfer was read in a final state, and where the reader stands.
#[derive(Default)]
struct Reader {
    cursor: Option<Cursor>,
    ends: BTreeMap<TransferId, Vec<State>>,
}

impl Reader {
    /// Reads until there is nothing new.
    async fn read(&mut self, scene: &Scene) {
        loop {
            let (changes, cursor) = scene.utility.changes(self.cursor, 5).await.unwrap();
            self.cursor = Some(cursor);
            if changes.is_empty() {
                return;
            }
            for change in changes {
                match change {
                    TransferChange::Changed(transfer) if transfer.state.is_final() => {
                        self.ends
                            .entry(transfer.id)
                            .or_default()
                            .push(transfer.state);
                    }
                    TransferChange::Changed(_) | TransferChange::Group(_) => {}
                    TransferChange::Removed(id) => panic!("{id} was removed by nobody"),
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_is_read_exactly_once_by_a_reader_that_keeps_its_cursor() {
    let mut scene = Scene::start().await;
    let path = scene.file("source", &content(1000));
    let large = scene.file("large", &content(6 << 20));
    let mut reader = Reader::default();
    reader.read(&scene).await;
    let mut expected = BTreeMap::new();
    for round in 0..4 {
        let mut observers = Vec::new();
        for n in 0..60 {
            let source = if n % 20 == 0 { &large } else { &path };
            let bucket = if n % 9 == 0 { "no-such-bucket" } else { BUCKET };
            let upload = scene.utility.upload(bucket, format!("{round}-{n}"), source);
            let observer = upload.await.unwrap();
            if n % 7 == 0 {
                observer.cancel().await.unwrap();
            }
            observers.push(observer);
            reader.read(&scene).await;
        }
        if round == 2 {
            // The reader is away while these end.
            scene.reopen().await;
        }
        for observer in observers {
            let id = observer.id();
            let observer = scene.utility.observe(id).await.unwrap();
            while !observer.state().is_final() {
                reader.read(&scene).await;
            }
            expected.insert(id, vec![observer.state()]);
        }
        reader.read(&scene).await;
        assert_eq!(reader.ends, expected, "round {round}");
        scene.reopen().await;
        reader.read(&scene).await;
        assert_eq!(reader.ends, expected, "round {round}, reopened");
    }
    let ends: Vec<_> = expected.into_values().flatten().collect();
    for state in [State::Completed, State::Failed, State::Canceled] {
        assert!(ends.contains(&state), "{state}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_is_retried_is_read_at_each_of_its_ends() {
    let scene = Scene::start().await;
    let path = scene.file("source", &content(1000));
    let mut reader = Reader::default();
    reader.read(&scene).await;
    let observer = scene.utility.upload("no-such-bucket", "key", &path);
    let id = observer.await.unwrap().id();
    for tries in 1..=3 {
        let observer = scene.utility.observe(id).await.unwrap();
        assert_eq!(observer.finished().await.unwrap().state, State::Failed);
        reader.read(&scene).await;
        assert_eq!(reader.ends[&id], vec![State::Failed; tries]);
        assert!(scene.utility.retry(id).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t31_who_follows_with_a_kept_cursor_is_told_each_end_once_also_by_a_later_process() {
    let mut scene = Scene::start().await;
    let path = scene.file("source", &content(1000));
    let mut ends: BTreeMap<TransferId, usize> = BTreeMap::new();
    let mut cursor: Option<Cursor> = None;
    for round in 0..3 {
        let mut following = scene.utility.follow(cursor);
        if cursor.is_none() {
            // From now on: what comes first is none of it.
            let (_, now) = scene.utility.changes(None, 1).await.unwrap();
            following = scene.utility.follow(Some(now));
        }
        for n in 0..30 {
            let upload = scene.utility.upload(BUCKET, format!("{round}-{n}"), &path);
            upload.await.unwrap();
        }
        // The last round reads what the earlier one left unread, too.
        let stop = if round == 2 { 90 } else { 20 * (round + 1) };
        while ends.len() < stop {
            let (changes, behind) = following.next().await.unwrap().unwrap();
            for change in changes {
                if let TransferChange::Changed(transfer) = change
                    && transfer.state.is_final()
                {
                    *ends.entry(transfer.id).or_default() += 1;
                }
            }
            cursor = Some(behind);
        }
        drop(following);
        scene.reopen().await;
    }
    assert_eq!(ends.len(), 90);
    assert!(ends.values().all(|times| *times == 1), "{ends:?}");
}
