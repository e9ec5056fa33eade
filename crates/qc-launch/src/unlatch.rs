//! `qc-launch unlatch`: starts are allowed again.

use std::io::Write;

use qc_cli::{Answer, Exit, Failure, confirm};
use qc_lock_core::LockDir;

use crate::cli::UnlatchArgs;

pub(crate) fn unlatch(
    args: &UnlatchArgs,
    locks: &LockDir,
    output: &mut dyn Write,
) -> Result<Exit, Failure> {
    let Some(latch) = locks.latch() else {
        writeln!(output, "Starts are not forbidden.")?;
        return Ok(Exit::Done);
    };
    writeln!(output, "Every start is forbidden: {latch}")?;
    if !args.yes {
        let cancelled = |message: &str, hint: &str| Failure::new(Exit::Cancelled, message, hint);
        match confirm("Type YES to allow starts again")? {
            Answer::Yes => {}
            Answer::No => {
                return Err(cancelled(
                    "cancelled, every start is still forbidden",
                    "type YES in capitals to allow starts again",
                ));
            }
            Answer::Nobody => {
                return Err(cancelled(
                    "nobody answered, every start is still forbidden",
                    "use --yes where nobody can type YES",
                ));
            }
        }
    }
    locks.unlatch()?;
    writeln!(output, "Starts are allowed again; nothing was started.")?;
    Ok(Exit::Done)
}
