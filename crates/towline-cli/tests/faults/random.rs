//! Faults at random, of every kind at once. `TOWLINE_SEED` repeats a run.

use std::time::Duration;

use towline_testserver::{Answer, Apply, By, Operation, Point, Rule, Script};

use crate::common::Scene;
use crate::scene::{completed, download, is_downloaded, is_uploaded, object, source, upload};

/// What is lost, late, twice, refused or changed: some eight kinds for each
/// request, which together have this probability.
fn script(seed: u64, together: f64) -> Script {
    let probability = together / 8.0;
    let each = || Rule::on_any().probability(probability);
    let on = |operation| Rule::on(operation).probability(probability);
    // Ranges come without a checksum: one wrong bit costs the whole file, and
    // after three such files in a row the transfer fails, as it should.
    let rarely = Rule::on(Operation::GetObject).probability(probability.min(0.02));
    Script::new()
        .seed(seed)
        .rule(each().cut(Point::AfterRequest, By::Rst))
        .rule(
            each()
                .cut(Point::AfterRequest, By::Fin)
                .apply(Apply::LateMs(300)),
        )
        .rule(each().cut(Point::BeforeRead, By::Rst))
        .rule(each().answer(Answer::error(503, "SlowDown")))
        .rule(
            each()
                .answer(Answer::error(500, "InternalError"))
                .apply(Apply::Yes),
        )
        .rule(on(Operation::CompleteMultipartUpload).answer(Answer::status(200)))
        .rule(on(Operation::UploadPart).duplicate(Duration::from_millis(100)))
        .rule(on(Operation::UploadPart).flip_request(1_000_000, 4))
        .rule(on(Operation::UploadPart).cut(Point::RequestBytes(2_000_000), By::Rst))
        .rule(rarely.flip(1_000_000, 4))
        .rule(on(Operation::GetObject).ignore_range())
        .rule(on(Operation::GetObject).cut(Point::ResponseBytes(2_000_000), By::Fin))
}

fn seeds() -> Vec<u64> {
    match std::env::var("TOWLINE_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (1..=4).collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_arrive_whole_through_faults_at_random() {
    for seed in seeds() {
        for probability in [0.05, 0.3] {
            println!("TOWLINE_SEED={seed}, {probability} of the requests");
            let scene = Scene::start().await;
            source(&scene);
            scene
                .server
                .faults()
                .play(script(seed, probability))
                .unwrap();
            completed(&upload(&scene).output().unwrap());
            is_uploaded(&scene);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn downloads_arrive_whole_through_faults_at_random() {
    for seed in seeds() {
        for probability in [0.05, 0.3] {
            println!("TOWLINE_SEED={seed}, {probability} of the requests");
            let scene = Scene::start().await;
            object(&scene).await;
            scene
                .server
                .faults()
                .play(script(seed, probability))
                .unwrap();
            completed(&download(&scene).output().unwrap());
            is_downloaded(&scene);
        }
    }
}
