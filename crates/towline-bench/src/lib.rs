//! What Towline computes for each transfer, part and request, bit by bit, to be
//! repeated and measured.
//!
//! Only what is public takes part: the state machine, the store's port and the one to
//! S3. So no crate has doors for this, and a number keeps its meaning when the same is
//! done in another way. `benches/micro.rs` times it, `bench/instructions.py` counts it.

mod at_s3;
mod in_store;
mod pure;

/// One repetition; whatever it needs was prepared before. Each does the same.
pub type Repetition = Box<dyn FnMut()>;

/// A name, and what prepares its repetitions.
type Measured = (&'static str, fn() -> Repetition);

const ALL: [Measured; 11] = [
    ("plan-of-10000-parts", pure::plan),
    ("life-of-a-small-upload", pure::small_upload),
    ("life-of-1000-parts", pure::large_upload),
    ("crc64-of-1-mib", pure::checksum),
    ("crc64-of-100-parts", pure::combined_checksum),
    ("store-500-small-uploads", in_store::small_uploads),
    ("store-500-parts", in_store::parts),
    ("sign-a-url", at_s3::sign),
    ("put-4-kib", at_s3::put),
    ("list-1000-keys", at_s3::list),
    ("complete-1000-parts", at_s3::complete),
];

/// The names of all that can be measured.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|(name, _)| *name)
}

/// Prepares one; `None` where nothing has the name.
pub fn prepare(name: &str) -> Option<Repetition> {
    let (_, prepare) = ALL.iter().find(|(known, _)| *known == name)?;
    Some(prepare())
}

/// What requests and the store are awaited on.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the system gives a runtime")
}
