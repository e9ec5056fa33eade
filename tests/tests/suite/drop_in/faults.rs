//! Faults around the drop-in: no answer changes, nothing is stuck, no lock is left without an
//! owner.

use super::works;

#[test]
fn what_can_not_be_said_or_written_changes_no_answer() {
    for how in ["closed", "closed object", "none", "no reader", "odd", "few characters"] {
        println!("{how}");
        works(include_str!("errors.py"), &[how]);
    }
}

#[test]
fn a_sub_interpreter_that_ends_gives_its_locks_back() {
    works(include_str!("interpreters.py"), &[]);
}

#[cfg(unix)]
#[test]
fn a_fork_while_another_thread_acquires_is_not_stuck() {
    works(include_str!("forks.py"), &[]);
}

/// Windows has no SIGTERM.
#[cfg(unix)]
#[test]
fn a_bot_that_is_terminated_at_any_line_ends_and_leaves_nothing_held() {
    works(include_str!("terminated.py"), &["3"]);
}
