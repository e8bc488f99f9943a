//! A sync as a group: it compares by itself, is steered as one, and has one end.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use towline::{
    Config, Group, ListingPhase, Query, State, SyncCompare, SyncDecision, SyncFilter, SyncReason,
    SyncRequest, TransferOptions, TransferUtility,
};
use towline_testserver::{Answer, Operation, Point, Rule, Script};

use crate::groups::{put, until};
use crate::{BUCKET, Scene, names};

/// More than is compared in a step.
const ALL: usize = 1100;

fn dir(scene: &Scene) -> PathBuf {
    scene.dir.path().join("dir")
}

/// Each has the bytes that `put` gives its object.
fn filled(scene: &Scene, names: impl IntoIterator<Item = String>) {
    for name in names {
        let path = dir(scene).join(&name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("p/{name}")).unwrap();
    }
}

fn numbered(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("{n:05}"))
}

fn up(scene: &Scene) -> SyncRequest {
    scene.utility.sync_up(dir(scene), BUCKET, "p/")
}

fn down(scene: &Scene) -> SyncRequest {
    scene.utility.sync_down(BUCKET, "p/", dir(scene))
}

fn count(scene: &Scene, operation: Operation) -> usize {
    scene.server.history().count(operation)
}

async fn ended(request: SyncRequest) -> Group {
    request.start().await.unwrap().finished().await.unwrap()
}

async fn transfers(utility: &TransferUtility) -> usize {
    let query = Query {
        limit: 10_000,
        ..Query::default()
    };
    utility.find(query).await.unwrap().0.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_sends_what_differs_and_counts_what_is_the_same_and_keeps_nothing_of_that() {
    let scene = Scene::start().await;
    filled(&scene, ["a", "b/c", "b/d"].map(str::to_owned));
    std::os::unix::fs::symlink("a", dir(&scene).join("link")).unwrap();
    put(&scene, ["p/b/c".to_owned(), "p/x".to_owned()]).await;
    let first = ended(up(&scene).compare(SyncCompare::Size)).await;
    assert_eq!(first.state, State::Completed, "{first:?}");
    assert!(first.name.starts_with("sync "), "{}", first.name);
    let found = (first.found.entries, first.found.same, first.found.skipped);
    assert_eq!(found, (4, 1, 1));
    assert_eq!((first.transfers.completed, first.found.bytes), (2, 8));
    assert_eq!(transfers(&scene.utility).await, 2);

    scene.server.history().clear();
    let again = ended(up(&scene).compare(SyncCompare::Size)).await;
    assert!(again.id > first.id, "that one had its end");
    assert_eq!((again.found.same, again.transfers.completed), (3, 0));
    assert_eq!(transfers(&scene.utility).await, 2);
    let asked = scene.server.history().requests().len();
    assert_eq!(asked, count(&scene, Operation::ListObjectsV2));

    std::fs::write(dir(&scene).join("a"), "other bytes").unwrap();
    let changed = ended(up(&scene).compare(SyncCompare::Size)).await;
    assert_eq!((changed.found.same, changed.transfers.completed), (2, 1));

    // And the other way round.
    let down = |scene: &Scene| down(scene).compare(SyncCompare::Size);
    let back = ended(down(&scene)).await;
    assert_eq!(back.state, State::Completed, "{back:?}");
    assert_eq!((back.found.same, back.transfers.completed), (3, 1));
    assert_eq!(std::fs::read(dir(&scene).join("x")).unwrap(), b"p/x");
    let again = ended(down(&scene)).await;
    assert_eq!((again.found.same, again.transfers.completed), (4, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sync_compares_by_and_leaves_out_holds_also_in_a_later_process() {
    let mut scene = Scene::start().await;
    filled(&scene, numbered(20));
    filled(&scene, ["zz.tmp", "zz.old"].map(str::to_owned));
    let old = std::fs::File::options()
        .append(true)
        .open(dir(&scene).join("zz.old"));
    old.unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    scene.server.faults().offline(true);
    let filter = SyncFilter::default().exclude("*.tmp").unwrap();
    let filter = filter.newer_than(Duration::from_secs(3600));
    let group = up(&scene).filter(filter).record_mtime(true).start().await;
    let id = group.unwrap().id();
    scene.reopen().await;
    scene.server.faults().offline(false);
    let group = scene.utility.observe_group(id).await.unwrap();
    let ended = group.finished().await.unwrap();
    assert_eq!(ended.state, State::Completed, "{ended:?}");
    assert_eq!((ended.found.entries, ended.transfers.completed), (21, 20));
    let with_time = scene
        .server
        .history()
        .count_where(|request| request.header("x-amz-meta-towline-mtime").is_some());
    assert_eq!(with_time, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_is_paused_while_it_compares_goes_on_behind_what_it_compared() {
    let mut scene = Scene::start().await;
    filled(&scene, numbered(ALL));
    let keys = numbered(ALL).map(|name| format!("p/{name}"));
    put(&scene, keys.filter(|key| !key.ends_with("00"))).await;
    let second = Rule::on(Operation::ListObjectsV2).nth(2);
    let script = Script::new().rule(second.delay(Duration::from_secs(600)));
    scene.server.faults().play(script).unwrap();
    let group = up(&scene).compare(SyncCompare::Size).start().await.unwrap();
    let id = group.id();
    crate::until("the second page is asked for", || {
        count(&scene, Operation::ListObjectsV2) == 2
    })
    .await;
    assert!(scene.utility.pause_group(id).await.unwrap());
    let paused = group.group().await.unwrap();
    assert_eq!(paused.state, State::Paused);
    assert_eq!(paused.listing, ListingPhase::Listing);
    assert_eq!((paused.found.entries, paused.found.same), (1000, 990));
    drop(group);

    scene.server.faults().play(Script::new()).unwrap();
    scene.reopen().await;
    scene.server.history().clear();
    assert_eq!(scene.utility.group(id).await.unwrap(), paused);
    assert!(scene.utility.resume_group(id).await.unwrap());
    let group = scene.utility.observe_group(id).await.unwrap();
    let ended = group.finished().await.unwrap();
    assert_eq!(ended.state, State::Completed, "{ended:?}");
    assert_eq!(ended.found.entries, ALL as u64);
    assert_eq!((ended.found.same, ended.transfers.completed), (1089, 11));
    assert_eq!(count(&scene, Operation::ListObjectsV2), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_sync_is_the_same_group_and_one_that_compares_otherwise_takes_its_place() {
    let scene = Scene::start().await;
    filled(&scene, ["a", "secret"].map(str::to_owned));
    let unanswered = Rule::on(Operation::PutObject).stall(Point::AfterRequest, None);
    let script = Script::new().rule(unanswered);
    scene.server.faults().play(script).unwrap();
    let recent = || SyncFilter::default().newer_than(Duration::from_secs(60));
    let first = up(&scene).filter(recent()).start().await.unwrap();
    let moving = |group: &Group| group.transfers.going == 2;
    until(&first, "its transfers", moving).await;
    tokio::time::sleep(Duration::from_millis(5)).await; // another time to count ages from
    let same = up(&scene).filter(recent()).start().await.unwrap();
    assert_eq!(same.id(), first.id());
    let refused = scene.utility.upload_directory(dir(&scene), BUCKET, "p/");
    let name = first.group().await.unwrap().name;
    let refused = refused.group(name.as_str()).await.unwrap_err();
    assert_eq!(refused.code(), "GroupTaken");

    scene.server.faults().play(Script::new()).unwrap();
    let filter = SyncFilter::default().exclude("secret").unwrap();
    let other = up(&scene).filter(filter).start().await.unwrap();
    assert!(other.id() > first.id());
    assert_eq!(first.group().await.unwrap().state, State::Canceled);
    let ended = other.finished().await.unwrap();
    assert_eq!(ended.state, State::Completed, "{ended:?}");
    assert_eq!(ended.transfers.completed + ended.found.same, 1);
    for (delete, dry_run) in [(true, false), (false, true)] {
        let request = up(&scene).delete(delete).dry_run(dry_run);
        assert_eq!(request.start().await.unwrap_err().code(), "BadOption");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_is_canceled_while_it_compares_ends_canceled_and_can_be_removed() {
    let scene = Scene::start().await;
    put(&scene, numbered(ALL).map(|name| format!("p/{name}"))).await;
    let second = Rule::on(Operation::ListObjectsV2).nth(2);
    let second = second.delay(Duration::from_secs(600));
    let unanswered = Rule::on(Operation::GetObject).delay(Duration::from_secs(600));
    let script = Script::new().rule(second).rule(unanswered);
    scene.server.faults().play(script).unwrap();
    let group = down(&scene).start().await.unwrap();
    crate::until("the second page is asked for", || {
        count(&scene, Operation::ListObjectsV2) == 2
    })
    .await;
    assert!(scene.utility.cancel_group(group.id()).await.unwrap());
    let ended = group.finished().await.unwrap();
    assert_eq!(ended.state, State::Canceled);
    assert_eq!(names(&dir(&scene)), [] as [String; 0]);
    scene.utility.remove_group(group.id()).await.unwrap();
    assert_eq!(transfers(&scene.utility).await, 0);
}

/// What failed goes on in the next sync, as its file is then.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_failed_and_has_another_time_by_now_is_sent_with_that_time() {
    let scene = Scene::start().await;
    let large = dir(&scene).join("large");
    std::fs::create_dir_all(dir(&scene)).unwrap();
    std::fs::write(&large, vec![7; 12 << 20]).unwrap();
    let refused = Rule::on(Operation::UploadPart).part(2);
    let refused = refused.answer(Answer::error(403, "AccessDenied"));
    let script = Script::new().rule(refused);
    scene.server.faults().play(script).unwrap();
    let failed = ended(up(&scene).record_mtime(true)).await;
    assert_eq!((failed.state, failed.transfers.failed), (State::Failed, 1));

    scene.server.faults().play(Script::new()).unwrap();
    let file = std::fs::File::options().append(true).open(&large).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000))
        .unwrap();
    scene.server.history().clear();
    let again = ended(up(&scene).record_mtime(true)).await;
    assert_eq!(again.state, State::Completed, "{again:?}");
    let times: Vec<String> = scene
        .server
        .history()
        .requests()
        .iter()
        .filter_map(|request| {
            request
                .header("x-amz-meta-towline-mtime")
                .map(str::to_owned)
        })
        .collect();
    assert_eq!(times, ["1700000000.000000000"]);
    assert_eq!(scene.server.open_uploads(BUCKET), []);
}

/// Such a store answers from the start, whatever is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_lists_nothing_behind_a_key_is_compared_anew_and_nothing_is_moved_twice() {
    let mut scene = Scene::start().await;
    put(&scene, numbered(ALL).map(|name| format!("p/{name}"))).await;
    // All but each hundredth are there.
    filled(&scene, numbered(ALL).filter(|name| !name.ends_with("00")));
    let second = || Rule::on(Operation::ListObjectsV2).nth(2);
    let script = Script::new().rule(second().delay(Duration::from_secs(600)));
    scene.server.faults().play(script).unwrap();
    let request = down(&scene).compare(SyncCompare::Size);
    let group = request.start().await.unwrap();
    let id = group.id();
    until(&group, "a page", |it| it.transfers.completed == 10).await;
    drop(group);
    let first = "<ListBucketResult><IsTruncated>true</IsTruncated>\
                 <NextContinuationToken>t</NextContinuationToken>\
                 <Contents><Key>p/00000</Key><Size>7</Size></Contents></ListBucketResult>";
    let from_start = Answer::status(200).body(first, "application/xml");
    let on_first = Rule::on(Operation::ListObjectsV2).nth(1);
    let script = Script::new().rule(on_first.answer(from_start));
    scene.server.faults().play(script).unwrap();
    scene.reopen().await;
    let group = scene.utility.observe_group(id).await.unwrap();
    let ended = group.finished().await.unwrap();
    assert_eq!(ended.state, State::Completed, "{ended:?}");
    assert_eq!(ended.found.entries, ALL as u64, "counted anew");
    assert_eq!((ended.found.same, ended.transfers.completed), (1099, 11));
    assert_eq!(count(&scene, Operation::GetObject), 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_by_checksums_waits_for_a_store_that_gives_no_answer_and_refuses_nothing() {
    let scene = Scene::start().await;
    filled(&scene, ["a".to_owned()]);
    ended(up(&scene)).await;
    let unanswered = Rule::on(Operation::HeadObject).answer(Answer::error(503, "SlowDown"));
    let script = Script::new().rule(unanswered);
    scene.server.faults().play(script).unwrap();
    let group = up(&scene).compare(SyncCompare::Checksum).start().await;
    let group = group.unwrap();
    crate::until("it is asked about", || {
        count(&scene, Operation::HeadObject) > 0
    })
    .await;
    scene.server.faults().play(Script::new()).unwrap();
    let ended = group.finished().await.unwrap();
    assert_eq!(ended.state, State::Completed, "{ended:?}");
    assert_eq!((ended.found.same, ended.found.refused), (1, 0));
}

/// It has more to compare, and does not yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_waits_for_its_transfers_keeps_no_utility_open() {
    let mut config = Config::default();
    config.listed_ahead = 1;
    let scene = Scene::with(config).await;
    filled(&scene, numbered(ALL));
    put(&scene, (1..ALL).map(|n| format!("p/{n:05}"))).await;
    let unanswered = Rule::on(Operation::PutObject).delay(Duration::from_secs(600));
    let script = Script::new().rule(unanswered);
    scene.server.faults().play(script).unwrap();
    let group = up(&scene).compare(SyncCompare::Size).start().await.unwrap();
    until(&group, "a step", |it| it.found.entries == 1000).await;
    let id = group.id();
    drop(group);
    let Scene {
        server,
        dir,
        utility,
    } = scene;
    drop(utility);
    let open = || crate::builder(server.endpoint(), dir.path().join("state")).open();
    let deadline = Instant::now() + Duration::from_secs(20);
    let utility = loop {
        match open().await {
            Ok(utility) => break utility,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    server.faults().play(Script::new()).unwrap();
    let group = utility.observe_group(id).await.unwrap();
    let ended = group.finished().await.unwrap();
    assert_eq!((ended.found.same, ended.transfers.completed), (1099, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_by_properties_sends_again_what_has_not_those_that_are_asked_for() {
    let scene = Scene::start().await;
    filled(&scene, numbered(5));
    let asked = |team: &str, tag: &str| {
        let mut options = TransferOptions::default();
        let object = &mut options.object;
        object.metadata.insert("Team".into(), team.into());
        object.tags.insert("tag".into(), tag.into());
        object.cache_control = Some("no-store".into());
        options
    };
    let sync = |team, tag| {
        let sync = up(&scene).record_mtime(true).options(asked(team, tag));
        ended(sync.properties(true))
    };
    let counts = |group: &Group| (group.transfers.completed, group.found.same);
    assert_eq!(counts(&sync("one", "a").await), (5, 0));
    scene.server.history().clear();
    assert_eq!(counts(&sync("one", "a").await), (0, 5));
    assert_eq!(count(&scene, Operation::HeadObject), 5);
    assert_eq!(count(&scene, Operation::GetObjectTagging), 5);
    assert_eq!(counts(&sync("one", "b").await), (5, 0));
    scene.server.history().clear();
    assert_eq!(counts(&sync("two", "b").await), (5, 0));
    assert_eq!(
        count(&scene, Operation::GetObjectTagging),
        0,
        "one difference is enough"
    );
    // By its plan too, which says why.
    let changed = up(&scene).options(asked("two", "c")).properties(true);
    let mut plan = changed.plan().await.unwrap();
    while let Some(decision) = plan.next().await.unwrap() {
        match decision {
            SyncDecision::Upload { reason, .. } => assert_eq!(reason, SyncReason::Properties),
            other => panic!("{other:?}"),
        }
    }
    assert!(plan.is_complete());
    // What is not asked for is not compared.
    assert_eq!(counts(&ended(up(&scene)).await), (0, 5));

    let refused = async |sync: SyncRequest| {
        let refused = sync.properties(true).start().await.unwrap_err();
        assert!(refused.to_string().contains("properties"), "{refused}");
    };
    refused(up(&scene)).await;
    refused(down(&scene).options(asked("one", "a"))).await;
}
