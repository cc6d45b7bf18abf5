//! See `sumu_lambdas::fuzzing::work_item`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sumu_lambdas::fuzzing::work_item(bytes));
