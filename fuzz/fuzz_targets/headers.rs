//! The headers of an answer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| towline_s3::fuzzing::headers(bytes));
