//! Accounts are held on the whole machine: whatever the folder, the user and the namespaces, and
//! whatever has been deleted.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use qc_process::{MachineGuard, machine_holders};
use qc_tests::{
    Contender, Finished, SampleFleet, SampleLocks, Speaker, cannot_test, is_wine, python,
    random_account, resume, run, section, suspend,
};
use serde_json::json;

use crate::tools;

/// The implementations that know the machine's guards.
const SPEAKERS: [Speaker; 3] = [Speaker::Library, Speaker::Tool, Speaker::Python];

const HOLDER: &str = "BRAIN_ATLAS";
const ASKER: &str = "BRAIN_BOREAS";

/// Two folders with locks, and an account of their own.
struct TwoFolders {
    here: SampleLocks,
    there: SampleLocks,
    account: String,
}

impl TwoFolders {
    fn new() -> Self {
        Self::of(SampleLocks::new(tools()), SampleLocks::new(tools()))
    }

    fn of(here: SampleLocks, there: SampleLocks) -> Self {
        Self { here, there, account: random_account() }
    }

    /// Lets `who` hold the account in the first folder.
    #[track_caller]
    fn hold(&self, who: Speaker) -> Contender {
        self.here.hold(who, HOLDER, Some(&self.account))
    }

    /// Lets `who` ask for the account in the second folder.
    #[track_caller]
    fn ask(&self, who: Speaker) -> qc_tests::Attempt {
        self.there.attempt(who, ASKER, Some(&self.account))
    }

    /// The resource that both need.
    fn resource(&self) -> String {
        format!("account/{}/brain", self.account.to_lowercase())
    }

    /// The name of the account's guard, which the holder has made in its folder.
    fn guard(&self) -> String {
        let names = fs::read_dir(self.here.dir().join(".guards")).expect("there are guards");
        let names = names.map(|entry| entry.expect("it can be listed").file_name());
        let names = names.map(|name| name.into_string().expect("a name of ours"));
        names.into_iter().find(|name| name.starts_with("account@")).expect("there is one")
    }

    /// The file of the account's guard that all folders share, on Linux.
    fn shared_file(&self) -> String {
        format!("/dev/shm/qc2.{}", self.guard())
    }

    /// The first folder, as a refusal names it.
    fn shown(&self) -> String {
        self.here.folder().to_string_lossy().replace('\\', "/")
    }

    /// Checks that a refusal names what both need, and what `name` has to say if it only reads.
    #[track_caller]
    fn tells_the_way(&self, asker: Speaker, name: &str, text: &str) {
        // The library leaves the hint to its tools.
        let way = [name, "only reads", "--shared-account"];
        let way = way.into_iter().filter(|_| asker != Speaker::Library);
        for part in way.chain([&*self.resource()]) {
            assert!(text.contains(part), "no `{part}`: {text}");
        }
    }

    /// Checks that a refusal in the second folder names the holder in the first.
    #[track_caller]
    fn names_all(&self, text: &str, holder: &Contender) {
        let (pid, folder, resource) = (holder.pid(), self.shown(), self.resource());
        let who = format!("is held by PID {pid} ({HOLDER} in {folder})");
        // Each has its own quotes.
        let what = format!("{resource}` on this machine");
        let text = text.replace('\'', "`");
        for part in [who, format!("; both need `{what}")] {
            assert!(text.contains(&part), "no `{part}`: {text}");
        }
    }
}

/// The speakers that know the machine's guards. The output shows where a test has failed.
fn speakers() -> impl Iterator<Item = Speaker> {
    let known = Speaker::all().into_iter().filter(|who| SPEAKERS.contains(who));
    known.inspect(|who| println!("{who:?}"))
}

fn pairs() -> impl Iterator<Item = (Speaker, Speaker)> {
    let known = |(holder, asker): &_| SPEAKERS.contains(holder) && SPEAKERS.contains(asker);
    let told = |(holder, asker): &_| println!("{holder:?} holds, {asker:?} asks");
    Speaker::pairs().into_iter().filter(known).inspect(told)
}

#[track_caller]
fn finish(holder: Contender) {
    let finished = holder.finish();
    assert_eq!(finished.code, 0, "{finished:?}");
}

#[test]
fn a_holder_in_another_folder_refuses_and_is_named() {
    for (holder, asker) in pairs() {
        let two = TwoFolders::new();
        let held = two.hold(holder);
        two.names_all(&two.ask(asker).refused(), &held);
        assert!(!two.there.record(ASKER).exists());
        finish(held);
        assert_eq!(two.ask(asker).taken(), 0);
    }
}

#[test]
fn another_account_role_or_name_is_free_in_another_folder() {
    for (holder, asker) in pairs() {
        let two = TwoFolders::new();
        let held = two.hold(holder);
        assert_eq!(two.there.attempt(asker, "WATCHDOG_ATLAS", Some(&two.account)).taken(), 0);
        assert_eq!(two.there.attempt(asker, ASKER, Some(&random_account())).taken(), 0);
        // Names belong to their folder.
        assert_eq!(two.there.attempt(asker, HOLDER, None).taken(), 0);
        finish(held);
    }
}

/// Every lock but a watchdog's trades, unless it declares that it only reads, or trades on paper.
#[test]
fn only_one_trades_an_account_whatever_it_is_called() {
    let asks = [
        ("TRADER_Y", "", false),
        ("BRAIN-Y", "", false),
        ("WATCHDOG_ATLAS", "", true),
        ("NEWS", " shared", true),
        ("BRAIN", " shared", true),
        ("BRAIN_BOREAS", " paper", true),
    ];
    for (holder, asker) in pairs() {
        let two = TwoFolders::new();
        let held = two.hold(holder);
        for (asks, used, is_free) in asks {
            let account = format!("{}{used}", two.account);
            let attempt = two.there.attempt(asker, asks, Some(&account));
            match is_free {
                true => assert_eq!(attempt.taken(), 0, "{asks}{used}"),
                false => two.tells_the_way(asker, asks, &attempt.refused()),
            }
        }
        finish(held);
        let held = two.here.hold(holder, "TRADER_X", Some(&two.account));
        two.tells_the_way(asker, "TRADER_X", &two.ask(asker).refused());
        finish(held);
    }
}

#[test]
fn one_trades_on_paper_and_one_reader_has_each_name() {
    for (holder, asker) in pairs() {
        let two = TwoFolders::new();
        let [paper, shared] = ["paper", "shared"].map(|used| format!("{} {used}", two.account));
        let held = [
            two.here.hold(holder, HOLDER, Some(&paper)),
            two.here.hold(holder, "NEWS", Some(&shared)),
        ];
        two.there.attempt(asker, "TRADER_Y", Some(&paper)).refused();
        two.there.attempt(asker, "NEWS", Some(&shared)).refused();
        assert_eq!(two.there.attempt(asker, "REPORTS", Some(&shared)).taken(), 0);
        assert_eq!(two.there.attempt(asker, ASKER, Some(&two.account)).taken(), 0);
        held.into_iter().for_each(finish);
    }
}

/// A bot says only its name and its account; what was said of them to the wrapper counts.
#[test]
fn what_a_wrapper_says_of_an_account_holds_for_its_script() {
    if python().is_none() {
        return cannot_test("an account's use by a wrapper's script", "there is no Python");
    }
    for used in ["shared", "paper"] {
        let two = TwoFolders::new();
        let trader = two.there.hold(Speaker::Library, ASKER, Some(&two.account));
        let account = format!("{} {used}", two.account);
        let folder = two.here.dir();
        let script = ["token", folder.to_str().expect("a path"), "NEWS", &two.account];
        let mut bot = two.here.under_tool("NEWS", Some(&account), 0, &script);
        bot.wait_for("taken: True");
        drop(bot);
        finish(trader);
    }
}

#[test]
fn a_killed_holder_frees_its_account_on_the_whole_machine() {
    for (holder, asker) in pairs() {
        let two = TwoFolders::new();
        let mut dead = two.hold(holder);
        dead.kill();
        assert_eq!(two.ask(asker).taken(), 0);
        assert_eq!(two.here.attempt(asker, HOLDER, Some(&two.account)).taken(), 1);
    }
}

#[test]
fn a_holder_that_stands_still_holds_its_account() {
    for (holder, asker) in pairs() {
        let two = TwoFolders::new();
        let held = two.hold(holder);
        let identity = qc_process::identity_of(held.pid()).expect("it lives");
        if !suspend(&identity) {
            return cannot_test("an account of a program that stands still", "nothing can do it");
        }
        two.names_all(&two.ask(asker).refused(), &held);
        resume(&identity);
        finish(held);
    }
}

#[test]
fn deleting_all_files_of_a_lock_frees_no_account() {
    for (holder, asker) in pairs() {
        let two = TwoFolders::new();
        let held = two.hold(holder);
        if cfg!(unix) {
            fs::remove_file(two.shared_file()).expect("it is there");
        }
        for locks in [&two.here, &two.there] {
            // Windows deletes no guard that is held, but what is beside it.
            let _ = fs::remove_dir_all(locks.dir());
        }
        two.names_all(&two.ask(asker).refused(), &held);
        let again = two.here.attempt(asker, ASKER, Some(&two.account)).refused();
        assert!(cfg!(windows) || again.contains(&format!("PID {} ", held.pid())), "{again}");
        drop(held);
        assert_eq!(two.ask(asker).taken(), 0);
    }
}

#[test]
fn a_record_lists_what_is_held_on_the_whole_machine() {
    for holder in speakers() {
        let two = TwoFolders::new();
        let held = two.hold(holder);
        assert_eq!(two.here.read(HOLDER)["machine"], json!([two.guard()]));
        finish(held);
        let nameless = two.there.hold(holder, ASKER, None);
        assert_eq!(two.there.read(ASKER).get("machine"), None);
        finish(nameless);
    }
}

/// Runs a Python script that imports the drop-in of the first folder.
fn script(two: &TwoFolders, text: &str, args: &[&str]) -> Option<Finished> {
    let path = two.here.folder().join("script.py");
    fs::write(&path, text).expect("it can be written");
    let mut command = Command::new(python()?);
    command.args(["-X", "dev", "-W", "error"]).arg(path).args(args);
    Some(run(command.env("QC_LOCK_DIR", two.here.dir()), ""))
}

#[test]
fn an_interrupt_at_any_line_leaves_no_lock_without_an_owner() {
    let two = TwoFolders::new();
    // A lock takes a hundred times as long under Wine.
    let every = if cfg!(windows) { "37" } else { "1" };
    let text = include_str!("machine/interrupted.py");
    let Some(finished) = script(&two, text, &[&two.account, every]) else { return };
    assert_eq!(finished.code, 0, "{finished:?}");
}

#[test]
fn where_neither_leg_can_be_used_the_folder_is_locked_and_that_is_said_once() {
    let two = TwoFolders::new();
    let text = r#"
import json, sys
import process_lock
process_lock._LEGS = tuple((lambda guard, numbers: None) for leg in process_lock._LEGS)
for name in ("BRAIN_ATLAS", "WATCHDOG_ATLAS"):
    lock = process_lock.ProcessLock(name, sys.argv[1])
    assert lock.acquire()
    with open(lock.lock_file, encoding="utf-8") as file:
        assert json.load(file)["machine"] == []
"#;
    let Some(finished) = script(&two, text, &[&two.account]) else { return };
    assert_eq!(finished.code, 0, "{finished:?}");
    let warning = "WARNING: this account is locked in this folder only: ";
    assert_eq!(finished.stderr.matches(warning).count(), 1, "{finished:?}");
}

/// Another Wine prefix and a Linux program are excluded by the file, which is all that they share.
#[test]
fn under_wine_the_file_of_linux_is_locked_too() {
    let two = TwoFolders::new();
    if !is_wine() {
        return;
    }
    let text = r#"
import sys
import process_lock
guard = process_lock._guard_path(process_lock.LOCK_DIR, f"account/{sys.argv[1].lower()}/brain").name
first, second = [], []
assert process_lock._lock_unix_file(guard, first) is True
assert process_lock._lock_unix_file(guard, second) is False
assert not process_lock.ProcessLock("BRAIN_ATLAS", sys.argv[1]).acquire()
"#;
    let Some(finished) = script(&two, text, &[&two.account]) else { return };
    assert_eq!(finished.code, 0, "{finished:?}");
}

/// A brain with another title, or a compiled one, looks like any other program.
#[test]
fn a_holder_that_looks_like_no_component_is_found_by_its_account() {
    let fleet = SampleFleet::new(tools(), &[("ATLAS", 11)]);
    let other = SampleLocks::new(tools());
    let account = fleet.account(11).to_string();
    let held = other.hold(Speaker::Tool, "TRADER", None);
    assert_eq!(fleet.run("qc-launch", &["check"]).code, 0, "it needs nothing of the fleet");
    finish(held);

    let held = other.hold(Speaker::Tool, "BRAIN_OTHER", Some(&account));
    let pid = format!("PID {}", held.pid());
    let folder = other.folder().file_name().expect("it has a name").to_string_lossy();
    let why = "for the same account";
    for (args, code) in [(&["check"][..], 2), (&["--dry-run"], 75), (&[], 75)] {
        let refused = fleet.run("qc-launch", args);
        assert_eq!(refused.code, code, "{args:?}: {refused:?}");
        let said = refused.stdout + &refused.stderr;
        for part in ["BRAIN_OTHER", &pid, &folder, why] {
            assert!(said.contains(part), "no {part}: {said}");
        }
    }
    let seen = fleet.run("qc-ps", &["--check", "--allow-stopped"]);
    assert_eq!(seen.code, 3, "{seen:?}");
    assert!(seen.stdout.contains("and holds what BRAIN_ATLAS needs: PID"), "{seen:?}");
    let listed = fleet.run("qc-lock", &["list", "--machine"]).stdout;
    let line = listed.lines().find(|line| line.starts_with("BRAIN_OTHER"));
    let line = line.unwrap_or_else(|| panic!("no BRAIN_OTHER in {listed}"));
    for part in [&held.pid().to_string(), &format!("account/{account}/brain"), &*folder] {
        assert!(line.contains(part), "no {part}: {line}");
    }
    finish(held);
    assert_eq!(fleet.run("qc-launch", &["check"]).code, 0);
}

#[test]
fn a_brain_whose_launcher_was_killed_keeps_its_account() {
    let fleet = SampleFleet::new(tools(), &[("ATLAS", 11)]);
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started BRAIN_ATLAS");
    launch.kill();
    let other = SampleLocks::new(tools());
    let account = fleet.account(11).to_string();
    for asker in speakers() {
        let text = other.attempt(asker, "BRAIN_OTHER", Some(&account)).refused();
        assert!(text.contains("(BRAIN_ATLAS in ") && text.contains("on this machine"), "{text}");
    }
}

/// As programs do that become daemons.
#[test]
fn a_program_that_closes_what_it_has_inherited_keeps_its_account_by_its_launcher() {
    let Some(python) = python() else { return };
    let fleet = SampleFleet::new(tools(), &[("ATLAS", 11)]);
    let command = [python.to_str().expect("a path in UTF-8"), "-u", "feed.py"];
    let feed = json!({
        "command": command, "account": "ATLAS", "shared_account": true, "ready": { "log": "closed" },
    });
    fleet.configure(&json!({
        "ACCOUNTS": { "ATLAS": { "account": 11, "enabled": true } },
        "PROCESS_MANAGER": section(&json!({ "components": { "FEED": feed } })),
    }));
    let text = "import os, time\nos.closerange(3, 4096)\nprint('closed')\ntime.sleep(60)\n";
    fs::write(fleet.root().join("feed.py"), text).expect("it can be written");
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("FEED is ready");
    let other = SampleLocks::new(tools());
    let account = format!("{} shared", fleet.account(11));
    let refused = || other.attempt(Speaker::Tool, "FEED", Some(&account)).refused();
    assert!(refused().contains("(FEED in "), "{}", refused());
    assert_eq!(fleet.run("qc-shutdown", &["--yes"]).code, 0);
    assert_eq!(other.attempt(Speaker::Tool, "FEED", Some(&account)).taken(), 0);
}

#[cfg(unix)]
mod namespaces {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;
    use crate::lock_dir_faults::wrapped;

    /// Lets `who` ask in the second folder, as the last words of `wrapper`.
    fn ask_in(two: &TwoFolders, who: Speaker, wrapper: &[&str], python: &Path) -> Finished {
        let command = two.there.command(who, ASKER, Some(&two.account));
        let mut asks = Command::new(if who == Speaker::Python {
            python
        } else {
            command.get_program().as_ref()
        });
        asks.args(command.get_args());
        run(wrapped(wrapper, &asks).current_dir("/"), "")
    }

    /// Tells whether `program` can be run as the last word of `wrapper`.
    fn can_run(wrapper: &[&str], program: &Path) -> Result<(), String> {
        let mut command = Command::new(program);
        command.arg("--version");
        match wrapped(wrapper, &command).current_dir("/").output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(format!("no program `{}`: {error}", wrapper[0])),
        }
    }

    #[test]
    fn each_leg_holds_where_the_other_is_not_seen() {
        let own_network = ["unshare", "--net"];
        let mount = r#"mount -t tmpfs none /dev/shm && exec "$@""#;
        let own_memory = ["unshare", "--mount", "sh", "-c", mount, "sh"];
        let mount = r#"mount -o remount,bind,ro /dev/shm && exec "$@""#;
        let read_only = ["unshare", "--net", "--mount", "sh", "-c", mount, "sh"];
        for (wrapper, is_named) in
            [(&own_network[..], false), (&own_memory[..], true), (&read_only[..], false)]
        {
            if let Err(why) = can_run(wrapper, Path::new("env")) {
                cannot_test("an account held in another namespace", &why);
                continue;
            }
            for (holder, asker) in pairs() {
                let two = TwoFolders::new();
                let held = two.hold(holder);
                let refused = ask_in(&two, asker, wrapper, python().expect("there is one"));
                assert_eq!(refused.code, 75, "{wrapper:?}: {refused:?}");
                let text = refused.stdout + &refused.stderr;
                if is_named {
                    two.names_all(&text, &held);
                } else {
                    assert!(text.contains("is held by another program on this machine"), "{text}");
                    assert!(asker == Speaker::Library || text.contains("ss -xap"), "{text}");
                }
                finish(held);
                let taken = ask_in(&two, asker, wrapper, python().expect("there is one"));
                assert!(taken.code == 0 || wrapper == read_only, "{wrapper:?}: {taken:?}");
            }
        }
    }

    #[test]
    fn what_is_held_in_another_network_is_listed_and_what_is_not_seen_is_said() {
        let wrapper = ["unshare", "--net"];
        if let Err(why) = can_run(&wrapper, Path::new("env")) {
            return cannot_test("an account held in another namespace", &why);
        }
        let two = TwoFolders::new();
        let held = two.hold(Speaker::Library);
        let list = |wrapper: &[&str], json: bool| {
            let mut command = Command::new(tools().tool("qc-lock"));
            command.args(["list", "--machine"]).args(json.then_some("--json"));
            command.arg("--lock-dir").arg(two.there.dir());
            run(wrapped(wrapper, &command).current_dir("/"), "")
        };
        let outside = list(&["env"], true).json();
        let seen = list(&wrapper, true).json();
        assert_eq!(seen["partly_hidden"], true, "{seen:#}");
        let pid = outside["machine"].as_array().unwrap().iter().find_map(|row| {
            let is_its = row["what"] == two.resource();
            is_its.then(|| row["pid"].clone())
        });
        let pid = pid.unwrap_or_else(|| panic!("{outside:#}"));
        let rows = seen["machine"].as_array().unwrap();
        let openers = rows.iter().flat_map(|row| row["open_in"].as_array().unwrap());
        let is_listed = openers.into_iter().any(|one| one["pid"] == pid);
        assert!(is_listed, "{pid} {seen:#}");
        let said = list(&wrapper, false);
        assert!(said.stderr.contains("namespaces of its own"), "{said:?}");
        finish(held);
        assert_eq!(outside["partly_hidden"], false, "{outside:#}");
    }

    #[test]
    fn what_stands_in_the_place_of_a_guard_is_named() {
        let fleet = SampleFleet::new(tools(), &[("RHEA", 7_312_001)]);
        let account = fleet.account(7_312_001).to_string();
        let name = "BRAIN_RHEA".parse().unwrap();
        let request = qc_lock_core::Request::new(name).account(account.parse().unwrap());
        let resources = request.resources();
        let wide = resources.iter().filter(|one| one.is_machine_wide());
        let files: Vec<_> = wide
            .map(|one| Path::new("/dev/shm").join(format!("qc2.{}", one.guard_file())))
            .collect();
        std::fs::create_dir(&files[0]).unwrap();
        let check = fleet.run("qc-launch", &["check"]);
        let list = fleet.run("qc-lock", &["list", "--machine"]);
        std::fs::remove_dir(&files[0]).unwrap();
        let file = files[0].to_str().unwrap();
        assert!(check.stdout.contains(file), "{check:?}");
        assert!(list.stderr.contains(file), "{list:?}");
        let check = fleet.run("qc-launch", &["check"]);
        assert!(!check.stdout.contains(file), "{check:?}");
    }

    #[test]
    fn another_users_holder_refuses_and_is_named() {
        let other = ["setpriv", "--reuid=61001", "--regid=61001", "--clear-groups"];
        let candidates = python().map(Path::to_owned).into_iter();
        let candidates = candidates.chain([Path::new("/usr/bin/python3").to_owned()]);
        let (usable, failed): (Vec<_>, Vec<_>) =
            candidates.partition(|python| can_run(&other, python).is_ok());
        let Some(python) = usable.first() else {
            let why = failed.first().map(|python| can_run(&other, python));
            return cannot_test("an account held by another user", &format!("{why:?}"));
        };
        for (holder, asker) in pairs() {
            let two = TwoFolders::new();
            for locks in [&two.here, &two.there] {
                let mode = fs::Permissions::from_mode(0o777);
                fs::set_permissions(locks.folder(), mode).expect("it is ours");
            }
            let held = two.hold(holder);
            let refused = ask_in(&two, asker, &other, python);
            assert_eq!(refused.code, 75, "{refused:?}");
            two.names_all(&(refused.stdout + &refused.stderr), &held);
            finish(held);
            let taken = ask_in(&two, asker, &other, python);
            assert_eq!(taken.code, 0, "{taken:?}");
        }
    }
}

#[test]
fn a_start_is_tried_again_while_nothing_shows_who_holds_its_account() {
    let fleet = SampleFleet::new(tools(), &[("ATLAS", 21)]);
    let account = fleet.account(21).to_string();
    let tool = fleet.tools.tool("qc-lock");
    let tool = tool.to_string_lossy();
    let once = ["run", "BRAIN_ATLAS", "--account", &account, "--", &*tool, "--version"];
    assert_eq!(fleet.run("qc-lock", &once).code, 0);
    let guards = fs::read_dir(fleet.root().join(".locks/.guards")).expect("there are guards");
    let mut names = guards.map(|entry| entry.expect("it can be listed").file_name());
    let guard =
        names.find_map(|name| name.into_string().ok().filter(|it| it.starts_with("account@")));
    let guard = guard.expect("there is one");
    // As a program does that says nothing of itself.
    let held = MachineGuard::take(&guard).expect("it can be asked for").expect("it is free");
    let mut launch = fleet.launch(&[], |_| ());
    let line = launch.wait_until("a refusal", |line| {
        line.contains("BRAIN_ATLAS") && line.contains("its lock is held by")
    });
    assert!(line.contains("restarting in"), "{line}");
    drop(held);
    launch.wait_for("started BRAIN_ATLAS");
    assert_eq!(fleet.run("qc-shutdown", &["--yes"]).code, 0);
}

#[test]
fn a_holder_is_never_named_with_the_folder_of_another_one_while_they_change() {
    let two = TwoFolders::new();
    let who = Speaker::Library;
    let first = two.hold(who);
    // It has the same name in every folder.
    let guard = two.guard();
    let (seen, is_over) = (Mutex::new(HashSet::new()), AtomicBool::new(false));
    let mut folders: HashMap<u32, String> = HashMap::new();
    let last = thread::scope(|scope| {
        scope.spawn(|| {
            // It ends by itself if the rest of the test fails.
            let end = Instant::now() + Duration::from_secs(60);
            while !is_over.load(Ordering::Relaxed) && Instant::now() < end {
                let holders = machine_holders().expect("the system shows them");
                let of_it = holders.into_iter().filter(|one| one.guard == guard);
                seen.lock().unwrap().extend(of_it.map(|one| (one.pid, one.folder)));
            }
        });
        let mut held = first;
        for round in 0..40 {
            let (locks, next) = match round % 2 {
                0 => (&two.here, &two.there),
                _ => (&two.there, &two.here),
            };
            let folder = locks.folder().file_name().expect("a name").to_string_lossy();
            let pid = held.pid();
            folders.insert(pid, folder.into_owned());
            let mut contender = next.contend(who, HOLDER, Some(&two.account));
            let deadline = Instant::now() + Duration::from_secs(20);
            while !seen.lock().unwrap().iter().any(|one| one.0 == pid && one.1.is_some()) {
                assert!(Instant::now() < deadline, "PID {pid} is not named");
                thread::yield_now();
            }
            // It waits for a moment already when the other one ends.
            contender.tell("go");
            // One that is killed closes its files in another order than one that ends.
            if round % 4 < 2 {
                held.kill()
            } else {
                finish(held)
            }
            held = match contender.holds() {
                Some(_) => contender,
                None => next.hold(who, HOLDER, Some(&two.account)),
            };
        }
        folders.insert(held.pid(), two.shown());
        is_over.store(true, Ordering::Relaxed);
        held
    });
    finish(last);
    for (pid, folder) in seen.into_inner().unwrap() {
        let Some(folder) = folder else { continue };
        let own = folders.get(&pid).unwrap_or_else(|| panic!("PID {pid} in {folder}"));
        assert!(folder.replace('\\', "/").ends_with(own), "PID {pid} in {folder}, not {own}");
    }
}
