//! Single stories in the life of a transfer, each one a promise.

use std::time::Duration;

use super::fixtures::{self, file, lost, moment, proof, refused};
use super::test_upload::{TestUpload, sealing_download};
use crate::transfer::{Action, Command, Event, Found, Item, Transfer};
use crate::{
    After, Change, FileIdentity, Operation, Outcome, ParkReason, PartNumber, Phase, Request, State,
};

#[test]
fn a_part_that_lands_after_pause_is_not_sent_again() {
    let mut upload = TestUpload::with_parts(3);
    let first = upload.start_part();
    upload.command(Command::Pause);
    upload.land(first);
    assert_eq!(upload.transfer.record().bytes_done, 5 << 20);
    upload.resume();
    assert_eq!(upload.parts_offered(), [2, 3]);
}

#[test]
fn a_part_that_lands_twice_counts_once() {
    let mut upload = TestUpload::with_parts(3);
    let first = upload.start_part();
    upload.land(first);
    upload.land(first);
    assert!(upload.last.is_empty());
    assert_eq!(upload.transfer.record().bytes_done, 5 << 20);
}

#[test]
fn a_part_that_was_never_planned_is_not_kept() {
    let mut upload = TestUpload::with_parts(2);
    let mut strange = upload.row(1);
    strange.len += 1;
    upload.event(Event::PartMoved(strange.clone()));
    assert!(upload.last.is_empty());
    upload.at_s3.insert(strange.number, strange);
    upload.command(Command::Pause);
    upload.resume();
    assert_eq!(upload.parts_offered(), [1, 2]);
}

#[test]
fn nothing_is_offered_while_it_is_in_doubt() {
    let mut upload = TestUpload::with_parts(2);
    upload.command(Command::Pause);
    assert_eq!(upload.parts_offered(), []);
    upload.command(Command::Resume);
    assert_eq!(upload.parts_offered(), []);
    upload.event(Event::Started);
    assert_eq!(upload.parts_offered(), []);
    upload.s3_tells();
    assert_eq!(upload.parts_offered(), [1, 2]);
}

#[test]
fn what_s3_lists_is_the_truth_about_parts() {
    let mut upload = TestUpload::with_parts(2);
    upload.land(1);
    let mut sent_again = upload.row(1);
    sent_again.etag = Some("late".into());
    upload.at_s3.insert(sent_again.number, sent_again.clone());
    upload.command(Command::Pause);
    upload.resume();
    assert_eq!(upload.transfer.parts().collect::<Vec<_>>(), [&sent_again]);
}

#[test]
fn a_lost_complete_is_asked_about_before_it_is_sent_again() {
    let mut upload = TestUpload::complete_but_for_the_end(2);
    upload.act_fails(lost(Operation::CompleteMultipartUpload));
    assert!(!upload.last.actions.contains(&Action::Finish));
    upload.wait();
    upload.is_asked();
    upload.s3_tells();
    assert_eq!(upload.last.actions, [Action::Finish]);
}

#[test]
fn a_complete_that_finds_no_upload_may_have_been_our_own() {
    let mut upload = TestUpload::complete_but_for_the_end(2);
    let gone = refused(Operation::CompleteMultipartUpload, 404, "NoSuchUpload");
    upload.act_fails(gone);
    upload.wait();
    upload.is_asked();
    upload.event(Event::Reconciled(Found::Landed(proof())));
    assert_eq!(upload.phase(), Phase::Completed);
}

#[test]
fn a_complete_whose_answer_is_lost_is_looked_for_for_ten_minutes() {
    let mut upload = TestUpload::complete_but_for_the_end(2);
    upload.act_fails(lost(Operation::CompleteMultipartUpload));
    let mut waited = Duration::ZERO;
    while upload.phase() == Phase::Finishing {
        upload.wait();
        upload.is_asked();
        upload.event(Event::Reconciled(Found::Unseen));
        for action in &upload.last.actions {
            if let Action::Wait { up_to, .. } = action {
                waited += *up_to;
            }
        }
    }
    assert_eq!(upload.phase(), Phase::Discarding(After::Restart));
    assert!((600..640).contains(&waited.as_secs()), "{waited:?}");
}

#[test]
fn a_complete_that_s3_refused_is_not_waited_for_whatever_was_lost_before() {
    let mut upload = TestUpload::starting(2);
    upload.act_fails(lost(Operation::CreateMultipartUpload));
    for _ in 0..2 {
        upload.wait();
        upload.event(Event::Reconciled(Found::Nothing));
    }
    upload.event(Event::UploadOpened("u".into()));
    for number in upload.parts_offered() {
        upload.land(number);
    }
    assert_eq!(upload.phase(), Phase::Finishing);
    let gone = refused(Operation::CompleteMultipartUpload, 404, "NoSuchUpload");
    upload.act_fails(gone);
    upload.wait();
    upload.event(Event::Reconciled(Found::Unseen));
    assert_eq!(upload.phase(), Phase::Discarding(After::Restart));
}

/// By two requests and no act in between: nobody waits for a slot that this holds.
#[test]
fn what_a_lost_create_may_have_opened_is_looked_for_twice_before_another_is_opened() {
    let mut upload = TestUpload::starting(2);
    upload.act_fails(lost(Operation::CreateMultipartUpload));
    upload.wait();
    upload.is_asked();
    upload.event(Event::Reconciled(Found::Nothing));
    assert!(matches!(upload.last.actions[..], [Action::Wait { .. }]));
    upload.wait();
    upload.is_asked();
    upload.event(Event::Reconciled(Found::Nothing));
    assert_eq!(upload.last.actions, [Action::Prepare]);

    upload.act_fails(lost(Operation::CreateMultipartUpload));
    upload.command(Command::Cancel);
    upload.event(Event::Discarded);
    assert_eq!(upload.phase(), Phase::Discarding(After::Cancel));
    upload.wait();
    assert_eq!(upload.last.actions, [Action::Discard]);
    upload.event(Event::Discarded);
    assert_eq!(upload.phase(), Phase::Canceled);
}

#[test]
fn who_pauses_or_cancels_while_a_late_complete_is_looked_for_does_not_wait() {
    for (command, phase) in [
        (Command::Pause, Phase::Paused),
        (Command::Cancel, Phase::Discarding(After::Cancel)),
    ] {
        let mut upload = TestUpload::complete_but_for_the_end(2);
        upload.act_fails(lost(Operation::CompleteMultipartUpload));
        upload.wait();
        upload.event(Event::Reconciled(Found::Unseen));
        assert_eq!(upload.transfer.status().state, State::Waiting);
        upload.command(command);
        assert_eq!(upload.phase(), phase);
    }
}

#[test]
fn a_request_whose_answer_is_lost_every_time_is_not_sent_for_ever() {
    let mut upload = TestUpload::complete_but_for_the_end(2);
    for _ in 0..2 {
        assert_eq!(upload.last.actions.last(), Some(&Action::Finish));
        upload.act_fails(lost(Operation::CompleteMultipartUpload));
        upload.wait();
        upload.is_asked();
        upload.s3_tells();
    }
    assert_eq!(upload.phase(), Phase::Failed);
    assert_eq!(upload.transfer.parts().len(), 2, "kept for a retry");
}

#[test]
fn an_attempt_that_an_outage_took_is_forgiven() {
    let mut upload = TestUpload::complete_but_for_the_end(2);
    for _ in 0..5 {
        assert_eq!(upload.last.actions.last(), Some(&Action::Finish));
        upload.act_fails(lost(Operation::CompleteMultipartUpload));
        upload.wait();
        upload.is_asked();
        upload.act_fails(fixtures::offline(Operation::ListParts));
        assert_eq!(upload.phase(), Phase::Parked(ParkReason::Network));
        upload.event(Event::Unparked);
        upload.is_asked();
        upload.s3_tells();
    }
    assert_eq!(upload.phase(), Phase::Finishing);
}

#[test]
fn an_upload_that_a_lost_create_had_opened_is_used() {
    let mut upload = TestUpload::starting(2);
    upload.act_fails(lost(Operation::CreateMultipartUpload));
    upload.wait();
    upload.is_asked();
    upload.s3_tells();
    assert_eq!(upload.parts_offered(), [1, 2]);
}

#[test]
fn an_upload_opened_too_late_for_a_pause_is_not_forgotten() {
    for command in [Command::Pause, Command::Cancel] {
        let mut upload = TestUpload::starting(2);
        upload.command(command);
        upload.event(Event::UploadOpened("u".into()));
        assert!(upload.transfer.record().remote.is_some(), "{command:?}");
        assert_eq!(upload.last.actions, []);
    }
}

#[test]
fn a_canceled_transfer_is_canceled_only_once_nothing_is_left() {
    let mut upload = TestUpload::with_parts(2);
    upload.command(Command::Cancel);
    assert_eq!(upload.last.actions, [Action::Stop, Action::Discard]);
    assert_eq!(upload.transfer.status().state, State::InProgress);
    upload.event(Event::Discarded);
    assert_eq!(upload.phase(), Phase::Canceled);
}

#[test]
fn a_cancel_that_has_to_wait_goes_on_canceling() {
    let mut upload = TestUpload::with_parts(2);
    upload.command(Command::Cancel);
    upload.act_fails(fixtures::offline(Operation::AbortMultipartUpload));
    upload.wait();
    assert_eq!(upload.last.actions, [Action::Discard]);
    assert_eq!(upload.phase(), Phase::Discarding(After::Cancel));
}

#[test]
fn an_answer_that_comes_after_cancel_does_not_revive_the_transfer() {
    let mut upload = TestUpload::with_parts(2);
    upload.command(Command::Pause);
    upload.command(Command::Resume);
    upload.event(Event::Started);
    upload.command(Command::Cancel);
    upload.s3_tells();
    assert!(upload.last.is_empty());
}

#[test]
fn a_cancel_that_comes_too_late_says_completed() {
    let mut upload = TestUpload::complete_but_for_the_end(2);
    upload.command(Command::Cancel);
    upload.event(Event::Finished(proof()));
    assert_eq!(upload.phase(), Phase::Completed);
}

#[test]
fn what_a_failed_transfer_may_have_left_can_be_canceled() {
    let mut upload = TestUpload::starting(2);
    let denied = refused(Operation::CreateMultipartUpload, 403, "AccessDenied");
    upload.act_fails(denied);
    assert_eq!(upload.phase(), Phase::Failed);
    upload.command(Command::Cancel);
    assert_eq!(upload.last.actions.last(), Some(&Action::Discard));
}

#[test]
fn a_changed_source_starts_a_new_generation_and_aborts_the_old_upload() {
    let mut upload = TestUpload::with_parts(3);
    let first = upload.start_part();
    upload.part_fails(first, fixtures::source_changed());
    assert_eq!(upload.phase(), Phase::Discarding(After::Restart));
    assert_eq!(upload.last.actions.last(), Some(&Action::Discard));
    upload.event(Event::Discarded);
    assert_eq!(upload.transfer.record().generation, 2);
    assert_eq!(upload.last.actions, [Action::Inspect]);
    upload.event(Event::Inspected(file(1, 2)));
    upload.event(Event::UploadOpened("v".into()));
    assert_eq!(upload.parts_offered(), [1, 2]);
}

#[test]
fn a_source_that_keeps_changing_ends_the_transfer() {
    let mut upload = TestUpload::starting(1);
    for version in 1..=4 {
        assert_eq!(upload.phase(), Phase::Moving);
        let part = upload.start_part();
        upload.part_fails(part, fixtures::source_changed());
        upload.event(Event::Discarded);
        upload.event(Event::Inspected(file(version, 1)));
    }
    assert_eq!(upload.phase(), Phase::Failed);
}

#[test]
fn a_second_look_at_the_source_does_not_change_the_plan() {
    let mut upload = TestUpload::starting(2);
    upload.event(Event::Inspected(file(1, 5)));
    assert!(upload.last.is_empty());
}

#[test]
fn a_retry_after_cancel_is_a_new_generation_of_the_source_as_it_is_then() {
    let mut upload = TestUpload::with_parts(2);
    upload.command(Command::Cancel);
    upload.event(Event::Discarded);
    upload.command(Command::Retry);
    assert_eq!(upload.transfer.record().generation, 2);
    upload.event(Event::Started);
    assert_eq!(upload.last.actions, [Action::Inspect]);
}

#[test]
fn a_retry_after_a_failure_keeps_what_was_moved() {
    let mut upload = TestUpload::with_parts(2);
    let first = upload.start_part();
    upload.land(first);
    let second = upload.start_part();
    let denied = || refused(Operation::UploadPart, 403, "AccessDenied");
    upload.part_fails(second, denied());
    assert_eq!(upload.phase(), Phase::Failed);
    upload.command(Command::Retry);
    upload.event(Event::Started);
    upload.s3_tells();
    assert_eq!(upload.transfer.record().generation, 1);
    assert_eq!(upload.parts_offered(), [2]);
}

#[test]
fn an_error_tells_how_many_attempts_had_failed() {
    let mut upload = TestUpload::with_parts(2);
    for _ in 0..2 {
        let part = upload.start_part();
        upload.part_fails(part, refused(Operation::UploadPart, 400, "RequestTimeout"));
        upload.event(Event::WaitOver(Item::Part(PartNumber::FIRST)));
    }
    let error = upload.transfer.record().error.clone().unwrap();
    assert_eq!((upload.phase(), error.attempts), (Phase::Failed, 2));
}

#[test]
fn a_single_put_is_sent_only_after_it_was_recorded_that_it_may_be() {
    let upload = {
        let mut upload = TestUpload::accepted(1);
        upload.event(Event::Started);
        upload
    };
    let asked = upload.transfer.record().asked.map(|asked| asked.request);
    assert_eq!(asked, Some(Request::Put));
    assert_eq!(upload.last.actions, [Action::OfferParts]);
}

#[test]
fn another_object_at_the_key_is_a_conflict_and_the_upload_is_removed() {
    let mut upload = TestUpload::complete_but_for_the_end(2);
    let operation = Operation::CompleteMultipartUpload;
    upload.act_fails(refused(operation, 412, "PreconditionFailed"));
    upload.wait();
    let conflict = refused(operation, 412, "PreconditionFailed");
    upload.event(Event::Reconciled(Found::Conflict(conflict)));
    assert_eq!(upload.phase(), Phase::Discarding(After::Fail));
    assert_eq!(upload.transfer.record().bytes_done, 0);
    upload.event(Event::Discarded);
    let record = upload.transfer.record();
    assert_eq!(record.phase, Phase::Failed);
    assert_eq!(record.outcome, Some(Outcome::Conflict));
}

#[test]
fn a_parked_transfer_looks_again_in_a_new_process() {
    let mut upload = TestUpload::with_parts(2);
    let first = upload.start_part();
    upload.part_fails(first, fixtures::offline(Operation::UploadPart));
    assert_eq!(upload.phase(), Phase::Parked(ParkReason::Network));
    let record = upload.transfer.record().clone();
    upload.transfer = Transfer::load(record, vec![], 1);
    upload.event(Event::Started);
    upload.is_asked();
}

#[test]
fn a_sealed_file_that_lacks_bytes_is_never_given_its_name() {
    let mut download = sealing_download();
    let sealed: FileIdentity = file(0, 2).into();
    let step = download.on_event(Event::Sealed(sealed), moment(1));
    assert_eq!(step.actions, [Action::Finish]);
    let rows = download.parts().cloned().collect();
    let mut again = Transfer::load(download.record().clone(), rows, 1);
    let _asks = again.on_event(Event::Started, moment(1));
    let lost = vec![PartNumber::FIRST];
    let step = again.on_event(Event::Reconciled(Found::Temp { lost }), moment(1));
    assert_eq!(step.actions, [Action::Stop, Action::Discard]);
    assert_eq!(again.record().phase, Phase::Discarding(After::Restart));
}

#[test]
fn a_final_transfer_hears_nothing_any_more() {
    let mut upload = TestUpload::complete_but_for_the_end(2);
    upload.event(Event::Finished(proof()));
    let ended = |change: &Change| matches!(change, Change::Ended { .. });
    assert!(upload.last.changes.iter().any(ended));
    for event in [Event::Started, Event::Discarded, Event::Finished(proof())] {
        upload.event(event);
        assert!(upload.last.is_empty());
    }
}
