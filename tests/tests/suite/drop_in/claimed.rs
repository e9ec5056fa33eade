//! A bot whose starter has closed the guards that it would have inherited, as `subprocess` does: the lock
//! is held for as long as the bot lives all the same.

use std::fs;
use std::time::Duration;

use qc_process::{Process, identity_of, wait_any};
use qc_tests::{Contender, SampleLocks, Speaker, own_account, python};

use crate::tools;

/// Starts the bot as a program of its own, and ends as its word says.
const STARTER: &str = r#"
import os, subprocess, sys
bot = subprocess.Popen([sys.executable, "bot.py", sys.argv[1], *sys.argv[3:]], stdout=subprocess.PIPE)
print(bot.stdout.readline().decode().strip(), os.getpid(), flush=True)
if sys.argv[2] == "stay":
    bot.wait()
"#;

const BOT: &str = r#"
import os, sys
if "close" in sys.argv:
    os.closerange(3, 256)
from process_lock import ProcessLock
name = "BRAIN_ITS_OWN" if "other-name" in sys.argv else "BRAIN_DROPIN"
with ProcessLock(name, account=sys.argv[1]) as lock:
    if "released" in sys.argv:
        lock.release()
    print("held by PID", os.getpid(), flush=True)
    sys.stdin.readline()
    assert lock.acquired or "released" in sys.argv
"#;

/// Starts a Python with these words under `qc-lock run`, and waits until the bot has the lock. Returns it
/// and what started it.
fn bot(locks: &SampleLocks, words: &[&str]) -> Option<(Contender, Option<Process>)> {
    for (name, text) in [("starter.py", STARTER), ("bot.py", BOT)] {
        fs::write(locks.folder().join(name), text).unwrap();
    }
    let python = python()?;
    let start = ["run", "BRAIN_DROPIN", "--account", own_account(), "--"];
    let mut command = locks.qc_lock_command(&start);
    command.arg(python).args(words).current_dir(locks.folder());
    let mut bot = Contender::start(&mut command);
    bot.holds().expect("it is refused by its own wrapper");
    let line = bot.seen().last().expect("it has printed a line").clone();
    let starter = line.split(' ').nth(4).map(|pid| pid.parse().expect("a pid"));
    let starter = starter.and_then(|pid| identity_of(pid).ok());
    Some((bot, starter.and_then(|starter| Process::open(&starter).unwrap())))
}

/// Sees that the account is refused in this folder and in another one.
fn assert_held(locks: &SampleLocks) {
    let other = SampleLocks::new(tools());
    for asker in [Speaker::Tool, Speaker::Python] {
        locks.attempt(asker, "BRAIN_SECOND", Some(own_account())).refused();
        other.attempt(asker, "BRAIN_OTHER", Some(own_account())).refused();
    }
}

#[test]
fn a_bot_keeps_its_lock_when_its_starter_has_ended() {
    let locks = SampleLocks::new(tools());
    let Some((bot, starter)) = bot(&locks, &["starter.py", own_account(), "end"]) else { return };
    if let Some(starter) = starter {
        assert_eq!(wait_any(&[&starter], Duration::from_secs(60)).unwrap(), [0]);
    }
    assert_held(&locks);
    assert!(bot.works());
    assert_eq!(bot.finish().code, 0);
    assert_eq!(locks.attempt(Speaker::Tool, "BRAIN_SECOND", Some(own_account())).taken(), 0);
}

#[cfg(unix)]
mod unix {
    use super::*;

    /// Kills all that keeps the lock for the bot.
    fn kill_the_others(bot: &mut Contender, starter: Option<Process>) {
        bot.kill_wrapper();
        if let Some(starter) = starter {
            starter.kill().unwrap();
        }
    }

    /// Waits for what only the folder of locks tells.
    fn await_that(locks: &SampleLocks, what: &str, is_so: impl Fn() -> bool) {
        for _ in 0..3000 {
            if is_so() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("never {what}: {:?}", fs::read_dir(locks.dir()).unwrap().collect::<Vec<_>>());
    }

    #[test]
    fn a_bot_holds_its_lock_itself_once_all_that_kept_it_were_killed() {
        for (words, is_direct, name) in [
            (&["starter.py", own_account(), "stay"][..], false, "BRAIN_DROPIN"),
            (&["bot.py", own_account(), "close"], true, "BRAIN_DROPIN"),
            (&["starter.py", own_account(), "stay", "other-name"], false, "BRAIN_ITS_OWN"),
            (&["bot.py", own_account(), "close", "other-name"], true, "BRAIN_ITS_OWN"),
        ] {
            println!("{words:?}");
            let locks = SampleLocks::new(tools());
            let Some((mut bot, starter)) = bot(&locks, words) else { return };
            assert_eq!(starter.is_none(), is_direct);
            kill_the_others(&mut bot, starter);
            let record = || locks.read(name);
            await_that(&locks, "its own lock", || {
                record()["wrapper_pid"].is_null() && record()["machine"][0].is_string()
            });
            assert_held(&locks);
            assert_eq!(record()["pid"], bot.pid());
            if name != "BRAIN_DROPIN" {
                await_that(&locks, "rid of what it does not use", || {
                    !locks.record("BRAIN_DROPIN").exists()
                });
                assert_eq!(locks.attempt(Speaker::Tool, "BRAIN_DROPIN", None).taken(), 0);
            }
            // It gives the lock back like any other.
            bot.finish();
            assert!(!locks.record(name).exists());
            assert_eq!(
                locks.attempt(Speaker::Tool, "BRAIN_SECOND", Some(own_account())).taken(),
                0
            );
        }
    }

    #[test]
    fn a_bot_that_had_released_its_lock_takes_nothing_over() {
        for words in [
            &["starter.py", own_account(), "stay", "released"][..],
            &["bot.py", own_account(), "close", "released"],
        ] {
            println!("{words:?}");
            let locks = SampleLocks::new(tools());
            let Some((mut bot, starter)) = bot(&locks, words) else { return };
            kill_the_others(&mut bot, starter);
            await_that(&locks, "free", || !locks.record("BRAIN_DROPIN").exists());
            let other = SampleLocks::new(tools());
            for (folder, name) in [(&locks, "BRAIN_DROPIN"), (&other, "BRAIN_OTHER")] {
                assert_eq!(folder.attempt(Speaker::Tool, name, Some(own_account())).taken(), 0);
            }
            bot.finish();
        }
    }
}
