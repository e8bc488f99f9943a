//! Listings that lie or do not end.

use towline::State;
use towline_testserver::{Answer, Apply, By, Operation, Point, Rule};

use crate::{BUCKET, LARGE, Scene, failed, until};

/// A page that says it goes on where it began.
fn stuck() -> Answer {
    let page = "<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>0</NextPartNumberMarker></ListPartsResult>";
    Answer::status(200).body(page, "application/xml")
}

fn unordered() -> Answer {
    let part =
        |n: u32| format!("<Part><PartNumber>{n}</PartNumber><ETag>e</ETag><Size>1</Size></Part>");
    let page = format!(
        "<ListPartsResult><IsTruncated>false</IsTruncated>{}{}</ListPartsResult>",
        part(2),
        part(1)
    );
    Answer::status(200).body(&page, "application/xml")
}

/// A complete whose answer is lost, so that the parts are listed.
fn lost_complete() -> Rule {
    let complete = Rule::on(Operation::CompleteMultipartUpload).first(1);
    complete.apply(Apply::No).cut(Point::AfterRequest, By::Rst)
}

#[tokio::test(flavor = "multi_thread")]
async fn f34_a_list_of_parts_that_does_not_advance_is_asked_for_again() {
    for page in [stuck(), unordered(), Answer::status(200)] {
        let scene = Scene::start().await;
        let listing = Rule::on(Operation::ListParts).first(1).answer(page);
        scene.play_all([lost_complete(), listing]);
        let end = scene.upload(LARGE).await;
        scene.arrived(&end);
        assert_eq!(scene.faults(), 2);
        assert_eq!(end.generation, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f34_a_list_of_parts_that_never_advances_ends_the_transfer_and_not_the_process() {
    let scene = Scene::start().await;
    let listing = Rule::on(Operation::ListParts).answer(stuck());
    scene.play_all([lost_complete(), listing]);
    let end = scene.upload(LARGE).await;
    failed(&end, "Malformed");
    assert_eq!(scene.count(Operation::ListParts), 4);
    // What was sent is kept for a retry.
    scene.server.faults().clear();
    let end = scene.retry(&end).await;
    scene.arrived(&end);
    assert_eq!(end.generation, 1);
    assert_eq!(scene.count(Operation::UploadPart), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn f34_uploads_of_other_keys_and_pages_that_repeat_lead_to_no_wrong_upload() {
    let upload =
        |key: &str, id: &str| format!("<Upload><Key>{key}</Key><UploadId>{id}</UploadId></Upload>");
    let page = |next: &str, truncated: bool, inner: &str| {
        let page = format!(
            "<ListMultipartUploadsResult><IsTruncated>{truncated}</IsTruncated>\
             <NextKeyMarker>{next}</NextKeyMarker>{inner}</ListMultipartUploadsResult>"
        );
        Answer::status(200).body(&page, "application/xml")
    };
    for answer in [
        page("", true, ""),
        page("", false, &upload("keys-of-others", "u")),
        page("", false, &upload("other", "u")),
    ] {
        let scene = Scene::start().await;
        let create = Rule::on(Operation::CreateMultipartUpload).first(1);
        let lost = create.apply(Apply::No).cut(Point::AfterRequest, By::Rst);
        let listing = Rule::on(Operation::ListMultipartUploads)
            .first(1)
            .answer(answer);
        scene.play_all([lost, listing]);
        let end = scene.upload(LARGE).await;
        scene.arrived(&end);
        assert_eq!(scene.faults(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f33_an_upload_is_canceled_only_once_s3_lists_it_no_more() {
    let scene = Scene::start().await;
    let late = Rule::on(Operation::UploadPart).part(2);
    let late = late
        .apply(Apply::LateMs(700))
        .stall(Point::AfterRequest, None);
    // The first abort is answered and not done.
    let abort = Rule::on(Operation::AbortMultipartUpload).first(1);
    scene.play_all([late, abort.apply(Apply::No).answer(Answer::status(204))]);
    let observer = scene.begin_upload(LARGE).await;
    until("the parts are on their way", || {
        scene.count(Operation::UploadPart) >= 2
    })
    .await;
    observer.cancel().await.unwrap();
    let end = observer.finished().await.unwrap();
    assert_eq!(end.state, State::Canceled);
    assert!(scene.count(Operation::AbortMultipartUpload) >= 2);
    assert_eq!(scene.server.open_uploads(BUCKET), []);
}
