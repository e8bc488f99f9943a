//! `Content-Range`, lengths and dates.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| towline_s3::fuzzing::ranges(bytes));
