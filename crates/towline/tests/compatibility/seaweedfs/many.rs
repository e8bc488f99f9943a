//! Ten thousand entries up, down, listed and removed, each way as one group. T68.

use std::path::Path;
use std::time::{Duration, Instant};

use towline::{Cursor, Group, GroupObserver, State, TransferChange};

use super::{BUCKET, Scene};

const ENTRIES: usize = 10_000;

/// A directory for each hundred.
fn name(number: usize) -> String {
    format!("{:02}/{:02}", number / 100, number % 100)
}

fn fill(dir: &Path) -> u64 {
    let mut bytes = 0;
    for number in 0..ENTRIES {
        let path = dir.join(name(number));
        if number % 100 == 0 {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        }
        let content = format!("content of {number}");
        bytes += content.len() as u64;
        std::fs::write(path, content).unwrap();
    }
    bytes
}

/// Waits for the end of a group. Its progress only grows, and all of it is there in
/// the end.
async fn carried(group: GroupObserver, bytes: u64) -> Group {
    let begun = Instant::now();
    let mut done = 0;
    let ended = loop {
        let now = group.group().await.unwrap();
        assert!(now.transfers.bytes_done >= done, "{now:?}");
        done = now.transfers.bytes_done;
        if now.state.is_final() {
            break group.finished().await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    println!("{:?}: {:?}", ended.direction, begun.elapsed());
    assert_eq!(ended.state, State::Completed, "{ended:?}");
    let found = (ended.found.entries, ended.found.bytes);
    assert_eq!(found, (ENTRIES as u64, bytes));
    let sums = (ended.transfers.completed, ended.transfers.bytes_done);
    assert_eq!(sums, (ENTRIES as u64, bytes));
    ended
}

/// How often the end of a group was told from there on.
async fn ends(scene: &Scene, mut cursor: Cursor, of: &Group) -> usize {
    let mut ends = 0;
    loop {
        let (changes, upto) = scene.utility.changes(Some(cursor), 1000).await.unwrap();
        let ended = |change: &&TransferChange| matches!(change, TransferChange::Group(it) if it.id == of.id && it.state.is_final());
        ends += changes.iter().filter(ended).count();
        if changes.is_empty() {
            return ends;
        }
        cursor = upto;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t68_ten_thousand_entries_go_up_and_down_and_are_listed_and_removed_on_seaweedfs() {
    let scene = Scene::start().await;
    let dir = scene.path("dir");
    let bytes = fill(&dir);
    let (_, start) = scene.utility.changes(None, 1).await.unwrap();
    let up = scene.utility.upload_directory(&dir, BUCKET, "p/");
    let up = carried(up.await.unwrap(), bytes).await;

    let mut listed = Vec::new();
    let mut next = None;
    loop {
        let mut list = scene.utility.list(BUCKET).prefix("p/");
        if let Some(token) = next {
            list = list.continuation(token);
        }
        let page = list.await.unwrap();
        listed.extend(page.objects.into_iter().map(|object| object.key));
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    let all: Vec<String> = (0..ENTRIES).map(|n| format!("p/{}", name(n))).collect();
    assert!(listed == all, "{} are listed", listed.len());

    let back = scene.path("back");
    let down = scene.utility.download_prefix(BUCKET, "p/", &back);
    let down = carried(down.await.unwrap(), bytes).await;
    for number in 0..ENTRIES {
        let came = std::fs::read(back.join(name(number))).unwrap();
        assert_eq!(came, format!("content of {number}").as_bytes());
    }
    assert_eq!(ends(&scene, start, &up).await, 1);
    assert_eq!(ends(&scene, start, &down).await, 1);

    let begun = Instant::now();
    for keys in listed.chunks(1000) {
        let deleted = scene.utility.delete_objects(BUCKET, keys.to_vec()).await;
        let deleted = deleted.unwrap();
        assert_eq!((deleted.deleted, deleted.failed.len()), (1000, 0));
    }
    println!("removed: {:?}", begun.elapsed());
    assert_eq!(scene.keys(), [""; 0]);
    assert_eq!(scene.names(), ["back", "dir", "state"]);
}
