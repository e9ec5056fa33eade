//! How a start in the background went, told by the copy that stays to the command that started it.

use std::io::{self, Write};

/// The copy's line for each component that should run and does not: its name, a tab, and the
/// reason.
pub(crate) const MISSING: &str = "MISSING ";

/// The copy's line once the state of the fleet no longer changes.
pub(crate) const SETTLED: &str = "SETTLED";

/// Says how the start went, to the one who started this copy.
pub(crate) fn announce(missing: &[(String, String)]) {
    let mut output = io::stdout().lock();
    for (name, why) in missing {
        // The reader may have gone; ignore.
        let _ = writeln!(output, "{MISSING}{name}\t{why}");
    }
    let _ = writeln!(output, "{SETTLED}");
    let _ = output.flush();
}
