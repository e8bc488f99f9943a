//! Clauses on groups that list their own transfers.

use towline_core::{
    ChangeFilter, Changed, Created, FoundCounts, GroupChange, GroupId, GroupPage, GroupQuery,
    GroupRecord, GroupSums, ListingPhase, NOT_LISTED_KEPT, NewGroup, NotListed, Only, ParkReason,
    Phase, Query, Record, Store, StoreError, Timestamp, TransferId,
};

use super::StoreFactory;
use super::samples::{Sample, completed, error, phase};

/// Its transfers were told to go on.
const STEERED: GroupChange = GroupChange::Steered {
    canceled: false,
    paused: false,
};
/// It has its end, and nothing failed.
const ENDED: GroupChange = GroupChange::Ended { all_done: true };

fn at(secs: i64) -> Timestamp {
    Timestamp::from_millis(1_763_000_000_000).plus_secs(secs)
}

fn new(name: &str) -> NewGroup {
    NewGroup {
        name: name.into(),
        request: format!("{{\"of\":{name:?}}}"),
        created_at: at(0),
    }
}

/// The transfers of a page, in a group of the name.
fn page(group: &str, names: &[&str]) -> GroupPage {
    let sample = |name: &&str| Sample::upload(name).with(|spec| spec.group = Some(group.into()));
    GroupPage {
        new: names.iter().map(|name| sample(name).build()).collect(),
        entries: names.len() as u64,
        bytes: 10 * names.len() as u64,
        position: names.last().map(|name| format!("behind {name}")),
        at: at(1),
        ..GroupPage::default()
    }
}

fn refused(key: &str, skipped: bool) -> NotListed {
    NotListed {
        skipped,
        key: Some(key.into()),
        path: None,
        code: "TargetClash".into(),
        why: "two keys, one file – \u{1b}".into(),
    }
}

async fn one(store: &dyn Store, id: GroupId) -> GroupRecord {
    let query = GroupQuery {
        id: Some(id),
        ..GroupQuery::default()
    };
    let found = store.groups(query).await.unwrap();
    found.into_iter().next().unwrap()
}

async fn change(store: &dyn Store, id: GroupId, change: GroupChange) -> GroupRecord {
    store.change_group(id, change, at(2)).await.unwrap()
}

async fn keys_of(store: &dyn Store, query: Query) -> Vec<String> {
    let page = store.find(query).await.unwrap();
    let keys = page.transfers.iter();
    keys.map(|record| record.spec.object.key.as_str().to_owned())
        .collect()
}

fn in_group(id: GroupId) -> Query {
    Query {
        group_id: Some(id),
        ..Query::default()
    }
}

/// Whatever it went through, also after a crash, and its changes are its fold.
pub async fn a_group_comes_back_as_it_was(factory: &dyn StoreFactory) {
    let store = factory.open();
    let made = store.create_group(new("g")).await.unwrap();
    let mut expected = GroupRecord::new(made.id, new("g"));
    assert_eq!(made, expected);
    let first = page("g", &["a", "b"]);
    expected.turn(&first);
    store.record_page(made.id, first).await.unwrap().unwrap();
    assert_eq!(one(&*store, made.id).await, expected);
    let changes = [
        GroupChange::Error(Some(error(3))),
        GroupChange::Paused(true),
        STEERED,
        GroupChange::Steered {
            canceled: false,
            paused: true,
        },
        GroupChange::Paused(false),
        GroupChange::Request("another".into()),
        GroupChange::Error(None),
        GroupChange::Failed(error(4)),
        GroupChange::Canceled,
        GroupChange::Request("too late".into()),
        GroupChange::Paused(true),
        GroupChange::Steered {
            canceled: true,
            paused: false,
        },
        ENDED,
        GroupChange::Canceled,
    ];
    for next in changes {
        expected.apply(&next, at(2));
        assert_eq!(change(&*store, made.id, next).await, expected);
        assert_eq!(one(&*store, made.id).await, expected);
    }
    assert_eq!(expected.listing, ListingPhase::Canceled);
    assert!(expected.ended_at.is_some() && !expected.paused);
    drop(store);
    assert_eq!(one(&*factory.open(), made.id).await, expected);
}

/// Whoever reads the group next tells them, also after a crash.
pub async fn a_paused_transfer_that_a_page_takes_over_is_yet_to_be_told_to_go_on(
    factory: &dyn StoreFactory,
) {
    let store = factory.open();
    let group = store.create_group(new("g")).await.unwrap().id;
    store.record_page(group, page("g", &["a"])).await.unwrap();
    assert!(!one(&*store, group).await.steering);
    let mut resumes = page("g", &[]);
    resumes.resumes = true;
    store.record_page(group, resumes).await.unwrap();
    drop(store);
    let store = factory.open();
    assert!(one(&*store, group).await.steering);
    assert!(!change(&*store, group, STEERED).await.steering);
}

/// With what it skipped, and with where the listing goes on.
pub async fn a_page_of_a_group_is_recorded_with_its_place_or_not_at_all(
    factory: &dyn StoreFactory,
) {
    let store = factory.open();
    let group = store.create_group(new("g")).await.unwrap().id;
    let other = Sample::upload("other").token("taken").build();
    store.create_many(vec![other]).await.unwrap();
    let mut first = page("g", &["a", "b"]);
    first.not_listed = vec![refused("x", false), refused("y", true)];
    first.entries = 7;
    first.same = 3;
    let created = store.record_page(group, first).await.unwrap().unwrap();
    let ids: Vec<TransferId> = created.iter().map(|it| it.record().id).collect();
    assert_eq!(ids.len(), 2);
    let mut bad = page("g", &["c"]);
    bad.new.push(Sample::upload("d").token("taken").build());
    bad.not_listed = vec![refused("z", false)];
    let failed = store.record_page(group, bad).await;
    assert!(
        matches!(failed, Err(StoreError::TokenTaken { .. })),
        "{failed:?}"
    );
    drop(store);
    let store = factory.open();
    let now = one(&*store, group).await;
    assert_eq!(now.position.as_deref(), Some("behind b"));
    let found = FoundCounts {
        entries: 7,
        skipped: 1,
        refused: 1,
        same: 3,
        bytes: 20,
    };
    assert_eq!(now.found, found);
    assert_eq!(keys_of(&*store, in_group(group)).await, ["a", "b"]);
    let kept = store.not_listed(group, false, 0, 10).await.unwrap();
    assert_eq!(kept, [refused("x", false)]);
    let kept = store.not_listed(group, true, 0, 10).await.unwrap();
    assert_eq!(kept, [refused("y", true)]);
}

/// Paused, canceled, failed, listed, or not there: nothing of the page is.
pub async fn a_group_that_is_not_open_takes_no_page(factory: &dyn StoreFactory) {
    let store = factory.open();
    let listed = GroupPage {
        last: true,
        ..page("listed", &[])
    };
    let shut = [
        ("paused", Some(GroupChange::Paused(true))),
        ("canceled", Some(GroupChange::Canceled)),
        ("failed", Some(GroupChange::Failed(error(1)))),
        ("ended", Some(ENDED)),
        ("listed", None),
    ];
    for (name, by) in shut {
        let id = store.create_group(new(name)).await.unwrap().id;
        match by {
            Some(by) => drop(change(&*store, id, by).await),
            None => drop(store.record_page(id, listed.clone()).await.unwrap()),
        }
        let before = one(&*store, id).await;
        let answer = store.record_page(id, page(name, &["a"])).await.unwrap();
        assert_eq!(answer, None, "{name}");
        assert_eq!(one(&*store, id).await, before);
        assert_eq!(keys_of(&*store, in_group(id)).await, [""; 0]);
    }
    let paused = store.groups(GroupQuery::default()).await.unwrap()[0].id;
    change(&*store, paused, GroupChange::Paused(false)).await;
    let answer = store.record_page(paused, page("paused", &["a"])).await;
    assert!(answer.unwrap().is_some());
    let none = GroupId::new(1 << 40);
    let answer = store.record_page(none, page("none", &["a"])).await;
    assert!(matches!(answer, Err(StoreError::UnknownGroup(id)) if id == none));
}

/// What was counted before is forgotten; the transfers are not.
pub async fn a_listing_that_begins_at_the_start_again_counts_anew(factory: &dyn StoreFactory) {
    let store = factory.open();
    let group = store.create_group(new("g")).await.unwrap().id;
    let mut first = page("g", &["a"]);
    first.not_listed = vec![refused("x", false), refused("y", false)];
    store.record_page(group, first).await.unwrap().unwrap();
    let mut again = page("g", &["b"]);
    again.from_start = true;
    again.entries = 3;
    again.not_listed = vec![refused("z", false)];
    store.record_page(group, again).await.unwrap().unwrap();
    let now = one(&*store, group).await;
    assert_eq!((now.found.entries, now.found.refused), (3, 1));
    let kept = store.not_listed(group, false, 0, 10).await.unwrap();
    assert_eq!(kept, [refused("z", false)]);
    assert_eq!(keys_of(&*store, in_group(group)).await, ["a", "b"]);
}

/// So a listing of millions that are refused does not fill the disk.
pub async fn not_everything_without_a_transfer_is_kept_but_all_is_counted(
    factory: &dyn StoreFactory,
) {
    let store = factory.open();
    let group = store.create_group(new("g")).await.unwrap().id;
    let many = NOT_LISTED_KEPT * 3 / 4;
    for _ in 0..2 {
        let mut much = page("g", &[]);
        let keys = (0..many).map(|n| refused(&n.to_string(), false));
        much.not_listed = keys.chain([refused("s", true)]).collect();
        store.record_page(group, much).await.unwrap().unwrap();
    }
    let found = one(&*store, group).await.found;
    assert_eq!((found.refused, found.skipped), (2 * many, 2));
    let (mut kept, mut after) = (0, 0);
    loop {
        let some = store.not_listed(group, false, after, 999).await.unwrap();
        kept += some.len() as u64;
        after = kept;
        if some.is_empty() {
            break;
        }
    }
    assert_eq!(kept, NOT_LISTED_KEPT);
    assert_eq!(
        store.not_listed(group, true, 1, 10).await.unwrap(),
        [refused("s", true)]
    );
}

/// By what they are doing, and their bytes.
pub async fn the_transfers_of_a_group_are_added_up(factory: &dyn StoreFactory) {
    let store = factory.open();
    let group = store.create_group(new("g")).await.unwrap().id;
    assert_eq!(store.sum_group(group).await.unwrap(), GroupSums::default());
    let names = ["a", "b", "c", "d", "e", "f"];
    let made = store.record_page(group, page("g", &names)).await;
    let made = made.unwrap().unwrap();
    let ends = [
        completed(),
        completed(),
        vec![phase(Phase::Paused)],
        vec![phase(Phase::Canceled)],
        vec![phase(Phase::Failed)],
    ];
    for (created, changes) in made.iter().zip(ends) {
        let batch = vec![(created.record().id, changes)];
        store.commit(batch).await.unwrap();
    }
    let parts = vec![towline_core::Change::Parts(vec![super::part(1)])];
    store
        .commit(vec![(made[5].record().id, parts)])
        .await
        .unwrap();
    let other = Sample::upload("other").build();
    store.create_many(vec![other]).await.unwrap();
    let expected = GroupSums {
        going: 1,
        paused: 1,
        completed: 2,
        canceled: 1,
        failed: 1,
        bytes_done: 2 * 10_000 + (5 << 20),
    };
    assert_eq!(store.sum_group(group).await.unwrap(), expected);
    for (most, counted) in [(0, 0), (1, 1), (100, 2)] {
        let unfinished = store.unfinished_of_group(group, most).await.unwrap();
        assert_eq!(unfinished, counted);
    }
}

/// Two of a name cannot be unfinished at a time.
pub async fn a_name_means_the_newest_group_and_an_id_each(factory: &dyn StoreFactory) {
    let store = factory.open();
    let only_a_name = Sample::upload("old").with(|spec| spec.group = Some("g".into()));
    store.create_many(vec![only_a_name.build()]).await.unwrap();
    assert_eq!(store.groups(GroupQuery::default()).await.unwrap(), []);
    let first = store.create_group(new("g")).await.unwrap().id;
    let taken = store.create_group(new("g")).await;
    assert!(matches!(taken, Err(StoreError::GroupTaken { id }) if id == first));
    store.record_page(first, page("g", &["a"])).await.unwrap();
    change(&*store, first, ENDED).await;
    let second = store.create_group(new("g")).await.unwrap().id;
    assert!(second > first);
    store.record_page(second, page("g", &["b"])).await.unwrap();
    let third = store.create_group(new("other")).await.unwrap().id;
    let named = Query {
        group: Some("g".into()),
        ..Query::default()
    };
    assert_eq!(keys_of(&*store, named).await, ["b"]);
    assert_eq!(keys_of(&*store, in_group(first)).await, ["a"]);
    let find = async |query| {
        let found = store.groups(query).await.unwrap();
        found.iter().map(|group| group.id).collect::<Vec<_>>()
    };
    let all = GroupQuery::default();
    assert_eq!(find(all.clone()).await, [first, second, third]);
    let query = GroupQuery {
        unended: true,
        ..all.clone()
    };
    assert_eq!(find(query).await, [second, third]);
    let query = GroupQuery {
        name: Some("g".into()),
        newest_first: true,
        limit: 1,
        ..all.clone()
    };
    assert_eq!(find(query.clone()).await, [second]);
    let after = Some(second);
    assert_eq!(find(GroupQuery { after, ..query }).await, [first]);
    assert_eq!(find(GroupQuery { after, ..all }).await, [third]);
}

/// And nothing of another name.
pub async fn a_group_takes_over_what_an_earlier_one_of_its_name_left(factory: &dyn StoreFactory) {
    let store = factory.open();
    let earlier = store.create_group(new("g")).await.unwrap().id;
    let made = store.record_page(earlier, page("g", &["a", "b"])).await;
    let made = made.unwrap().unwrap();
    change(&*store, earlier, ENDED).await;
    let other = Sample::upload("c").with(|spec| spec.group = Some("other".into()));
    let other = store.create_many(vec![other.build()]).await.unwrap();
    let later = store.create_group(new("g")).await.unwrap().id;
    let before = store.get(made[0].record().id).await.unwrap();
    let takes = GroupPage {
        adopted: vec![
            made[0].record().id,
            other[0].record().id,
            TransferId::new(1 << 40),
        ],
        ..page("g", &["d"])
    };
    store.record_page(later, takes).await.unwrap().unwrap();
    assert_eq!(keys_of(&*store, in_group(later)).await, ["a", "d"]);
    assert_eq!(keys_of(&*store, in_group(earlier)).await, ["b"]);
    assert_eq!(store.get(made[0].record().id).await.unwrap(), before);
}

/// Among those of transfers; pages alone are none, unless one ends a wait.
pub async fn changes_of_groups_are_told_in_order_and_its_end_once(factory: &dyn StoreFactory) {
    let store = factory.open();
    let mut cursor = store.changes(None, 10).await.unwrap().cursor;
    let mut told = async |store: &dyn Store| {
        let changes = store.changes(Some(cursor), 10).await.unwrap();
        cursor = changes.cursor;
        let groups = changes.changed.into_iter().filter_map(|it| match it {
            Changed::Group(group) => Some((group.listing, group.ended_at.is_some())),
            _ => None,
        });
        groups.collect::<Vec<_>>()
    };
    let id = store.create_group(new("g")).await.unwrap().id;
    assert_eq!(told(&*store).await, [(ListingPhase::Listing, false)]);
    store.record_page(id, page("g", &["a"])).await.unwrap();
    assert_eq!(told(&*store).await, []);
    for over in [true, false] {
        change(&*store, id, GroupChange::Error(Some(error(1)))).await;
        let waits = [(ListingPhase::Listing, false)];
        assert_eq!(told(&*store).await, waits, "why it does not list on");
        change(&*store, id, GroupChange::Error(Some(error(1)))).await;
        assert_eq!(told(&*store).await, [], "the same");
        match over {
            true => drop(change(&*store, id, GroupChange::Error(None)).await),
            false => drop(store.record_page(id, page("g", &["c"])).await.unwrap()),
        }
        assert_eq!(told(&*store).await, waits, "that it goes on");
    }
    let last = GroupPage {
        last: true,
        ..page("g", &["b"])
    };
    store.record_page(id, last).await.unwrap();
    assert_eq!(told(&*store).await, [(ListingPhase::Listed, false)]);
    change(&*store, id, ENDED).await;
    drop(store);
    let store = factory.open();
    assert_eq!(told(&*store).await, [(ListingPhase::Listed, true)]);
    change(&*store, id, ENDED).await;
    assert_eq!(told(&*store).await, []);
}

/// With what was kept of it; its name is free before that.
pub async fn only_a_group_that_ended_and_has_no_transfers_is_removed(factory: &dyn StoreFactory) {
    let store = factory.open();
    let id = store.create_group(new("g")).await.unwrap().id;
    let mut some = page("g", &["a"]);
    some.not_listed = vec![refused("x", false)];
    let made = store.record_page(id, some).await.unwrap().unwrap();
    assert!(!store.remove_group(id).await.unwrap());
    change(&*store, id, GroupChange::Canceled).await;
    let transfer = made[0].record().id;
    store.commit(vec![(transfer, completed())]).await.unwrap();
    change(&*store, id, ENDED).await;
    assert!(!store.remove_group(id).await.unwrap(), "it has a transfer");
    assert_eq!(store.remove(vec![transfer]).await.unwrap(), 1);
    assert_eq!(one(&*store, id).await.found.refused, 1, "it tells what was");
    assert!(store.remove_group(id).await.unwrap());
    assert!(!store.remove_group(id).await.unwrap());
    assert_eq!(store.groups(GroupQuery::default()).await.unwrap(), []);
    assert_eq!(store.not_listed(id, false, 0, 10).await.unwrap(), []);
    let next = store.create_group(new("g")).await.unwrap().id;
    assert!(next > id, "numbers are never used twice");
}

/// Whoever sums a group up at its end has all of them.
pub async fn members_of_a_group_are_not_told_as_ended_before_it_has_its_end(
    factory: &dyn StoreFactory,
) {
    let store = factory.open();
    let id = store.create_group(new("g")).await.unwrap().id;
    let made = store.record_page(id, page("g", &["a", "b"])).await;
    let member = made.unwrap().unwrap()[0].record().id;
    let other = Sample::upload("c").with(|spec| spec.group = Some("a name".into()));
    let other = store.create_many(vec![other.build()]).await.unwrap();
    let other = other[0].record().id;
    let both = vec![(member, completed()), (other, completed())];
    store.commit(both).await.unwrap();
    let ended = async || {
        let found = store.ended(0, 10).await.unwrap().transfers;
        found
            .iter()
            .map(|(_, record)| record.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(ended().await, [other]);
    change(&*store, id, ENDED).await;
    assert_eq!(ended().await, [member, other]);
}

/// A reader may leave out what goes on by itself, what completed, and other groups; its
/// cursor stands behind what it left out too.
pub async fn changes_are_told_as_far_as_a_filter_takes_them(factory: &dyn StoreFactory) {
    let store = factory.open();
    let start = store.changes(None, 0).await.unwrap().cursor;
    let (one, two) = (
        store.create_group(new("one")).await.unwrap().id,
        store.create_group(new("two")).await.unwrap().id,
    );
    let names = ["queued", "moving", "parked", "paused", "done", "failed"];
    let made = store.record_page(one, page("one", &names)).await.unwrap();
    let elsewhere = store.record_page(two, page("two", &["other"])).await;
    let id = |of: &[Created], at: usize| of[at].record().id;
    let (made, elsewhere) = (made.unwrap(), elsewhere.unwrap().unwrap());
    let network = Phase::Parked(ParkReason::Network);
    store
        .commit(vec![
            (id(&made, 1), vec![phase(Phase::Moving)]),
            (id(&made, 2), vec![phase(network)]),
            (id(&made, 3), vec![phase(Phase::Paused)]),
            (id(&made, 4), vec![phase(Phase::Completed)]),
            (id(&made, 5), vec![phase(Phase::Failed)]),
            (id(&elsewhere, 0), vec![phase(Phase::Canceled)]),
        ])
        .await
        .unwrap();
    let now = store.changes(None, 0).await.unwrap().cursor;
    let told = async |group, only, limit| {
        let filter = ChangeFilter { group, only };
        let (mut told, mut after) = (Vec::new(), start);
        loop {
            let page = store.changes_of(Some(after), limit, filter).await.unwrap();
            assert!(page.changed.len() <= limit);
            after = page.cursor;
            if page.changed.is_empty() {
                break;
            }
            told.extend(page.changed.into_iter().map(|changed| match changed {
                Changed::Transfer(record) => name_of(&record),
                Changed::Group(group) => group.name,
                Changed::Removed(id) => panic!("{id} was not removed"),
            }));
        }
        assert_eq!(after, now);
        told
    };
    for limit in [1, 2, 3, 100] {
        let all = told(None, Only::All, limit).await;
        assert_eq!(all.len(), 9, "{all:?}");
        let rest = ["one", "two", "parked", "paused", "done", "failed", "other"];
        assert_eq!(told(None, Only::Rest, limit).await, rest);
        let trouble = ["one", "parked", "paused", "failed"];
        assert_eq!(told(Some(one), Only::Trouble, limit).await, trouble);
        assert_eq!(told(Some(two), Only::All, limit).await, ["two", "other"]);
    }
}

fn name_of(record: &Record) -> String {
    record.spec.object.key.as_str().to_owned()
}
