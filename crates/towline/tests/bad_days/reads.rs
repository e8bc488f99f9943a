//! GetObject: a file is one version of its object, or there is none.

use towline::{ChecksumAlgorithm, State};
use towline_testserver::{Answer, By, Event, Operation, Point, Rule};

use crate::{BUCKET, LARGE, MIB, Scene, content, failed};

fn get() -> Rule {
    Rule::on(Operation::GetObject)
}

/// The second range of several, once.
fn second() -> Rule {
    get().offset(5 * MIB as u64).first(1)
}

/// Comes down whole through this; gives the generation.
async fn goes_through(rule: Rule) -> u32 {
    let scene = Scene::with_object(LARGE).await;
    scene.play(rule);
    let end = scene.download().await;
    scene.was_fetched(&end);
    assert!(scene.faults() > 0, "the fault was there");
    end.generation
}

/// Fails through this with the code, and leaves nothing.
async fn fails_by(rule: Rule, code: &str) {
    let scene = Scene::with_object(LARGE).await;
    scene.play(rule);
    let end = scene.download().await;
    scene.failed_and_left_nothing(&end, code);
}

#[tokio::test(flavor = "multi_thread")]
async fn f16_an_object_deleted_half_way_fails_the_download_by_that_name() {
    let scene = Scene::with_object(LARGE).await;
    scene.play(second().event(Event::DeleteObject));
    let end = scene.download().await;
    scene.failed_and_left_nothing(&end, "NoSuchKey");
}

#[tokio::test(flavor = "multi_thread")]
async fn f17_an_archived_object_says_so() {
    let scene = Scene::start().await;
    let path = scene.source(LARGE);
    let request = scene.utility.upload(BUCKET, "key", path);
    let observer = request.storage_class("GLACIER").await.unwrap();
    scene.arrived(&observer.finished().await.unwrap());
    let end = scene.download().await;
    failed(&end, "InvalidObjectState");
    assert!(!scene.target().exists());
    scene.utility.remove(end.id).await.unwrap();
    scene.nothing_is_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn f19_an_object_replaced_half_way_is_fetched_as_it_is_now_three_times_at_most() {
    assert_eq!(goes_through(second().event(Event::ReplaceObject)).await, 2);
    let replaced = get().offset(5 * MIB as u64).event(Event::ReplaceObject);
    let scene = Scene::with_object(LARGE).await;
    scene.play(replaced);
    let end = scene.download().await;
    scene.failed_and_left_nothing(&end, "ObjectChanged");
    assert_eq!(end.generation, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn f20_an_empty_object_is_an_empty_file_without_a_range() {
    let scene = Scene::with_object(0).await;
    let end = scene.download().await;
    scene.was_fetched(&end);
    let ranged = |request: &towline_testserver::Request| request.range.is_some();
    assert_eq!(scene.server.history().count_where(ranged), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn f20_a_range_that_is_no_more_starts_a_new_generation() {
    let shrunk = second().answer(Answer::error(416, "InvalidRange"));
    assert_eq!(goes_through(shrunk).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn f21_a_whole_body_where_a_range_was_asked_is_never_appended() {
    assert_eq!(goes_through(second().ignore_range()).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn f21_a_store_that_knows_no_ranges_gives_whole_files_all_the_same() {
    let scene = Scene::with_object(LARGE).await;
    scene.play(get().ignore_range());
    let end = scene.download().await;
    scene.was_fetched(&end);
    assert_eq!(end.generation, 2);
    // The next one is fetched in one piece from the beginning.
    scene.server.history().clear();
    std::fs::remove_file(scene.target()).unwrap();
    let end = scene.download().await;
    scene.was_fetched(&end);
    assert_eq!(end.generation, 1);
    assert_eq!(scene.count(Operation::GetObject), 1);
    let scene = Scene::with_object(100_000).await;
    scene.play(get().ignore_range());
    let end = scene.download().await;
    scene.was_fetched(&end);
    assert_eq!(
        scene.count(Operation::GetObject),
        1,
        "the whole is the range"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn f22_a_range_that_is_not_the_one_asked_for_is_not_believed() {
    let lies = || {
        [
            ("content-range", "bytes 0-5242879/11534336"),
            ("content-range", "bytes 5242880-10485759/99999999"),
            ("content-range", "nonsense"),
            ("etag", "\"00000000000000000000000000000000\""),
        ]
    };
    for (name, value) in lies() {
        goes_through(second().set_header(name, value)).await;
    }
    goes_through(second().drop_header("content-range")).await;
    // Another length is told of another object.
    for ((name, value), code) in lies().iter().zip(["WrongBytes", "ObjectChanged"]) {
        let always = get().offset(5 * MIB as u64);
        fails_by(always.set_header(name, value), code).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f23_a_body_that_ends_early_is_asked_for_again() {
    for by in [By::Fin, By::Rst] {
        assert_eq!(
            goes_through(second().cut(Point::ResponseBytes(100_000), by)).await,
            1
        );
    }
    assert_eq!(goes_through(second().truncate(100_000)).await, 1);
    let chunked = second().truncate(100_000).drop_header("content-length");
    assert_eq!(goes_through(chunked).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn f24_a_body_longer_than_declared_ends_at_its_length() {
    assert_eq!(goes_through(second().extend(1000)).await, 1);
    let endless = second().extend(1 << 20).drop_header("content-length");
    assert_eq!(goes_through(endless).await, 1);
    let scene = Scene::with_object(LARGE).await;
    scene.play(get().extend(1000).drop_header("content-length"));
    let end = scene.download().await;
    failed(&end, "Malformed");
    assert!(!scene.target().exists());
    scene.utility.remove(end.id).await.unwrap();
    scene.nothing_is_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn f25_flipped_bits_are_fetched_again_and_never_get_the_name() {
    assert_eq!(goes_through(second().flip(1000, 3)).await, 2);
    fails_by(get().offset(5 * MIB as u64).flip(1000, 3), "WrongWhole").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f25_flipped_bits_are_found_in_objects_with_every_kind_of_checksum() {
    for algorithm in [
        ChecksumAlgorithm::Crc32,
        ChecksumAlgorithm::Crc32c,
        ChecksumAlgorithm::Crc64Nvme,
        ChecksumAlgorithm::Sha256,
        ChecksumAlgorithm::Md5,
    ] {
        let scene = Scene::start().await;
        let path = scene.source(100_000);
        let request = scene
            .utility
            .upload(BUCKET, "key", path)
            .checksum(algorithm);
        let end = request.await.unwrap().finished().await.unwrap();
        assert_eq!(end.state, State::Completed, "{:?}", end.error);
        scene.play(get().first(1).flip(1000, 3));
        let end = scene.download().await;
        scene.was_fetched(&end);
        assert_eq!(end.generation, 2, "{algorithm:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f35_what_is_stored_as_gzip_stays_gzip() {
    let scene = Scene::start().await;
    // Not even gzip: whoever decodes it fails.
    let path = scene.source(100_000);
    let request = scene.utility.upload(BUCKET, "key", path);
    let end = request
        .content_encoding("gzip")
        .await
        .unwrap()
        .finished()
        .await
        .unwrap();
    scene.arrived(&end);
    let end = scene.download().await;
    scene.was_fetched(&end);
    assert_eq!(std::fs::read(scene.target()).unwrap(), content(100_000));
    let offers =
        |request: &towline_testserver::Request| request.header("accept-encoding").is_some();
    assert_eq!(scene.server.history().count_where(offers), 0);
}
