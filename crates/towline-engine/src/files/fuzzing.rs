//! Keys of any kind, and files written where they lead: each function panics
//! where a promise is broken. Driven by the target `keys` in `fuzz/`, and by the
//! seeded test below where there is no fuzzer.

#![allow(missing_docs, unreachable_pub, reason = "for the fuzz target alone")]
#![allow(clippy::unwrap_used, reason = "a panic is what it is for")]

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use super::{KeyNames, KeyPlace, Target, TargetDir, check_beneath, key_of, make_beneath};

/// Takes keys from bytes and downloads them below a directory in `scratch`, which
/// is empty; links that lead out of it are planted there first.
pub fn keys(bytes: &[u8], scratch: &Path) {
    let (root, outside) = (scratch.join("root"), scratch.join("outside"));
    std::fs::create_dir(&root).unwrap();
    std::fs::create_dir(&outside).unwrap();
    let (dice, bytes) = bytes.split_at(bytes.len().min(1));
    let dice = dice.first().copied().unwrap_or(0);
    let keys = taken_from(bytes);
    if dice & 1 == 1 {
        plant(&keys, &root, &outside);
    }
    let mut names = KeyNames::new(dice & 2 == 2);
    let mut paths: BTreeMap<PathBuf, &String> = BTreeMap::new();
    for (key, size) in &keys {
        let Ok(place) = names.place(key, *size) else {
            continue;
        };
        let (KeyPlace::File(path) | KeyPlace::Directory(path)) = &place;
        let normal = |component| matches!(component, Component::Normal(_));
        assert!(path.components().all(normal), "{key:?}: {path:?}");
        for name in path.iter() {
            let name = name.to_str().unwrap();
            assert!((1..=255).contains(&name.len()), "{key:?}: {name:?}");
            assert!(!name.chars().any(char::is_control), "{key:?}: {name:?}");
            let ours = name.starts_with(".towline-") && name.ends_with(".part");
            assert!(!ours, "{key:?}: {name:?}");
        }
        match &place {
            KeyPlace::File(path) => {
                assert_eq!(key_of(path).as_ref(), Some(key), "{path:?}");
                assert_eq!(paths.insert(path.clone(), key), None, "{path:?}");
                write(&root, path);
            }
            KeyPlace::Directory(path) => drop(make_beneath(&root, path)),
        }
    }
    let left: Vec<_> = std::fs::read_dir(&outside).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(std::fs::read_dir(scratch).unwrap().count(), 2);
}

/// Up to 1,024 bytes each, in the order of a listing, none twice.
fn taken_from(bytes: &[u8]) -> BTreeMap<String, u64> {
    let keys = bytes.split(|byte| *byte == 0xff).take(64);
    let sized = keys.map(|key| {
        let size = u64::from(key.len() % 3 != 0);
        let mut key = String::from_utf8_lossy(key).into_owned();
        while key.len() > 1024 {
            key.pop();
        }
        (key, size)
    });
    sized.collect()
}

/// Links with the names that keys begin with.
fn plant(keys: &BTreeMap<String, u64>, root: &Path, outside: &Path) {
    for key in keys.keys().step_by(2) {
        let path = super::path_of(key);
        let names: Vec<_> = path.iter().collect();
        let depth = 1 + key.len() % names.len();
        let link: PathBuf = names[..depth].iter().collect();
        if make_beneath(root, link.parent().unwrap()).is_ok() {
            let _ = symlink(outside, root.join(link)); // one may be there
        }
    }
}

fn write(root: &Path, below: &Path) {
    let depth = u32::try_from(root.components().count() - 1).unwrap();
    let path = root.join(below);
    if check_beneath(&path, depth).is_err() {
        return;
    }
    let target = Target::new(&path, Some(depth));
    let written = TargetDir::of(&super::system::System, &target).and_then(|dir| {
        let file = dir.create_temp("temp", 3)?;
        file.write_all_at(b"new", 0).unwrap();
        dir.publish("temp", true)
    });
    // One of over 4,096 bytes has no path that a system call takes.
    if written.is_ok() && path.as_os_str().len() < 4096 {
        assert!(
            std::fs::symlink_metadata(&path).unwrap().is_file(),
            "{path:?}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Characters that a mapping could get wrong, and some others.
    const LETTERS: &[&str] = &[
        "a",
        "A",
        "b",
        "/",
        "/",
        "/",
        ".",
        "..",
        "%",
        "%2",
        "%2F",
        "%25",
        "%C2",
        "%85",
        "2E",
        "-",
        "\0",
        "\u{1b}",
        "\u{7f}",
        "\u{85}",
        "\u{e9}",
        "e\u{301}",
        "\u{202e}",
        "\\",
        ":",
        " ",
        ".towline-",
        ".part",
        "%2D",
    ];

    fn any_bytes(rng: &mut fastrand::Rng) -> Vec<u8> {
        let mut bytes = vec![rng.u8(..)];
        for _ in 0..rng.usize(1..12) {
            let repeat = if rng.u8(..) < 20 { 200 } else { 1 };
            for _ in 0..rng.usize(0..10) {
                let letter = LETTERS[rng.usize(..LETTERS.len())];
                bytes.extend_from_slice(letter.repeat(repeat).as_bytes());
            }
            bytes.push(0xff);
        }
        bytes
    }

    /// More by `TOWLINE_FUZZ_KEYS`.
    #[test]
    fn s15_s16_keys_of_any_kind_are_written_beneath_their_directory_alone() {
        let runs = std::env::var("TOWLINE_FUZZ_KEYS").ok();
        let runs: u64 = runs.map_or(60, |text| text.parse().unwrap());
        for seed in 0..runs {
            let scratch = tempfile::tempdir().unwrap();
            let bytes = any_bytes(&mut fastrand::Rng::with_seed(seed));
            let run = || keys(&bytes, scratch.path());
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
            assert!(
                ended.is_ok(),
                "seed {seed}: {:?}",
                String::from_utf8_lossy(&bytes)
            );
        }
    }

    #[test]
    fn s15_a_key_can_always_be_read_off_its_path() {
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..3000 {
            let len = rng.usize(1..40);
            let key: String = (0..len)
                .map(|_| LETTERS[rng.usize(..LETTERS.len())])
                .collect();
            let key = key.repeat(rng.usize(1..20));
            let path = super::super::path_of(&key);
            assert_eq!(key_of(&path).as_ref(), Some(&key), "{path:?}");
        }
    }
}
