//! How a lock of the drop-in ends: by its own object and by nothing else.

use super::works;

#[test]
fn a_copy_holds_nothing_and_an_inner_block_gives_nothing_back() {
    works(include_str!("copies.py"), &[]);
}

#[test]
fn a_release_closes_only_what_is_the_locks() {
    works(include_str!("closed.py"), &[]);
}

#[test]
fn what_a_library_writes_to_a_closed_standard_output_hits_no_lock() {
    works(include_str!("standard.py"), &[]);
}

#[test]
fn a_lock_is_held_by_the_process_and_by_one_object() {
    works(include_str!("threads.py"), &[]);
}

#[test]
fn a_file_without_a_descriptor_is_closed_again() {
    works(include_str!("handles.py"), &[]);
}

#[cfg(unix)]
mod unix {
    use qc_process::{Process, identity_of};
    use qc_tests::{Contender, SampleLocks, Speaker, own_account, run};

    use super::super::command;
    use crate::tools;

    const REPLACED: &str = include_str!("replaced.py");

    /// Other threads that work while one replaces the program are no sign that it has failed.
    #[test]
    fn a_bot_with_threads_that_replaces_itself_keeps_its_account() {
        let text = r#"
import os, sys, threading, time
from process_lock import ProcessLock
life = int(os.environ.get("LIFE", "1"))
open_now = (f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd"))
kept = [link for link in open_now if os.path.lexists(link) and "/dev/shm/qc2." in os.readlink(link)]
assert life == 1 or kept, life
assert ProcessLock("BRAIN_DROPIN", sys.argv[1]).acquire(), life
def read():
    while True:
        open("/proc/loadavg").close()
        time.sleep(0.0001)
for _ in range(2):
    threading.Thread(target=read, daemon=True).start()
if life < 60:
    os.environ["LIFE"] = str(life + 1)
    os.execv(sys.executable, [sys.executable] + sys.argv)
"#;
        let locks = SampleLocks::new(tools());
        let Some(mut bot) = command(&locks, text, &[own_account().as_ref()]) else { return };
        let ended = run(&mut bot, "");
        assert_eq!(ended.code, 0, "{ended:?}");
    }

    #[test]
    fn a_bot_that_replaces_itself_is_not_refused_by_itself_after_all_records_were_deleted() {
        let text = r#"
import os, shutil, sys
from process_lock import LOCK_DIR, ProcessLock
life = int(os.environ.get("LIFE", "1"))
assert ProcessLock("BRAIN_DROPIN", sys.argv[1]).acquire(), life
if life < 3:
    os.environ["LIFE"] = str(life + 1)
    shutil.rmtree(LOCK_DIR)
    os.execv(sys.executable, [sys.executable] + sys.argv)
print("held by PID", os.getpid(), flush=True)
sys.stdin.readline()
"#;
        let (locks, other) = (SampleLocks::new(tools()), SampleLocks::new(tools()));
        let Some(mut bot) = command(&locks, text, &[own_account().as_ref()]) else { return };
        let mut bot = Contender::start(&mut bot);
        let pid = bot.holds().expect("it is refused by its own lock");
        for asker in Speaker::all() {
            locks.attempt(asker, "BRAIN_DROPIN", None).names(pid);
        }
        for asker in [Speaker::Tool, Speaker::Python] {
            other.attempt(asker, "BRAIN_OTHER", Some(own_account())).names(pid);
        }
        assert_eq!(bot.finish().code, 0);
    }

    /// A child that an ended bot has forked keeps its lock, and is named, also in another folder.
    #[test]
    fn a_child_that_keeps_the_lock_of_an_ended_bot_is_named() {
        let text = r#"
import os, sys
from process_lock import ProcessLock
assert ProcessLock("BRAIN_DROPIN", sys.argv[1]).acquire()
if os.fork() == 0:
    print("child", os.getpid(), flush=True)
    sys.stdin.readline()
os._exit(0)
"#;
        let (locks, other) = (SampleLocks::new(tools()), SampleLocks::new(tools()));
        let Some(mut bot) = command(&locks, text, &[own_account().as_ref()]) else { return };
        let mut bot = Contender::start(&mut bot);
        bot.wait_for("child ");
        let child = bot.seen().iter().find_map(|line| line.strip_prefix("child "));
        let named = format!("its guard is open in PID {} (python", child.expect("it was read"));
        for (locks, name) in [(&locks, "BRAIN_DROPIN"), (&other, "BRAIN_OTHER")] {
            let refusals = [Speaker::Python, Speaker::Tool].map(|speaker| {
                let refused = locks.attempt(speaker, name, Some(own_account())).refused();
                assert!(refused.contains(&named), "no `{named}`: {refused}");
                assert_eq!(refused.matches(&named).count(), 1, "{refused}");
                assert!(refused.contains("qc-lock release-left BRAIN_DROPIN"), "{refused}");
                let (_, holder) = refused.split_once(" is held by ").expect("it names the holder");
                holder.split("; both need").next().unwrap_or_default().to_owned()
            });
            if name == "BRAIN_OTHER" {
                assert_eq!(refusals[0], refusals[1]);
                assert!(refusals[0].contains("which has ended, has left behind"), "{refusals:?}");
            }
        }
        bot.tell("end");
        assert_eq!(bot.finish().code, 0);
    }

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
