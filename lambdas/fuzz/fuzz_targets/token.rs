//! See `sumu_lambdas::fuzzing::token`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sumu_lambdas::fuzzing::token(bytes));
