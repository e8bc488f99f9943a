//! The XML of pages, answers and errors.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| towline_s3::fuzzing::xml(bytes));
