//! Clauses on what survives, what is whole, and what follows the end.

use futures_util::future::join_all;
use towline_core::{Change, Incident, Phase, Query, StoreError, Timestamp, TransferId};

use super::samples::{Sample, completed, error, part, phase};
use super::{StoreFactory, samples};

/// Creations, changes, parts and removals that were answered are there again.
pub async fn what_was_acknowledged_is_there_after_a_crash(factory: &dyn StoreFactory) {
    let store = factory.open();
    let new = ["a", "b", "c"].map(|name| Sample::upload(name).build());
    let made = store.create_many(new.to_vec()).await.unwrap();
    let [a, b, c] = [0, 1, 2].map(|at: usize| made[at].record().id);
    let changes = vec![Change::Parts(vec![part(2), part(1)]), phase(Phase::Moving)];
    store
        .commit(vec![(a, changes), (b, completed()), (c, completed())])
        .await
        .unwrap();
    assert_eq!(store.remove(vec![c]).await.unwrap(), 1);
    let before = (store.get(a).await.unwrap(), store.get(b).await.unwrap());
    drop(store);

    let store = factory.open();
    let after = (store.get(a).await.unwrap(), store.get(b).await.unwrap());
    assert_eq!(after, before);
    assert_eq!(after.0.unwrap().phase, Phase::Moving);
    assert_eq!(store.parts(a).await.unwrap(), [part(1), part(2)]);
    assert_eq!(store.get(c).await.unwrap(), None);
    store.close().await.unwrap();
    drop(store);

    let store = factory.open();
    assert_eq!(
        (store.get(a).await.unwrap(), store.get(b).await.unwrap()),
        before
    );
}

/// One unknown transfer in a batch undoes what stood before it.
pub async fn a_commit_is_applied_wholly_or_not_at_all(factory: &dyn StoreFactory) {
    let store = factory.open();
    let made = store
        .create_many(vec![Sample::upload("a").build()])
        .await
        .unwrap();
    let before = made[0].record().clone();
    let unknown = TransferId::new(before.id.get() + 1000);
    let parts = Change::Parts(vec![part(1)]);
    let batch = vec![
        (before.id, vec![phase(Phase::Moving), parts]),
        (unknown, vec![phase(Phase::Moving)]),
        (before.id, vec![phase(Phase::Paused)]),
    ];
    let refused = store.commit(batch).await;
    assert!(
        matches!(refused, Err(StoreError::Unknown(id)) if id == unknown),
        "{refused:?}"
    );
    assert_eq!(store.get(before.id).await.unwrap(), Some(before.clone()));
    assert_eq!(store.parts(before.id).await.unwrap(), []);
    // Nor is it part of what comes after.
    let moving = vec![phase(Phase::Moving)];
    let mut after = before;
    moving.iter().for_each(|change| after.apply(change));
    store.commit(vec![(after.id, moving)]).await.unwrap();
    assert_eq!(store.get(after.id).await.unwrap(), Some(after));
    store.commit(Vec::new()).await.unwrap();
}

/// One token that is taken undoes the creations beside it.
pub async fn new_transfers_are_recorded_all_or_none(factory: &dyn StoreFactory) {
    let store = factory.open();
    store
        .create_many(vec![Sample::upload("a").token("t").build()])
        .await
        .unwrap();
    let batch = vec![
        Sample::upload("new").bucket("another").build(),
        Sample::upload("b").token("t").build(),
        Sample::upload("late").build(),
    ];
    let refused = store.create_many(batch).await;
    assert!(
        matches!(refused, Err(StoreError::TokenTaken { .. })),
        "{refused:?}"
    );
    assert_eq!(
        store.find(Query::default()).await.unwrap().transfers.len(),
        1
    );
    let batch = vec![Sample::upload("new").bucket("another").build()];
    let made = store.create_many(batch).await.unwrap();
    assert_eq!(
        store.get(made[0].record().id).await.unwrap().as_ref(),
        Some(made[0].record())
    );
    assert_eq!(store.create_many(Vec::new()).await.unwrap(), []);
}

/// Many callers at once: each is answered, and all of it is there.
pub async fn calls_at_the_same_time_all_survive(factory: &dyn StoreFactory) {
    let store = factory.open();
    let creations = (0..100).map(|n| {
        let new = (0..3).map(|k| Sample::upload(&format!("{n}/{k}")).build());
        store.create_many(new.collect())
    });
    let mut ids = Vec::new();
    for made in join_all(creations).await {
        ids.extend(made.unwrap().iter().map(|made| made.record().id));
    }
    let commits = ids.iter().map(|id| {
        store.commit(vec![(
            *id,
            vec![phase(Phase::Moving), Change::Parts(vec![part(7)])],
        )])
    });
    assert!(join_all(commits).await.iter().all(Result::is_ok));
    drop(store);

    let store = factory.open();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 300);
    for id in ids {
        assert_eq!(store.get(id).await.unwrap().unwrap().phase, Phase::Moving);
        assert_eq!(store.parts(id).await.unwrap(), [part(7)]);
    }
}

/// Calls that share a sync do not share their failures.
pub async fn a_failed_call_leaves_those_at_the_same_time_alone(factory: &dyn StoreFactory) {
    let store = factory.open();
    let made = store
        .create_many(vec![Sample::upload("a").build()])
        .await
        .unwrap();
    let id = made[0].record().id;
    let commits = (1..=60).map(|n| {
        let to = if n % 3 == 0 {
            TransferId::new(u64::MAX)
        } else {
            id
        };
        store.commit(vec![(to, vec![Change::Parts(vec![part(n)])])])
    });
    let answers = join_all(commits).await;
    for (n, answer) in (1..).zip(&answers) {
        assert_eq!(answer.is_ok(), n % 3 != 0, "{n}: {answer:?}");
    }
    let kept: Vec<_> = (1..=60).filter(|n| n % 3 != 0).map(part).collect();
    assert_eq!(store.parts(id).await.unwrap(), kept);
    let record = store.get(id).await.unwrap().unwrap();
    assert_eq!(record.bytes_done, 40 * part(1).len);
}

/// After `close`, every call says so, and what was accepted is kept.
pub async fn a_closed_store_refuses_everything(factory: &dyn StoreFactory) {
    let store = factory.open();
    let id = store
        .create_many(vec![Sample::upload("a").build()])
        .await
        .unwrap()[0]
        .record()
        .id;
    store.close().await.unwrap();
    let incident = Incident {
        at: Timestamp::default(),
        generation: 1,
        part: None,
        error: error(1),
    };
    let new = vec![samples::Sample::upload("b").build()];
    let answers = [
        store.create_many(new).await.map(drop),
        store.commit(vec![(id, vec![phase(Phase::Moving)])]).await,
        store.next(TransferId::START, 1).await.map(drop),
        store.get(id).await.map(drop),
        store.parts(id).await.map(drop),
        store.find(Query::default()).await.map(drop),
        store.remove(vec![id]).await.map(drop),
        store.note(id, incident).await,
        store.incidents(id).await.map(drop),
    ];
    for answer in answers {
        assert!(matches!(answer, Err(StoreError::Closed)), "{answer:?}");
    }
    drop(store);
    let store = factory.open();
    assert_eq!(store.get(id).await.unwrap().unwrap().phase, Phase::Queued);
}
