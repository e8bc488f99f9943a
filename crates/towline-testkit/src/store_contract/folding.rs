//! Clauses on what changes do to a record, its parts and its incidents.

use fastrand::Rng;
use towline_core::{
    Change, ChecksumAlgorithm, Incident, Phase, Remote, StoreError, Timestamp, TransferId,
};

use super::histories::{History, random_change};
use super::samples::{Sample, completed, error, part, phase, sum};
use super::{Store, StoreFactory};

/// Random histories, in batches over several transfers, against
/// [`towline_core::Record::apply`].
pub async fn a_record_is_the_fold_of_its_changes(factory: &dyn StoreFactory) {
    let mut store = factory.open();
    for seed in 0..300 {
        let mut rng = Rng::with_seed(seed);
        let new = [
            Sample::upload("a"),
            Sample::download("b"),
            Sample::copy("c"),
        ];
        let new = new.map(Sample::build).into();
        let made = store.create_many(new).await.unwrap();
        let mut histories: Vec<_> = made
            .iter()
            .map(|made| History::of(made.record().clone()))
            .collect();
        for _ in 0..rng.usize(1..6) {
            let mut batch = Vec::new();
            for _ in 0..rng.usize(1..4) {
                let history = &mut histories[rng.usize(0..3)];
                let mut changes = Vec::new();
                for _ in 0..rng.usize(0..4) {
                    let change = random_change(&mut rng, history);
                    history.apply(&change);
                    changes.push(change);
                }
                batch.push((history.record.id, changes));
            }
            store
                .commit(batch.clone())
                .await
                .unwrap_or_else(|e| panic!("{seed}: {e}, {batch:?}"));
        }
        if seed % 50 == 49 {
            drop(store);
            store = factory.open();
        }
        for history in histories {
            let id = history.record.id;
            assert_eq!(
                store.get(id).await.unwrap().as_ref(),
                Some(&history.record),
                "seed {seed}"
            );
            assert_eq!(
                store.parts(id).await.unwrap(),
                history.rows(),
                "seed {seed}"
            );
        }
    }
}

/// A part recorded twice, or lost without being there, is a mistake that must
/// not make the sums wrong.
pub async fn changes_at_odds_with_the_record_are_refused(factory: &dyn StoreFactory) {
    let store = factory.open();
    let made = store
        .create_many(vec![Sample::upload("a").build()])
        .await
        .unwrap();
    let id = made[0].record().id;
    store
        .commit(vec![(id, vec![Change::Parts(vec![part(1), part(2)])])])
        .await
        .unwrap();
    let before = store.get(id).await.unwrap();
    let mut shorter = part(2);
    shorter.len -= 1;
    for wrong in [
        Change::Parts(vec![part(3), part(1)]),
        Change::Parts(vec![part(4), part(4)]),
        Change::PartsLost(vec![part(1), part(5)]),
        Change::PartsLost(vec![shorter]),
    ] {
        let refused = store
            .commit(vec![(id, vec![phase(Phase::Moving), wrong])])
            .await;
        assert!(matches!(refused, Err(StoreError::Failed(_))), "{refused:?}");
        assert_eq!(store.get(id).await.unwrap(), before);
        assert_eq!(store.parts(id).await.unwrap(), [part(1), part(2)]);
    }
    store
        .commit(vec![(id, vec![Change::PartsLost(vec![part(1)])])])
        .await
        .unwrap();
    assert_eq!(store.parts(id).await.unwrap(), [part(2)]);
}

/// In whatever order they were committed.
pub async fn parts_come_back_in_order_with_etag_and_checksum(factory: &dyn StoreFactory) {
    let store = factory.open();
    let new = vec![Sample::upload("a").build(), Sample::upload("b").build()];
    let made = store.create_many(new).await.unwrap();
    let [a, b] = [0, 1].map(|at: usize| made[at].record().id);
    let mut rows: Vec<_> = (1..=1000).map(part).collect();
    for (row, algorithm) in rows.iter_mut().zip(ChecksumAlgorithm::ALL) {
        row.checksum = Some(sum(algorithm, row.number.get()));
    }
    rows[5].checksum = None;
    rows[6].etag = None;
    rows[7].len = 0;
    let mut shuffled = rows.clone();
    Rng::with_seed(1).shuffle(&mut shuffled);
    for some in shuffled.chunks(130) {
        let batch = vec![
            (a, vec![Change::Parts(some.to_vec())]),
            (
                b,
                vec![Change::Parts(some.iter().take(1).cloned().collect())],
            ),
        ];
        store.commit(batch).await.unwrap();
    }
    assert_eq!(store.parts(a).await.unwrap(), rows);
    assert_eq!(store.parts(b).await.unwrap().len(), 8);
    let sum = rows.iter().map(|row| row.len).sum::<u64>();
    assert_eq!(store.get(a).await.unwrap().unwrap().bytes_done, sum);
}

/// And those of others stay.
pub async fn parts_go_when_a_transfer_ends_restarts_or_is_discarded(factory: &dyn StoreFactory) {
    let store = factory.open();
    let ended = completed().remove(0);
    for last in [Change::Generation(2), Change::Discarded, ended] {
        let new = vec![Sample::upload("a").build(), Sample::upload("b").build()];
        let made = store.create_many(new).await.unwrap();
        let [a, b] = [0, 1].map(|at: usize| made[at].record().id);
        let begun = vec![
            Change::Remote(Remote::Upload("upload".into())),
            Change::Parts(vec![part(1), part(2)]),
        ];
        store
            .commit(vec![(a, begun.clone()), (b, begun)])
            .await
            .unwrap();
        // What comes after it in the same batch is recorded anew.
        let anew = Change::Parts(vec![part(2)]);
        store
            .commit(vec![(a, vec![last.clone(), anew])])
            .await
            .unwrap();
        assert_eq!(store.parts(a).await.unwrap(), [part(2)], "{last:?}");
        store.commit(vec![(a, vec![last])]).await.unwrap();
        assert_eq!(store.parts(a).await.unwrap(), []);
        assert_eq!(store.parts(b).await.unwrap(), [part(1), part(2)]);
    }
}

/// The oldest go; those of other transfers, and those removed, do not mix in.
pub async fn the_last_64_incidents_are_kept_in_order(factory: &dyn StoreFactory) {
    let store = factory.open();
    let new = vec![Sample::upload("a").build(), Sample::upload("b").build()];
    let made = store.create_many(new).await.unwrap();
    let [a, b] = [0, 1].map(|at: usize| made[at].record().id);
    let incident = |n: u32| Incident {
        at: Timestamp::from_millis(-i64::from(n)),
        generation: n,
        part: n.is_multiple_of(2).then_some(n),
        error: error(n),
    };
    store.note(b, incident(0)).await.unwrap();
    for n in 1..=100 {
        store.note(a, incident(n)).await.unwrap();
    }
    let kept: Vec<_> = (37..=100).map(incident).collect();
    assert_eq!(incidents(&*store, a).await, kept);
    assert_eq!(incidents(&*store, b).await, [incident(0)]);
    let unknown = TransferId::new(1 << 40);
    let refused = store.note(unknown, incident(1)).await;
    assert!(
        matches!(refused, Err(StoreError::Unknown(id)) if id == unknown),
        "{refused:?}"
    );
    store.commit(vec![(a, completed())]).await.unwrap();
    store.remove(vec![a]).await.unwrap();
    assert_eq!(incidents(&*store, a).await, []);
    assert_eq!(incidents(&*store, b).await, [incident(0)]);
}

async fn incidents(store: &dyn Store, id: TransferId) -> Vec<Incident> {
    store.incidents(id).await.unwrap()
}
