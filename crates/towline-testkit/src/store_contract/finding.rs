//! Clauses on paging, finding and removing.

use std::path::PathBuf;

use towline_core::{
    Change, Counts, Direction, ParkReason, Phase, Priority, Query, State, TransferId,
};

use super::samples::{Sample, phase};
use super::{Store, StoreFactory};

/// Its pages hold each unfinished transfer once, oldest first.
pub async fn next_leaves_out_final_and_paused_transfers(factory: &dyn StoreFactory) {
    let store = factory.open();
    let (ids, phases) = one_in_each_phase(&*store).await;
    let going: Vec<_> = ids
        .iter()
        .zip(&phases)
        .filter(|(_, phase)| !phase.is_final() && **phase != Phase::Paused)
        .map(|(id, _)| *id)
        .collect();
    for limit in [1, 3, 100] {
        let (mut found, mut after) = (Vec::new(), TransferId::START);
        loop {
            let page = store.next(after, limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = last.id;
            for record in page {
                assert_eq!(store.get(record.id).await.unwrap().as_ref(), Some(&record));
                found.push(record.id);
            }
        }
        assert_eq!(found, going);
    }
    assert_eq!(store.next(TransferId::new(u64::MAX), 5).await.unwrap(), []);
    assert_eq!(store.next(TransferId::START, 0).await.unwrap(), []);
}

/// Each priority is paged by itself, oldest first; what merely says so in its
/// metadata, and what had another priority before, is not mistaken.
pub async fn next_of_a_priority_finds_those_that_have_it_now(factory: &dyn StoreFactory) {
    let store = factory.open();
    let priorities = Priority::ALL.repeat(4);
    let new = priorities.iter().enumerate().map(|(n, priority)| {
        let sample = Sample::upload(&format!("name-{n}"));
        let sample = sample.with(|spec| {
            let options = &mut spec.options;
            options.priority = *priority;
            options
                .object
                .metadata
                .insert("priority".into(), "high".into());
        });
        sample.build()
    });
    let made = store.create_many(new.collect()).await.unwrap();
    let ids: Vec<_> = made.iter().map(|made| made.record().id).collect();
    let now_low = Change::Priority(Priority::Low);
    let changes = vec![
        (ids[0], vec![now_low.clone()]),
        (ids[1], vec![now_low]),
        (ids[3], vec![phase(Phase::Paused)]),
        (ids[6], vec![phase(Phase::Completed)]),
    ];
    store.commit(changes).await.unwrap();
    for (priority, expected) in [
        (Priority::High, vec![9]),
        (Priority::Normal, vec![4, 7, 10]),
        (Priority::Low, vec![0, 1, 2, 5, 8, 11]),
    ] {
        for limit in [1, 2, 100] {
            let (mut found, mut after) = (Vec::new(), TransferId::START);
            loop {
                let page = store.next_of(priority, after, limit).await.unwrap();
                assert!(page.len() <= limit);
                let Some(last) = page.last() else { break };
                after = last.id;
                found.extend(page.iter().map(|record| record.id));
            }
            let expected = expected.iter().map(|at: &usize| ids[*at]);
            assert_eq!(found, expected.collect::<Vec<_>>(), "{priority} by {limit}");
        }
    }
    assert_eq!(
        store
            .next_of(Priority::Normal, TransferId::START, 0)
            .await
            .unwrap(),
        []
    );
}

/// In one phase each, and none is counted twice or left out.
pub async fn each_transfer_is_counted_once_in_its_phase(factory: &dyn StoreFactory) {
    let store = factory.open();
    assert_eq!(store.count().await.unwrap(), Counts::default());
    let (_, phases) = one_in_each_phase(&*store).await;
    let mut expected = Counts::default();
    phases.iter().for_each(|phase| expected.add(*phase, 1));
    let counted = store.count().await.unwrap();
    assert_eq!(counted, expected);
    assert_eq!(counted.all(), phases.len() as u64);
}

/// Anywhere in the key or the path, and what means something elsewhere is text.
pub async fn search_finds_a_part_of_a_key_or_path(factory: &dyn StoreFactory) {
    let store = factory.open();
    let names = ["Cat.jpg", "cats/10%_off", "dog", "a\\b", "q\"'--"];
    let new = names.map(|name| Sample::upload(name).build());
    let made = store.create_many(new.into()).await.unwrap();
    let cases: [(&str, &[usize]); 9] = [
        ("cat", &[0, 1]),
        ("CAT.J", &[0]),
        ("ts/10%_", &[1]),
        ("%", &[1]),
        ("_", &[1]),
        ("\\", &[3]),
        ("\"'-", &[4]),
        ("/data/in/d", &[2]), // the path of the sample
        ("cow", &[]),
    ];
    for (text, expected) in cases {
        let query = Query {
            search: Some(text.into()),
            ..Query::default()
        };
        let page = store.find(query).await.unwrap();
        let found: Vec<_> = page.transfers.iter().map(|record| record.id).collect();
        let expected: Vec<_> = expected.iter().map(|at| made[*at].record().id).collect();
        assert_eq!(found, expected, "{text}");
    }
}

/// Whoever asks on finds all of it, wherever a page was cut short.
pub async fn a_query_that_looks_at_few_goes_on_where_it_ended(factory: &dyn StoreFactory) {
    let store = factory.open();
    let names: Vec<_> = (0..40).map(|n| format!("{}/{n}", n % 10)).collect();
    let new = names.iter().map(|name| Sample::upload(name).build());
    store.create_many(new.collect()).await.unwrap();
    for (newest_first, look_at, limit) in [(false, 7, 100), (true, 7, 100), (false, 13, 1)] {
        let mut query = Query {
            search: Some("in/3/".into()),
            newest_first,
            look_at,
            limit,
            ..Query::default()
        };
        let mut found = Vec::new();
        loop {
            let page = store.find(query.clone()).await.unwrap();
            assert!(page.transfers.len() <= limit);
            found.extend(page.transfers.into_iter().map(|record| record.id));
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        let mut expected: Vec<_> = [4, 14, 24, 34].map(TransferId::new).into();
        if newest_first {
            expected.reverse();
        }
        assert_eq!(found, expected);
    }
}

/// Direction, bucket, key and path.
pub async fn find_takes_each_condition_and_all_together(factory: &dyn StoreFactory) {
    let store = factory.open();
    let new = vec![
        Sample::upload("a")
            .with(|spec| spec.group = Some("h".into()))
            .build(),
        Sample::download("a").build(),
        Sample::upload("b").build(),
        Sample::upload("a").bucket("another").build(),
        Sample::upload("c/a")
            .with(|spec| spec.group = Some("g".into()))
            .build(),
    ];
    let made = store.create_many(new).await.unwrap();
    let id = |at: usize| made[at].record().id;
    let any = Query::default;
    let bucket = |name: &str| Some(name.to_owned());
    let path = |path: &str| Some(PathBuf::from(path));
    let cases = [
        (any(), vec![0, 1, 2, 3, 4]),
        (
            Query {
                group: bucket("g"),
                ..any()
            },
            vec![4],
        ),
        (
            Query {
                group: bucket("none"),
                ..any()
            },
            vec![],
        ),
        (
            Query {
                direction: Some(Direction::Download),
                ..any()
            },
            vec![1],
        ),
        (
            Query {
                bucket: bucket("another"),
                ..any()
            },
            vec![3],
        ),
        (
            Query {
                bucket: bucket("nowhere"),
                ..any()
            },
            vec![],
        ),
        (
            Query {
                key: bucket("a"),
                ..any()
            },
            vec![0, 1, 3],
        ),
        (
            Query {
                key: bucket("A"),
                ..any()
            },
            vec![],
        ),
        (
            Query {
                path: path("/data/in/a"),
                ..any()
            },
            vec![0, 3],
        ),
        (
            Query {
                path: path("/data/in/c/a"),
                ..any()
            },
            vec![4],
        ),
        (
            Query {
                path: path("/data/in"),
                ..any()
            },
            vec![],
        ),
        (
            Query {
                direction: Some(Direction::Upload),
                states: vec![State::Waiting],
                bucket: bucket("bucket"),
                key: bucket("a"),
                path: path("/data/in/a"),
                group: bucket("h"),
                group_id: None,
                newest_first: true,
                after: Some(id(3)),
                limit: 9,
                search: Some("A".into()),
                look_at: 0,
            },
            vec![0],
        ),
    ];
    let queries = cases.iter().map(|(query, _)| query.clone()).collect();
    let mut at_one_go = store.find_each(queries).await.unwrap().into_iter();
    for (query, expected) in cases {
        let alone = store.find(query.clone()).await.unwrap();
        assert_eq!(at_one_go.next(), Some(alone), "{query:?}");
        let expected: Vec<_> = expected.into_iter().map(id).collect();
        assert_eq!(
            all_pages(&*store, query.clone()).await,
            expected,
            "{query:?}"
        );
    }
    assert_eq!(at_one_go.next(), None);
}

/// As [`Query::states`] says it.
pub async fn find_tells_states_by_their_phases(factory: &dyn StoreFactory) {
    let store = factory.open();
    let (ids, phases) = one_in_each_phase(&*store).await;
    let network = |phase: Phase| {
        [ParkReason::Network, ParkReason::NetworkClass].contains(&match phase {
            Phase::Parked(reason) => reason,
            _ => return false,
        })
    };
    let going = |phase: Phase| !phase.is_final() && phase != Phase::Paused && !network(phase);
    let cases: [(&[State], Takes<'_>); 8] = [
        (&[State::Waiting], &going),
        (&[State::InProgress], &going),
        (&[State::Paused], &|phase| phase == Phase::Paused),
        (&[State::WaitingForNetwork], &network),
        (&[State::Completed], &|phase| phase == Phase::Completed),
        (&[State::Canceled], &|phase| phase == Phase::Canceled),
        (&[State::Failed], &|phase| phase == Phase::Failed),
        (&[State::Failed, State::Paused, State::Waiting], &|phase| {
            phase == Phase::Failed || phase == Phase::Paused || going(phase)
        }),
    ];
    for (states, expected) in cases {
        let query = Query {
            states: states.to_vec(),
            ..Query::default()
        };
        let matching = ids
            .iter()
            .zip(&phases)
            .filter(|(_, phase)| expected(**phase));
        let matching: Vec<_> = matching.map(|(id, _)| *id).collect();
        assert_eq!(all_pages(&*store, query).await, matching, "{states:?}");
    }
}

/// Oldest and newest first, whatever the page holds; 0 means 100.
pub async fn pages_hold_everything_once_in_either_order(factory: &dyn StoreFactory) {
    let store = factory.open();
    let new = (0..205)
        .map(|n| Sample::upload(&n.to_string()).build())
        .collect();
    let made = store.create_many(new).await.unwrap();
    let mut ids: Vec<_> = made.iter().map(|made| made.record().id).collect();
    for newest_first in [false, true] {
        for limit in [0, 1, 41, 205, 206] {
            let query = Query {
                newest_first,
                limit,
                ..Query::default()
            };
            let page = store.find(query.clone()).await.unwrap();
            assert_eq!(
                page.transfers.len(),
                if limit == 0 { 100 } else { limit.min(205) }
            );
            assert_eq!(page.next.is_none(), limit >= 205);
            assert_eq!(all_pages(&*store, query).await, ids, "limit {limit}");
        }
        ids.reverse();
    }
}

/// A page goes on where the last one ended, whatever happened between.
pub async fn pages_stay_stable_while_transfers_come_and_go(factory: &dyn StoreFactory) {
    let store = factory.open();
    let new = |n: usize| {
        (0..n)
            .map(|k| Sample::upload(&k.to_string()).build())
            .collect()
    };
    let made = store.create_many(new(9)).await.unwrap();
    let ids: Vec<_> = made.iter().map(|made| made.record().id).collect();
    let query = Query {
        newest_first: true,
        limit: 3,
        ..Query::default()
    };
    let first = store.find(query.clone()).await.unwrap();
    assert_eq!(first.next, Some(ids[6]));
    // The last one seen goes, and so does one not seen yet; others come.
    let ended = vec![
        (ids[6], vec![phase(Phase::Canceled)]),
        (ids[4], vec![phase(Phase::Failed)]),
    ];
    store.commit(ended).await.unwrap();
    assert_eq!(store.remove(vec![ids[6], ids[4]]).await.unwrap(), 2);
    store.create_many(new(5)).await.unwrap();
    let rest = all_pages(
        &*store,
        Query {
            after: first.next,
            ..query
        },
    )
    .await;
    assert_eq!(rest, [ids[5], ids[3], ids[2], ids[1], ids[0]]);
}

/// Others are left alone, and what is removed is gone with all that is its.
pub async fn only_final_transfers_are_removed(factory: &dyn StoreFactory) {
    let store = factory.open();
    let (ids, phases) = one_in_each_phase(&*store).await;
    let finals = phases.iter().filter(|phase| phase.is_final()).count();
    let mut asked = ids.clone();
    asked.extend([ids[0], *ids.last().unwrap(), TransferId::new(1 << 50)]);
    assert_eq!(store.remove(asked.clone()).await.unwrap(), finals);
    assert_eq!(store.remove(asked).await.unwrap(), 0);
    drop(store);
    let store = factory.open();
    for (id, phase) in ids.into_iter().zip(phases) {
        assert_eq!(
            store.get(id).await.unwrap().is_none(),
            phase.is_final(),
            "{phase:?}"
        );
    }
}

/// Whether a phase is one of those asked for.
type Takes<'a> = &'a dyn Fn(Phase) -> bool;

async fn one_in_each_phase(store: &dyn Store) -> (Vec<TransferId>, Vec<Phase>) {
    let mut phases: Vec<_> = ParkReason::ALL.into_iter().map(Phase::Parked).collect();
    phases.extend(Phase::ALL);
    let new = (0..phases.len())
        .map(|n| Sample::upload(&n.to_string()).build())
        .collect();
    let made = store.create_many(new).await.unwrap();
    let ids: Vec<_> = made.iter().map(|made| made.record().id).collect();
    let changes = ids
        .iter()
        .zip(&phases)
        .map(|(id, to)| (*id, vec![phase(*to)]));
    store.commit(changes.collect()).await.unwrap();
    (ids, phases)
}

async fn all_pages(store: &dyn Store, mut query: Query) -> Vec<TransferId> {
    let mut found = Vec::new();
    loop {
        let page = store.find(query.clone()).await.unwrap();
        found.extend(page.transfers.iter().map(|record| record.id));
        match page.next {
            Some(next) => query.after = Some(next),
            None => return found,
        }
    }
}
