//! Programs that stand still, and go on later.

use std::ffi::OsStr;
use std::process::Command;

use qc_process::Identity;

use crate::{python, run};

/// The script for a Python for Windows. Nothing documented suspends a process; debuggers do it like
/// this.
const SUSPEND: &str = "import ctypes, sys\n\
    handle = ctypes.windll.kernel32.OpenProcess(0x0800, False, int(sys.argv[2]))\n\
    sys.exit(handle == 0 or getattr(ctypes.windll.ntdll, sys.argv[1])(handle))\n";

/// Lets a child of this test stand still, so that it answers no request; `false` if there is nothing
/// here that could do it. Linux: SIGSTOP. Windows: through a Python, where there is one.
///
/// # Panics
/// If it can't be done.
pub fn suspend(identity: &Identity) -> bool {
    tell(identity, "-STOP", "NtSuspendProcess")
}

/// Lets it go on.
///
/// # Panics
/// If it can't be done.
pub fn resume(identity: &Identity) {
    assert!(tell(identity, "-CONT", "NtResumeProcess"), "it was suspended by nothing");
}

fn tell(identity: &Identity, signal: &str, call: &str) -> bool {
    let pid = identity.pid.to_string();
    let (program, args) = if cfg!(windows) {
        let Some(python) = python() else { return false };
        (python.as_os_str(), vec!["-c", SUSPEND, call, &pid])
    } else {
        (OsStr::new("kill"), vec![signal, &pid])
    };
    let told = run(Command::new(program).args(args), "");
    assert_eq!(told.code, 0, "{told:?}");
    true
}
