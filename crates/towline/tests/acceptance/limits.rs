//! How much goes on at one time, and under which name. T53, T70, T3, T64.

use std::time::Duration;

use towline::{
    Config, Connection, Credentials, State, StaticCredentials, TransferObserver, TransferRequest,
    TransferUtility,
};
use towline_testserver::{Operation, TestServer};

use crate::{BUCKET, Scene, completed, content};

const MIB: usize = 1 << 20;

/// The most requests that the server had at one time, overall and of each key's
/// parts, from now until `done`.
async fn most_at_once(scene: &Scene, mut done: impl FnMut() -> bool) -> (usize, usize) {
    let (mut all, mut parts) = (0, 0);
    while !done() {
        let requests = scene.server.history().requests();
        let running = || requests.iter().filter(|request| request.status.is_none());
        all = all.max(running().count());
        for key in ["a", "b", "c", "key"] {
            let of_key = running().filter(|request| {
                request.operation == Operation::UploadPart && request.key.as_deref() == Some(key)
            });
            parts = parts.max(of_key.count());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    (all, parts)
}

#[tokio::test(flavor = "multi_thread")]
async fn t53_no_more_requests_at_one_time_than_asked_also_when_that_changes() {
    let mut config = Config::default();
    config.requests = Some(4);
    config.parts_per_transfer = Some(2);
    let scene = Scene::with(config).await;
    scene
        .server
        .faults()
        .delay(Operation::UploadPart, Duration::from_millis(200));
    let source = scene.file("source", &content(60 * MIB));
    let mut uploads = Vec::new();
    for key in ["a", "b", "c"] {
        uploads.push(scene.utility.upload(BUCKET, key, &source).await.unwrap());
    }
    let moved = || -> u64 {
        uploads
            .iter()
            .map(|upload| upload.bytes_transferred())
            .sum()
    };
    let (all, parts) = most_at_once(&scene, || moved() > 40 << 20).await;
    assert_eq!((all, parts), (4, 2), "all of it is used, and no more");

    scene.utility.set_limits(Some(1), None).unwrap();
    let running = || {
        let requests = scene.server.history().requests();
        requests
            .iter()
            .filter(|request| request.status.is_none())
            .count()
    };
    // Also what had its slot, and was still being read on this machine.
    let mut quiet = 0;
    crate::until("what was under way has ended", || {
        quiet = if running() <= 1 { quiet + 1 } else { 0 };
        quiet > 100
    })
    .await;
    let before = moved();
    let (all, _) = most_at_once(&scene, || moved() > before + (20 << 20)).await;
    assert_eq!(all, 1);

    scene.utility.set_limits(Some(12), Some(4)).unwrap();
    let ended = || uploads.iter().all(|upload| upload.state().is_final());
    let (all, parts) = most_at_once(&scene, ended).await;
    assert!(
        (8..=12).contains(&all) && (3..=4).contains(&parts),
        "{all} {parts}"
    );
    for upload in uploads {
        completed(upload.finished().await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t53_by_default_it_begins_with_twice_the_cpus_and_two_more_and_five_parts() {
    let cpus = std::thread::available_parallelism().unwrap().get();
    assert_eq!(Config::default().parts_per_transfer, None);
    let scene = Scene::start().await;
    let delay = Duration::from_secs(1);
    scene.server.faults().delay(Operation::PutObject, delay);
    let uploads = many(&scene, 100).await;
    let answered = || {
        let requests = scene.server.history().requests();
        requests.iter().any(|request| request.status.is_some())
    };
    let (all, _) = most_at_once(&scene, answered).await;
    assert_eq!(all, 2 * (cpus + 1));
    scene.server.faults().clear();
    for upload in uploads {
        completed(upload.finished().await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t53_one_large_file_begins_with_five_parts_and_gets_more_while_they_move_more() {
    let scene = Scene::start().await;
    // As over a way that is long, and wide enough for any number of parts.
    let delay = Duration::from_millis(400);
    scene.server.faults().delay(Operation::UploadPart, delay);
    let source = scene.file("source", b"");
    let file = std::fs::File::options().write(true).open(&source).unwrap();
    file.set_len(1 << 30).unwrap();
    let upload = scene.utility.upload(BUCKET, "key", &source).await.unwrap();
    let answered = || {
        let requests = scene.server.history().requests();
        let mut parts = requests
            .iter()
            .filter(|request| request.operation == Operation::UploadPart);
        parts.any(|request| request.status.is_some())
    };
    let (_, parts) = most_at_once(&scene, answered).await;
    assert_eq!(parts, 5, "until it is known that more help");
    let (_, parts) = most_at_once(&scene, || upload.state().is_final()).await;
    assert!(parts >= 10, "{parts}");
    completed(upload.finished().await.unwrap());
}

/// Uploads of so many small files, all of which are asked for at one time.
async fn many(scene: &Scene, count: usize) -> Vec<TransferObserver> {
    let source = scene.file("small", &content(1000));
    let requests = (0..count).map(|n| TransferRequest::upload(BUCKET, format!("{n:04}"), &source));
    let ids = scene.utility.submit(requests.collect()).await.unwrap();
    let mut uploads = Vec::new();
    for id in ids {
        uploads.push(scene.utility.observe(id).await.unwrap());
    }
    uploads
}

#[tokio::test(flavor = "multi_thread")]
async fn t53_where_the_way_is_long_more_are_under_way_than_it_began_with() {
    let cpus = std::thread::available_parallelism().unwrap().get();
    let scene = Scene::start().await;
    let delay = Duration::from_millis(100);
    scene.server.faults().delay(Operation::PutObject, delay);
    let uploads = many(&scene, 500).await;
    let ended = || uploads.iter().all(|upload| upload.state().is_final());
    let (all, _) = most_at_once(&scene, ended).await;
    assert!(all >= 4 * 2 * (cpus + 1), "{all}");
    for upload in uploads {
        completed(upload.finished().await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t3_a_minimum_part_size_is_also_the_length_up_to_which_one_put_is_made() {
    let scene = Scene::start().await;
    let utility = crate::builder(scene.server.endpoint(), scene.dir.path().join("other"))
        .minimum_upload_part_size_mb(16)
        .open()
        .await
        .unwrap();
    for (len, parts) in [(16 * MIB, 0), (16 * MIB + 1, 2)] {
        let source = scene.file("source", &content(len));
        let upload = utility.upload(BUCKET, "key", &source).await.unwrap();
        completed(upload.finished().await.unwrap());
        assert_eq!(scene.server.history().count(Operation::UploadPart), parts);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t70_requests_say_the_product_its_version_and_that_they_are_of_a_multipart() {
    let scene = Scene::start().await;
    for size in [10, 6 * MIB] {
        let source = scene.file("source", &content(size));
        scene.upload("key", &source).await;
        scene.download("key", "target").await;
    }
    let product = concat!("towline/", env!("CARGO_PKG_VERSION"), " ");
    for request in scene.server.history().requests() {
        let agent = request.header("user-agent").unwrap();
        assert!(agent.starts_with(product), "{agent}");
        let multipart =
            request.upload_id.is_some() || request.operation == Operation::CreateMultipartUpload;
        assert_eq!(agent.ends_with(" md/multipart"), multipart, "{request:?}");
    }
}

/// No machine of the tests reaches AWS, so that the host is chosen is shown by
/// what a proxy is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn t64_acceleration_asks_its_own_host_and_a_dotted_bucket_is_refused_at_the_call() {
    let scene = Scene::start().await;
    let source = scene.file("source", b"bytes");
    let accelerated = Connection {
        endpoint: None,
        accelerate: true,
        ..crate::to(String::new())
    };
    let request = scene.utility.upload("dotted.bucket", "key", &source);
    let refused = request.connection(accelerated.clone()).await.unwrap_err();
    assert_eq!(refused.code(), "BadConnection");
    assert!(refused.to_string().contains("acceleration"), "{refused}");
    let elsewhere = Connection {
        endpoint: Some(scene.server.endpoint()),
        ..accelerated.clone()
    };
    let request = scene.utility.upload(BUCKET, "key", &source);
    let refused = request.connection(elsewhere).await.unwrap_err();
    assert_eq!(refused.code(), "BadEndpoint");
    assert!(refused.to_string().contains("acceleration"), "{refused}");

    let (proxy, asked) = a_proxy_that_refuses().await;
    let utility = TransferUtility::builder()
        .state_dir(scene.dir.path().join("accelerated"))
        .environment(towline::Environment::new([("HTTPS_PROXY", proxy)], None))
        .credentials(
            "test",
            StaticCredentials(Credentials::new("test", "testsecret")),
        )
        .open()
        .await
        .unwrap();
    let request = utility.upload("bucket", "key", &source);
    let observer = request.connection(accelerated).await.unwrap();
    let asked = asked.await.unwrap();
    assert!(
        asked.starts_with("CONNECT bucket.s3-accelerate.amazonaws.com:443 "),
        "{asked}"
    );
    observer.cancel().await.unwrap();
}

async fn a_proxy_that_refuses() -> (String, tokio::task::JoinHandle<String>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = vec![0; 1024];
        let read = stream.read(&mut buffer).await.unwrap();
        stream
            .write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n")
            .await
            .unwrap();
        String::from_utf8_lossy(&buffer[..read]).into_owned()
    });
    (address, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_for_a_bucket_whose_requesters_pay_all_say_that_they_do() {
    let server = TestServer::builder()
        .requester_pays("paid")
        .start()
        .await
        .unwrap();
    let scene = Scene::on(server, Config::default()).await;
    let source = scene.file("source", &content(12 * MIB));
    let owner = towline_testserver::OWNER_ID;
    let upload = scene.utility.upload("paid", "key", &source);
    let upload = upload.requester_pays(true).expected_bucket_owner(owner);
    completed(upload.await.unwrap().finished().await.unwrap());
    let download = scene.utility.download_stream("paid", "key");
    let download = download.requester_pays(true).expected_bucket_owner(owner);
    assert!(download.to_bytes().await.unwrap() == content(12 * MIB));
    // One that is canceled asks for the list of its parts and gives them up.
    scene.server.faults().bandwidth(4 << 20);
    let upload = scene.utility.upload("paid", "other", &source);
    let upload = upload.requester_pays(true).expected_bucket_owner(owner);
    let observer = upload.await.unwrap();
    crate::until("it is under way", || observer.bytes_transferred() > 0).await;
    observer.cancel().await.unwrap();
    assert_eq!(observer.finished().await.unwrap().state, State::Canceled);
    assert!(scene.server.open_uploads("paid").is_empty());
    for request in scene.server.history().requests() {
        assert_eq!(
            request.header("x-amz-request-payer"),
            Some("requester"),
            "{request:?}"
        );
        assert_eq!(
            request.header("x-amz-expected-bucket-owner"),
            Some(owner),
            "{request:?}"
        );
    }
    let upload = scene.utility.upload("paid", "third", &source);
    let end = upload.await.unwrap().finished().await.unwrap();
    assert_eq!(end.error.unwrap().code, "AccessDenied");
}
