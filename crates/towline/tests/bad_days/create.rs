//! CreateMultipartUpload: no upload is opened twice and forgotten.

use towline_testserver::{Answer, Apply, By, Operation, Point, Rule};

use crate::{LARGE, Scene};

fn create() -> Rule {
    Rule::on(Operation::CreateMultipartUpload)
}

#[tokio::test(flavor = "multi_thread")]
async fn f37_a_create_that_was_done_is_found_again_and_not_sent_twice() {
    let page = || Answer::status(200).body("<Init", "application/xml");
    for rule in [
        create().cut(Point::AfterRequest, By::Fin),
        create().cut(Point::AfterRequest, By::Rst),
        create()
            .apply(Apply::Yes)
            .answer(Answer::error(500, "InternalError")),
        create().apply(Apply::Yes).answer(Answer::status(504)),
        create().apply(Apply::Yes).answer(page()),
    ] {
        let scene = Scene::start().await;
        scene.play(rule.first(1));
        let end = scene.upload(LARGE).await;
        scene.arrived(&end);
        assert_eq!(scene.count(Operation::CreateMultipartUpload), 1);
        assert_eq!(end.generation, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f37_a_create_that_was_not_done_is_sent_again() {
    for answer in [Answer::error(500, "InternalError"), Answer::status(502)] {
        let scene = Scene::start().await;
        scene.play(create().first(1).answer(answer));
        let end = scene.upload(LARGE).await;
        scene.arrived(&end);
        assert_eq!(scene.count(Operation::CreateMultipartUpload), 2);
    }
}

/// No checksum covers the answer to a Create.
#[tokio::test(flavor = "multi_thread")]
async fn f37_an_upload_whose_name_was_garbled_on_the_way_does_not_stay_open() {
    let scene = Scene::start().await;
    let garbled = "<InitiateMultipartUploadResult><UploadId>another</UploadId>\
                   </InitiateMultipartUploadResult>";
    scene.play(create().first(1).replace(garbled));
    let end = scene.upload(LARGE).await;
    scene.arrived(&end);
    assert_eq!(end.generation, 2);
}
