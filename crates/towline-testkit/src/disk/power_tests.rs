//! The model itself: what it must keep, and what it must be able to lose.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::*;

const FILE: Ino = 2;
const AT: SystemTime = SystemTime::UNIX_EPOCH;

fn make(name: &str) -> Op {
    Op::Make {
        dir: ROOT,
        name: name.into(),
        ino: FILE,
        is_dir: false,
        mode: 0o600,
        at: AT,
    }
}

fn write(offset: u64, bytes: &[u8]) -> Op {
    Op::Write {
        ino: FILE,
        offset,
        bytes: bytes.into(),
        at: AT + Duration::from_secs(1),
    }
}

fn rename(from: &str, to: &str) -> Op {
    let in_root = |name: &str| (ROOT, OsString::from(name));
    Op::Rename {
        from: in_root(from),
        to: in_root(to),
    }
}

fn remove(name: &str) -> Op {
    let name = name.into();
    Op::Remove { dir: ROOT, name }
}

fn sync(data_only: bool) -> Op {
    Op::Sync {
        ino: FILE,
        path: PathBuf::new(),
        data_only,
    }
}

fn sync_dir() -> Op {
    Op::SyncDir {
        dir: ROOT,
        path: PathBuf::new(),
    }
}

/// A disk with a file `old`, all of it synced, to which this is done.
fn recorded(ops: impl IntoIterator<Item = Op>) -> Recorded {
    let mut base = Tree::default();
    let old = Inode {
        bytes: b"old".to_vec(),
        ..Inode::new(false, 0o600, AT)
    };
    base.inodes.insert(9, old);
    base.set_name(ROOT, "old".as_ref(), 9);
    Recorded {
        base,
        ops: ops.into_iter().collect(),
    }
}

/// What a name has in many images.
fn seen(recorded: &Recorded, name: &str) -> BTreeSet<Option<Vec<u8>>> {
    let images = (0..3000).map(|seed| {
        let mut rng = Rng::with_seed(seed);
        let fate = Fate::draw(&mut rng);
        recorded.image(recorded.ops.len(), fate, &mut rng, &|_| true)
    });
    images
        .map(|image| image.tree.file(Path::new(name)).map(<[u8]>::to_vec))
        .collect()
}

fn some(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(bytes.to_vec())
}

#[test]
fn what_was_synced_with_its_name_is_in_every_image() {
    let recorded = recorded([make("new"), write(0, b"bytes"), sync(true), sync_dir()]);
    assert_eq!(seen(&recorded, "new"), [some(b"bytes")].into());
    assert_eq!(seen(&recorded, "old"), [some(b"old")].into());
}

#[test]
fn a_synced_file_whose_directory_was_not_synced_may_be_gone() {
    let recorded = recorded([make("new"), write(0, b"bytes"), sync(false)]);
    assert_eq!(seen(&recorded, "new"), [None, some(b"bytes")].into());
}

#[test]
fn a_name_is_synced_without_the_bytes_of_its_file_and_length_and_bytes_are_apart() {
    let recorded = recorded([make("new"), write(0, b"bytes"), sync_dir()]);
    let seen = seen(&recorded, "new");
    for expected in [some(b""), some(&[0; 5]), some(b"bytes")] {
        assert!(seen.contains(&expected), "{seen:?}");
    }
    assert!(!seen.contains(&None));
    let stale = |bytes: &Vec<u8>| bytes.len() == 5 && bytes != b"bytes" && *bytes != [0; 5];
    assert!(seen.iter().flatten().any(stale), "what was never written");
}

#[test]
fn unsynced_bytes_are_torn_at_sectors_and_never_within_one() {
    let new = [[1_u8; 512], [2; 512], [3; 512]].concat();
    let ops = [make("new"), write(0, &[9; 1536]), sync(true), sync_dir()];
    let recorded = recorded(ops.into_iter().chain([write(0, &new)]));
    let sectors = |bytes: &Vec<u8>| -> Vec<u8> {
        let sectors = bytes.chunks(512);
        let whole = |sector: &[u8]| sector.iter().all(|byte| *byte == sector[0]);
        sectors
            .inspect(|it| assert!(whole(it)))
            .map(|it| it[0])
            .collect()
    };
    let seen: BTreeSet<_> = seen(&recorded, "new")
        .iter()
        .flatten()
        .map(sectors)
        .collect();
    assert_eq!(seen.len(), 8, "every mix: {seen:?}");
}

#[test]
fn of_two_unsynced_writes_of_a_block_the_later_is_never_there_without_the_earlier() {
    let ops = [make("new"), write(0, b"....")];
    let ops = ops.into_iter().chain([sync(true), sync_dir()]);
    let recorded = recorded(ops.chain([write(0, b"ab"), write(2, b"cd")]));
    let expected = [some(b"...."), some(b"ab.."), some(b"abcd")];
    assert_eq!(seen(&recorded, "new"), expected.into());
}

#[test]
fn a_rename_happens_or_does_not_and_what_it_replaces_is_whole_until_then() {
    let synced = [make("new"), write(0, b"bytes"), sync(false), sync_dir()];
    let recorded = recorded(synced.into_iter().chain([rename("new", "old")]));
    assert_eq!(
        seen(&recorded, "old"),
        [some(b"old"), some(b"bytes")].into()
    );
    for seed in 0..200 {
        let mut rng = Rng::with_seed(seed);
        let image = recorded.image(recorded.ops.len(), Fate::Drawn, &mut rng, &|_| true);
        let names = image.tree.names(Path::new(""));
        let renamed = image.tree.file(Path::new("old")) == Some(b"bytes");
        assert_eq!(names.len(), if renamed { 1 } else { 2 }, "{names:?}");
    }
}

#[test]
fn a_removed_name_comes_back_until_its_directory_is_synced() {
    let ops = [make("new"), write(0, b"bytes"), sync(false), sync_dir()];
    let ops: Vec<Op> = ops.into_iter().chain([remove("new")]).collect();
    let seen_of = |ops: Vec<Op>| seen(&recorded(ops), "new");
    assert_eq!(seen_of(ops.clone()), [None, some(b"bytes")].into());
    let synced = ops.into_iter().chain([sync_dir()]).collect();
    assert_eq!(seen_of(synced), [None].into());
}

#[test]
fn fdatasync_leaves_the_time_behind_and_fsync_does_not() {
    for (data_only, times) in [(true, 2), (false, 1)] {
        let recorded = recorded([make("new"), write(0, b"bytes"), sync(data_only), sync_dir()]);
        let seen: BTreeSet<_> = (0..100)
            .map(|seed| {
                let mut rng = Rng::with_seed(seed);
                let image = recorded.image(4, Fate::Drawn, &mut rng, &|_| true);
                image.tree.inodes[&FILE].modified
            })
            .collect();
        assert_eq!(seen.len(), times, "{seen:?}");
    }
}

#[test]
fn what_is_certain_is_told_from_what_may_be_lost() {
    let ops = [make("new"), write(0, b"bytes"), sync(true)];
    let ops = ops.into_iter().chain([write(5, b"more"), sync_dir()]);
    let recorded = recorded(ops);
    let told = |ops: usize| {
        let image = recorded.image(ops, Fate::Lost, &mut Rng::new(), &|_| true);
        let name = std::ffi::OsStr::new("new");
        (image.certain[name], image.uncertain[name])
    };
    assert_eq!([2, 3, 4, 5].map(told), [(0, 5), (0, 5), (0, 9), (5, 4)]);
}

#[test]
fn a_sync_that_is_a_lie_keeps_nothing() {
    let recorded = recorded([make("new"), write(0, b"bytes"), sync(false), sync_dir()]);
    let honest = |op: &Op| !matches!(op, Op::Sync { .. });
    let image = recorded.image(4, Fate::Lost, &mut Rng::new(), &honest);
    assert_eq!(image.tree.file(Path::new("new")), Some(&b""[..]));
}

#[test]
fn an_image_in_which_all_is_kept_is_what_a_program_saw() {
    let ops = [
        make("new"),
        write(3, b"bytes"),
        Op::Resize {
            ino: FILE,
            size: 5,
            at: AT,
        },
        rename("new", "other"),
        remove("old"),
    ];
    let recorded = recorded(ops);
    let image = recorded.image(5, Fate::Kept, &mut Rng::new(), &|_| true);
    let saw = recorded.held_after(5);
    assert_eq!(image.tree.names(Path::new("")), saw.names(Path::new("")));
    let other = Path::new("other");
    assert_eq!(image.tree.file(other), saw.file(other));
}
