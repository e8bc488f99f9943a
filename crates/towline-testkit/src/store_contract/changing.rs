//! What changed after a cursor.

use std::sync::Arc;

use towline_core::{Changed, Cursor, Ended, Phase, Store, StoreError, TransferId};

use super::{Sample, StoreFactory, phase};

async fn create(store: &Arc<dyn Store>, names: &[&str]) -> Vec<TransferId> {
    let new = names
        .iter()
        .map(|name| Sample::upload(name).build())
        .collect();
    let created = store.create_many(new).await.unwrap();
    created.iter().map(|created| created.record().id).collect()
}

/// The cursor of now.
async fn now(store: &Arc<dyn Store>) -> Cursor {
    let nothing = store.changes(None, 10).await.unwrap();
    assert_eq!(nothing.changed, []);
    nothing.cursor
}

/// Ids and phases of the changes after a cursor, in pages of `limit`.
async fn read(store: &Arc<dyn Store>, mut after: Cursor, limit: usize) -> Vec<(u64, Phase)> {
    let mut seen = Vec::new();
    loop {
        let page = store.changes(Some(after), limit).await.unwrap();
        assert!(page.changed.len() <= limit);
        if page.changed.is_empty() {
            return seen;
        }
        for changed in &page.changed {
            match changed {
                Changed::Transfer(record) => seen.push((record.id.get(), record.phase)),
                Changed::Removed(id) => panic!("{id} was not removed"),
                Changed::Group(group) => panic!("{} lists nothing", group.id),
            }
        }
        assert_ne!(page.cursor, after);
        after = page.cursor;
    }
}

/// New transfers and changed phases are read in their order, whatever the size
/// of a page; what changed twice comes once, at its last place.
pub async fn changes_come_in_order_and_each_transfer_once(factory: &dyn StoreFactory) {
    let store = factory.open();
    create(&store, &["before"]).await;
    let start = now(&store).await;
    let ids = create(&store, &["a", "b", "c"]).await;
    store
        .commit(vec![
            (ids[1], vec![phase(Phase::Preparing)]),
            (ids[0], vec![phase(Phase::Paused)]),
            (ids[1], vec![phase(Phase::Moving)]),
        ])
        .await
        .unwrap();
    // Not a change of its state.
    store
        .commit(vec![(ids[2], vec![towline_core::Change::Error(None)])])
        .await
        .unwrap();
    let expected = [
        (ids[2].get(), Phase::Queued),
        (ids[0].get(), Phase::Paused),
        (ids[1].get(), Phase::Moving),
    ];
    for limit in [1, 2, 3, 100] {
        assert_eq!(
            read(&store, start, limit).await,
            expected,
            "pages of {limit}"
        );
    }
    assert_eq!(read(&store, now(&store).await, 10).await, []);
}

/// A cursor that was kept reads on where it stood, in a later process too.
pub async fn changes_are_read_on_after_reopening(factory: &dyn StoreFactory) {
    let store = factory.open();
    let seen = create(&store, &["seen"]).await;
    let kept = now(&store).await;
    let missed = create(&store, &["missed"]).await;
    drop(store);
    let store = factory.open();
    store
        .commit(vec![(seen[0], vec![phase(Phase::Paused)])])
        .await
        .unwrap();
    let expected = [
        (missed[0].get(), Phase::Queued),
        (seen[0].get(), Phase::Paused),
    ];
    assert_eq!(read(&store, kept, 10).await, expected);
}

/// Who follows changes hears that a record is gone, also of one it never saw.
pub async fn a_removed_transfer_leaves_a_word(factory: &dyn StoreFactory) {
    let store = factory.open();
    let start = now(&store).await;
    let ids = create(&store, &["kept", "gone"]).await;
    store
        .commit(vec![(ids[1], vec![phase(Phase::Canceled)])])
        .await
        .unwrap();
    store.remove(ids.clone()).await.unwrap();
    let page = store.changes(Some(start), 10).await.unwrap();
    match &page.changed[..] {
        [Changed::Transfer(kept), Changed::Removed(gone)] => {
            assert_eq!((kept.id, *gone), (ids[0], ids[1]));
        }
        other => panic!("{other:?}"),
    }
    let first = store.changes(Some(start), 1).await.unwrap();
    let second = store.changes(Some(first.cursor), 1).await.unwrap();
    assert_eq!([first.changed, second.changed].concat(), page.changed);
}

/// Those that go on are passed over, one that ended again comes at its last place,
/// and every limit finds all of them once.
pub async fn ended_ones_are_looked_through_in_the_order_in_which_they_ended(
    factory: &dyn StoreFactory,
) {
    let store = factory.open();
    assert_eq!(store.ended(0, 10).await.unwrap(), Ended::default());
    let ids = create(&store, &["a", "b", "c", "d", "e"]).await;
    for (at, to) in [
        (3, Phase::Canceled),
        (0, Phase::Failed),
        (1, Phase::Paused),
        (4, Phase::Completed),
        (0, Phase::Queued),
        (0, Phase::Failed),
    ] {
        let ended = vec![(ids[at], vec![phase(to)])];
        store.commit(ended).await.unwrap();
    }
    for limit in [1, 2, 5, 6, 100] {
        let (mut seen, mut after) = (Vec::new(), 0);
        loop {
            let page = store.ended(after, limit).await.unwrap();
            assert!(page.transfers.len() <= limit);
            for (place, record) in page.transfers {
                assert!(place > after && page.next.is_none_or(|next| place <= next));
                assert_eq!(store.get(record.id).await.unwrap().as_ref(), Some(&record));
                seen.push(record.id);
            }
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        assert_eq!(seen, [ids[3], ids[4], ids[0]], "{limit} at a time");
    }
}

/// A cursor means nothing elsewhere, so it is not guessed at.
pub async fn a_cursor_of_another_store_is_refused(factory: &dyn StoreFactory) {
    let store = factory.open();
    let here = now(&store).await;
    for elsewhere in [
        Cursor {
            store: here.store ^ 1,
            ..here
        },
        Cursor {
            epoch: here.epoch + 1,
            ..here
        },
        Cursor {
            n: here.n + 1,
            ..here
        },
    ] {
        let refused = store.changes(Some(elsewhere), 10).await;
        assert!(
            matches!(refused, Err(StoreError::UnknownCursor(cursor)) if cursor == elsewhere),
            "{refused:?}"
        );
    }
}
