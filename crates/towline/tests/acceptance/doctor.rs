//! A bucket is looked at through the library; the command's tests try out more.

use towline::{CheckResult, Checks, ChecksumAlgorithm, Error, Heeds, Operation, Verified};
use towline_testserver::{Answer, Operation as Asked, Rule, Script};

use crate::{BUCKET, Scene, names};

#[tokio::test(flavor = "multi_thread")]
async fn a_diagnosis_has_checks_a_profile_and_what_cannot_be_promised() {
    let scene = Scene::start().await;
    let denied = Rule::on(Asked::ListParts).answer(Answer::error(403, "AccessDenied"));
    let script = Script::new().rule(denied);
    scene.server.faults().play(script).unwrap();
    let diagnosis = scene.utility.doctor(BUCKET).prefix("p/").await.unwrap();
    assert!(!diagnosis.is_well());
    let of = |name: &str| {
        let mut checks = diagnosis.checks.iter();
        checks.find(|check| check.name == name).unwrap()
    };
    assert_eq!(of("PutObject").result, CheckResult::Ok);
    assert_eq!(of("ListParts").result, CheckResult::Failed);
    assert_eq!(of("ListParts").code.as_deref(), Some("AccessDenied"));
    assert_eq!(of("lifecycle").result, CheckResult::Warning);
    assert_eq!(diagnosis.verified, Some(Verified::FullObject));
    let profile = &diagnosis.profile;
    let crc = ChecksumAlgorithm::Crc64Nvme;
    assert_eq!(profile.checks(crc), Some(Checks::Shown));
    assert_eq!(profile.ranges(), Some(true));
    assert_eq!(profile.write_conditions(), Some(Heeds::Yes));
    assert_eq!(profile.pages_of_parts(), None, "it could not be seen");
    assert_eq!(profile.denied(), [Operation::ListParts]);
    let not_promised = &diagnosis.not_promised;
    assert!(matches!(&not_promised[..], [one] if one.starts_with("ListParts is denied")));
    // No transfer was made of it, and nothing is left.
    let (transfers, _) = scene.utility.find(towline::Query::default()).await.unwrap();
    assert!(transfers.is_empty());
    assert_eq!(scene.server.open_uploads(BUCKET), []);
    let listed = scene.utility.list(BUCKET).await.unwrap();
    assert!(listed.objects.is_empty(), "{:?}", listed.objects);
    assert_eq!(names(scene.dir.path()), ["state"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_no_bucket_or_prefix_is_refused_before_anything_is_sent() {
    let scene = Scene::start().await;
    let refused = |result: Result<_, Error>| result.map(drop).unwrap_err().code().to_owned();
    let code = refused(scene.utility.doctor("no bucket").await);
    assert_eq!(code, "BadBucket");
    let long = "p".repeat(1000);
    let code = refused(scene.utility.doctor(BUCKET).prefix(long).await);
    assert_eq!(code, "KeyTooLong");
    assert!(scene.server.history().requests().is_empty());
}
