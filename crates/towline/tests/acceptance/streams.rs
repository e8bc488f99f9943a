//! Bytes that are in no file: T4, T5, T6.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use towline::{
    Config, Error, Outcome, PartSize, State, SubmitError, TransferObserver, TransferRequest,
    UploadMode, Verified,
};
use towline_testserver::Operation;

use crate::{BUCKET, Scene, completed, content, names};

const MIB: usize = 1 << 20;

impl Scene {
    async fn object(&self, key: &str) -> Vec<u8> {
        let request = self.utility.download_stream(BUCKET, key);
        request.to_bytes().await.unwrap().to_vec()
    }

    fn requests(&self, operation: Operation) -> usize {
        self.server.history().count(operation)
    }
}

/// A reader that gives few bytes at a time.
struct Drip(Vec<u8>, usize);

impl AsyncRead for Drip {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let len = buffer.remaining().min(70_001).min(self.0.len() - self.1);
        let from = self.1;
        buffer.put_slice(&self.0[from..from + len]);
        self.1 += len;
        Poll::Ready(Ok(()))
    }
}

async fn ends(observer: &TransferObserver, state: State, code: &str) {
    let end = observer.finished().await.unwrap();
    assert_eq!(end.state, state, "{:?}", end.error);
    assert_eq!(end.error.unwrap().code, code);
}

#[tokio::test(flavor = "multi_thread")]
async fn t5_bytes_and_readers_of_any_length_arrive_as_they_were() {
    let scene = Scene::start().await;
    let sizes = [
        0,
        1,
        5 * MIB - 1,
        5 * MIB,
        5 * MIB + 1,
        10 * MIB,
        12 * MIB + 7,
    ];
    for size in sizes {
        let bytes = content(size);
        let utility = &scene.utility;
        let drip = || Drip(bytes.clone(), 0);
        for (key, request) in [
            ("bytes", utility.upload_data(BUCKET, "bytes", bytes.clone())),
            ("unknown", utility.upload_stream(BUCKET, "unknown", drip())),
            (
                "known",
                utility
                    .upload_stream(BUCKET, "known", drip())
                    .length(size as u64),
            ),
            (
                "expected",
                utility
                    .upload_stream(BUCKET, "expected", drip())
                    .expected_size(100 << 20),
            ),
        ] {
            let observer = request.await.unwrap();
            let end = completed(observer.finished().await.unwrap());
            assert_eq!(end.bytes_total, Some(size as u64), "{key}, {size} bytes");
            assert_eq!(end.verified, Some(Verified::FullObject), "{key}, {size}");
            assert_eq!(scene.object(key).await, bytes, "{key}, {size} bytes");
        }
    }
    // No copy was made on the way.
    assert!(!names(&scene.dir.path().join("state")).contains(&"spool".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn t5_a_stream_up_to_5_mib_is_one_put_and_a_longer_one_goes_in_parts() {
    for (size, parts) in [
        (5 * MIB, 0),
        (5 * MIB + 1, 2),
        (10 * MIB, 2),
        (10 * MIB + 1, 3),
    ] {
        let scene = Scene::start().await;
        let reader = Drip(content(size), 0);
        let request = scene.utility.upload_stream(BUCKET, "key", reader);
        completed(request.await.unwrap().finished().await.unwrap());
        assert_eq!(scene.requests(Operation::UploadPart), parts, "{size} bytes");
        let puts = usize::from(parts == 0);
        assert_eq!(scene.requests(Operation::PutObject), puts, "{size} bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t5_a_reader_with_another_length_than_announced_makes_no_object() {
    let scene = Scene::start().await;
    for (announced, len) in [
        (4 * MIB, 6 * MIB),
        (6 * MIB - 1, 6 * MIB),
        (6 * MIB + 1, 6 * MIB),
        (20 * MIB, 6 * MIB),
        (20 * MIB, 5 * MIB), // it ends where a part does
    ] {
        let reader = Drip(content(len), 0);
        let request = scene.utility.upload_stream(BUCKET, "key", reader);
        let observer = request.length(announced as u64).await.unwrap();
        ends(&observer, State::Failed, "StreamLength").await;
    }
    assert_eq!(scene.requests(Operation::CompleteMultipartUpload), 0);
    assert_eq!(scene.requests(Operation::PutObject), 0);
    assert!(scene.server.open_uploads(BUCKET).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn t5_a_reader_that_fails_leaves_nothing_at_s3() {
    let scene = Scene::start().await;
    let broken = std::io::Error::other("the camera was unplugged");
    let reader = tokio::io::AsyncReadExt::chain(Drip(content(12 * MIB), 0), broken_reader(broken));
    let request = scene.utility.upload_stream(BUCKET, "key", reader);
    let observer = request.await.unwrap();
    let end = observer.finished().await.unwrap();
    let error = end.error.unwrap();
    assert!(error.message.contains("unplugged"), "{error:?}");
    assert!(scene.server.open_uploads(BUCKET).is_empty());
}

/// A reader that only fails.
fn broken_reader(error: std::io::Error) -> impl AsyncRead + Send + Unpin {
    struct Broken(Option<std::io::Error>);
    impl AsyncRead for Broken {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<std::io::Result<()>> {
            Poll::Ready(Err(self.0.take().unwrap()))
        }
    }
    Broken(Some(error))
}

#[tokio::test(flavor = "multi_thread")]
async fn t5_a_stream_is_paused_and_goes_on_while_its_process_lives() {
    let scene = Scene::start().await;
    let (mut writer, reader) = tokio::io::duplex(64 << 10);
    let request = scene.utility.upload_stream(BUCKET, "key", reader);
    let observer = request.await.unwrap();
    let bytes = content(24 * MIB);
    let (first, rest) = bytes.split_at(12 * MIB);
    writer.write_all(first).await.unwrap();
    crate::until("parts are recorded", || {
        observer.bytes_transferred() > 9 << 20
    })
    .await;
    assert!(observer.pause().await.unwrap());
    assert_eq!(observer.state(), State::Paused);
    let sent = scene.requests(Operation::UploadPart);
    // The writer may go on, as far as memory is held for it.
    let rest = rest.to_vec();
    let feeding = tokio::spawn(async move {
        writer.write_all(&rest).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(scene.requests(Operation::UploadPart), sent);
    assert!(observer.resume().await.unwrap());
    completed(
        scene
            .utility
            .observe(observer.id())
            .await
            .unwrap()
            .finished()
            .await
            .unwrap(),
    );
    feeding.await.unwrap();
    assert_eq!(scene.object("key").await, bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn t5_a_stream_whose_process_is_gone_has_failed_and_left_nothing() {
    for pause in [false, true] {
        let mut scene = Scene::start().await;
        let (mut writer, reader) = tokio::io::duplex(64 << 10);
        let request = scene.utility.upload_stream(BUCKET, "key", reader);
        let observer = request.await.unwrap();
        writer.write_all(&content(12 * MIB)).await.unwrap();
        crate::until("parts are recorded", || {
            observer.bytes_transferred() > 9 << 20
        })
        .await;
        if pause {
            observer.pause().await.unwrap();
        }
        assert_eq!(scene.server.open_uploads(BUCKET).len(), 1);
        scene.reopen().await;
        let observer = scene.utility.observe(observer.id()).await.unwrap();
        ends(&observer, State::Failed, "SourceNotReopenable").await;
        assert!(scene.server.open_uploads(BUCKET).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t5_spooled_bytes_and_readers_go_on_in_a_later_process() {
    let mut scene = Scene::start().await;
    let bytes = content(20 * MIB);
    let spool = scene.dir.path().join("state/spool");
    scene.server.faults().bandwidth(4 << 20);
    let reader = Drip(bytes.clone(), 0);
    let request = scene.utility.upload_stream(BUCKET, "reader", reader);
    let observer = request.spool(true).await.unwrap();
    assert_eq!(names(&spool).len(), 1);
    crate::until("it is under way", || observer.bytes_transferred() > 0).await;
    scene.reopen().await;
    scene.server.faults().clear();
    let observer = scene.utility.observe(observer.id()).await.unwrap();
    completed(observer.finished().await.unwrap());
    assert_eq!(scene.object("reader").await, bytes);
    crate::until("the copy is gone", || names(&spool).is_empty()).await;
    // A canceled one leaves no copy either, nor does a refused one.
    let request = scene.utility.upload_data(BUCKET, "bytes", bytes.clone());
    let observer = request.spool(true).await.unwrap();
    observer.remove().await.unwrap();
    let request = scene.utility.upload_data("no", "bytes", bytes);
    assert!(request.spool(true).await.is_err());
    crate::until("the copy is gone", || names(&spool).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_copy_is_left_by_who_closes_as_soon_as_its_uploads_have_ended() {
    let mut scene = Scene::start().await;
    let spool = scene.dir.path().join("state/spool");
    for round in 0..10 {
        let mut all = Vec::new();
        for n in 0..30 {
            let key = format!("{round}-{n}");
            let request = scene.utility.upload_data(BUCKET, &key, key.clone());
            all.push(request.spool(true).await.unwrap());
        }
        for observer in all {
            completed(observer.finished().await.unwrap());
        }
        scene.utility.close().await.unwrap();
        assert_eq!(names(&spool), [] as [String; 0], "{round}");
        scene.reopen().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t6_a_download_to_memory_and_to_a_writer_gives_the_bytes_of_the_file() {
    let scene = Scene::start().await;
    for size in [0, 1, 5 * MIB + 1, 50 * MIB] {
        let bytes = content(size);
        let path = scene.file("source", &bytes);
        scene.upload("key", &path).await;
        scene.download("key", "copy").await;
        assert_eq!(std::fs::read(scene.dir.path().join("copy")).unwrap(), bytes);
        assert_eq!(scene.object("key").await, bytes, "{size} bytes");
        let mut written = std::io::Cursor::new(Vec::new());
        let request = scene.utility.download_stream(BUCKET, "key");
        let end = request.to_writer(&mut written).await.unwrap();
        assert_eq!(completed(end).verified, Some(Verified::FullObject));
        assert_eq!(written.into_inner(), bytes, "{size} bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t6_a_slow_reader_of_a_download_holds_few_bytes_in_memory() {
    let scene = Scene::start().await;
    let path = scene.file("source", &content(120 * MIB));
    scene.upload("key", &path).await;
    let request = scene.utility.download_stream(BUCKET, "key");
    let mut stream = request.await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let ahead = stream.observer().bytes_transferred();
    assert!(ahead <= 4 * (8 << 20), "{ahead} bytes were fetched ahead");
    let mut taken = 0;
    while let Some(bytes) = stream.next().await {
        taken += bytes.unwrap().len();
    }
    assert_eq!(taken, 120 * MIB);
}

#[tokio::test(flavor = "multi_thread")]
async fn t6_a_download_that_nobody_takes_any_more_fails_and_says_so() {
    let scene = Scene::start().await;
    let path = scene.file("source", &content(60 * MIB));
    scene.upload("key", &path).await;
    let mut stream = scene.utility.download_stream(BUCKET, "key").await.unwrap();
    stream.next().await.unwrap().unwrap();
    let id = stream.observer().id();
    drop(stream);
    let observer = scene.utility.observe(id).await.unwrap();
    ends(&observer, State::Failed, "TargetNotReopenable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t6_a_writer_that_fails_is_told_how_many_bytes_it_got() {
    let scene = Scene::start().await;
    let path = scene.file("source", &content(30 * MIB));
    scene.upload("key", &path).await;
    let (writer, mut reader) = tokio::io::duplex(1 << 20);
    let taker = tokio::spawn(async move {
        let mut some = vec![0; 10 << 20];
        tokio::io::AsyncReadExt::read_exact(&mut reader, &mut some)
            .await
            .unwrap();
    });
    let request = scene.utility.download_stream(BUCKET, "key");
    match request.to_writer(writer).await.unwrap_err() {
        Error::Writer { written, .. } => assert!(written >= 10 << 20, "{written}"),
        other => panic!("{other}"),
    }
    taker.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn t6_a_missing_object_is_an_error_with_the_code_of_s3() {
    let scene = Scene::start().await;
    let request = scene.utility.download_stream(BUCKET, "nothing");
    match request.to_bytes().await.unwrap_err() {
        Error::Ended(transfer) => assert_eq!(transfer.error.unwrap().code, "NoSuchKey"),
        other => panic!("{other}"),
    }
    let page = scene
        .utility
        .download_stream(BUCKET, "nothing")
        .if_none_match("\"x\"");
    assert_eq!(page.to_bytes().await.unwrap_err().code(), "TransferFailed");
}

#[tokio::test(flavor = "multi_thread")]
async fn t4_one_put_and_parts_are_forced_at_any_length() {
    for (mode, size, puts, parts) in [
        (UploadMode::Single, 12 * MIB, 1, 0),
        (UploadMode::Multipart, 0, 0, 1),
        (UploadMode::Multipart, 100, 0, 1),
        (UploadMode::Auto, 12 * MIB, 0, 3),
    ] {
        let scene = Scene::start().await;
        let bytes = content(size);
        let path = scene.file("source", &bytes);
        let file = scene.utility.upload(BUCKET, "file", &path).mode(mode);
        completed(file.await.unwrap().finished().await.unwrap());
        assert_eq!(
            scene.requests(Operation::PutObject),
            puts,
            "{mode:?} {size}"
        );
        assert_eq!(
            scene.requests(Operation::UploadPart),
            parts,
            "{mode:?} {size}"
        );
        let data = scene.utility.upload_data(BUCKET, "data", bytes.clone());
        completed(data.mode(mode).await.unwrap().finished().await.unwrap());
        for key in ["file", "data"] {
            assert_eq!(scene.object(key).await, bytes);
        }
    }
    let scene = Scene::start().await;
    let reader = Drip(content(10), 0);
    let request = scene.utility.upload_stream(BUCKET, "key", reader);
    let refused = request.mode(UploadMode::Single).await.unwrap_err();
    assert_eq!(refused.code(), "BadOption", "its length is not told");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_streams_to_one_key_do_not_mix_and_a_token_makes_them_one() {
    let scene = Scene::start().await;
    let (_first, reader) = tokio::io::duplex(64);
    let request = scene.utility.upload_stream(BUCKET, "key", reader);
    let observer = request.token("mine").await.unwrap();
    let again = scene.utility.upload_data(BUCKET, "key", vec![1; 10]);
    match again.await.unwrap_err() {
        Error::Submit(SubmitError::TargetTaken { id, .. }) => assert_eq!(id, observer.id()),
        other => panic!("{other}"),
    }
    let (_second, reader) = tokio::io::duplex(64);
    let same = scene.utility.upload_stream(BUCKET, "key", reader);
    assert_eq!(same.token("mine").await.unwrap().id(), observer.id());
    assert!(observer.cancel().await.unwrap());
    assert_eq!(observer.finished().await.unwrap().outcome, None::<Outcome>);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_size_of_ones_own_is_kept_for_streams() {
    let scene = Scene::start().await;
    let reader = Drip(content(20 * MIB), 0);
    let request = scene.utility.upload_stream(BUCKET, "key", reader);
    let size = PartSize::from_bytes(8 << 20).unwrap();
    let observer = request.part_size(size).await.unwrap();
    completed(observer.finished().await.unwrap());
    assert_eq!(scene.requests(Operation::UploadPart), 3);
}

/// The loop reads the store page by page meanwhile, and must not take what was
/// just recorded for the remains of another process.
#[tokio::test(flavor = "multi_thread")]
async fn t5_streams_that_are_submitted_while_a_long_queue_is_read_all_arrive() {
    let mut config = Config::default();
    config.window = 8;
    let scene = Scene::with(config).await;
    let source = scene.file("source", &content(100));
    let files = (0..400).map(|n| TransferRequest::upload(BUCKET, format!("file-{n}"), &source));
    scene.utility.submit(files.collect()).await.unwrap();
    let mut observers = Vec::new();
    for n in 0..150 {
        let data = content(200 + n);
        let upload = scene.utility.upload_data(BUCKET, format!("data-{n}"), data);
        observers.push(upload.await.unwrap());
    }
    for observer in observers {
        completed(observer.finished().await.unwrap());
    }
}

/// Paused and resumed before a byte came, so that nothing waits for its turn.
#[tokio::test(flavor = "multi_thread")]
async fn t5_readers_that_give_nothing_hold_up_no_other_transfer() {
    let mut config = Config::default();
    config.requests = Some(2);
    let scene = Scene::with(config).await;
    let mut silent = Vec::new();
    for n in 0..6 {
        let (writer, reader) = tokio::io::duplex(64);
        let upload = scene
            .utility
            .upload_stream(BUCKET, format!("silent-{n}"), reader);
        let observer = upload.await.unwrap();
        observer.pause().await.unwrap();
        observer.resume().await.unwrap();
        silent.push((writer, observer.id()));
    }
    let source = scene.file("source", &content(100));
    scene.upload("file", &source).await;
    for (mut writer, id) in silent {
        writer.write_all(b"at last").await.unwrap();
        drop(writer);
        let observer = scene.utility.observe(id).await.unwrap();
        completed(observer.finished().await.unwrap());
    }
}
