//! Stores that are not ours: a file is compared with its object, and a prefix is
//! downloaded, also where a listing goes directory by directory.

use towline::{State, VerifyProof, VerifyResult};
use towline_testkit::foreign::ForeignServer;

use super::{SIZE, open};

const BUCKET: &str = "bucket";

async fn works_with(server: ForeignServer) {
    let dir = tempfile::tempdir().unwrap();
    let utility = open(server.endpoint(), dir.path()).await;
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let bytes: Vec<u8> = (0..SIZE).map(|i| (i % 241) as u8).collect();
    let objects = [("a-b", 1000), ("a/b", 1001), ("a/c d", 1002), ("a0", SIZE)];
    for (key, len) in objects {
        let source = file("source", &bytes[..len]);
        let observer = utility
            .upload(BUCKET, format!("p/{key}"), &source)
            .await
            .unwrap();
        assert_eq!(observer.finished().await.unwrap().state, State::Completed);
        let verify = |path| utility.verify(path, BUCKET, format!("p/{key}"));
        let told = verify(&source).await.unwrap();
        // Not every store tells the bounds of parts.
        let expected = if len < SIZE {
            &[VerifyResult::Equal][..]
        } else {
            &[VerifyResult::Equal, VerifyResult::Unknown]
        };
        assert!(expected.contains(&told.result), "{key}: {told:?}");
        let told = verify(&source).download(true).await.unwrap();
        assert_eq!(
            (told.result, told.proof),
            (VerifyResult::Equal, Some(VerifyProof::Bytes))
        );
        let mut other = bytes[..len].to_vec();
        other[len / 2] ^= 1;
        let other = file("other", &other);
        assert_ne!(
            verify(&other).await.unwrap().result,
            VerifyResult::Equal,
            "{key}"
        );
        let told = verify(&other).download(true).await.unwrap();
        assert_eq!(told.result, VerifyResult::Different, "{key}");
    }
    let told = utility
        .verify(dir.path().join("source"), BUCKET, "p/none")
        .await
        .unwrap();
    assert_eq!(
        (told.result, told.bytes_object),
        (VerifyResult::Different, None)
    );

    let target = dir.path().join("dir");
    let prefix = utility
        .download_prefix(BUCKET, "p/", &target)
        .await
        .unwrap();
    let group = prefix.finished().await.unwrap();
    assert_eq!(group.state, State::Completed, "{group:?}");
    assert_eq!((group.transfers.completed, group.found.refused), (4, 0));
    for (key, len) in objects {
        assert!(
            std::fs::read(target.join(key)).unwrap() == bytes[..len],
            "{key}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn seaweedfs_lets_files_be_compared_and_prefixes_be_downloaded() {
    works_with(ForeignServer::seaweedfs()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn moto_lets_files_be_compared_and_prefixes_be_downloaded() {
    works_with(ForeignServer::moto()).await;
}
