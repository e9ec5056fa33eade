//! The command lines of running processes, from whatever bytes.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| qc_test_inputs::any_command(bytes));
