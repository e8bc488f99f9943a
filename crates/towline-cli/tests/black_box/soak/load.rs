//! What is moved: a few files and objects of all sizes, over and over.

use std::path::PathBuf;

use fastrand::Rng;
use towline_testkit::crash::{BUCKET, Content, Scene, Task};

use crate::terminal::MIB;

const SIZES: [u64; 8] = [
    0,
    1,
    10_000,
    700_000,
    5 * MIB,
    5 * MIB + 1,
    9 * MIB,
    20 * MIB,
];

/// The files and objects that all sides read.
pub(super) fn prepare(scene: &Scene) {
    for (n, size) in SIZES.into_iter().enumerate() {
        scene.file(&format!("file-{n}"), size, 100 + n as u64);
        scene.object(&format!("object-{n}"), size, 200 + n as u64);
    }
}

/// The transfers of one state.
pub(super) struct Load {
    prefix: &'static str,
    copies: PathBuf,
}

impl Load {
    pub(super) fn on(scene: &Scene, prefix: &'static str) -> Self {
        let copies = scene.path(format!("copies-{prefix}"));
        std::fs::create_dir(&copies).unwrap();
        Self { prefix, copies }
    }

    fn copy(&self, n: usize) -> PathBuf {
        self.copies.join(format!("copy-{n}"))
    }

    /// A command that has one of them done in the background, or has finished ones
    /// forgotten.
    pub(super) fn any(&self, scene: &Scene, rng: &mut Rng) -> Task {
        let n = rng.usize(..SIZES.len());
        match rng.u8(..20) {
            0 => scene.task(["remove", "--all"]),
            1..=10 => scene.task([
                "upload".into(),
                "--detach".into(),
                scene.path(format!("file-{n}")),
                format!("s3://{BUCKET}/{}/{n}", self.prefix).into(),
            ]),
            _ => scene.task([
                "download".into(),
                "--detach".into(),
                format!("s3://{BUCKET}/object-{n}").into(),
                self.copy(n),
            ]),
        }
    }

    /// All that is recorded has completed, each object and file is whole, and
    /// there is nothing else.
    pub(super) fn assert_ended(&self, scene: &Scene, state: &Task) {
        for row in scene.rows_of(state) {
            assert_eq!(row.state, "completed", "{row:?}");
        }
        let mut whole = 0;
        for n in 0..SIZES.len() {
            let key = format!("{}/{n}", self.prefix);
            if let Ok(bytes) = scene.server.object_bytes(BUCKET, &key) {
                let file = Content::of_file(&scene.path(format!("file-{n}"))).unwrap();
                assert_eq!(Some(Content::of(&bytes)), file, "{key}");
                whole += 1;
            }
            if let Some(copy) = Content::of_file(&self.copy(n)).unwrap() {
                let object = scene.server.object_bytes(BUCKET, &format!("object-{n}"));
                assert_eq!(copy, Content::of(&object.unwrap()), "copy {n}");
                whole += 1;
            }
        }
        assert!(whole >= SIZES.len(), "only {whole} arrived");
        for entry in std::fs::read_dir(&self.copies).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            assert!(name.starts_with("copy-"), "{name} was left");
        }
    }
}
