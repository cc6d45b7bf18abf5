//! See `sumu_lambdas::fuzzing::push_request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sumu_lambdas::fuzzing::push_request(bytes));
