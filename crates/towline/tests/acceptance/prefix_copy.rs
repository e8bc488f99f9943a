//! All objects below a prefix, copied by the store itself as one group.

use std::time::Duration;

use towline::{
    Access, Group, GroupObserver, GroupQuery, GroupRequest, ListingPhase, PartSize, State,
    TransferOptions,
};
use towline_testserver::{Answer, Operation, Rule, Script, TestServer};

use crate::copy::{LARGE, OTHER, count, left_nothing, parts_copied, play, scene};
use crate::{BUCKET, Scene, content};

async fn put(scene: &Scene, keys: impl IntoIterator<Item = impl AsRef<str>>) {
    for key in keys {
        let key = key.as_ref();
        let bytes = match key.ends_with('/') {
            true => Vec::new(),
            false => key.as_bytes().to_vec(),
        };
        scene.server.put_object(BUCKET, key, bytes).await.unwrap();
    }
}

/// From `p/` of one bucket to `q/` of the other.
async fn begin(scene: &Scene) -> GroupObserver {
    let request = scene.utility.copy_prefix(BUCKET, "p/", OTHER, "q/");
    request.await.unwrap()
}

async fn ended(group: &GroupObserver) -> Group {
    group.finished().await.unwrap()
}

#[track_caller]
fn is_there(scene: &Scene, bucket: &str, key: &str, bytes: &[u8]) {
    let object = scene.server.object_bytes(bucket, key);
    assert_eq!(object.as_deref().ok(), Some(bytes), "{key}");
}

fn stall_listing(scene: &Scene, nth: u64) {
    let listing = Rule::on(Operation::ListObjectsV2).nth(nth);
    play(scene, [listing.delay(Duration::from_secs(600))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_is_copied_as_one_group_with_the_objects_that_stand_for_directories() {
    let scene = scene().await;
    let below = ["", "a", "sub/", "sub/b", "a//b", "\u{e4} %41+c?d"];
    put(&scene, below.map(|below| format!("p/{below}"))).await;
    put(&scene, ["p", "px", "other/a"]).await;
    let group = begin(&scene).await;
    let ended = ended(&group).await;
    assert_eq!(ended.state, State::Completed, "{ended:?}");
    assert_eq!(ended.found.entries, below.len() as u64);
    assert_eq!(ended.transfers.completed, below.len() as u64);
    assert_eq!(ended.found.bytes, ended.transfers.bytes_done);
    let (path, prefix) = (ended.path.to_str(), ended.prefix.as_str());
    assert_eq!((path, prefix), (Some("s3://bucket/p/"), "q/"));
    assert_eq!(ended.name, "s3://bucket/p/ to s3://other/q/");
    for below in below {
        let source = format!("p/{below}");
        let bytes = scene.server.object_bytes(BUCKET, &source).unwrap();
        is_there(&scene, OTHER, &format!("q/{below}"), &bytes);
    }
    assert_eq!(count(&scene, Operation::CopyObject), below.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_copy_that_is_paused_while_it_lists_goes_on_behind_its_place_in_a_later_process() {
    let mut scene = scene().await;
    put(&scene, (0..1010).map(|n| format!("p/{n:05}"))).await;
    stall_listing(&scene, 2);
    let group = begin(&scene).await;
    let id = group.id();
    let lists = || count(&scene, Operation::ListObjectsV2);
    crate::until("the second page is asked for", || lists() == 2).await;
    assert!(scene.utility.pause_group(id).await.unwrap());
    let paused = group.group().await.unwrap();
    assert_eq!(paused.state, State::Paused);
    assert_eq!(paused.listing, ListingPhase::Listing);
    assert_eq!((paused.found.entries, paused.transfers.going), (1000, 0));
    drop(group);

    scene.server.faults().play(Script::new()).unwrap();
    scene.reopen().await;
    scene.server.history().clear();
    assert!(scene.utility.resume_group(id).await.unwrap());
    let group = scene.utility.observe_group(id).await.unwrap();
    let ended = ended(&group).await;
    assert_eq!(ended.transfers.completed, 1010, "{ended:?}");
    assert_eq!(count(&scene, Operation::ListObjectsV2), 1);
    let copied = count(&scene, Operation::CopyObject) as u64;
    assert!(copied <= 1010 - paused.transfers.completed, "{copied}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_prefix_copy_is_the_same_group_while_it_is_unfinished_and_copies_anew_afterwards()
{
    let scene = scene().await;
    put(&scene, ["p/a", "p/b"]).await;
    scene.server.faults().offline(true);
    let group = begin(&scene).await;
    assert!(scene.utility.pause_group(group.id()).await.unwrap());
    let again = begin(&scene).await;
    assert_eq!(again.id(), group.id());
    assert_ne!(again.group().await.unwrap().state, State::Paused);
    let mut options = TransferOptions::default();
    options.if_absent = true;
    let other = || scene.utility.copy_prefix(BUCKET, "p/", OTHER, "q/");
    let refused = other().options(options.clone()).await.unwrap_err();
    assert_eq!(refused.code(), "GroupTaken");
    scene.server.faults().offline(false);
    let restarted = other().options(options).restart(true).await.unwrap();
    assert_eq!(group.group().await.unwrap().state, State::Canceled);
    assert_eq!(ended(&restarted).await.transfers.completed, 2);

    put(&scene, ["p/c"]).await;
    let third = begin(&scene).await;
    assert_ne!(third.id(), restarted.id());
    assert_eq!(ended(&third).await.transfers.completed, 3);
    is_there(&scene, OTHER, "q/c", b"p/c");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_hold_for_each_object_of_a_prefix_and_a_large_one_goes_in_parts() {
    let scene = scene().await;
    put(&scene, ["p/small"]).await;
    let large = content(LARGE);
    let key = "p/large";
    let put = scene.server.put_object(BUCKET, key, large.clone());
    put.await.unwrap();
    let mut request = GroupRequest::copy(BUCKET, "p/", OTHER, "");
    request.options.part_size = Some(PartSize::from_bytes(5 << 20).unwrap());
    request.options.object.storage_class = Some("STANDARD_IA".into());
    let group = scene.utility.begin_group(request).await.unwrap();
    let ended = ended(&group).await;
    assert_eq!(ended.state, State::Completed, "{ended:?}");
    assert_eq!(ended.transfers.bytes_done, LARGE as u64 + 7);
    assert_eq!(parts_copied(&scene), [1, 2, 3, 4]);
    is_there(&scene, OTHER, "small", b"p/small");
    assert!(scene.server.object_bytes(OTHER, "large").unwrap() == large);
    for key in ["small", "large"] {
        let head = scene.utility.head(OTHER, key).await.unwrap();
        assert_eq!(head.storage_class.as_deref(), Some("STANDARD_IA"), "{key}");
    }
    left_nothing(&scene);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_copy_that_is_canceled_leaves_no_open_upload() {
    let scene = scene().await;
    let put = scene.server.put_object(BUCKET, "p/large", content(LARGE));
    put.await.unwrap();
    let busy = Answer::error(503, "SlowDown");
    play(
        &scene,
        [Rule::on(Operation::UploadPartCopy).part(3).answer(busy)],
    );
    let mut options = TransferOptions::default();
    options.part_size = Some(PartSize::from_bytes(5 << 20).unwrap());
    let request = scene.utility.copy_prefix(BUCKET, "p/", OTHER, "q/");
    let group = request.options(options).await.unwrap();
    crate::until("a part is there", || !parts_copied(&scene).is_empty()).await;
    assert!(scene.utility.cancel_group(group.id()).await.unwrap());
    let ended = ended(&group).await;
    assert_eq!(ended.state, State::Canceled);
    left_nothing(&scene);
    assert!(scene.server.object_bytes(OTHER, "q/large").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_have_no_end_or_change_nothing_is_refused_at_the_call() {
    let scene = scene().await;
    put(&scene, ["p/a"]).await;
    let before = scene.server.history().requests().len();
    for (from, to, words) in [
        ("p/", "p/q/", "copied again"),
        ("", "q/", "copied again"),
        ("p/", "p/", "itself"),
        ("", "", "itself"),
        ("p", "q/", "prefix"),
        ("p/", "q", "prefix"),
    ] {
        let refused = scene.utility.copy_prefix(BUCKET, from, BUCKET, to).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), "BadOption", "{from} {to}");
        assert!(refused.to_string().contains(words), "{refused}");
    }
    for bad in ["no bucket", ""] {
        let request = scene.utility.copy_prefix(bad, "p/", OTHER, "q/");
        assert_eq!(request.await.unwrap_err().code(), "BadOption");
    }
    assert_eq!(scene.server.history().requests().len(), before);
    let all = scene.utility.groups(GroupQuery::default()).await.unwrap();
    assert_eq!(all, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_is_copied_onto_itself_where_that_changes_its_objects_each_of_them_once() {
    let scene = scene().await;
    put(&scene, ["p/a", "p/b", "p/p/c"]).await;
    let mut options = TransferOptions::default();
    options.object.storage_class = Some("STANDARD_IA".into());
    let request = scene.utility.copy_prefix(BUCKET, "p/", BUCKET, "p/");
    let group = request.options(options).await.unwrap();
    let ended = ended(&group).await;
    assert_eq!(ended.transfers.completed, 3, "{ended:?}");
    assert_eq!(count(&scene, Operation::CopyObject), 3);
    let head = scene.utility.head(BUCKET, "p/p/c").await.unwrap();
    assert_eq!(head.storage_class.as_deref(), Some("STANDARD_IA"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_whose_copy_would_be_a_source_is_refused_and_the_rest_moves_up() {
    let scene = scene().await;
    put(&scene, ["p/q/a", "p/q/q/b", "p/q/qr"]).await;
    let request = scene.utility.copy_prefix(BUCKET, "p/q/", BUCKET, "p/");
    let group = request.await.unwrap();
    let ended = ended(&group).await;
    assert_eq!(ended.state, State::Failed);
    assert_eq!((ended.transfers.completed, ended.found.refused), (2, 1));
    let refused = &group.refused(0, 10).await.unwrap()[0];
    assert_eq!(refused.code, "WithinSource");
    assert_eq!(refused.key.as_deref(), Some("p/q/b"));
    let path = refused.path.as_ref().and_then(|path| path.to_str());
    assert_eq!(path, Some("s3://bucket/p/q/q/b"));
    is_there(&scene, BUCKET, "p/a", b"p/q/a");
    is_there(&scene, BUCKET, "p/qr", b"p/q/qr");
    assert!(scene.server.object_bytes(BUCKET, "p/q/b").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_gets_too_long_is_refused_and_told_and_the_rest_is_copied() {
    let scene = scene().await;
    let long = format!("p/{}", "x".repeat(1000));
    put(&scene, [long.as_str(), "p/a"]).await;
    let deeper = format!("{}/", "y".repeat(30));
    let request = scene.utility.copy_prefix(BUCKET, "p/", OTHER, &deeper);
    let group = request.await.unwrap();
    let ended = ended(&group).await;
    assert_eq!(ended.state, State::Failed);
    assert_eq!((ended.transfers.completed, ended.found.refused), (1, 1));
    let refused = &group.refused(0, 10).await.unwrap()[0];
    assert!(refused.why.contains("1031 bytes"), "{refused:?}");
    is_there(&scene, OTHER, &format!("{deeper}a"), b"p/a");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_root_of_a_bucket_what_stands_for_the_prefix_itself_has_no_key_and_is_skipped() {
    let scene = scene().await;
    put(&scene, ["p/", "p/a"]).await;
    let request = scene.utility.copy_prefix(BUCKET, "p/", OTHER, "");
    let group = request.await.unwrap();
    let ended = ended(&group).await;
    assert_eq!(ended.state, State::Completed, "{ended:?}");
    assert_eq!((ended.transfers.completed, ended.found.skipped), (1, 1));
    let skipped = &group.skipped(0, 10).await.unwrap()[0];
    assert_eq!(skipped.code, "IsDirectory");
    is_there(&scene, OTHER, "a", b"p/a");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_that_is_expected_is_that_of_the_copies_bucket_and_not_of_the_sources() {
    let scene = scene().await;
    put(&scene, ["p/a"]).await;
    let mut options = TransferOptions::default();
    options.access = Access {
        requester_pays: true,
        expected_bucket_owner: Some("123456789012".into()),
        ..Access::default()
    };
    let request = scene.utility.copy_prefix(BUCKET, "p/", OTHER, "q/");
    ended(&request.options(options).await.unwrap()).await;
    let requests = scene.server.history().requests();
    let list = requests
        .iter()
        .find(|it| it.operation == Operation::ListObjectsV2)
        .unwrap();
    assert_eq!(list.header("x-amz-request-payer"), Some("requester"));
    assert_eq!(list.header("x-amz-expected-bucket-owner"), None);
    let copy = requests
        .iter()
        .find(|it| it.operation == Operation::CopyObject)
        .unwrap();
    let owner = copy.header("x-amz-expected-bucket-owner");
    assert_eq!(owner, Some("123456789012"));
}

/// Both buckets are reached by one connection, the group's own.
#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_is_listed_and_copied_over_the_connection_of_its_group() {
    let scene = scene().await;
    let elsewhere = TestServer::builder().bucket(BUCKET).bucket(OTHER);
    let elsewhere = elsewhere.start().await.unwrap();
    let put = elsewhere.put_object(BUCKET, "p/a", b"there".to_vec());
    put.await.unwrap();
    let request = scene.utility.copy_prefix(BUCKET, "p/", OTHER, "q/");
    let request = request.connection(crate::to(elsewhere.endpoint()));
    let ended = ended(&request.await.unwrap()).await;
    assert_eq!(ended.transfers.completed, 1, "{ended:?}");
    let there = elsewhere.object_bytes(OTHER, "q/a").unwrap();
    assert_eq!(there, b"there");
    assert_eq!(scene.server.history().requests().len(), 0);
}
