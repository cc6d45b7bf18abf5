//! See `sumu_lambdas::fuzzing::watchdog_event`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sumu_lambdas::fuzzing::watchdog_event(bytes));
