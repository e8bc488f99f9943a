//! Copies that the store makes by itself: as durable as uploads, with all that their
//! source carries, and never of two versions of it. Issue 8.

use towline::{
    Error, ObjectMetadata, PartSize, State, SubmitError, Transfer, TransferObserver, UploadMode,
    Verified, WhenSourceChanges,
};
use towline_testserver::{Answer, Apply, By, Operation, Point, Request, Rule, Script, TestServer};

use crate::{BUCKET, Scene, completed, content, until};

pub(crate) const MIB: usize = 1 << 20;
/// In parts of 5 MiB, four.
pub(crate) const LARGE: usize = 17 * MIB;
pub(crate) const SOURCE: &str = "dir/the source+ä%41";
pub(crate) const OTHER: &str = "other";

pub(crate) async fn scene() -> Scene {
    let server = TestServer::builder().bucket(BUCKET).bucket(OTHER);
    Scene::on(server.start().await.unwrap(), towline::Config::default()).await
}

/// With an object that carries everything.
pub(crate) async fn with_source(len: usize) -> Scene {
    let scene = scene().await;
    let path = scene.file("source", &content(len));
    let upload = scene
        .utility
        .upload(BUCKET, SOURCE, path)
        .content_type("text/x-source")
        .cache_control("no-cache")
        .metadata("colour", "blue")
        .metadata("shape", "round")
        .tag("team", "a b+c=d")
        .tag("cost", "1")
        .storage_class("STANDARD_IA");
    completed(upload.await.unwrap().finished().await.unwrap());
    scene
}

pub(crate) async fn begin(scene: &Scene) -> TransferObserver {
    let copy = scene.utility.copy(BUCKET, SOURCE, OTHER, "key");
    copy.part_size(five_mib()).await.unwrap()
}

pub(crate) async fn copy(scene: &Scene) -> Transfer {
    begin(scene).await.finished().await.unwrap()
}

pub(crate) fn five_mib() -> PartSize {
    PartSize::from_bytes(5 << 20).unwrap()
}

pub(crate) fn play(scene: &Scene, rules: impl IntoIterator<Item = Rule>) {
    let script = rules.into_iter().fold(Script::new(), Script::rule);
    scene.server.faults().play(script).unwrap();
}

pub(crate) fn count(scene: &Scene, operation: Operation) -> usize {
    scene.server.history().count(operation)
}

/// The parts that were copied to the end, in order.
pub(crate) fn parts_copied(scene: &Scene) -> Vec<u32> {
    let done = |request: &Request| {
        request.operation == Operation::UploadPartCopy && request.status == Some(200)
    };
    let requests = scene.server.history().requests();
    let mut parts: Vec<_> = requests
        .iter()
        .filter(|it| done(it))
        .filter_map(|it| it.part_number)
        .collect();
    parts.sort_unstable();
    parts
}

/// The copy is there once, with the bytes, and no upload is open.
#[track_caller]
pub(crate) fn arrived(scene: &Scene, transfer: &Transfer, bytes: &[u8]) {
    assert_eq!(transfer.state, State::Completed, "{:?}", transfer.error);
    assert_eq!(transfer.bytes_total, Some(bytes.len() as u64));
    assert_eq!(Some(transfer.bytes_transferred), transfer.bytes_total);
    let there = scene.server.object_bytes(OTHER, "key").unwrap();
    assert!(there == bytes, "other bytes");
    left_nothing(scene);
}

#[track_caller]
pub(crate) fn left_nothing(scene: &Scene) {
    assert_eq!(scene.server.open_uploads(OTHER), []);
}

pub(crate) async fn tags_of(scene: &Scene, key: &str) -> u32 {
    let head = scene.utility.head(OTHER, key).await.unwrap();
    head.tag_count.unwrap_or(0)
}

#[track_caller]
fn carries_what_its_source_does(head: &ObjectMetadata) {
    assert_eq!(head.content_type.as_deref(), Some("text/x-source"));
    assert_eq!(head.cache_control.as_deref(), Some("no-cache"));
    assert_eq!(head.metadata.len(), 2);
    assert_eq!(head.metadata["colour"], "blue");
    assert_eq!(head.tag_count, Some(2));
    assert_eq!(head.storage_class, None, "as any new object");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_object_is_copied_by_one_request_with_all_that_it_carries() {
    let scene = with_source(100_000).await;
    let source = scene.utility.head(BUCKET, SOURCE).await.unwrap();
    let before = scene.server.history().requests().len();
    let done = copy(&scene).await;
    arrived(&scene, &done, &content(100_000));
    assert_eq!(done.verified, Some(Verified::FullObject));
    assert_eq!(done.path.to_str(), Some("s3://bucket/dir/the source+ä%41"));
    let requests = scene.server.history().requests().split_off(before);
    let asked: Vec<_> = requests.iter().map(|request| request.operation).collect();
    assert_eq!(asked, [Operation::HeadObject, Operation::CopyObject]);
    let condition = requests[1].header("x-amz-copy-source-if-match");
    assert_eq!(condition, source.etag.as_deref());
    assert!(requests.iter().all(|request| request.bytes_received == 0));
    let head = scene.utility.head(OTHER, "key").await.unwrap();
    carries_what_its_source_does(&head);
    assert_eq!((head.checksums, head.etag), (source.checksums, source.etag));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_object_is_copied_in_parts_with_all_that_it_carries() {
    let scene = with_source(LARGE).await;
    let source = scene.utility.head(BUCKET, SOURCE).await.unwrap();
    let done = copy(&scene).await;
    arrived(&scene, &done, &content(LARGE));
    assert_eq!(done.verified, Some(Verified::FullObject));
    assert_eq!(parts_copied(&scene), [1, 2, 3, 4]);
    let requests = scene.server.history().requests();
    let copies = requests
        .iter()
        .filter(|it| it.operation == Operation::UploadPartCopy);
    for request in copies {
        let condition = request.header("x-amz-copy-source-if-match");
        assert_eq!(condition, source.etag.as_deref());
    }
    let head = scene.utility.head(OTHER, "key").await.unwrap();
    carries_what_its_source_does(&head);
    assert_eq!(head.checksums, source.checksums);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_without_bytes_and_one_of_a_single_part_are_copied_as_parts_where_that_is_asked_for()
 {
    for (len, parts) in [(0, 0), (1000, 1)] {
        let scene = with_source(len).await;
        let copy = scene.utility.copy(BUCKET, SOURCE, OTHER, "key");
        let copy = copy.mode(UploadMode::Multipart).await.unwrap();
        let done = copy.finished().await.unwrap();
        arrived(&scene, &done, &content(len));
        assert_eq!(parts_copied(&scene).len(), parts, "no part has no bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_takes_the_place_of_what_the_source_carries_and_the_rest_stays() {
    for len in [1000, 6 * MIB] {
        let scene = with_source(len).await;
        let copy = scene.utility.copy(BUCKET, SOURCE, OTHER, "key");
        let copy = copy
            .part_size(five_mib())
            .content_type("text/other")
            .tag("only", "one")
            .storage_class("ONEZONE_IA");
        let done = copy.await.unwrap().finished().await.unwrap();
        arrived(&scene, &done, &content(len));
        let head = scene.utility.head(OTHER, "key").await.unwrap();
        assert_eq!(head.content_type.as_deref(), Some("text/other"));
        assert_eq!(head.cache_control.as_deref(), Some("no-cache"));
        assert_eq!(head.metadata["colour"], "blue");
        assert_eq!(head.tag_count, Some(1));
        assert_eq!(head.storage_class.as_deref(), Some("ONEZONE_IA"));
        let copy = scene.utility.copy(BUCKET, SOURCE, OTHER, "own");
        let copy = copy.part_size(five_mib()).metadata("colour", "red");
        completed(copy.await.unwrap().finished().await.unwrap());
        let head = scene.utility.head(OTHER, "own").await.unwrap();
        assert_eq!(head.metadata.len(), 1, "own metadata is one thing");
        assert_eq!(head.content_type.as_deref(), Some("text/x-source"));
        assert_eq!(head.tag_count, Some(2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_that_may_not_be_read_are_left_out_and_that_is_told() {
    let denied = || Answer::error(403, "AccessDenied");
    // One request is denied for the tags that it would read, parts do not ask again.
    for (len, rule) in [
        (
            1000,
            Rule::on(Operation::CopyObject).first(1).answer(denied()),
        ),
        (
            6 * MIB,
            Rule::on(Operation::GetObjectTagging).answer(denied()),
        ),
    ] {
        let scene = with_source(len).await;
        play(&scene, [rule]);
        let done = copy(&scene).await;
        arrived(&scene, &done, &content(len));
        assert_eq!(tags_of(&scene, "key").await, 0);
        let incidents = scene.utility.incidents(done.id).await.unwrap();
        let told = |it: &towline::Incident| it.error.message.contains("tags");
        assert!(incidents.iter().any(told), "{incidents:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_may_not_be_copied_at_all_fails_with_what_the_store_said() {
    let scene = with_source(1000).await;
    play(
        &scene,
        [Rule::on(Operation::CopyObject).answer(Answer::error(403, "AccessDenied"))],
    );
    let end = copy(&scene).await;
    assert_eq!(end.state, State::Failed);
    assert_eq!(end.error.unwrap().code, "AccessDenied");
    assert_eq!(
        count(&scene, Operation::CopyObject),
        2,
        "with and without tags"
    );
    assert!(scene.server.object_bytes(OTHER, "key").is_err());
}

/// Part 1 is there, and others do not come through.
pub(crate) async fn stuck_after_the_first_part(
    scene: &Scene,
    copy: towline::CopyRequest,
) -> TransferObserver {
    let busy = |part| {
        let rule = Rule::on(Operation::UploadPartCopy).part(part);
        rule.answer(Answer::error(503, "SlowDown"))
    };
    play(scene, [2, 3, 4].map(busy));
    let observer = copy.part_size(five_mib()).await.unwrap();
    until("the first part is there", || parts_copied(scene) == [1]).await;
    observer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_replaced_on_the_way_is_copied_as_it_is_then() {
    let scene = with_source(LARGE).await;
    let copy = scene.utility.copy(BUCKET, SOURCE, OTHER, "key");
    let observer = stuck_after_the_first_part(&scene, copy).await;
    let now: Vec<u8> = content(LARGE).iter().map(|byte| !byte).collect();
    let put = scene.server.put_object(BUCKET, SOURCE, now.clone());
    put.await.unwrap();
    scene.server.faults().clear();
    let done = observer.finished().await.unwrap();
    arrived(&scene, &done, &now);
    assert_eq!(done.generation, 2);
    assert_eq!(done.error, None);
    assert_eq!(scene.server.versions(OTHER, "key").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_must_not_change_fails_the_copy_when_it_does_and_nothing_is_left() {
    let scene = with_source(LARGE).await;
    let copy = scene.utility.copy(BUCKET, SOURCE, OTHER, "key");
    let copy = copy.when_source_changes(WhenSourceChanges::Fail);
    let observer = stuck_after_the_first_part(&scene, copy).await;
    let put = scene.server.put_object(BUCKET, SOURCE, content(LARGE + 1));
    put.await.unwrap();
    scene.server.faults().clear();
    let end = observer.finished().await.unwrap();
    assert_eq!(end.state, State::Failed);
    assert_eq!(end.error.unwrap().code, "SourceChanged");
    left_nothing(&scene);
    assert!(scene.server.object_bytes(OTHER, "key").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_not_there_fails_the_copy() {
    let scene = scene().await;
    let end = copy(&scene).await;
    assert_eq!(end.state, State::Failed);
    let error = end.error.unwrap();
    assert_eq!(error.code, "NoSuchKey", "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_of_an_object_can_be_copied_also_onto_its_own_key() {
    let server = TestServer::builder().versioned(BUCKET).start().await;
    let scene = Scene::on(server.unwrap(), towline::Config::default()).await;
    for bytes in [b"old", b"new"] {
        let put = scene.server.put_object(BUCKET, "key", bytes.to_vec());
        put.await.unwrap();
    }
    let old = scene.server.versions(BUCKET, "key")[0].version_id.clone();
    let copy = scene.utility.copy(BUCKET, "key", BUCKET, "key");
    let done = copy.version_id(&old).await.unwrap();
    completed(done.finished().await.unwrap());
    assert_eq!(scene.server.object_bytes(BUCKET, "key").unwrap(), b"old");
    assert_eq!(scene.server.versions(BUCKET, "key").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_copied_onto_itself_only_where_that_changes_something() {
    let scene = with_source(1000).await;
    let copy = || scene.utility.copy(BUCKET, SOURCE, BUCKET, SOURCE);
    let Err(Error::Submit(SubmitError::BadOption { option, why })) = copy().await else {
        panic!("it was taken");
    };
    assert_eq!(option, "source");
    assert!(why.contains("itself"), "{why}");
    assert_eq!(count(&scene, Operation::HeadObject), 0, "nothing was asked");
    let tagged = copy().tag("new", "tag").await.unwrap();
    completed(tagged.finished().await.unwrap());
    let head = scene.utility.head(BUCKET, SOURCE).await.unwrap();
    assert_eq!(head.tag_count, Some(1));
    assert_eq!(head.metadata["colour"], "blue");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_copy_cannot_be_asked_for_is_refused_at_the_call() {
    let scene = scene().await;
    let copy = || scene.utility.copy(BUCKET, SOURCE, OTHER, "key");
    let key = towline::KeyReference::Environment("KEY".into());
    let growth = WhenSourceChanges::AllowGrowth;
    for bad in [
        copy().customer_key(key),
        copy().when_source_changes(growth),
        scene.utility.copy("a b", SOURCE, OTHER, "key"),
        scene.utility.copy(BUCKET, "", OTHER, "key"),
        scene.utility.copy(BUCKET, SOURCE, OTHER, ""),
        copy().header("x-amz-copy-source", "x/y"),
        copy().header("x-amz-copy-source-if-match", "e"),
        copy().header("x-amz-metadata-directive", "COPY"),
    ] {
        assert!(matches!(bad.await, Err(Error::Submit(_))));
    }
    let mut listed = towline::TransferRequest::copy(BUCKET, SOURCE, OTHER, "key");
    listed.listed = Some(towline::Listed {
        size: 1,
        last_modified: None,
    });
    let refused = scene.utility.submit(vec![listed]).await;
    assert!(matches!(refused, Err(Error::Submit(_))));
    assert_eq!(scene.server.history().requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_answer_was_lost_is_found_and_not_made_again() {
    for rule in [
        Rule::on(Operation::CopyObject)
            .first(1)
            .cut(Point::AfterRequest, By::Rst),
        Rule::on(Operation::CopyObject)
            .first(1)
            .apply(Apply::Yes)
            .answer(Answer::error(500, "InternalError")),
        Rule::on(Operation::CopyObject)
            .first(1)
            .apply(Apply::Yes)
            .answer(Answer::error(200, "InternalError")),
        Rule::on(Operation::CopyObject)
            .first(1)
            .apply(Apply::Yes)
            .answer(Answer::status(200).body("<CopyObj", "application/xml")),
    ] {
        let scene = with_source(1000).await;
        play(&scene, [rule]);
        let done = copy(&scene).await;
        arrived(&scene, &done, &content(1000));
        assert_eq!(done.verified, Some(Verified::FullObject));
        assert_eq!(count(&scene, Operation::CopyObject), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_under_status_200_is_no_success() {
    for code in ["InternalError", "SlowDown"] {
        for (len, operation) in [
            (1000, Operation::CopyObject),
            (6 * MIB, Operation::UploadPartCopy),
        ] {
            let scene = with_source(len).await;
            let white = std::time::Duration::from_millis(50);
            let error = Answer::error(200, code).white_space(white);
            play(&scene, [Rule::on(operation).first(1).answer(error)]);
            let done = copy(&scene).await;
            arrived(&scene, &done, &content(len));
            assert_eq!(done.generation, 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stood_there_before_with_the_same_bytes_is_not_taken_for_the_copy() {
    let scene = with_source(1000).await;
    let put = scene.server.put_object(OTHER, "key", content(1000));
    put.await.unwrap();
    // The store's clock has whole seconds.
    let put_at = std::time::Instant::now();
    until("it surely is older", || put_at.elapsed().as_millis() > 2100).await;
    let lost = Rule::on(Operation::CopyObject).first(1).apply(Apply::No);
    play(&scene, [lost.answer(Answer::error(500, "InternalError"))]);
    let done = copy(&scene).await;
    arrived(&scene, &done, &content(1000));
    let head = scene.utility.head(OTHER, "key").await.unwrap();
    carries_what_its_source_does(&head);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_may_not_replace_an_object_ends_as_a_conflict() {
    for len in [1000, 6 * MIB] {
        let scene = with_source(len).await;
        let put = scene.server.put_object(OTHER, "key", b"before".to_vec());
        put.await.unwrap();
        let copy = scene.utility.copy(BUCKET, SOURCE, OTHER, "key");
        let copy = copy.part_size(five_mib()).if_absent(true);
        let end = copy.await.unwrap().finished().await.unwrap();
        assert_eq!(end.outcome, Some(towline::Outcome::Conflict), "{end:?}");
        assert_eq!(scene.server.object_bytes(OTHER, "key").unwrap(), b"before");
        left_nothing(&scene);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_copy_leaves_no_open_upload() {
    let scene = with_source(LARGE).await;
    let copy = scene.utility.copy(BUCKET, SOURCE, OTHER, "key");
    let observer = stuck_after_the_first_part(&scene, copy).await;
    assert_eq!(scene.server.open_uploads(OTHER).len(), 1);
    assert!(observer.cancel().await.unwrap());
    assert_eq!(observer.finished().await.unwrap().state, State::Canceled);
    left_nothing(&scene);
    assert!(scene.server.object_bytes(OTHER, "key").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_copy_goes_on_with_the_parts_it_has_in_a_later_process() {
    let mut scene = with_source(LARGE).await;
    let copy = scene.utility.copy(BUCKET, SOURCE, OTHER, "key");
    let observer = stuck_after_the_first_part(&scene, copy).await;
    let id = observer.id();
    assert!(observer.pause().await.unwrap());
    scene.server.faults().clear();
    drop(observer);
    scene.reopen().await;
    assert_eq!(scene.utility.get(id).await.unwrap().state, State::Paused);
    // The same request again is this one.
    let again = begin(&scene).await;
    assert_eq!(again.id(), id);
    let done = again.finished().await.unwrap();
    arrived(&scene, &done, &content(LARGE));
    assert_eq!(parts_copied(&scene), [1, 2, 3, 4], "none was copied twice");
    assert_eq!(
        count(&scene, Operation::CreateMultipartUpload),
        2,
        "one is the source's"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_writes_what_an_unfinished_copy_does_and_its_upload_is_no_leftover() {
    let scene = with_source(LARGE).await;
    let copy = scene.utility.copy(BUCKET, SOURCE, OTHER, "key");
    let observer = stuck_after_the_first_part(&scene, copy).await;
    let path = scene.file("another", b"another");
    let upload = scene.utility.upload(OTHER, "key", path).await;
    assert!(matches!(
        upload,
        Err(Error::Submit(SubmitError::TargetTaken { .. }))
    ));
    // To a path these were one, and to S3 they are not.
    let slashes = SOURCE.replace('/', "//");
    let other = scene.utility.copy(BUCKET, slashes, OTHER, "key").await;
    assert!(matches!(
        other,
        Err(Error::Submit(SubmitError::TargetTaken { .. }))
    ));
    let leftovers = scene.utility.leftovers(OTHER).list().await.unwrap();
    assert!(
        leftovers.iter().all(|it| it.kept.is_some()),
        "{leftovers:?}"
    );
    let canceled = scene
        .utility
        .cancel_all(Some(towline::Direction::Copy))
        .await;
    assert_eq!(canceled.unwrap(), [observer.id()]);
    assert_eq!(observer.finished().await.unwrap().state, State::Canceled);
}

mod killed {
    //! In a process that is really killed.

    use std::path::PathBuf;
    use std::process::{Child, Command, Stdio};

    use super::*;

    const ENDPOINT: &str = "TOWLINE_CHILD_ENDPOINT";
    const STATE: &str = "TOWLINE_CHILD_STATE";

    struct Killed(Child);

    impl Drop for Killed {
        fn drop(&mut self) {
            let _ = self.0.kill(); // SIGKILL
            let _ = self.0.wait();
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "run by another test, as a process of its own"]
    async fn child_that_copies() {
        let Ok(endpoint) = std::env::var(ENDPOINT) else {
            return;
        };
        let state = PathBuf::from(std::env::var_os(STATE).unwrap());
        let utility = crate::open_at(endpoint, state).await;
        let copy = utility.copy(BUCKET, SOURCE, OTHER, "key");
        copy.part_size(five_mib()).await.unwrap();
        std::future::pending().await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_copy_that_was_killed_goes_on_and_copies_no_confirmed_part_again() {
        let scene = with_source(LARGE).await;
        let stuck = |part| {
            let rule = Rule::on(Operation::UploadPartCopy).part(part);
            rule.apply(Apply::No).stall(Point::AfterRequest, None)
        };
        play(&scene, [3, 4].map(stuck));
        let state = scene.dir.path().join("killed");
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "copy::killed::child_that_copies"])
            .args(["--ignored", "--nocapture"])
            .env(ENDPOINT, scene.server.endpoint())
            .env(STATE, &state)
            .stdout(Stdio::null())
            .spawn();
        let child = Killed(child.unwrap());
        until("two parts are there", || parts_copied(&scene) == [1, 2]).await;
        drop(child);
        scene.server.faults().clear();
        let utility = crate::open(&scene.server, state).await;
        let (transfers, _) = utility.find(towline::Query::default()).await.unwrap();
        let id = transfers[0].id;
        let done = utility.observe(id).await.unwrap().finished().await.unwrap();
        arrived(&scene, &done, &content(LARGE));
        assert_eq!(parts_copied(&scene), [1, 2, 3, 4], "none was copied twice");
        assert_eq!(done.generation, 1);
        utility.close().await.unwrap();
    }
}
