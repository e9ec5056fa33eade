//! `qc-launch unlatch`: starts are allowed again.

use std::io::Write;

use qc_cli::{Answer, Exit, Failure, confirm};
use qc_lock_core::{Latch, LockDir};

use crate::cli::UnlatchArgs;

const STILL: &str = "cancelled, what was forbidden still is";

pub(crate) fn unlatch(
    args: &UnlatchArgs,
    locks: &LockDir,
    output: &mut dyn Write,
) -> Result<Exit, Failure> {
    let latches: Vec<Latch> = locks.latch().into_iter().chain(locks.scoped_latches()).collect();
    if latches.is_empty() {
        writeln!(output, "Starts are not forbidden.")?;
        return Ok(Exit::Done);
    }
    for latch in &latches {
        writeln!(output, "{}", capitalized(&latch.sentence()))?;
    }
    if !args.yes {
        let cancelled = |message: &str, hint: &str| Failure::new(Exit::Cancelled, message, hint);
        match confirm("Type YES to allow starts again")? {
            Answer::Yes => {}
            Answer::No => {
                return Err(cancelled(STILL, "type YES in capitals to allow starts again"));
            }
            Answer::Nobody => {
                return Err(cancelled(
                    "nobody answered, what was forbidden still is",
                    "use --yes where nobody can type YES",
                ));
            }
        }
    }
    locks.unlatch()?;
    writeln!(output, "Starts are allowed again; nothing was started.")?;
    Ok(Exit::Done)
}

/// Returns a text as a sentence begins.
fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
