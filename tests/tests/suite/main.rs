//! The suite as a user sees it: real processes, real kills, on Linux and on Windows.

#![forbid(unsafe_code)]

mod fleet;

use std::path::Path;

use qc_tests::Tools;

/// The tools as they are built with these tests.
fn tools() -> Tools {
    Tools::of_tests(Path::new(env!("CARGO_BIN_EXE_stand-in")))
}
