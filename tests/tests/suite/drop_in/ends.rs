//! How a lock of the drop-in ends: by its own object and by nothing else.

use qc_tests::{SampleLocks, own_account, run};

use super::command;
use crate::tools;

#[track_caller]
fn succeeds(text: &str) {
    let locks = SampleLocks::new(tools());
    let Some(mut command) = command(&locks, text, &[own_account().as_ref()]) else { return };
    let command = command.current_dir(locks.folder()).env("PYTHONWARNINGS", "error");
    let finished = run(command, "");
    assert_eq!(finished.code, 0, "{finished:?}");
}

#[test]
fn a_copy_holds_nothing_and_an_inner_block_gives_nothing_back() {
    succeeds(include_str!("copies.py"));
}

#[test]
fn a_release_closes_only_what_is_the_locks() {
    succeeds(include_str!("closed.py"));
}

#[cfg(unix)]
mod unix {
    use qc_process::{Process, identity_of};
    use qc_tests::{Contender, Speaker};

    use super::*;

    const REPLACED: &str = include_str!("replaced.py");

    /// The account stays with the process, also between two programs, and no helper gets it.
    #[test]
    fn a_bot_that_replaces_itself_keeps_its_account_on_the_whole_machine() {
        for under_tool in [false, true] {
            let (locks, other) = (SampleLocks::new(tools()), SampleLocks::new(tools()));
            let account = own_account();
            let there = other.dir();
            let args = [account.as_ref(), &*there];
            let Some(mut bot) = command(&locks, REPLACED, &args) else { return };
            if under_tool {
                let words = ["run", "BRAIN_DROPIN", "--account", account, "--"];
                let mut tool = locks.qc_lock_command(&words);
                tool.arg(bot.get_program()).args(bot.get_args()).env("QC_LOCK_DIR", locks.dir());
                bot = tool;
            }
            let mut bot = Contender::start(&mut bot);
            let pid = bot.holds().expect("it holds its lock");
            let helpers = bot.seen().iter().filter_map(|line| line.strip_prefix("helper "));
            let helpers: Vec<u32> = helpers.map(|pid| pid.parse().expect("a PID")).collect();
            let helpers: Vec<_> = helpers.into_iter().flat_map(identity_of).collect();
            assert_eq!(helpers.len(), 3);
            let ask = || other.attempt(Speaker::Python, "BRAIN_OTHER", Some(account));
            ask().names(pid);
            bot.tell("replace");
            bot.wait_for("replaced");
            ask().names(pid);
            bot.tell("end");
            assert_eq!(bot.finish().code, 0, "{under_tool}");
            assert_eq!(ask().taken(), 0);
            assert!(locks.attempt(Speaker::Python, "BRAIN_DROPIN", Some(account)).taken() <= 1);
            for helper in helpers {
                let helper = Process::open(&helper).expect("it may be opened").expect("it runs");
                helper.kill().expect("it may be killed");
            }
        }
    }
}
