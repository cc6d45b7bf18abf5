//! See `sumu_lambdas::fuzzing::authorizer_event`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sumu_lambdas::fuzzing::authorizer_event(bytes));
