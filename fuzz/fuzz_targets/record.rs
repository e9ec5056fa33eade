//! The record of a lock, from whatever bytes.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| qc_test_inputs::any_record(bytes));
