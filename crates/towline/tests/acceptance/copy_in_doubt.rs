//! Copies whose answer was lost, whose upload is gone, that were canceled while the store
//! was at work with them; and what they are told by afterwards.

use towline::State;
use towline_testserver::{Answer, Event, Operation, Rule};

use crate::copy::{
    LARGE, OTHER, SOURCE, arrived, copy, left_nothing, play, stuck_after_the_first_part,
    with_source,
};
use crate::{BUCKET, content};

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_upload_is_gone_begins_anew_whatever_the_store_calls_it() {
    for gone in [
        Answer::error(404, "NoSuchUpload"),
        Answer::error(404, "NoSuchKey"),
        Answer::status(404),
    ] {
        let scene = with_source(LARGE).await;
        let second = Rule::on(Operation::UploadPartCopy).part(2).first(1);
        play(&scene, [second.event(Event::AbortUpload).answer(gone)]);
        let done = copy(&scene).await;
        arrived(&scene, &done, &content(LARGE));
        assert_eq!(done.generation, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_source_is_deleted_on_the_way_fails_and_leaves_nothing() {
    let scene = with_source(LARGE).await;
    let copy = scene.utility.copy(BUCKET, SOURCE, OTHER, "key");
    let observer = stuck_after_the_first_part(&scene, copy).await;
    scene.utility.delete_object(BUCKET, SOURCE).await.unwrap();
    scene.server.faults().clear();
    let end = observer.finished().await.unwrap();
    assert_eq!(end.state, State::Failed);
    assert_eq!(end.error.unwrap().code, "NoSuchKey");
    left_nothing(&scene);
    assert!(scene.server.object_bytes(OTHER, "key").is_err());
}
