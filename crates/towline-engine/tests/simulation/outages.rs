//! Outages of a minute, an hour and a week, of each kind, at every stage of a
//! transfer. T39.

use std::time::Duration;

use towline_core::{Direction, NetworkClass, Operation, State};
use towline_testkit::simulation::{End, Network, Request};

use crate::scene::{MIB, Moved, Scene, moves_content, secs};

const MINUTE: Duration = secs(60);
const HOUR: Duration = secs(3600);
const WEEK: Duration = secs(7 * 24 * 3600);

/// Every store is asked at least this often whether it is back.
const AT_LEAST_EVERY: Duration = secs(30);
/// A question has so long for its answer.
const PROBE: Duration = secs(10);
/// By then every outage is known: a stalled request, and two questions.
const KNOWN: Duration = secs(75);

/// How long Complete may be silent.
const COMPLETE: Duration = secs(2 * 60);

/// 12 MiB at 1 MiB/s: three parts.
const LEN: u64 = 12 * MIB;
const TAKES: Duration = secs(12);

/// When the network goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    BeforeTheFirstByte,
    MidWay,
    /// As the last request begins …
    AtTheEnd,
    /// … and as its answer is on the way.
    BeforeTheLastAnswer,
}

const STAGES: [Stage; 4] = [
    Stage::BeforeTheFirstByte,
    Stage::MidWay,
    Stage::AtTheEnd,
    Stage::BeforeTheLastAnswer,
];

impl Stage {
    fn is_the_last(self) -> bool {
        matches!(self, Self::AtTheEnd | Self::BeforeTheLastAnswer)
    }
}

/// A transfer that is at a stage when the network goes.
async fn cut(scene: &Scene, direction: Direction, kind: Network, stage: Stage) -> Moved {
    scene.s3.set_bandwidth(Some(MIB));
    scene.s3.set_latency(Duration::from_millis(400));
    if let Stage::BeforeTheFirstByte = stage {
        scene.s3.set_network(kind);
    }
    let moved = match direction {
        Direction::Copy => unreachable!("nothing is copied here"),
        Direction::Upload => scene.upload("object", LEN).await,
        Direction::Download => scene.download("object", LEN).await,
    };
    let last = |requests: &[Request]| match direction {
        Direction::Copy => false,
        Direction::Upload => requests
            .iter()
            .any(|r| r.operation == Operation::CompleteMultipartUpload),
        Direction::Download => requests.iter().map(|r| r.bytes).sum::<u64>() > LEN - MIB / 4,
    };
    let is_there = async || {
        let requests = scene.requests_of(&moved);
        match stage {
            Stage::BeforeTheFirstByte => true,
            Stage::MidWay => {
                let whole = requests.iter().filter(|r| moves_content(r));
                let done = whole.filter(|r| r.end == End::Done).count();
                done >= 1 && requests.iter().any(|r| r.ended.is_none())
            }
            Stage::AtTheEnd | Stage::BeforeTheLastAnswer => last(&requests),
        }
    };
    scene.until("it is at that stage", secs(60), is_there).await;
    if let Stage::BeforeTheLastAnswer = stage {
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    scene.s3.set_network(kind);
    moved
}

/// Requests that began in a time.
fn asked_between(all: &[Request], from: Duration, to: Duration) -> Vec<Request> {
    let its = all.iter().filter(|r| r.at >= from && r.at < to);
    its.cloned().collect()
}

/// While nobody answers, one request after another asks whether anybody does.
fn assert_only_probes(asked: &[Request], during: Duration) {
    for request in asked {
        assert_eq!(request.operation, Operation::HeadObject, "{request:?}");
    }
    for pair in asked.windows(2) {
        let over = pair[0].ended.is_some_and(|ended| ended <= pair[1].at);
        assert!(over, "two at one time: {pair:?}");
    }
    let most = during.as_secs() / 15 + 8;
    let count = asked.len() as u64;
    assert!(count <= most, "{count} questions, at most {most}");
}

/// One transfer through one outage.
async fn survive(direction: Direction, kind: Network, stage: Stage, length: Duration, hint: bool) {
    let what = format!("{direction:?} {kind:?} {stage:?} {length:?} hint {hint}");
    let scene = Scene::with(|config| {
        // The first attempt that counts is the last; but who only hears nothing
        // cannot know that it was the network, and has one more.
        config.retry_limit = u32::from(kind == Network::Blackhole);
        config.progress_interval = secs(60);
    })
    .await;
    let moved = cut(&scene, direction, kind, stage).await;
    let gone = scene.s3.elapsed();
    // Complete may be silent for long: only then a silence is an outage.
    let at_complete = direction == Direction::Upload && stage.is_the_last();
    let (known, limit) = match kind {
        Network::Blackhole if at_complete => (COMPLETE + KNOWN, COMPLETE),
        _ => (KNOWN, AT_LEAST_EVERY + PROBE),
    };
    tokio::time::sleep(length).await;
    if length > known {
        assert_eq!(
            scene.state(&moved).await,
            State::WaitingForNetwork,
            "{what}: {:#?}",
            scene.record(&moved).await
        );
    }
    let back = scene.s3.elapsed();
    let during = asked_between(&scene.s3.history(), gone + known, back);
    assert_only_probes(&during, length);
    scene.s3.set_network(Network::Up);
    if hint {
        let class = NetworkClass::Unmetered;
        scene.engine().network_changed(class).unwrap();
    }
    scene.completes(&moved, limit + TAKES + secs(10)).await;
    let record = scene.record(&moved).await;
    assert_eq!(record.generation, 1, "{what}: from zero");
    scene.assert_nothing_twice();
    assert_eq!(scene.s3.open_uploads(), 0, "{what}");
    let all = scene.s3.history();
    let own = all
        .iter()
        .filter(|r| r.ended >= Some(back) && r.end == End::Done);
    let first = own
        .map(|r| r.ended.unwrap())
        .min()
        .expect("it was answered");
    let most = match hint {
        true => secs(5),
        false => limit,
    };
    let took = first - back;
    println!("{what}: back after {took:?}, {} questions", during.len());
    assert!(took <= most, "{what}: back only after {took:?}");
}

async fn survive_all(kind: Network, length: Duration) {
    for direction in [Direction::Upload, Direction::Download] {
        for stage in STAGES {
            if direction == Direction::Download && stage == Stage::BeforeTheLastAnswer {
                continue; // its last answer is its last byte
            }
            survive(direction, kind, stage, length, false).await;
            survive(direction, kind, stage, length, true).await;
        }
    }
}

/// What an hour shows of every stage, a week shows of some.
async fn survive_a_week(kind: Network) {
    survive(Direction::Upload, kind, Stage::MidWay, WEEK, false).await;
    survive(Direction::Download, kind, Stage::MidWay, WEEK, true).await;
}

#[tokio::test(start_paused = true)]
async fn t39_a_minute_of_refused_connections_costs_nothing() {
    survive_all(Network::Refused, MINUTE).await;
}

#[tokio::test(start_paused = true)]
async fn t39_a_minute_of_connections_that_break_costs_nothing() {
    survive_all(Network::Reset, MINUTE).await;
}

#[tokio::test(start_paused = true)]
async fn t39_a_minute_of_silence_costs_nothing() {
    survive_all(Network::Blackhole, MINUTE).await;
}

#[tokio::test(start_paused = true)]
async fn t39_an_hour_of_refused_connections_costs_nothing() {
    survive_all(Network::Refused, HOUR).await;
}

#[tokio::test(start_paused = true)]
async fn t39_an_hour_of_connections_that_break_costs_nothing() {
    survive_all(Network::Reset, HOUR).await;
}

#[tokio::test(start_paused = true)]
async fn t39_an_hour_of_silence_costs_nothing() {
    survive_all(Network::Blackhole, HOUR).await;
}

#[tokio::test(start_paused = true)]
async fn t39_a_week_of_refused_connections_costs_nothing() {
    survive_a_week(Network::Refused).await;
}

#[tokio::test(start_paused = true)]
async fn t39_a_week_of_connections_that_break_costs_nothing() {
    survive_a_week(Network::Reset).await;
}

#[tokio::test(start_paused = true)]
async fn t39_a_week_of_silence_costs_nothing() {
    survive_a_week(Network::Blackhole).await;
}
