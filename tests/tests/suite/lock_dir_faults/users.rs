//! Several users and one lock directory: two ordinary ones and root, with whatever umask. Whoever
//! may write to the folder may lock in it; whoever may not is told whose it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use qc_process::PYTHON_ON_PATH;
use qc_tests::{Contender, SampleLocks, Speaker, Tools, cannot_test, python};
use tempfile::TempDir;

use super::{Answer, NAME, wrapped};
use crate::tools;

/// Two users who own nothing and have no name, and a group of both.
const ANNA: &str = "61001";
const BERT: &str = "61002";
const GROUP: &str = "61000";

/// A folder that all users can enter, with programs that all can run.
struct Shared {
    folder: TempDir,
    tools: Tools,
    /// A Python that all can run, if there is one.
    python: Option<PathBuf>,
}

impl Shared {
    /// Makes it; `None`, and that is said, where this machine does not let one become another user.
    fn new() -> Option<Self> {
        let folder = tempfile::Builder::new().prefix("qc users ").tempdir().expect("a folder");
        if let Err(why) =
            set_mode(folder.path(), 0o755).and_then(|()| become_user(Path::new("true")))
        {
            cannot_test("lock directories of several users", &why);
            return None;
        }
        for name in ["qc-lock-dup", "stand-in"] {
            let from = tools().stand_in().with_file_name(name);
            fs::copy(from, folder.path().join(name)).expect("a program can be copied");
        }
        let tools = Tools::of_tests(&folder.path().join("beside them"));
        let candidates = [python()?.to_owned(), Path::new("/usr/bin").join(PYTHON_ON_PATH)];
        let python = candidates.into_iter().find(|python| become_user(python).is_ok());
        if python.is_none() {
            cannot_test("a Python of another user", "only this user may run it");
        }
        Some(Self { folder, tools, python })
    }

    fn speakers(&self) -> Vec<Speaker> {
        let has_python = self.python.is_some();
        Speaker::all().into_iter().filter(|&who| who != Speaker::Python || has_python).collect()
    }

    /// Makes a place for locks, whose folder has this mode; the lock directory is still to be made.
    fn locks(&self, mode: u32) -> SampleLocks {
        let locks = SampleLocks::under(self.folder.path(), self.tools.clone());
        set_mode(locks.folder(), mode).expect("its owner is root");
        locks
    }

    /// `who`, started by `user` under `umask`, takes the lock.
    fn command(&self, locks: &SampleLocks, who: Speaker, user: &str, umask: &str) -> Command {
        let mut command = locks.command(who, NAME, None);
        if let (Speaker::Python, Some(python)) = (who, &self.python) {
            let words: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
            command = Command::new(python);
            command.args(words);
        }
        let script = format!(r#"umask {umask}; exec "$@""#);
        let (user, group) = (format!("--reuid={user}"), format!("--regid={GROUP}"));
        let setpriv = ["setpriv", &user, &group, "--clear-groups", "--", "sh", "-c", &script, "sh"];
        let mut command = wrapped(&setpriv, &command);
        command.current_dir("/");
        command
    }

    fn ask(&self, locks: &SampleLocks, who: Speaker, user: &str, umask: &str) -> Answer {
        Answer { who, finished: qc_tests::run(&mut self.command(locks, who, user, umask), "") }
    }

    #[track_caller]
    fn hold(&self, locks: &SampleLocks, who: Speaker, user: &str, umask: &str) -> Contender {
        let mut contender = Contender::start(&mut self.command(locks, who, user, umask));
        match contender.holds() {
            Some(_) => contender,
            None => panic!("{who:?} of {user} can't hold it: {:?}", contender.finish()),
        }
    }
}

/// Tells whether another user can run `program` here.
fn become_user(program: &Path) -> Result<(), String> {
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={ANNA}"), &format!("--regid={GROUP}"), "--clear-groups", "--"]);
    // Only what the shell runs has lost the rights of root.
    command.args(["sh", "-c", r#""$1" --version"#, "sh"]).arg(program);
    command.stdin(Stdio::null()).current_dir("/");
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(format!("no program `setpriv`: {error}")),
    }
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;

    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(|error| error.to_string())
}

#[cfg(windows)]
fn set_mode(_path: &Path, _mode: u32) -> Result<(), String> {
    Err("Wine has one user; on Windows, what is made in a folder inherits who may use it".into())
}

#[cfg(unix)]
fn set_owner(path: &Path, user: &str, group: &str) {
    let (user, group) = (user.parse().expect("a number"), group.parse().expect("a number"));
    std::os::unix::fs::chown(path, Some(user), Some(group)).expect("root may");
}

#[cfg(windows)]
fn set_owner(_path: &Path, _user: &str, _group: &str) {}

#[test]
fn users_who_share_a_folder_share_its_locks_whatever_their_umask() {
    let Some(shared) = Shared::new() else { return };
    // Open to all, or to a group.
    for mode in [0o777, 0o2770] {
        for umask in ["077", "022"] {
            for holder in shared.speakers() {
                let locks = shared.locks(mode);
                set_owner(locks.folder(), "0", GROUP);
                let what = format!("in a folder of mode {mode:o}, after umask {umask}");
                let mut held = shared.hold(&locks, holder, ANNA, umask);
                for asker in shared.speakers() {
                    shared
                        .ask(&locks, asker, BERT, umask)
                        .refused(&what, &format!("PID {} ", held.pid()));
                }
                held.kill();
                for asker in shared.speakers() {
                    shared.ask(&locks, asker, BERT, umask).taken(&what);
                    shared.ask(&locks, asker, ANNA, umask).taken(&what);
                }
                let history = locks.locks().history().expect("it can be read");
                assert_eq!(history.unreadable, 0, "{what}: {history:?}");
                let users = [ANNA, BERT];
                for user in users {
                    let told = |entry: &qc_lock_core::Entry| entry.user.as_deref() == Some(user);
                    assert!(history.entries.iter().any(told), "{what}: nothing of {user}");
                }
            }
        }
    }
}

#[test]
fn a_folder_of_another_user_says_whose_it_is() {
    let Some(shared) = Shared::new() else { return };
    for (umask, owner) in [("077", ANNA), ("022", ANNA), ("077", "0")] {
        for who in shared.speakers() {
            // Anna may write there, Bert may not.
            let locks = shared.locks(0o755);
            set_owner(locks.folder(), owner, owner);
            let mut held = shared.hold(&locks, who, owner, umask);
            let named = if owner == "0" { "root" } else { owner };
            for asker in shared.speakers() {
                let answer = shared.ask(&locks, asker, BERT, "022");
                let what = format!("asks for a lock of {owner} after umask {umask}");
                if umask == "022" {
                    // He may look, so he learns who holds it.
                    answer.refused(&what, &format!("PID {} ", held.pid()));
                } else {
                    answer.failed(&what, "Permission denied");
                    answer.failed(&what, &format!(" belongs to user {}", quoted(asker, named)));
                    answer.failed(&what, "cannot use lock directory ");
                }
            }
            held.kill();
            for asker in shared.speakers() {
                let answer = shared.ask(&locks, asker, BERT, "022");
                let what = "asks for a lock that he may not take";
                answer.failed(what, &format!(" belongs to user {}", quoted(asker, named)));
            }
            shared.ask(&locks, who, owner, umask).taken("is still the owner");
        }
    }
}

/// The two implementations put names into different quotes.
fn quoted(who: Speaker, name: &str) -> String {
    if who == Speaker::Python { format!("'{name}'") } else { format!("`{name}`") }
}

#[test]
fn a_record_that_may_not_be_read_is_held_and_says_why() {
    let Some(shared) = Shared::new() else { return };
    for who in shared.speakers() {
        let locks = shared.locks(0o777);
        shared.hold(&locks, who, ANNA, "022").kill();
        set_mode(&locks.record(NAME), 0o600).expect("root may");
        for asker in shared.speakers() {
            let why = format!(" belongs to user {})", quoted(asker, ANNA));
            shared.ask(&locks, asker, BERT, "022").refused("may not read the record", &why);
        }
    }
}

#[test]
fn a_sticky_folder_keeps_each_users_records_and_says_so() {
    let Some(shared) = Shared::new() else { return };
    for who in shared.speakers() {
        let locks = shared.locks(0o755);
        fs::create_dir(locks.dir()).expect("a folder can be made");
        fs::create_dir(locks.dir().join(".guards")).expect("a folder can be made");
        set_mode(&locks.dir(), 0o1777).expect("root may");
        set_mode(&locks.dir().join(".guards"), 0o1777).expect("root may");
        let mut held = shared.hold(&locks, who, ANNA, "022");
        for asker in shared.speakers() {
            let by = format!("PID {} ", held.pid());
            shared.ask(&locks, asker, BERT, "022").refused("asks in a sticky folder", &by);
        }
        held.kill();
        for asker in shared.speakers() {
            let answer = shared.ask(&locks, asker, BERT, "022");
            answer.failed("asks after a crash in a sticky folder", " record ");
        }
        shared.ask(&locks, who, ANNA, "022").taken("takes its own again");
    }
}

/// In a folder that all may write to, without a sticky bit, another user can delete anything. That
/// frees no lock, as long as either the guards or the record are left.
#[test]
fn another_user_who_deletes_records_or_guards_lets_no_duplicate_in() {
    let Some(shared) = Shared::new() else { return };
    for holder in shared.speakers() {
        for (what, by) in [("*.lock", "a process whose record is missing"), (".guards/*", "PID ")] {
            let locks = shared.locks(0o777);
            let held = shared.hold(&locks, holder, ANNA, "022");
            let mut delete = Command::new("setpriv");
            delete.args([
                &format!("--reuid={BERT}"),
                &format!("--regid={GROUP}"),
                "--clear-groups",
            ]);
            delete.args(["sh", "-c", &format!("rm {what}")]).current_dir(locks.dir());
            assert!(delete.status().expect("it can be run").success(), "{what} can't be deleted");
            for asker in shared.speakers() {
                for user in [ANNA, BERT] {
                    let answer = shared.ask(&locks, asker, user, "022");
                    answer.refused(&format!("is {user} and asks after {what} was deleted"), by);
                }
            }
            drop(held);
        }
    }
}

/// A process that can open a guard can lock it, and keep out everyone.
#[cfg(unix)]
#[test]
fn a_guard_is_open_to_those_who_may_write_its_folder_and_to_nobody_else() {
    use std::os::unix::fs::PermissionsExt;

    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    for who in Speaker::all() {
        for (folder, expected) in [(0o755, 0o600), (0o700, 0o600), (0o775, 0o660), (0o777, 0o666)] {
            let locks = SampleLocks::new(tools());
            let guards = locks.dir().join(".guards");
            fs::create_dir_all(&guards).expect("a folder can be made");
            set_mode(&guards, folder).expect("its owner may");
            let guard = guards.join(format!("name@{}", NAME.to_lowercase()));
            for old in [None, Some(0o644), Some(0o600)] {
                if let Some(old) = old {
                    set_mode(&guard, old).expect("its owner may");
                }
                locks.attempt(who, NAME, None).taken();
                assert_eq!(
                    mode(&guard),
                    expected,
                    "{who:?} in a folder of {folder:o}, was {old:?}"
                );
            }
        }
    }
}
