//! Tests report what can't be tested on this machine; nothing is left out in silence.

use std::io::{self, Write};

/// Says what this machine can't be made to do, and why; past the test harness, which would keep it
/// to itself.
pub fn cannot_test(what: &str, why: &str) {
    // If stderr is closed, test results are not read either.
    let _ = writeln!(io::stderr(), "NOT TESTED here: {what}: {why}");
}
