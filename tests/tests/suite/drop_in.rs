//! The drop-in `process_lock.py`: what scripts written for the old module expect of it, and that it
//! reads accounts, times and names of machines exactly as the Rust library does.

use std::fs;
use std::path::Path;
use std::process::Command;

use qc_process::here;
use qc_tests::{
    Contender, Finished, Program, SampleLocks, Speaker, copy_program, own_account, python, run,
};

use crate::tools;

mod claimed;
mod ends;
mod faults;
mod ways;

/// Compares the drop-in with the vectors of qc-lock-core.
const VECTORS: &str = r#"
import json, socket, sys
import process_lock as p

accounts, times, hosts = (json.load(open(path, encoding="utf-8")) for path in sys.argv[1:])
for one in accounts:
    try:
        spelled = p._spelled_account(one["text"])
        read = ("missing", None) if spelled is None else ("account", spelled)
    except p.LockNameError:
        read = ("error", None)
    assert read == (one["is"], one["account"]), (one, read)
for one in times:
    found = p._timestamp(one["text"])
    assert (found is None) == (one["is"] == "none"), (one, found)
    if one["is"] == "at":
        assert found // 1 == one["seconds"], (one, found)
for one in hosts:
    socket.gethostname = lambda: one["here"]
    assert p._is_old_name_of_this_host(one["host"]) == one["is_here"], one
for wrong in (True, b"7", float("nan"), 1.5, [7]):
    try:
        p.ProcessLock("BRAIN_A", wrong)
    except p.LockNameError:
        continue
    raise AssertionError(wrong)
print("alike")
"#;

/// Runs a script beside the drop-in; `None` without a Python.
fn script(locks: &SampleLocks, text: &str, args: &[&Path]) -> Option<Finished> {
    Some(run(&mut command(locks, text, args)?, ""))
}

fn command(locks: &SampleLocks, text: &str, args: &[&Path]) -> Option<Command> {
    let path = locks.folder().join("BRAIN_DROPIN.py");
    fs::write(&path, text).unwrap();
    let mut command = Command::new(python()?);
    command.arg(path).args(args).env("QC_LOCK_DIR", locks.dir());
    Some(command)
}

/// Runs a script in its folder, where a warning is an error, with an account of its own and `args`.
#[track_caller]
fn works(text: &str, args: &[&str]) {
    let locks = SampleLocks::new(tools());
    let Some(mut command) = command(&locks, text, &[own_account().as_ref()]) else { return };
    command.args(args).current_dir(locks.folder()).env("PYTHONWARNINGS", "error");
    succeeds(Some(run(&mut command, "")));
}

#[track_caller]
fn succeeds(finished: Option<Finished>) {
    let Some(finished) = finished else { return };
    assert_eq!(finished.code, 0, "{finished:?}");
}

#[test]
fn both_implementations_read_the_same_vectors() {
    let locks = SampleLocks::new(tools());
    let core = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/qc-lock-core/src");
    let files = ["account", "time", "host_name"].map(|name| core.join(name).join("vectors.json"));
    succeeds(script(&locks, VECTORS, &[&files[0], &files[1], &files[2]]));
}

/// A record of the old module: the name of the machine as COMPUTERNAME has it, or no name at all.
const OLD: &str = r#"
import datetime, json, os, sys
json.dump({"pid": os.getpid(), "name": "BRAIN_DROPIN", "account": "12004", "host": sys.argv[2],
           "timestamp": datetime.datetime.now().isoformat()}, open(sys.argv[1], "w"))
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(15, b"trading", 0, 0, 0)  # a title, as setproctitle sets it
print("written", flush=True)
sys.stdin.readline()
"#;

#[test]
fn the_record_of_a_living_holder_of_the_old_module_stays_under_each_name_of_this_machine() {
    let netbios: String =
        here().name.split('.').next().unwrap_or_default().chars().take(15).collect();
    let is_own = |host: &str| host != "ELSEWHERE";
    for host in ["unknown", "localhost", &*netbios.to_uppercase(), "ELSEWHERE"] {
        let locks = SampleLocks::new(tools());
        fs::create_dir_all(locks.dir()).unwrap();
        let record = locks.record("BRAIN_DROPIN");
        let Some(mut command) = command(&locks, OLD, &[&record, Path::new(host)]) else { return };
        let mut old = Contender::start(&mut command);
        old.wait_for("written");
        assert_eq!(locks.qc_lock(&["clear-all"]).code, 0);
        let dir = locks.dir();
        locks.drop_in(&["--clear-all", "--lock-dir", dir.to_str().unwrap()]);
        for asker in Speaker::all() {
            locks.attempt(asker, "BRAIN_DROPIN", None).refused();
            locks.attempt(asker, "BRAIN_OTHER", Some("12004")).refused();
        }
        old.tell("end");
        assert_eq!(old.finish().code, 0);
        assert_eq!(locks.qc_lock(&["clear-all"]).code, 0);
        assert!(!record.exists(), "{host}: the record of the dead stays");
        if is_own(host) {
            locks.write("BRAIN_DROPIN", &serde_json::json!({ "pid": 1 << 22, "host": host }));
            assert_eq!(locks.attempt(Speaker::Library, "BRAIN_DROPIN", None).taken(), 1, "{host}");
        }
    }
}

#[test]
fn spellings_of_one_account_exclude_one_another() {
    for holder in Speaker::all() {
        let locks = SampleLocks::new(tools());
        let held = locks.hold(holder, "BRAIN_DROPIN", Some("0012001.0"));
        for asker in Speaker::all() {
            for spelling in ["12001", "\u{200b}12001", "\u{ff11}2001.00", " 012001 "] {
                locks.attempt(asker, "BRAIN_OTHER", Some(spelling)).names(held.pid());
            }
        }
        assert_eq!(held.finish().code, 0);
    }
}

#[test]
fn a_missing_account_is_said_and_locks_only_the_name() {
    let locks = SampleLocks::new(tools());
    for who in [Speaker::Tool, Speaker::Python] {
        if !Speaker::all().contains(&who) {
            continue;
        }
        let held = locks.hold(who, "BRAIN_DROPIN", Some("nan"));
        assert_eq!(locks.read("BRAIN_DROPIN")["resources"].as_array().unwrap().len(), 1);
        let finished = held.finish();
        assert!(finished.stderr.contains("is not an account"), "{who:?}: {finished:?}");
    }
}

#[test]
fn scripts_of_the_old_module_find_what_they_know() {
    let text = r#"
import copy, pickle
from process_lock import ProcessLock, list_active_locks
lock = ProcessLock("BRAIN_DROPIN", account=12002)
assert not lock.acquired
assert lock.acquire() and lock.acquired and lock.lock_file.exists()
pairs = list_active_locks()
for name, record in pairs:
    assert name == "BRAIN_DROPIN.lock" and record["pid"]
one = pairs[0]
assert one["pid"] == one.get("pid") == dict(one)["pid"] and "pid" in one and one.get("none", 7) == 7
assert one[0] == "BRAIN_DROPIN.lock" and len(one) == 2 and copy.copy(one) == one
assert pickle.loads(pickle.dumps(one))["name"] == "BRAIN_DROPIN"
lock.release()
assert not lock.acquired and not lock.lock_file.exists() and list_active_locks() == []
"#;
    succeeds(script(&SampleLocks::new(tools()), text, &[]));
}

#[test]
fn the_command_line_without_arguments_helps_and_without_a_terminal_asks_nothing() {
    let locks = SampleLocks::new(tools());
    let Some(help) = locks.drop_in(&[]) else { return };
    assert_eq!(help.code, 0, "{help:?}");
    assert!(help.stdout.contains("usage: process_lock.py"), "{help:?}");
    locks.leave_dead("BRAIN_DROPIN", None);
    let dir = locks.dir();
    let cleared = locks.drop_in(&["--clear-all", "--lock-dir", dir.to_str().unwrap()]).unwrap();
    assert_eq!((cleared.code, &*cleared.stdout), (0, "Cleared 1 locks.\n"), "{cleared:?}");
}

/// Fails if a file in `folder` has a character that steers a terminal.
#[track_caller]
fn assert_plain(folder: &Path) {
    let is_plain = |c: char| c == '\n' || qc_process::visible(&c.to_string()) == c.to_string();
    for entry in fs::read_dir(folder).unwrap().flatten().filter(|it| it.path().is_file()) {
        // Python ends lines as the system does.
        let text = fs::read_to_string(entry.path()).unwrap().replace("\r\n", "\n");
        assert!(text.chars().all(is_plain), "{:?}: {text:?}", entry.path());
    }
}

#[test]
fn files_that_people_print_can_not_steer_the_terminal() {
    let odd = "odd\u{7f}\u{9b}31m\u{202e}";
    let locks = SampleLocks::new(tools());
    let program = locks.folder().join(format!("{odd}{}", std::env::consts::EXE_SUFFIX));
    copy_program(&tools().stand_in(), &program);
    let args = ["run", "BRAIN_DROPIN", "--", program.to_str().unwrap(), "odd"];
    let held = tools().tool("qc-lock");
    let dir = locks.dir();
    let lock_dir = [("QC_LOCK_DIR", dir.to_str().unwrap())];
    let mut held = Program::start(&held, &args, locks.folder(), &lock_dir, |_| ());
    held.wait_for("ready");
    assert!(locks.read("BRAIN_DROPIN")["program"].as_str().unwrap().starts_with(odd));
    locks.locks().set_latch(odd).unwrap();
    assert_eq!(locks.locks().latch().unwrap().reason, odd);
    assert_plain(&locks.dir());
    held.kill();
    locks.locks().unlatch().unwrap();

    let script = locks.folder().join(format!("{odd}.py"));
    fs::write(&script, "import process_lock as p, sys\nassert p.ProcessLock('X').acquire()\nprint('ready', flush=True)\nsys.stdin.readline()").unwrap();
    let Some(python) = python() else { return };
    let mut command = Command::new(python);
    command.arg(script).env("QC_LOCK_DIR", locks.dir());
    let mut held = Contender::start(&mut command);
    held.wait_for("ready");
    assert!(locks.read("X")["program"].as_str().unwrap().starts_with(odd));
    assert_plain(&locks.dir());
    held.tell("end");
    assert_eq!(held.finish().code, 0);
    assert_plain(&locks.dir());
}

#[test]
fn a_record_can_not_steer_the_terminal() {
    let locks = SampleLocks::new(tools());
    let record = serde_json::json!({
        "pid": 7, "name": "BRAIN_DROPIN", "account": "7\u{1b}[31m\nFAKE: PID 1", "timestamp": "x\u{7}",
        "host": "elsewhere\u{1b}]0;T\u{7}",
    });
    locks.write("BRAIN_DROPIN", &record);
    let mut outputs = vec![locks.qc_lock(&["list"])];
    outputs.extend(locks.drop_in(&["--list", "--lock-dir", locks.dir().to_str().unwrap()]));
    outputs.push(run(&mut locks.command(Speaker::Tool, "BRAIN_DROPIN", None), ""));
    if python().is_some() {
        outputs.push(run(&mut locks.command(Speaker::Python, "BRAIN_DROPIN", None), ""));
    }
    for shown in outputs {
        let text = shown.stdout + &shown.stderr;
        let is_odd = |c: char| c.is_control() && c != '\n' && c != '\r';
        assert!(text.contains("BRAIN_DROPIN") && text.contains(r"7\u{1b}[31m\nFAKE"), "{text:?}");
        assert!(!text.contains(is_odd) && !text.contains("\nFAKE"), "{text:?}");
    }
}

#[test]
fn a_lock_is_held_until_the_process_has_ended() {
    let text = r#"
import atexit, sys
def log_off():
    print("closing", flush=True)
    sys.stdin.readline()
atexit.register(log_off)
from process_lock import ProcessLock
assert ProcessLock("BRAIN_DROPIN").acquire()
"#;
    let locks = SampleLocks::new(tools());
    let Some(mut command) = command(&locks, text, &[]) else { return };
    let mut brain = Contender::start(&mut command);
    brain.wait_for("closing");
    for asker in Speaker::all() {
        locks.attempt(asker, "BRAIN_DROPIN", None).refused();
    }
    brain.tell("end");
    assert_eq!(brain.finish().code, 0);
    assert_eq!(locks.attempt(Speaker::Library, "BRAIN_DROPIN", None).taken(), 0);
}

/// On Windows `os.execv` is another process, which takes the lock for itself.
#[cfg(unix)]
#[test]
fn a_script_that_replaces_itself_keeps_its_lock() {
    let text = r#"
import os, sys
from process_lock import ProcessLock
life = int(os.environ.get("LIFE", "1"))
assert ProcessLock("BRAIN_DROPIN", "12003").acquire()
if life < 3:
    os.environ["LIFE"] = str(life + 1)
    os.execv(sys.executable, [sys.executable] + sys.argv)
print("held by PID", os.getpid(), flush=True)
sys.stdin.readline()
"#;
    for under_tool in [false, true] {
        let locks = SampleLocks::new(tools());
        let Some(alone) = command(&locks, text, &[]) else { return };
        let mut command = alone;
        if under_tool {
            let mut tool = locks.qc_lock_command(&["run", "BRAIN_DROPIN", "--"]);
            tool.arg(command.get_program())
                .args(command.get_args())
                .env("QC_LOCK_DIR", locks.dir());
            command = tool;
        }
        let mut brain = Contender::start(&mut command);
        let pid = brain.holds().expect("it is refused by its own lock");
        for asker in Speaker::all() {
            locks.attempt(asker, "BRAIN_DROPIN", None).names(pid);
            locks.attempt(asker, "BRAIN_OTHER", Some("12003")).names(pid);
        }
        assert_eq!(brain.finish().code, 0);
    }
}

#[test]
fn a_helper_does_not_take_the_token_of_another_lock() {
    let text = r#"
import json, os, subprocess, sys
from process_lock import LOCK_DIR, ProcessLock
if len(sys.argv) > 1:
    sys.exit(0 if ProcessLock(sys.argv[1]).acquire() else 75)
assert subprocess.run([sys.executable, __file__, "REPORT_TOOL"]).returncode == 0
assert json.load(open(LOCK_DIR / "BRAIN_DROPIN.lock"))["pid"] == os.getpid()
assert ProcessLock("ANOTHER").acquire()
assert ProcessLock("BRAIN_DROPIN").acquire()
assert subprocess.run([sys.executable, __file__, "BRAIN_DROPIN"]).returncode == 75
"#;
    let locks = SampleLocks::new(tools());
    let Some(command) = command(&locks, text, &[]) else { return };
    let mut tool = locks.qc_lock_command(&["run", "BRAIN_DROPIN", "--"]);
    tool.arg(command.get_program()).args(command.get_args()).env("QC_LOCK_DIR", locks.dir());
    let finished = run(&mut tool, "");
    assert_eq!(finished.code, 0, "{finished:?}");
}
