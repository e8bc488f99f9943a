//! Stores that lack something of S3: it is learned once from their answers, told,
//! and done without. FAILURES rows 5, 18, 21, 32, 34, 39.

use towline::{Config, State, Transfer, TransferId, Verified};
use towline_testserver::{Answer, Apply, By, Event, Operation, Point, Rule, Script};

use crate::{BUCKET, Scene, completed, content, until};

const MIB: usize = 1 << 20;

impl Scene {
    fn play(&self, rules: impl IntoIterator<Item = Rule>) {
        let script = rules.into_iter().fold(Script::new(), Script::rule);
        self.server.faults().play(script).unwrap();
    }

    /// The incidents of a transfer that say so.
    async fn told(&self, id: TransferId, words: &str) -> usize {
        let all = self.utility.incidents(id).await.unwrap();
        let says = |message: &str| message.contains(words);
        all.iter().filter(|it| says(&it.error.message)).count()
    }

    /// A header of each request of an operation for a key.
    fn headers(&self, operation: Operation, key: &str, name: &str) -> Vec<Option<String>> {
        let requests = self.server.history().requests();
        let of_key = requests
            .iter()
            .filter(|it| it.operation == operation && it.key.as_deref() == Some(key));
        of_key
            .map(|it| it.header(name).map(str::to_owned))
            .collect()
    }

    /// An upload of five parts that is paused once four of them are confirmed.
    async fn paused(&self) -> (TransferId, Vec<u8>) {
        let bytes = content(25 * MIB);
        let source = self.file("source", &bytes);
        let stalls = Rule::on(Operation::UploadPart).part(5);
        self.play([stalls.stall(Point::BeforeRead, None)]);
        let observer = self.utility.upload(BUCKET, "key", &source).await.unwrap();
        until("four parts are confirmed", || {
            let moved = observer.transfer().bytes_transferred;
            let history = self.server.history();
            let sent =
                history.count_where(|it| it.operation == Operation::UploadPart && it.completed);
            sent == 4 && moved >= 20 * MIB as u64
        })
        .await;
        observer.pause().await.unwrap();
        self.server.faults().clear();
        (observer.id(), bytes)
    }

    async fn resumed(&self, id: TransferId) -> Transfer {
        self.utility.resume(id).await.unwrap();
        let observer = self.utility.observe(id).await.unwrap();
        observer.finished().await.unwrap()
    }

    fn holds(&self, bytes: &[u8]) {
        assert!(self.server.object_bytes(BUCKET, "key").unwrap() == bytes);
    }
}

fn denied(operation: Operation) -> Rule {
    Rule::on(operation).answer(Answer::error(403, "AccessDenied"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_checksums_gets_content_md5_is_told_of_once_and_not_asked_again() {
    for (status, code) in [(501, "NotImplemented"), (400, "InvalidArgument")] {
        let scene = Scene::start().await;
        // CRC-64/NVME, then CRC-32C, are refused; what has neither passes.
        scene.play([
            Rule::on(Operation::PutObject)
                .key("first")
                .first(2)
                .answer(Answer::error(status, code)),
            Rule::on(Operation::PutObject).drop_header("x-amz-checksum-crc64nvme"),
        ]);
        let small = scene.file("small", b"small");
        let first = scene.upload("first", &small).await;
        assert_eq!(first.verified, Some(Verified::Md5));
        let sent = |name| scene.headers(Operation::PutObject, "first", name);
        let had = |name| sent(name).iter().map(Option::is_some).collect::<Vec<_>>();
        assert_eq!(had("x-amz-checksum-crc64nvme"), [true, false, false]);
        assert_eq!(had("x-amz-checksum-crc32c"), [false, true, false]);
        assert_eq!(had("content-md5"), [false, false, true]);
        assert_eq!(scene.told(first.id, "refuses CRC64NVME").await, 1);
        assert_eq!(scene.told(first.id, "refuses CRC32C").await, 1);

        let second = scene.upload("second", &small).await;
        let sent = scene.headers(Operation::PutObject, "second", "content-md5");
        assert!(matches!(&sent[..], [Some(_)]), "{sent:?}");
        assert_eq!(scene.told(second.id, "refuses").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_in_parts_whose_opening_is_refused_for_its_checksum_opens_without() {
    let scene = Scene::start().await;
    let refused = Rule::on(Operation::CreateMultipartUpload).first(2);
    scene.play([refused.answer(Answer::error(501, "NotImplemented"))]);
    let bytes = content(12 * MIB);
    let source = scene.file("source", &bytes);
    let end = scene.upload("key", &source).await;
    assert_eq!((end.verified, end.generation), (Some(Verified::Md5), 1));
    let sent = scene.headers(Operation::UploadPart, "key", "content-md5");
    assert!(
        sent.len() == 3 && sent.iter().all(Option::is_some),
        "{sent:?}"
    );
    assert_eq!(scene.told(end.id, "refuses CRC64NVME").await, 1);
    scene.holds(&bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_another_reason_is_not_laid_on_the_checksum() {
    let scene = Scene::start().await;
    let refused = Answer::error(400, "InvalidArgument");
    scene.play([Rule::on(Operation::PutObject).key("bad").answer(refused)]);
    let small = scene.file("small", b"small");
    let observer = scene.utility.upload(BUCKET, "bad", &small).await.unwrap();
    let end = observer.finished().await.unwrap();
    assert_eq!(end.state, State::Failed);
    assert_eq!(end.error.unwrap().code, "InvalidArgument");
    assert_eq!(scene.told(end.id, "refuses").await, 0);
    let end = scene.upload("good", &small).await;
    assert_eq!(end.verified, Some(Verified::FullObject));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_shows_no_checksum_is_told_of_once() {
    let scene = Scene::start().await;
    scene.play([Rule::on_any()
        .drop_header("x-amz-checksum-crc64nvme")
        .drop_header("x-amz-checksum-type")]);
    let small = scene.file("small", b"small");
    let first = scene.upload("first", &small).await;
    assert_eq!(first.verified, Some(Verified::Md5));
    assert_eq!(scene.told(first.id, "shows no CRC64NVME").await, 1);
    let second = scene.upload("second", &small).await;
    assert_eq!(scene.told(second.id, "shows no").await, 0);
    let sent = scene.headers(Operation::PutObject, "second", "content-md5");
    assert!(matches!(&sent[..], [Some(_)]), "{sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_if_match_is_read_without_and_its_etags_are_compared() {
    let mut config = Config::default();
    config.parts_per_transfer = Some(1); // so that the one refusal is of a request with If-Match
    let scene = Scene::with(config).await;
    let bytes = content(12 * MIB);
    for key in ["key", "other"] {
        let put = scene.server.put_object(BUCKET, key, bytes.clone());
        put.await.unwrap();
    }
    let refused = Rule::on(Operation::GetObject).key("key").of_all().first(1);
    scene.play([refused.answer(Answer::error(501, "NotImplemented"))]);
    let end = scene.download("key", "target").await;
    assert_eq!(
        (end.verified, end.generation),
        (Some(Verified::FullObject), 1)
    );
    assert_eq!(scene.told(end.id, "refuses If-Match").await, 1);

    let changed = Rule::on(Operation::GetObject).key("other").offset(10 << 20);
    scene.play([changed.first(1).event(Event::ReplaceObject)]);
    let end = scene.download("other", "target").await;
    assert_eq!(end.generation, 2, "that it changed was seen");
    let sent = scene.headers(Operation::GetObject, "other", "if-match");
    assert!(sent.iter().all(Option::is_none), "{sent:?}");
    let there = std::fs::read(scene.dir.path().join("target")).unwrap();
    assert!(there == scene.server.object_bytes(BUCKET, "other").unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_ignores_ranges_is_read_in_one_piece_and_the_next_object_at_once() {
    let scene = Scene::start().await;
    let bytes = content(23 * MIB);
    for key in ["key", "other"] {
        let put = scene.server.put_object(BUCKET, key, bytes.clone());
        put.await.unwrap();
    }
    scene.play([Rule::on(Operation::GetObject).ignore_range()]);
    let end = scene.download("key", "target").await;
    assert_eq!(
        (end.verified, end.generation),
        (Some(Verified::FullObject), 2)
    );
    assert_eq!(scene.told(end.id, "ignores ranges").await, 1);
    let there = std::fs::read(scene.dir.path().join("target")).unwrap();
    assert!(there == bytes);

    let end = scene.download("other", "target").await;
    assert_eq!(end.generation, 1);
    let asked = scene.headers(Operation::GetObject, "other", "range");
    assert_eq!(asked, [None], "one request for all of it");

    // Bytes that go to no file stay in small parts, each cut out of the whole.
    let stream = scene.utility.download_stream(BUCKET, "other");
    assert!(stream.to_bytes().await.unwrap() == bytes);
    let some = towline::ByteRange::Within(6_000_000, 6_001_000);
    let stream = scene.utility.download_stream(BUCKET, "other").range(some);
    assert!(stream.to_bytes().await.unwrap() == bytes[6_000_000..6_001_000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_ignored_range_of_a_store_that_heeds_others_starts_nothing_anew() {
    let scene = Scene::start().await;
    let bytes = content(23 * MIB);
    for key in ["first", "key"] {
        let put = scene.server.put_object(BUCKET, key, bytes.clone());
        put.await.unwrap();
    }
    scene.download("first", "target").await;
    let ignored = Rule::on(Operation::GetObject).offset(10 << 20).first(1);
    scene.play([ignored.ignore_range()]);
    let end = scene.download("key", "target").await;
    assert_eq!(
        (end.verified, end.generation),
        (Some(Verified::FullObject), 1)
    );
    assert_eq!(scene.told(end.id, "ignores ranges").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_listparts_is_denied_confirmed_parts_stand_and_only_the_others_are_sent() {
    let scene = Scene::start().await;
    let (id, bytes) = scene.paused().await;
    scene.play([denied(Operation::ListParts)]);
    let end = completed(scene.resumed(id).await);
    assert_eq!(
        (end.generation, end.verified),
        (1, Some(Verified::FullObject))
    );
    for part in 1..=4 {
        let sent = scene.server.history().times_part_sent("key", part);
        assert_eq!(sent, 1, "part {part}");
    }
    assert_eq!(scene.told(id, "ListParts is denied").await, 1);
    scene.holds(&bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_listparts_is_denied_and_the_upload_is_gone_it_is_begun_anew() {
    let scene = Scene::start().await;
    let (id, bytes) = scene.paused().await;
    let gone = Rule::on(Operation::UploadPart).first(1).of_all();
    scene.play([denied(Operation::ListParts), gone.event(Event::AbortUpload)]);
    let end = completed(scene.resumed(id).await);
    assert_eq!(end.generation, 2);
    scene.holds(&bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_of_parts_that_never_goes_on_costs_the_parts_it_does_not_show() {
    let scene = Scene::start().await;
    let (id, bytes) = scene.paused().await;
    let page = "<ListPartsResult><IsTruncated>true</IsTruncated>\
        <NextPartNumberMarker>1</NextPartNumberMarker><Part><PartNumber>1</PartNumber>\
        <ETag>\"other\"</ETag><Size>5242880</Size></Part></ListPartsResult>";
    let answer = Answer::status(200).body(page, "application/xml");
    scene.play([Rule::on(Operation::ListParts).answer(answer)]);
    let end = completed(scene.resumed(id).await);
    assert_eq!(end.generation, 1);
    assert_eq!(scene.told(id, "lists only the first page").await, 1);
    scene.holds(&bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_may_not_be_looked_at_does_not_fail_for_it() {
    let scene = Scene::start().await;
    let nothing = "<CompleteMultipartUploadResult><ETag></ETag></CompleteMultipartUploadResult>";
    let answer = Answer::status(200).body(nothing, "application/xml");
    scene.play([
        denied(Operation::HeadObject),
        denied(Operation::GetObject),
        Rule::on(Operation::CompleteMultipartUpload)
            .apply(Apply::Yes)
            .answer(answer),
    ]);
    let bytes = content(12 * MIB);
    let source = scene.file("source", &bytes);
    let end = scene.upload("key", &source).await;
    assert_eq!(
        end.verified,
        Some(Verified::SizeOnly),
        "and no more is claimed"
    );
    assert_eq!(scene.told(end.id, "HeadObject is denied").await, 1);
    scene.holds(&bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_where_nothing_may_be_looked_at_is_sent_again() {
    let scene = Scene::start().await;
    scene.play([
        denied(Operation::HeadObject),
        denied(Operation::GetObject),
        Rule::on(Operation::PutObject)
            .first(1)
            .cut(Point::AfterRequest, By::Rst),
    ]);
    let small = scene.file("small", b"small");
    let end = scene.upload("key", &small).await;
    assert_eq!(end.verified, Some(Verified::FullObject));
    scene.holds(b"small");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_may_not_be_aborted_is_named_when_it_is_canceled() {
    let scene = Scene::start().await;
    let (id, _) = scene.paused().await;
    let open = scene.server.open_uploads(BUCKET).remove(0);
    scene.play([denied(Operation::AbortMultipartUpload)]);
    let observer = scene.utility.observe(id).await.unwrap();
    observer.cancel().await.unwrap();
    let end = observer.finished().await.unwrap();
    assert_eq!(
        end.state,
        State::Failed,
        "it is not canceled while something is left"
    );
    let message = end.error.unwrap().message;
    assert!(message.contains(&open.upload_id), "{message}");
    assert!(message.contains("stays open"), "{message}");
    assert_eq!(scene.told(id, "AbortMultipartUpload is denied").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_upload_whose_parts_may_not_be_listed_is_aborted_twice() {
    let scene = Scene::start().await;
    let (id, _) = scene.paused().await;
    scene.play([denied(Operation::ListParts)]);
    let observer = scene.utility.observe(id).await.unwrap();
    observer.cancel().await.unwrap();
    assert_eq!(observer.finished().await.unwrap().state, State::Canceled);
    let history = scene.server.history();
    assert_eq!(history.count(Operation::AbortMultipartUpload), 2);
    assert_eq!(scene.server.open_uploads(BUCKET), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_upload_that_may_not_be_searched_is_told_and_the_file_goes_up_all_the_same() {
    let scene = Scene::start().await;
    scene.play([
        denied(Operation::ListMultipartUploads),
        Rule::on(Operation::CreateMultipartUpload)
            .first(1)
            .cut(Point::AfterRequest, By::Rst),
    ]);
    let bytes = content(12 * MIB);
    let source = scene.file("source", &bytes);
    let end = scene.upload("key", &source).await;
    assert_eq!(
        scene.told(end.id, "ListMultipartUploads is denied").await,
        1
    );
    scene.holds(&bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_if_absent_is_never_dropped_for_a_store_that_refuses_it() {
    let scene = Scene::start().await;
    scene.play([Rule::on(Operation::PutObject).answer(Answer::error(501, "NotImplemented"))]);
    let small = scene.file("small", b"small");
    let upload = scene.utility.upload(BUCKET, "key", &small).if_absent(true);
    let end = upload.await.unwrap().finished().await.unwrap();
    assert_eq!(end.state, State::Failed);
    assert_eq!(end.error.unwrap().code, "NotImplemented");
    assert_eq!(scene.told(end.id, "refuses If-None-Match").await, 1);
    let sent = scene.headers(Operation::PutObject, "key", "if-none-match");
    assert!(sent.iter().all(Option::is_some), "{sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_refused_with_nosuchkey_means_that_the_upload_is_gone() {
    let scene = Scene::start().await;
    let gone = Rule::on(Operation::UploadPart).part(3).first(1);
    scene.play([gone
        .event(Event::AbortUpload)
        .answer(Answer::error(404, "NoSuchKey"))]);
    let bytes = content(15 * MIB);
    let source = scene.file("source", &bytes);
    let end = scene.upload("key", &source).await;
    assert_eq!(end.generation, 2);
    scene.holds(&bytes);
    assert_eq!(scene.server.open_uploads(BUCKET).len(), 0);
}
