//! A directory and a prefix, compared.

use std::collections::BTreeMap;
use std::path::Path;

use towline::{SyncDecision, SyncDeleted, SyncPlan, SyncRequest, path_of};

use crate::{BUCKET, Scene};

/// What a plan tells, by key: the first letter of each decision.
async fn told(plan: &mut SyncPlan) -> BTreeMap<String, char> {
    let mut told = BTreeMap::new();
    let mut last = None;
    while let Some(decision) = plan.next().await.unwrap() {
        let (key, what) = match decision {
            SyncDecision::Upload { request, .. } => (request.key, 'u'),
            SyncDecision::Download { request, .. } => (request.key, 'd'),
            SyncDecision::Delete(deletion) => (deletion.key, 'x'),
            SyncDecision::Same { key, .. } => (key, '='),
            other => panic!("{other:?}"),
        };
        assert!(last.as_ref() < Some(&key), "{last:?} before {key}");
        last = Some(key.clone());
        told.insert(key, what);
    }
    told
}

fn write(dir: &Path, key: &str, content: &str) {
    let path = dir.join(path_of(key));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// Keys of which none is another one's directory.
fn random_key(random: &mut fastrand::Rng) -> String {
    let names = ["a", "a.b", "a-", "", "..", "%2F", "\u{e9}", "\u{10000}"];
    let depth = random.usize(0..3);
    let mut components = Vec::new();
    for _ in 0..depth {
        components.push(format!("{}d", random.choice(names).unwrap()));
    }
    let name = random.choice(names).unwrap();
    components.push(format!("{name}f{}", random.u8(0..3)));
    components.join("/")
}

#[tokio::test]
async fn a_plan_tells_what_two_sets_of_names_and_lengths_tell_whichever_they_are() {
    let scene = Scene::start().await;
    for seed in 0..12 {
        let mut random = fastrand::Rng::with_seed(seed);
        let dir = scene.dir.path().join(format!("dir{seed}"));
        std::fs::create_dir(&dir).unwrap();
        let (mut files, mut objects) = (BTreeMap::new(), BTreeMap::new());
        for _ in 0..40 {
            let content = if random.bool() { "one" } else { "other" };
            let key = random_key(&mut random);
            if random.bool() {
                write(&dir, &key, content);
                files.insert(key.clone(), content);
            }
            if random.bool() {
                let whole = format!("{seed}/{key}");
                let put = scene.server.put_object(BUCKET, &whole, content.into());
                put.await.unwrap();
                objects.insert(key, content);
            }
        }
        let prefix = format!("{seed}/");
        for is_up in [true, false] {
            let utility = &scene.utility;
            let request: SyncRequest = match is_up {
                true => utility.sync_up(&dir, BUCKET, prefix.as_str()),
                false => utility.sync_down(BUCKET, prefix.as_str(), &dir),
            };
            let request = request.compare(towline::SyncCompare::Size).delete(true);
            let mut plan = request.plan().await.unwrap();
            let told = told(&mut plan).await;
            assert!(plan.is_complete() && plan.saw_source());
            let (sources, destinations, moves) = match is_up {
                true => (&files, &objects, 'u'),
                false => (&objects, &files, 'd'),
            };
            let mut expected = BTreeMap::new();
            for (key, content) in sources {
                let same = destinations.get(key) == Some(content);
                expected.insert(format!("{seed}/{key}"), if same { '=' } else { moves });
            }
            for key in destinations
                .keys()
                .filter(|key| !sources.contains_key(*key))
            {
                expected.insert(format!("{seed}/{key}"), 'x');
            }
            assert_eq!(told, expected, "seed {seed}");
        }
    }
}

#[tokio::test]
async fn what_changed_since_the_plan_was_made_is_not_deleted() {
    let scene = Scene::start().await;
    let dir = scene.dir.path().join("dir");
    std::fs::create_dir(&dir).unwrap();
    write(&dir, "file", "file");
    for key in ["p/one", "p/three", "p/two"] {
        scene
            .server
            .put_object(BUCKET, key, key.into())
            .await
            .unwrap();
    }
    let mut deletions = Vec::new();
    let up = scene.utility.sync_up(&dir, BUCKET, "p/").delete(true);
    let mut plan = up.plan().await.unwrap();
    while let Some(decision) = plan.next().await.unwrap() {
        if let SyncDecision::Delete(deletion) = decision {
            deletions.push(deletion);
        }
    }
    write(&dir, "two", "it came meanwhile");
    let another = b"another object".to_vec();
    let put = scene.server.put_object(BUCKET, "p/three", another);
    put.await.unwrap();
    let deleter = plan.deleter();
    let mut became = Vec::new();
    for deletion in &deletions {
        became.push(deleter.delete(deletion).await.unwrap());
    }
    let expected = [SyncDeleted::Gone, SyncDeleted::Changed, SyncDeleted::Needed];
    assert_eq!(became, expected);
    assert!(scene.server.object_bytes(BUCKET, "p/one").is_err());
    assert!(scene.server.object_bytes(BUCKET, "p/two").is_ok());
    assert!(scene.server.object_bytes(BUCKET, "p/three").is_ok());

    let down = scene.utility.sync_down(BUCKET, "p/", &dir).delete(true);
    let mut plan = down.plan().await.unwrap();
    let mut file = None;
    while let Some(decision) = plan.next().await.unwrap() {
        if let SyncDecision::Delete(deletion) = decision {
            file = Some(deletion);
        }
    }
    let file = file.unwrap();
    assert_eq!(file.key, "p/file");
    std::fs::write(dir.join("file"), "it changed").unwrap();
    let deleter = plan.deleter();
    assert_eq!(deleter.delete(&file).await.unwrap(), SyncDeleted::Changed);
    assert!(dir.join("file").exists());
}

/// As where a disk is taken away while it is walked: an empty directory is left.
#[tokio::test]
async fn a_source_that_is_another_directory_in_the_end_was_not_read_whole() {
    let scene = Scene::start().await;
    let dir = scene.dir.path().join("dir");
    std::fs::create_dir(&dir).unwrap();
    for number in 0..1500 {
        write(&dir, &format!("{number:04}"), "file");
    }
    for key in ["p/0000", "p/1499"] {
        let put = scene.server.put_object(BUCKET, key, b"file".to_vec());
        put.await.unwrap();
    }
    let request = || scene.utility.sync_up(&dir, BUCKET, "p/").delete(true);
    let mut plan = request().plan().await.unwrap();
    assert!(!told(&mut plan).await.values().any(|what| *what == 'x'));
    assert!(plan.is_complete());

    let mut plan = request().plan().await.unwrap();
    plan.next().await.unwrap();
    std::fs::rename(&dir, scene.dir.path().join("away")).unwrap();
    std::fs::create_dir(&dir).unwrap();
    let told = told(&mut plan).await;
    assert_eq!(told.get("p/1499"), Some(&'x'), "what is wrong is not seen");
    assert!(!plan.is_complete());
}
