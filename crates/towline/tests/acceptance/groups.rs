//! Groups that list their own transfers, steered and followed as one.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use towline::{
    Access, Config, Group, GroupId, GroupObserver, GroupQuery, KeyReference, ListingPhase,
    Priority, Query, State, TransferChange, TransferRequest, TransferUtility,
};
use towline_testserver::{Answer, Operation, Point, Rule, Script};

use crate::{BUCKET, Scene, names};

fn dir(scene: &Scene) -> PathBuf {
    scene.dir.path().join("dir")
}

/// A directory of so many files, and one more below it.
fn filled(scene: &Scene, count: usize) -> PathBuf {
    std::fs::create_dir_all(dir(scene).join("sub")).unwrap();
    for n in 0..count {
        std::fs::write(dir(scene).join(format!("{n:05}")), "bytes").unwrap();
    }
    std::fs::write(dir(scene).join("sub/file"), "below").unwrap();
    dir(scene)
}

pub(crate) async fn put(scene: &Scene, keys: impl IntoIterator<Item = String>) {
    for key in keys {
        let bytes = key.clone().into();
        scene.server.put_object(BUCKET, &key, bytes).await.unwrap();
    }
}

async fn upload(utility: &TransferUtility, dir: &PathBuf) -> GroupObserver {
    utility.upload_directory(dir, BUCKET, "p/").await.unwrap()
}

/// Waits until a group is in some way.
pub(crate) async fn until(
    group: &GroupObserver,
    what: &str,
    holds: impl Fn(&Group) -> bool,
) -> Group {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let now = group.group().await.unwrap();
        if holds(&now) {
            return now;
        }
        assert!(Instant::now() < deadline, "never: {what}: {now:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The next listing gets no answer.
fn stall_listing(scene: &Scene, nth: u64) {
    let listing = Rule::on(Operation::ListObjectsV2).nth(nth);
    let stalled = listing.delay(Duration::from_secs(600));
    let script = Script::new().rule(stalled);
    scene.server.faults().play(script).unwrap();
}

fn lists(scene: &Scene) -> usize {
    scene.server.history().count(Operation::ListObjectsV2)
}

async fn transfers(utility: &TransferUtility, id: GroupId) -> usize {
    let query = Query {
        group_id: Some(id),
        limit: 10_000,
        ..Query::default()
    };
    utility.find(query).await.unwrap().0.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_one_group_with_one_end_and_an_honest_report() {
    let mut scene = Scene::start().await;
    let dir = filled(&scene, 3);
    symlink("00000", dir.join("link")).unwrap();
    std::fs::write(dir.join(std::ffi::OsStr::from_bytes(b"no\xff")), "").unwrap();
    let refused = Rule::on(Operation::PutObject).key("p/00001");
    let refused = refused.answer(Answer::error(403, "AccessDenied"));
    let script = Script::new().rule(refused);
    scene.server.faults().play(script).unwrap();
    let (_, mut cursor) = scene.utility.changes(None, 1).await.unwrap();
    let group = upload(&scene.utility, &dir).await;
    let id = group.id();
    let ended = group.finished().await.unwrap();
    assert_eq!(ended.state, State::Failed);
    assert_eq!(ended.listing, ListingPhase::Listed);
    let found = (
        ended.found.entries,
        ended.found.skipped,
        ended.found.refused,
    );
    assert_eq!(found, (6, 1, 1));
    let sums = (ended.transfers.completed, ended.transfers.failed);
    assert_eq!(sums, (3, 1));
    assert_eq!(ended.found.bytes, 3 * 5 + 5);
    assert_eq!(ended.transfers.bytes_done, 2 * 5 + 5);
    let skipped = group.skipped(0, 10).await.unwrap();
    assert_eq!(skipped[0].code, "SymbolicLink");
    let refused = group.refused(0, 10).await.unwrap();
    assert_eq!(refused[0].code, "NotUtf8");
    assert!(refused[0].path.as_ref().unwrap().starts_with(&dir));
    let below = scene.server.object_bytes(BUCKET, "p/sub/file").unwrap();
    assert_eq!(below, b"below");
    drop(group);

    // Its end is told once, also to who reads on in a later process.
    let mut ends = 0;
    for _ in 0..3 {
        loop {
            let (changes, upto) = scene.utility.changes(Some(cursor), 4).await.unwrap();
            cursor = upto;
            ends += changes
                .iter()
                .filter(|it| matches!(it, TransferChange::Group(it) if it.state.is_final()))
                .count();
            if changes.is_empty() {
                break;
            }
        }
        scene.reopen().await;
    }
    assert_eq!(ends, 1);
    assert_eq!(scene.utility.group(id).await.unwrap(), ended);

    // The same call again is a new group, which goes on with what failed.
    scene.server.faults().play(Script::new()).unwrap();
    let again = upload(&scene.utility, &dir).await;
    assert!(again.id() > id);
    let again = again.finished().await.unwrap();
    assert_eq!(again.transfers.completed, 4);
    let all = scene.utility.groups(GroupQuery::default()).await.unwrap();
    assert_eq!(all.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_lists_no_further_ahead_of_its_transfers_than_it_may() {
    let mut config = Config::default();
    config.listed_ahead = 1;
    let scene = Scene::with(config).await;
    let dir = filled(&scene, 1020);
    scene.server.faults().offline(true);
    let group = upload(&scene.utility, &dir).await;
    let listed = |it: &Group| it.found.entries > 0;
    assert_eq!(until(&group, "listed", listed).await.found.entries, 1000);
    scene.server.faults().offline(false);
    let ended = group.finished().await.unwrap();
    assert_eq!(ended.state, State::Completed, "{ended:?}");
    assert_eq!(ended.transfers.completed, 1021);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_paused_while_it_lists_lists_nothing_more_until_it_is_resumed() {
    let mut scene = Scene::start().await;
    put(&scene, (0..1010).map(|n| format!("p/{n:05}"))).await;
    stall_listing(&scene, 2);
    let request = scene.utility.download_prefix(BUCKET, "p/", dir(&scene));
    let group = request.await.unwrap();
    let id = group.id();
    crate::until("the second page is asked for", || lists(&scene) == 2).await;
    assert!(scene.utility.pause_group(id).await.unwrap());
    assert!(!scene.utility.pause_group(id).await.unwrap());
    let paused = group.group().await.unwrap();
    assert_eq!(paused.state, State::Paused);
    assert_eq!(paused.listing, ListingPhase::Listing);
    assert_eq!((paused.found.entries, paused.transfers.going), (1000, 0));
    drop(group);

    scene.server.faults().play(Script::new()).unwrap();
    scene.server.history().clear();
    scene.reopen().await;
    let group = scene.utility.observe_group(id).await.unwrap();
    // A whole other group comes and goes meanwhile.
    let other = scene.utility.download_prefix(BUCKET, "q/", dir(&scene));
    other.await.unwrap().finished().await.unwrap();
    assert_eq!(lists(&scene), 1);
    assert_eq!(group.group().await.unwrap(), paused);

    assert!(scene.utility.resume_group(id).await.unwrap());
    let ended = group.finished().await.unwrap();
    assert_eq!(ended.state, State::Completed, "{ended:?}");
    assert_eq!(ended.transfers.completed, 1010);
    assert_eq!(names(&dir(&scene)).len(), 1010);
    assert!(!scene.utility.resume_group(id).await.unwrap());
}

/// Both wait for a third call that holds up what is recorded.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_paused_before_a_group_has_it_stays_paused_where_the_group_is_paused_first() {
    let scene = Scene::start().await;
    let dir = filled(&scene, 1);
    scene.server.faults().offline(true);
    let upload_it = scene.utility.upload(BUCKET, "p/00000", dir.join("00000"));
    let paused = upload_it.await.unwrap();
    assert!(paused.pause().await.unwrap());
    scene.server.faults().offline(false);

    let unanswered = Rule::on(Operation::UploadPart).stall(Point::AfterRequest, None);
    let slow = Rule::on(Operation::AbortMultipartUpload).delay(Duration::from_secs(3));
    let script = Script::new().rule(unanswered).rule(slow);
    scene.server.faults().play(script).unwrap();
    let large = scene.file("large", &vec![7; 12 << 20]);
    let mut request = TransferRequest::upload(BUCKET, "large", large);
    scene.utility.submit(vec![request.clone()]).await.unwrap();
    let asked = |operation| scene.server.history().count(operation) > 0;
    crate::until("it has an upload", || asked(Operation::UploadPart)).await;
    request.restart = true;
    let utility = scene.utility.clone();
    let restart = tokio::spawn(async move { utility.submit(vec![request]).await });
    crate::until("it is given up", || asked(Operation::AbortMultipartUpload)).await;

    let group = upload(&scene.utility, &dir).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (utility, id) = (scene.utility.clone(), group.id());
    let pause = tokio::spawn(async move { utility.pause_group(id).await });
    until(&group, "paused", |it| it.state == State::Paused).await;
    assert!(!restart.is_finished());
    scene.server.faults().play(Script::new()).unwrap();
    assert!(pause.await.unwrap().unwrap());
    assert_eq!(restart.await.unwrap().unwrap().len(), 1);
    assert_eq!(group.group().await.unwrap().found.entries, 0);
    assert_eq!(paused.state(), State::Paused);
    assert!(scene.server.object_bytes(BUCKET, "p/00000").is_err());

    // It is not of this group, so how it ends is not known to it.
    assert!(scene.utility.resume_group(id).await.unwrap());
    let ended = group.finished().await.unwrap();
    assert_eq!((ended.found.entries, ended.found.refused), (2, 1));
    assert_eq!(ended.state, State::Failed, "{ended:?}");
    assert_eq!(group.refused(0, 1).await.unwrap()[0].code, "UnderWay");
    assert_eq!(paused.finished().await.unwrap().state, State::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_was_paused_by_itself_goes_on_with_its_group_also_in_the_next_one() {
    let scene = Scene::start().await;
    let dir = filled(&scene, 1);
    scene.server.faults().offline(true);
    let group = upload(&scene.utility, &dir).await;
    until(&group, "listed", |it| it.listing == ListingPhase::Listed).await;
    let all = Query {
        group_id: Some(group.id()),
        ..Query::default()
    };
    let one = scene.utility.find(all).await.unwrap().0.remove(0);
    assert!(scene.utility.pause(one.id).await.unwrap());
    scene.server.faults().offline(false);
    let rests = |it: &Group| it.transfers.completed == 1 && it.transfers.paused == 1;
    until(&group, "one rests", rests).await;
    assert!(scene.utility.resume_group(group.id()).await.unwrap());
    let ended = group.finished().await.unwrap();
    assert_eq!(ended.state, State::Completed, "{ended:?}");
    assert!(!scene.utility.resume_group(group.id()).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_gone_while_a_group_lists_is_waited_for_and_refuses_nothing() {
    let scene = Scene::start().await;
    put(&scene, ["p/a".to_owned()]).await;
    let key = scene.dir.path().join("sse-c.key");
    let put_key = || {
        let private = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&key);
        private.unwrap().write_all(&[7; 32]).unwrap();
    };
    put_key();
    stall_listing(&scene, 1);
    let request = scene.utility.download_prefix(BUCKET, "p/", dir(&scene));
    let request = request.access(Access {
        customer_key: Some(KeyReference::File(key.clone())),
        ..Access::default()
    });
    let group = request.await.unwrap();
    crate::until("the page is asked for", || lists(&scene) == 1).await;
    scene.utility.pause_group(group.id()).await.unwrap();
    std::fs::remove_file(&key).unwrap();
    scene.server.faults().play(Script::new()).unwrap();
    scene.utility.resume_group(group.id()).await.unwrap();
    let waits = until(&group, "a reason", |it| it.error.is_some()).await;
    assert_eq!((waits.state, waits.found.entries), (State::Waiting, 0));
    put_key();
    let ended = group.finished().await.unwrap();
    assert_eq!((ended.found.entries, ended.found.refused), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_canceled_while_it_lists_ends_canceled_and_can_be_removed() {
    let scene = Scene::start().await;
    put(&scene, (0..1010).map(|n| format!("p/{n:05}"))).await;
    let listing = Rule::on(Operation::ListObjectsV2).nth(2);
    let stalled = listing.delay(Duration::from_secs(600));
    let unanswered = Rule::on(Operation::GetObject).delay(Duration::from_secs(600));
    let script = Script::new().rule(stalled).rule(unanswered);
    scene.server.faults().play(script).unwrap();
    let request = scene.utility.download_prefix(BUCKET, "p/", dir(&scene));
    let group = request.await.unwrap();
    let id = group.id();
    crate::until("the second page is asked for", || lists(&scene) == 2).await;
    assert!(scene.utility.cancel_group(id).await.unwrap());
    let ended = group.finished().await.unwrap();
    assert_eq!(ended.state, State::Canceled);
    assert_eq!(ended.transfers.canceled, 1000, "{ended:?}");
    assert!(!scene.utility.cancel_group(id).await.unwrap());
    assert!(!scene.utility.pause_group(id).await.unwrap());
    assert_eq!(names(&dir(&scene)), [] as [String; 0]);
    scene.utility.remove_group(id).await.unwrap();
    assert_eq!(transfers(&scene.utility, id).await, 0);
    let gone = scene.utility.group(id).await.unwrap_err();
    assert_eq!(gone.code(), "UnknownGroup");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_call_is_the_same_group_while_it_is_unfinished_and_another_of_its_name_is_refused()
{
    let scene = Scene::start().await;
    let dir = filled(&scene, 2);
    scene.server.faults().offline(true);
    let group = upload(&scene.utility, &dir).await;
    assert!(scene.utility.pause_group(group.id()).await.unwrap());
    let again = upload(&scene.utility, &dir).await;
    assert_eq!(again.id(), group.id());
    assert_ne!(again.group().await.unwrap().state, State::Paused);
    let name = group.group().await.unwrap().name;
    let other = scene.utility.upload_directory(&dir, BUCKET, "other/");
    let refused = other.group(name.as_str()).await.unwrap_err();
    assert_eq!(refused.code(), "GroupTaken");
    scene.server.faults().offline(false);
    let other = scene.utility.upload_directory(&dir, BUCKET, "other/");
    let other = other.group(name.as_str()).restart(true).await.unwrap();
    let canceled = group.group().await.unwrap();
    assert_eq!(canceled.state, State::Canceled);
    let ended = other.finished().await.unwrap();
    assert_eq!(ended.state, State::Completed, "{ended:?}");
    assert!(scene.server.object_bytes(BUCKET, "other/sub/file").is_ok());
    for bad in ["no-slash", "p//\u{0}"] {
        let request = scene.utility.upload_directory(&dir, BUCKET, bad);
        assert_eq!(request.await.unwrap_err().code(), "BadOption");
    }
    let file = dir.join("sub/file");
    let request = scene.utility.upload_directory(file, BUCKET, "p/");
    assert_eq!(request.await.unwrap_err().code(), "SourceUnreadable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_cannot_be_had_for_now_says_why_and_goes_on_by_itself() {
    let scene = Scene::start().await;
    put(&scene, ["p/a".to_owned()]).await;
    scene.server.faults().offline(true);
    let request = scene.utility.download_prefix(BUCKET, "p/", dir(&scene));
    let group = request.await.unwrap();
    let waits = until(&group, "a reason", |it| it.error.is_some()).await;
    assert_eq!(waits.state, State::Waiting);
    scene.server.faults().offline(false);
    let ended = group.finished().await.unwrap();
    assert_eq!(ended.state, State::Completed, "{ended:?}");
    assert_eq!(ended.error, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_is_refused_ends_its_group_as_failed_when_its_transfers_have_ended() {
    let scene = Scene::start().await;
    let request = scene
        .utility
        .download_prefix("no-such-bucket", "p/", dir(&scene));
    let ended = request.await.unwrap().finished().await.unwrap();
    assert_eq!(ended.state, State::Failed);
    assert_eq!(ended.listing, ListingPhase::Failed);
    assert_eq!(ended.error.unwrap().code, "NoSuchBucket");
}

/// Stores that keep objects in directories: there is no going on behind a key.
#[tokio::test(flavor = "multi_thread")]
async fn a_listing_in_another_order_than_s3s_begins_anew_and_nothing_is_recorded_twice() {
    let mut scene = Scene::start().await;
    put(&scene, ["p/a/b", "p/a-b", "p/c"].map(str::to_owned)).await;
    let page = |keys: &[&str], next: &str| {
        let object = |key: &&str| {
            format!(
                "<Contents><Key>{key}</Key><Size>{}</Size></Contents>",
                key.len()
            )
        };
        let objects: String = keys.iter().map(object).collect();
        let more = match next {
            "" => "<IsTruncated>false</IsTruncated>".to_owned(),
            token => format!(
                "<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>"
            ),
        };
        let body = format!("<ListBucketResult>{more}{objects}</ListBucketResult>");
        Answer::status(200).body(&body, "application/xml")
    };
    let first = page(&["p/a/b", "p/a-b"], "t");
    let on_first = || Rule::on(Operation::ListObjectsV2).nth(1);
    let on_others = || Rule::on(Operation::ListObjectsV2);
    let script = Script::new().rule(on_first().answer(first.clone()));
    let script = script.rule(on_others().delay(Duration::from_secs(600)));
    scene.server.faults().play(script).unwrap();
    let request = scene.utility.download_prefix(BUCKET, "p/", dir(&scene));
    let group = request.await.unwrap();
    let id = group.id();
    until(&group, "a page", |it| it.transfers.completed == 2).await;
    drop(group);
    let script = Script::new().rule(on_first().answer(first));
    let script = script.rule(on_others().answer(page(&["p/c"], "")));
    scene.server.faults().play(script).unwrap();
    scene.reopen().await;
    let group = scene.utility.observe_group(id).await.unwrap();
    let ended = group.finished().await.unwrap();
    assert_eq!(ended.state, State::Completed, "{ended:?}");
    assert_eq!((ended.found.entries, ended.transfers.completed), (3, 3));
    assert_eq!(ended.found.bytes, ended.transfers.bytes_done);
    assert_eq!(scene.server.history().count(Operation::GetObject), 3);
}

async fn priorities(utility: &TransferUtility, id: GroupId) -> Vec<Priority> {
    let query = Query {
        group_id: Some(id),
        limit: 10_000,
        ..Query::default()
    };
    let (found, _) = utility.find(query).await.unwrap();
    found.iter().map(|transfer| transfer.priority).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_call_with_another_priority_is_of_all_that_a_group_has_and_of_what_it_lists_yet() {
    let mut config = Config::default();
    config.listed_ahead = 1;
    let mut scene = Scene::with(config).await;
    let dir = filled(&scene, 1020);
    scene.server.faults().offline(true);
    let group = upload(&scene.utility, &dir).await;
    let id = group.id();
    until(&group, "listed", |it| it.found.entries == 1000).await;
    drop(group);
    let mut options = towline::TransferOptions::default();
    options.priority = Priority::High;
    let request = scene.utility.upload_directory(&dir, BUCKET, "p/");
    let again = request.options(options).await.unwrap();
    assert_eq!(again.id(), id);
    assert_eq!(again.group().await.unwrap().priority, Priority::High);
    let now = priorities(&scene.utility, id).await;
    assert_eq!(now, vec![Priority::High; 1000]);
    drop(again);
    // It is the group's own from then on.
    scene.reopen().await;
    scene.server.faults().offline(false);
    let group = scene.utility.observe_group(id).await.unwrap();
    let ended = group.finished().await.unwrap();
    assert_eq!(ended.transfers.completed, 1021, "{ended:?}");
    let now = priorities(&scene.utility, id).await;
    assert_eq!(now, vec![Priority::High; 1021]);
    let changed = scene.utility.prioritize_group(id, Priority::Low).await;
    assert!(!changed.unwrap(), "it had its end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_was_asked_for_before_its_group_had_another_priority_has_that_one() {
    let scene = Scene::start().await;
    put(&scene, (0..1010).map(|n| format!("p/{n:05}"))).await;
    let listing = Rule::on(Operation::ListObjectsV2).nth(2);
    let slow = listing.delay(Duration::from_secs(3));
    scene
        .server
        .faults()
        .play(Script::new().rule(slow))
        .unwrap();
    let request = scene.utility.download_prefix(BUCKET, "p/", dir(&scene));
    let group = request.await.unwrap();
    crate::until("the second page is asked for", || lists(&scene) == 2).await;
    let prioritize = || scene.utility.prioritize_group(group.id(), Priority::Low);
    assert!(prioritize().await.unwrap());
    assert!(!prioritize().await.unwrap(), "it is so already");
    let before = group.group().await.unwrap();
    assert_eq!(
        (before.found.entries, before.priority),
        (1000, Priority::Low)
    );
    assert_eq!(group.finished().await.unwrap().found.entries, 1010);
    assert_eq!(lists(&scene), 2, "the page was not asked for again");
    let low = priorities(&scene.utility, group.id()).await;
    let low = low.iter().filter(|it| **it == Priority::Low).count();
    assert!(low >= 10, "{low}");
}
