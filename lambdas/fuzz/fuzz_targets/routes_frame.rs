//! See `sumu_lambdas::fuzzing::routes_frame`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sumu_lambdas::fuzzing::routes_frame(bytes));
