//! Records of finished transfers are forgotten, in time and in number.

use std::time::{Duration, Instant, SystemTime};

use towline::{GroupId, GroupQuery, Query, Timestamp, TransferChange, TransferId};
use towline_core::{
    BucketName, Change, Direction, GroupChange, GroupPage, NewGroup, NewTransfer, ObjectAddress,
    ObjectKey, Phase, Remote, Spec, Store, TransferOptions,
};
use towline_store_sqlite::SqliteStore;

use crate::{BUCKET, builder, content, to};

const DAY: i64 = 86_400;

/// Some transfers that came to these phases so many seconds ago.
struct Past {
    state: std::path::PathBuf,
    store: SqliteStore,
    file: std::path::PathBuf,
}

impl Past {
    fn of(dir: &std::path::Path) -> Self {
        let state = dir.join("state");
        let file = dir.join("file");
        std::fs::write(&file, content(10)).unwrap();
        let store = SqliteStore::open(&state).unwrap();
        Self { state, store, file }
    }

    async fn ended(&self, count: usize, phase: Phase, secs_ago: i64) -> Vec<TransferId> {
        let at = Timestamp::from(SystemTime::now()).plus_secs(-secs_ago);
        let object = ObjectAddress::new(
            BucketName::new(BUCKET).unwrap(),
            ObjectKey::new("key").unwrap(),
        );
        let new = NewTransfer {
            spec: Spec {
                direction: Direction::Upload,
                connection: to("http://127.0.0.1:9".into()),
                object,
                path: self.file.clone(),
                options: TransferOptions::default(),
                token: None,
                group: None,
            },
            source: None,
            created_at: at,
        };
        let made = self.store.create_many(vec![new; count]).await.unwrap();
        let ids: Vec<_> = made.iter().map(|made| made.record().id).collect();
        let ended = |id: &TransferId| (*id, vec![Change::Phase { phase, at }]);
        self.store
            .commit(ids.iter().map(ended).collect())
            .await
            .unwrap();
        ids
    }

    async fn holds_an_upload(&self, id: TransferId) {
        let remote = Change::Remote(Remote::Upload("upload".into()));
        self.store.commit(vec![(id, vec![remote])]).await.unwrap();
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn ids(utility: &towline::TransferUtility) -> Vec<TransferId> {
    let query = Query {
        limit: 10_000,
        ..Query::default()
    };
    let (found, _) = utility.find(query).await.unwrap();
    found.iter().map(|transfer| transfer.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_over_a_month_ago_is_forgotten_and_who_follows_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let past = Past::of(dir.path());
    let held = past.ended(1, Phase::Failed, 90 * DAY).await;
    past.holds_an_upload(held[0]).await;
    // More than are looked at together.
    let mut old = past.ended(600, Phase::Completed, 31 * DAY).await;
    let paused = past.ended(1, Phase::Paused, 90 * DAY).await;
    old.extend(past.ended(2, Phase::Failed, 31 * DAY).await);
    old.extend(past.ended(1, Phase::Canceled, 31 * DAY).await);
    let young = past.ended(300, Phase::Completed, 29 * DAY).await;
    let cursor = past.store.changes(None, 0).await.unwrap().cursor;
    past.store.close().await.unwrap();

    let utility = builder("http://127.0.0.1:9".into(), past.state.clone());
    let utility = utility.open().await.unwrap();
    let left = [held, paused, young].concat();
    until("the old ones are forgotten", async || {
        ids(&utility).await == left
    })
    .await;
    let (changes, _) = utility.changes(Some(cursor), 10_000).await.unwrap();
    let gone = changes.iter().filter_map(|change| match change {
        TransferChange::Removed(id) => Some(*id),
        TransferChange::Changed(_) | TransferChange::Group(_) => None,
    });
    assert_eq!(gone.collect::<Vec<_>>(), old, "oldest first");
    utility.close().await.unwrap();
}

/// One that ended so long ago, and had so many transfers, which are forgotten.
async fn ended_group(store: &SqliteStore, name: &str, had: u64, secs_ago: i64) -> GroupId {
    let at = Timestamp::from(SystemTime::now()).plus_secs(-secs_ago);
    let new = NewGroup {
        name: name.into(),
        request: "{}".into(),
        created_at: at,
    };
    let id = store.create_group(new).await.unwrap().id;
    let page = GroupPage {
        entries: had,
        last: true,
        at,
        ..GroupPage::default()
    };
    store.record_page(id, page).await.unwrap();
    let ended = GroupChange::Ended { all_done: true };
    store.change_group(id, ended, at).await.unwrap();
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_forgotten_with_the_last_of_its_transfers_and_one_that_had_none_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let past = Past::of(dir.path());
    ended_group(&past.store, "had some", 3, DAY).await;
    ended_group(&past.store, "had none, a month ago", 0, 31 * DAY).await;
    let young = ended_group(&past.store, "had none", 0, 29 * DAY).await;
    let just_now = ended_group(&past.store, "had some, just now", 3, 60).await;
    let unended = past.store.create_group(NewGroup {
        name: "goes on".into(),
        request: "{}".into(),
        created_at: Timestamp::default(),
    });
    let unended = unended.await.unwrap().id;
    let Past { state, store, .. } = past;
    store.close().await.unwrap();
    drop(store);
    let utility = builder("http://127.0.0.1:9".into(), state.clone());
    let utility = utility.open().await.unwrap();
    let reader = towline::SqliteReader::open(&state).unwrap();
    let left = async || {
        let groups = reader.groups(GroupQuery::default()).await.unwrap();
        groups.iter().map(|group| group.id).collect::<Vec<_>>()
    };
    until("the old ones are forgotten", async || {
        left().await == [young, just_now, unended]
    })
    .await;
    utility.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_those_that_are_done_as_many_are_kept_as_asked_also_when_asked_before() {
    let dir = tempfile::tempdir().unwrap();
    let past = Past::of(dir.path());
    let first = past.ended(5, Phase::Completed, 2 * DAY).await;
    let kept = past.ended(10, Phase::Canceled, DAY).await;
    let just_now = past.ended(1, Phase::Completed, 0).await;
    let Past { state, store, .. } = past;
    store.close().await.unwrap();
    drop(store);
    let open = || builder("http://127.0.0.1:9".into(), state.clone());

    let utility = open()
        .keep_finished(Some(11))
        .keep_for(None)
        .open()
        .await
        .unwrap();
    let left = [kept.clone(), just_now].concat();
    until("the first are forgotten", async || {
        ids(&utility).await == left
    })
    .await;
    utility.close().await.unwrap();
    drop((utility, first));

    let store = SqliteStore::open(&state).unwrap();
    let past = Past {
        file: dir.path().join("file"),
        state: state.clone(),
        store,
    };
    let more = past.ended(4, Phase::Completed, DAY).await;
    past.store.close().await.unwrap();
    drop(past);
    let utility = open().open().await.unwrap();
    let left = [&left[4..], &more[..]].concat();
    until("four more are forgotten", async || {
        ids(&utility).await == left
    })
    .await;
    assert!(left.iter().all(|id| *id > kept[3]));
    utility.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_goes_with_the_record_of_its_upload() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    std::fs::create_dir_all(state.join("spool")).unwrap();
    let past = Past {
        file: state.join("spool/copy"),
        ..Past::of(dir.path())
    };
    std::fs::write(&past.file, content(10)).unwrap();
    past.ended(1, Phase::Failed, 31 * DAY).await;
    past.store.close().await.unwrap();
    let utility = builder("http://127.0.0.1:9".into(), state);
    let utility = utility.open().await.unwrap();
    until("its record is forgotten", async || {
        ids(&utility).await.is_empty()
    })
    .await;
    let copy = &past.file;
    until("the copy is gone", async || !copy.exists()).await;
    let counts = utility.counts().await.unwrap();
    assert_eq!(counts, towline::TransferCounts::default());
    utility.close().await.unwrap();
}
