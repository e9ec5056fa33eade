//! `qc-launch init`: a config to begin with.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

use qc_cli::{Exit, Failure, Location, shown};
use qc_fleet::{section_template, template};

use crate::cli::InitArgs;

pub(crate) fn run(
    args: &InitArgs,
    location: &Location,
    output: &mut dyn Write,
) -> Result<Exit, Failure> {
    if args.section {
        write!(output, "{}", section_template())?;
        return Ok(Exit::Done);
    }
    let path = location.new_config();
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::new(
            Exit::Usage,
            format!("{} exists, nothing was written", shown(&path)),
            "`qc-launch init --section` prints the section to paste into it",
        ),
        _ => {
            let hint = "see whether the folder exists and may be written to";
            let message = format!("cannot write {}: {error}", shown(&path));
            Failure::new(Exit::Failed, message, hint)
        }
    };
    // Made only if there is none, so that no config is ever overwritten.
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed)?;
    file.write_all(template().as_bytes()).map_err(failed)?;
    writeln!(output, "Wrote {}.", shown(&path))?;
    writeln!(output, "Next: fill in the accounts, then run `qc-launch check`.")?;
    Ok(Exit::Done)
}
