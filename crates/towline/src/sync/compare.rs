//! Whether a file and an object are the same, as far as a listing tells.

use serde::{Deserialize, Serialize};
use towline_core::{Direction, Timestamp};

/// How a file and an object of one key are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SyncCompare {
    /// They are the same if their lengths are, and the source is not newer than the
    /// destination: the file's last change, and the object's `LastModified`, in
    /// whole seconds, as S3 tells it.
    #[default]
    SizeTime,
    /// They are the same if their lengths are.
    Size,
    /// They are the same if their lengths are, and
    /// [`verify`](crate::TransferUtility::verify) shows that they are equal: the
    /// file is read, and the object is asked about, one after the other.
    Checksum,
    /// They never are.
    Always,
}

/// Why a file or object is to be transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SyncReason {
    /// The destination has none.
    New,
    /// Their lengths differ.
    Size,
    /// The source is newer.
    Newer,
    /// Their bytes differ, or cannot be shown to be equal.
    Content,
    /// The object's metadata, tags, class or headers are not what is asked for.
    Properties,
    /// It was asked for without comparing.
    Always,
}

impl SyncReason {
    /// Its name, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Size => "size",
            Self::Newer => "newer",
            Self::Content => "content",
            Self::Properties => "properties",
            Self::Always => "always",
        }
    }
}

/// A length, and a time where it is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) size: u64,
    pub(super) modified: Option<Timestamp>,
}

/// What two looks tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looks {
    Same,
    Differ(SyncReason),
    /// The bytes tell.
    Alike,
}

pub(super) fn looks(how: SyncCompare, source: Look, destination: Look) -> Looks {
    let seconds = |look: Look| look.modified.map(|at| at.as_millis().div_euclid(1000));
    match how {
        SyncCompare::Always => Looks::Differ(SyncReason::Always),
        _ if source.size != destination.size => Looks::Differ(SyncReason::Size),
        SyncCompare::Size => Looks::Same,
        SyncCompare::Checksum => Looks::Alike,
        SyncCompare::SizeTime => match (seconds(source), seconds(destination)) {
            (Some(from), Some(to)) if from <= to => Looks::Same,
            _ => Looks::Differ(SyncReason::Newer),
        },
    }
}

/// Which of two streams in the order of their keys is behind, and is to be looked
/// at next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    File,
    Object,
    Both,
    /// There is nothing more.
    Neither,
}

pub(super) fn side(file: Option<&str>, object: Option<&str>) -> Side {
    match (file, object) {
        (None, None) => Side::Neither,
        (Some(_), None) => Side::File,
        (None, Some(_)) => Side::Object,
        (Some(file), Some(object)) => match file.as_bytes().cmp(object.as_bytes()) {
            std::cmp::Ordering::Less => Side::File,
            std::cmp::Ordering::Equal => Side::Both,
            std::cmp::Ordering::Greater => Side::Object,
        },
    }
}

/// Source and destination of a file and an object.
pub(super) fn ends<T>(direction: Direction, file: T, object: T) -> (T, T) {
    match direction {
        Direction::Upload | Direction::Copy => (file, object),
        Direction::Download => (object, file),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn look(size: u64, millis: Option<i64>) -> Look {
        Look {
            size,
            modified: millis.map(Timestamp::from_millis),
        }
    }

    #[test]
    fn a_source_of_another_length_or_a_later_second_differs() {
        let by_time = |from, to| looks(SyncCompare::SizeTime, from, to);
        let newer = Looks::Differ(SyncReason::Newer);
        let size = Looks::Differ(SyncReason::Size);
        assert_eq!(
            by_time(look(1, Some(5000)), look(1, Some(5000))),
            Looks::Same
        );
        assert_eq!(
            by_time(look(1, Some(5999)), look(1, Some(5000))),
            Looks::Same
        );
        assert_eq!(
            by_time(look(1, Some(4000)), look(1, Some(5000))),
            Looks::Same
        );
        assert_eq!(by_time(look(1, Some(6000)), look(1, Some(5999))), newer);
        assert_eq!(
            by_time(look(1, Some(-1)), look(1, Some(-1000))),
            Looks::Same
        );
        assert_eq!(by_time(look(1, None), look(1, Some(5000))), newer);
        assert_eq!(by_time(look(1, Some(5000)), look(1, None)), newer);
        assert_eq!(by_time(look(1, Some(4000)), look(2, Some(5000))), size);
        let (one, newer) = (look(1, Some(0)), look(1, Some(9000)));
        assert_eq!(looks(SyncCompare::Size, newer, one), Looks::Same);
        assert_eq!(looks(SyncCompare::Size, newer, look(2, None)), size);
        assert_eq!(looks(SyncCompare::Checksum, one, newer), Looks::Alike);
        assert_eq!(looks(SyncCompare::Checksum, one, look(2, None)), size);
        let always = Looks::Differ(SyncReason::Always);
        assert_eq!(looks(SyncCompare::Always, one, one), always);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn two_streams_are_merged_into_what_the_sets_of_their_keys_have(
            files in prop::collection::btree_set("[a-b./0\u{e9}\u{10000}]{0,4}", 0..30),
            objects in prop::collection::btree_set("[a-b./0\u{e9}\u{10000}]{0,4}", 0..30),
        ) {
            let (mut file, mut object) = (files.iter().peekable(), objects.iter().peekable());
            let (mut only_files, mut only_objects, mut both) =
                (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
            loop {
                let heads = (file.peek().map(|key| key.as_str()), object.peek().map(|key| key.as_str()));
                match side(heads.0, heads.1) {
                    Side::File => only_files.extend(file.next()),
                    Side::Object => only_objects.extend(object.next()),
                    Side::Both => {
                        both.extend(file.next());
                        object.next();
                    }
                    Side::Neither => break,
                }
            }
            prop_assert_eq!(only_files, files.difference(&objects).collect());
            prop_assert_eq!(only_objects, objects.difference(&files).collect());
            prop_assert_eq!(both, files.intersection(&objects).collect());
        }
    }
}
