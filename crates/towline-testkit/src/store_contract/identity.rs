//! Clauses on ids, tokens and what was asked for.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use towline_core::{
    Addressing, Change, ChecksumAlgorithm, Connection, ConnectionSource, Created, ObjectIdentity,
    PartSize, Phase, Query, Remote, StoreError, TransferId, WhenTargetExists,
};

use super::StoreFactory;
use super::samples::{Sample, completed, key, phase};

/// Neither removing the newest transfer nor a crash lets an id come again.
pub async fn ids_grow_and_are_never_used_twice(factory: &dyn StoreFactory) {
    let mut last = TransferId::START;
    for round in 0..4 {
        let store = factory.open();
        for n in 0..3 {
            let new = vec![Sample::upload("a").build(), Sample::download("b").build()];
            for made in store.create_many(new).await.unwrap() {
                assert!(made.record().id > last, "round {round}, {n}");
                last = made.record().id;
            }
            store.commit(vec![(last, completed())]).await.unwrap();
            assert_eq!(store.remove(vec![last]).await.unwrap(), 1);
        }
        if round % 2 == 0 {
            store.close().await.unwrap();
        }
    }
}

/// Asked for twice, also within one call, it is made once.
pub async fn the_same_token_and_request_are_the_same_transfer(factory: &dyn StoreFactory) {
    let store = factory.open();
    let new = Sample::upload("a").token("t").build();
    let mut again = new.clone();
    again.created_at = again.created_at.plus_secs(60);
    again.source = None;
    let made = store.create_many(vec![new, again.clone()]).await.unwrap();
    let id = made[0].record().id;
    assert!(
        matches!((&made[0], &made[1]), (Created::New(_), Created::Known(_))),
        "{made:?}"
    );
    store
        .commit(vec![(id, vec![phase(Phase::Paused)])])
        .await
        .unwrap();
    drop(store);

    let store = factory.open();
    let known = store.create_many(vec![again]).await.unwrap();
    assert_eq!(
        known,
        [Created::Known(store.get(id).await.unwrap().unwrap())]
    );
    assert_eq!(known[0].record().phase, Phase::Paused);
    assert_eq!(
        store.find(Query::default()).await.unwrap().transfers.len(),
        1
    );
}

/// A token stands for one request only.
pub async fn a_token_of_another_request_is_taken(factory: &dyn StoreFactory) {
    let store = factory.open();
    let made = store
        .create_many(vec![Sample::upload("a").token("t").build()])
        .await
        .unwrap();
    let others = [
        Sample::upload("b"),
        Sample::download("a"),
        Sample::upload("a").bucket("another"),
        Sample::upload("a").with(|spec| spec.options.if_absent = true),
        Sample::upload("a").with(|spec| spec.connection.region = Some("eu-central-1".into())),
        Sample::upload("a").with(|spec| spec.path = "/elsewhere/a".into()),
        Sample::upload("a").with(|spec| spec.group = Some("g".into())),
    ];
    for other in others {
        match store.create_many(vec![other.token("t").build()]).await {
            Err(StoreError::TokenTaken { token, id }) => {
                assert_eq!((token.as_str(), id), ("t", made[0].record().id));
            }
            answer => panic!("{answer:?}"),
        }
    }
    store
        .create_many(vec![Sample::upload("b").token("T").build()])
        .await
        .unwrap();
}

/// To a path `a//b` is `a/b`, and to S3 these are two objects. What is copied is kept
/// beside the upload that it goes to, and goes with its generation.
pub async fn a_copy_is_kept_letter_by_letter_with_its_origin(factory: &dyn StoreFactory) {
    let store = factory.open();
    let keys = ["a/b", "a//b", "a/./b", "a/b/", "/a/b", "."];
    let new = keys.map(|name| Sample::copy(name).token(name).build());
    let made = store.create_many(new.to_vec()).await.unwrap();
    for (name, created) in keys.iter().zip(&made) {
        let id = created.record().id;
        let record = store.get(id).await.unwrap().unwrap();
        let origin = record.spec.origin().expect("it is a copy");
        assert_eq!(origin.to_string(), format!("s3://source/{name}"));
    }
    let other = Sample::copy("a/b").with(|spec| spec.path = "s3://source/a//b".into());
    let other = store.create_many(vec![other.token("a/b").build()]).await;
    assert!(
        matches!(other, Err(StoreError::TokenTaken { .. })),
        "{other:?}"
    );

    let id = made[0].record().id;
    let identity = ObjectIdentity {
        etag: Some("\"e\"".into()),
        version_id: Some("v".into()),
        ..ObjectIdentity::default()
    };
    let open = Remote::Upload("upload".into());
    let begun = vec![
        Change::Origin(identity.clone()),
        Change::Remote(open.clone()),
    ];
    store.commit(vec![(id, begun)]).await.unwrap();
    let record = store.get(id).await.unwrap().unwrap();
    assert_eq!(
        (record.origin, record.remote),
        (Some(identity.clone()), Some(open))
    );
    store
        .commit(vec![(id, vec![Change::Discarded])])
        .await
        .unwrap();
    let record = store.get(id).await.unwrap().unwrap();
    assert_eq!((record.origin, record.remote), (Some(identity), None));
    store
        .commit(vec![(id, vec![Change::Generation(2)])])
        .await
        .unwrap();
    assert_eq!(store.get(id).await.unwrap().unwrap().origin, None);
}

/// Once its transfer is forgotten, so is the token.
pub async fn the_token_of_a_removed_transfer_is_free(factory: &dyn StoreFactory) {
    let store = factory.open();
    let made = store
        .create_many(vec![Sample::upload("a").token("t").build()])
        .await
        .unwrap();
    let id = made[0].record().id;
    store.commit(vec![(id, completed())]).await.unwrap();
    assert_eq!(store.remove(vec![id]).await.unwrap(), 1);
    let made = store
        .create_many(vec![Sample::upload("b").token("t").build()])
        .await
        .unwrap();
    assert!(matches!(&made[0], Created::New(record) if record.id > id));
}

/// Paths that are not UTF-8, odd keys, and every option and setting.
pub async fn what_was_asked_for_comes_back_as_it_was(factory: &dyn StoreFactory) {
    let store = factory.open();
    let mut new = Vec::new();
    for path in [
        &b"/"[..],
        b"/a",
        b"/a/",
        b"/a//b",
        b"/\xff\xfe/\x80",
        b"/x\n'\"\\;%_*?",
        b"/...",
    ] {
        let path = PathBuf::from(OsString::from_vec(path.to_vec()));
        new.push(Sample::download("p").with(|spec| spec.path = path));
    }
    for name in [
        "/",
        "//",
        "..",
        "a/../b",
        " ",
        "*",
        "%",
        "_",
        "'; --",
        "\u{202e}\u{1b}[0m",
        "ä𝄞",
    ] {
        new.push(Sample::upload("k").with(|spec| spec.object.key = key(name)));
    }
    new.push(Sample::download("v").with(|spec| spec.object.version_id = Some("null".into())));
    new.push(Sample::upload("c").with(|spec| {
        spec.connection = Connection {
            source: ConnectionSource::Profile("work \"1\"".into()),
            endpoint: Some("https://[::1]:9000".into()),
            region: Some("eu-central-1".into()),
            addressing: Addressing::Path,
            dual_stack: true,
            fips: true,
            accelerate: true,
            signed_payload: Some(false),
        };
        spec.options.part_size = Some(PartSize::MAX);
        spec.options.checksum = ChecksumAlgorithm::Sha256;
        spec.options.if_absent = true;
        spec.options.when_target_exists = WhenTargetExists::Fail;
        spec.options.object.content_type = Some("text/plain; charset=\"utf-8\"".into());
        spec.options
            .object
            .metadata
            .insert("who".into(), "Zoë".into());
        spec.options.object.tags.insert("k".into(), String::new());
    }));
    let new: Vec<_> = new.into_iter().map(Sample::build).collect();
    let made = store.create_many(new.clone()).await.unwrap();
    drop(store);

    let store = factory.open();
    for (new, made) in new.into_iter().zip(made) {
        let record = store.get(made.record().id).await.unwrap().unwrap();
        assert_eq!(&record, made.record());
        assert_eq!(*record.spec, new.spec);
        // `Path` takes `/a/` and `/a` for equal; these must be the same bytes.
        assert_eq!(record.spec.path.as_os_str(), new.spec.path.as_os_str());
        let path = Some(new.spec.path.clone());
        let key = Some(new.spec.object.key.as_str().to_owned());
        let page = store
            .find(Query {
                path,
                key,
                ..Query::default()
            })
            .await
            .unwrap();
        assert_eq!(page.transfers, [record]);
    }
}

/// Ids that were never given are told apart from failures.
pub async fn an_unknown_transfer_is_named(factory: &dyn StoreFactory) {
    let store = factory.open();
    store
        .create_many(vec![Sample::upload("a").build()])
        .await
        .unwrap();
    for id in [0, 99, i64::MAX as u64, u64::MAX].map(TransferId::new) {
        assert_eq!(store.get(id).await.unwrap(), None);
        assert_eq!(store.parts(id).await.unwrap(), []);
        assert_eq!(store.incidents(id).await.unwrap(), []);
        assert_eq!(store.remove(vec![id]).await.unwrap(), 0);
        let refused = store.commit(vec![(id, Vec::new())]).await;
        assert!(
            matches!(refused, Err(StoreError::Unknown(named)) if named == id),
            "{refused:?}"
        );
    }
}
