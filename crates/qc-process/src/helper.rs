use std::sync::atomic::{AtomicBool, Ordering};

use crate::imp;

/// The first argument of a helper; no user types it.
pub(crate) const HELPER: &str = "__qc-process-helper";

static READY: AtomicBool = AtomicBool::new(false);

/// Does the helper's work and ends the program, if it was started as a helper.
///
/// Sending Ctrl-C to another console means giving up one's own, so on Windows
/// [`crate::ask_all`] starts the running program once more for that. Every program that stops
/// others calls this first in `main`; in a program that does not, asking by Ctrl-C is refused.
pub fn run_if_asked() {
    READY.store(true, Ordering::Relaxed);
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == HELPER) {
        let code = imp::run_helper(words.filter_map(|word| word.into_string().ok()));
        std::process::exit(code);
    }
}

/// Whether this program can be started as a helper.
#[cfg_attr(unix, expect(dead_code, reason = "Unix signals need no helper"))]
pub(crate) fn is_ready() -> bool {
    READY.load(Ordering::Relaxed)
}
