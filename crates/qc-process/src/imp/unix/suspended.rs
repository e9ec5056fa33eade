//! Suspended processes: those that a signal such as SIGSTOP has stopped.

use std::collections::HashSet;

use super::stat::Stat;

/// Returns those of these processes that are suspended.
pub(crate) fn suspended(pids: &[u32]) -> HashSet<u32> {
    let is_suspended = |pid: u32| {
        let stat = std::fs::read(format!("/proc/{pid}/stat")).ok();
        stat.and_then(|text| Stat::parse(&text)).is_some_and(|stat| stat.is_stopped())
    };
    pids.iter().copied().filter(|&pid| is_suspended(pid)).collect()
}

/// Returns how the user resumes a process.
pub(crate) fn resume_hint(pid: u32) -> String {
    format!("`kill -CONT {pid}` lets it go on")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

    use super::*;

    #[test]
    fn a_process_is_suspended_from_its_stop_to_its_continuation() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let id = child.id();
        let pid = Pid::from_child(&child);
        assert_eq!(suspended(&[id]), HashSet::new());
        kill_process(pid, Signal::STOP).unwrap();
        // Its parent is told once it stands still.
        waitpid(Some(pid), WaitOptions::UNTRACED).unwrap();
        assert_eq!(suspended(&[id, std::process::id()]), [id].into());
        kill_process(pid, Signal::CONT).unwrap();
        waitpid(Some(pid), WaitOptions::CONTINUED).unwrap();
        assert_eq!(suspended(&[id]), HashSet::new());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
