//! How long is waited: not for ever, and not too short. Rows 1, 40, 41; T41.

use std::time::{Duration, Instant};

use towline::{Config, State};
use towline_testserver::{Operation, Point, Rule};

use crate::{LARGE, MIB, SMALL, Scene, content, retries, until};

const SECOND: Duration = Duration::from_secs(1);

fn impatient() -> Config {
    let mut config = retries(1);
    config.stall_timeout = SECOND;
    config.first_byte_timeout = SECOND;
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn f1_a_complete_that_says_nothing_for_long_is_waited_for_while_the_store_answers() {
    let scene = Scene::with(impatient()).await;
    let complete = Rule::on(Operation::CompleteMultipartUpload);
    scene.play(complete.stall(Point::BeforeRead, Some(6 * SECOND)));
    let began = Instant::now();
    let end = scene.upload(LARGE).await;
    scene.arrived(&end);
    assert!(began.elapsed() > 6 * SECOND);
    assert_eq!(scene.count(Operation::CompleteMultipartUpload), 1);
    assert!(scene.count(Operation::ListParts) >= 2, "it was asked about");
}

#[tokio::test(flavor = "multi_thread")]
async fn f3_an_answer_to_complete_that_never_comes_is_no_wait_of_half_an_hour() {
    let scene = Scene::with(impatient()).await;
    let complete = Rule::on(Operation::CompleteMultipartUpload);
    scene.play(complete.stall(Point::AfterRequest, None));
    let began = Instant::now();
    let end = scene.upload(LARGE).await;
    scene.arrived(&end);
    assert!(began.elapsed() < 20 * SECOND, "{:?}", began.elapsed());
    assert_eq!(scene.count(Operation::CompleteMultipartUpload), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn f41_a_range_much_slower_than_its_fellows_is_continued_on_another_connection() {
    let mut config = impatient();
    config.parts_per_transfer = Some(2);
    let scene = Scene::with(config).await;
    scene.put(&content(40 * MIB)).await;
    let slow = Rule::on(Operation::GetObject).offset(15 * MIB as u64);
    scene.play(slow.first(1).drip(50_000)); // over the floor of a stall
    let began = Instant::now();
    let observer = scene.begin_download().await;
    let end = observer.finished().await.unwrap();
    scene.was_fetched(&end);
    assert!(began.elapsed() < 60 * SECOND, "it would take 100 s");
    assert_eq!(scene.count(Operation::GetObject), 8 + 1);
    let incidents = scene.utility.incidents(end.id).await.unwrap();
    assert!(incidents.is_empty(), "{incidents:?}");
    let rest = scene.server.history().requests();
    let rest = rest.iter().filter_map(|request| request.header("range"));
    let whole = |range: &&str| {
        let start = range.trim_start_matches("bytes=").split('-').next();
        start.unwrap().parse::<usize>().unwrap() % (5 * MIB) == 0
    };
    let continued: Vec<&str> = rest.filter(|range| !whole(range)).collect();
    assert_eq!(continued.len(), 1, "from the byte it had reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn t41_the_time_for_a_stall_and_for_a_first_byte_are_as_set() {
    for (stall, first_byte, point) in [
        (1, 60, Point::ResponseBytes(10_000)),
        (60, 1, Point::AfterRequest),
    ] {
        let mut config = Config::default();
        config.stall_timeout = stall * SECOND;
        config.first_byte_timeout = first_byte * SECOND;
        let scene = Scene::with(config).await;
        scene.put(&content(SMALL)).await;
        let get = Rule::on(Operation::GetObject).first(1);
        scene.play(get.stall(point, None));
        let began = Instant::now();
        scene.was_fetched(&scene.download().await);
        let took = began.elapsed();
        assert!(took > SECOND && took < 20 * SECOND, "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t41_parked_transfers_are_looked_at_as_often_as_set() {
    let mut config = Config::default();
    config.service_check_interval = SECOND / 5;
    let scene = Scene::with(config).await;
    scene.server.faults().offline(true);
    let observer = scene.begin_upload(SMALL).await;
    let waiting = || observer.state() == State::WaitingForNetwork;
    until("it waits", waiting).await;
    // By itself it would be asked at 0.5, 1, 2, 4 … s.
    tokio::time::sleep(8 * SECOND).await;
    scene.server.faults().offline(false);
    let back = Instant::now();
    scene.arrived(&observer.finished().await.unwrap());
    assert!(back.elapsed() < 2 * SECOND, "{:?}", back.elapsed());
}
