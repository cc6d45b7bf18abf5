//! See `sumu_lambdas::fuzzing::key_document`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sumu_lambdas::fuzzing::key_document(bytes));
