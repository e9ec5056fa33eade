//! The output of a wrapper, until its component runs.

use std::io::{self, BufRead, BufReader, PipeReader};
use std::thread;

use qc_process::{Identity, here};

use crate::starter::WrapperReport;

/// A thread that reads a line or two needs no large stack.
const READER_STACK: usize = 64 * 1024;

/// Listens to a wrapper until it has said that the component runs; what it writes later reaches
/// no process, and it does not matter.
pub(super) fn listen(
    pipe: PipeReader,
    hear: impl Fn(WrapperReport) + Send + 'static,
) -> io::Result<()> {
    let reader = thread::Builder::new().name("wrapper".into()).stack_size(READER_STACK);
    reader.spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            match line.strip_prefix("started ").and_then(identity) {
                Some(identity) => return hear(WrapperReport::Started(identity)),
                None => hear(WrapperReport::Line(line.trim_end().to_owned())),
            }
        }
    })?;
    Ok(())
}

/// Reads `PID TIME`.
fn identity(text: &str) -> Option<Identity> {
    let (pid, started) = text.trim().split_once(' ')?;
    let boot_id = here().boot_id.clone();
    Some(Identity { pid: pid.parse().ok()?, started: started.parse().ok()?, boot_id })
}
