//! Keys, and the files that they stand for.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let scratch = tempfile::tempdir().expect("a directory can be made");
    towline_engine::fuzzing::keys(bytes, scratch.path());
});
