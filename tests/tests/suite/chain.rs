//! Programs behind a batch file, `cmd`, a stub or a runner: Windows starts each of them as a process
//! of its own, and the lock stays with the one that does the work.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use qc_process::{Ended, Identity, Liveness, Process, identity_of, liveness, wait_any};
use qc_tests::{Program, SampleFleet, own_account, own_key, python, run};
use serde_json::{Value, json};

use crate::tools;

/// How long a process may take to end.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A brain that notes its pid. Ctrl-C does nothing where its second word is `deaf`.
const BRAIN: &str = "# stand-in: start interpreter
import os, signal, subprocess, sys, time
if 'deaf' in sys.argv:
    for one in (signal.SIGINT, signal.SIGBREAK): signal.signal(one, signal.SIG_IGN)
if 'helped' in sys.argv:
    helper = subprocess.Popen([sys.executable, 'helper.py'])
    print('helper %d' % helper.pid, flush=True)
print('ready %d' % os.getpid(), flush=True)
while 'short' not in sys.argv: time.sleep(0.05)
";

/// A program that runs the script that it is given, as a debugger does.
const RUNNER: &str = "import subprocess, sys
sys.exit(subprocess.call([sys.executable] + sys.argv[1:]))
";

/// The ways to start the brain: what they are called, and their words. `PYTHON` is the interpreter,
/// `STUB` that of a virtual environment.
const WAYS: [(&str, &[&str]); 7] = [
    ("a batch file", &[".\\run.bat"]),
    ("cmd", &["cmd", "/d", "/c", "PYTHON", "BRAIN_CHAIN.py"]),
    ("a batch file that calls one", &[".\\calls.bat"]),
    ("a batch file with a shell that runs one", &[".\\outer.bat"]),
    ("a stub", &["STUB", "BRAIN_CHAIN.py"]),
    ("a batch file with a stub", &[".\\stub.bat"]),
    ("a runner", &["PYTHON", "run.py", "BRAIN_CHAIN.py"]),
];

/// A folder with the brain and all that starts it.
struct Folder {
    fleet: SampleFleet,
    python: &'static Path,
    /// The brain's name, which no other test has: all see each other's brains.
    name: String,
}

impl Folder {
    fn new() -> Option<Self> {
        let python = python()?;
        let fleet = SampleFleet::new(tools(), &[]);
        let name = format!("BRAIN_{}", own_key());
        let folder = Self { fleet, python, name };
        let stub = folder.fleet.python();
        let environment = stub.parent().unwrap().parent().unwrap();
        let home = python.parent().unwrap();
        fs::write(environment.join("pyvenv.cfg"), format!("home = {}\n", home.display())).unwrap();
        folder.write(&format!("{}.py", folder.name), BRAIN);
        folder.write("run.py", RUNNER);
        folder.write("helper.py", "import time\ntime.sleep(60)\n");
        let (python, name) = (python.display(), folder.name.as_str());
        folder.write("run.bat", &format!("@\"{python}\" {name}.py %*\r\n"));
        folder.write("stub.bat", &format!("@\"{}\" {name}.py %*\r\n", stub.display()));
        folder.write("calls.bat", "@call run.bat %*\r\n@echo over\r\n");
        folder.write("outer.bat", "@cmd /d /c run.bat %*\r\n@echo over\r\n");
        let helped =
            format!("@start /b \"\" \"{python}\" helper.py\r\n@\"{python}\" {name}.py %*\r\n");
        folder.write("helped.bat", &helped);
        folder.write("started.bat", &format!("@start /b \"\" \"{python}\" {name}.py %*\r\n"));
        Some(folder)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.fleet.root().join(name), text).unwrap();
    }

    fn words(&self, command: &[&str]) -> Vec<String> {
        let python = self.python.to_string_lossy();
        let stub = self.fleet.python();
        let stub = stub.to_string_lossy();
        let word = |word: &&str| {
            word.replace("PYTHON", &python)
                .replace("STUB", &stub)
                .replace("BRAIN_CHAIN", &self.name)
        };
        command.iter().map(word).collect()
    }

    /// Runs the brain under its lock.
    fn hold(&self, command: &[&str]) -> Held {
        let mut args = vec!["run", &*self.name, "--account", own_account(), "--"];
        let words = self.words(command);
        args.extend(words.iter().map(String::as_str));
        let lock = self.fleet.tools.tool("qc-lock");
        let mut wrapper = Program::start(&lock, &args, self.fleet.root(), &[], |_| ());
        let ready = wrapper.wait_for("ready ");
        let brain = identity(&ready);
        let record = self.record();
        let direct = identity_of(u32::try_from(record["pid"].as_u64().unwrap()).unwrap());
        Held { wrapper, brain, direct: direct.ok() }
    }

    fn record(&self) -> Value {
        let path = self.fleet.root().join(".locks").join(format!("{}.lock", self.name));
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    }

    /// Asks for the same account in another folder; returns the exit code.
    fn ask_elsewhere(&self) -> i32 {
        let there = tempfile::tempdir().unwrap();
        let mut ask = std::process::Command::new(self.fleet.tools.tool("qc-lock"));
        ask.args(["run", "BRAIN_OTHER", "--account", own_account(), "--lock-dir"]);
        ask.arg(there.path().join(".locks")).arg("--");
        ask.arg(self.fleet.tools.tool("qc-lock")).arg("--version");
        run(&mut ask, "").code
    }

    /// Waits until the account is free.
    #[track_caller]
    fn await_account(&self) {
        let begun = Instant::now();
        while self.ask_elsewhere() != 0 {
            assert!(begun.elapsed() < TIMEOUT, "the account is held");
        }
    }

    /// Asks for the lock; returns the exit code.
    fn ask(&self) -> i32 {
        let args = ["run", &*self.name, "--account", own_account(), "--"];
        let lock = self.fleet.tools.tool("qc-lock");
        let lock = lock.to_string_lossy();
        let args = [&args[..], &[&*lock, "--version"]].concat();
        self.fleet.run("qc-lock", &args).code
    }
}

/// A brain that runs under its lock.
struct Held {
    wrapper: Program,
    brain: Identity,
    /// The child of the wrapper, if that still runs.
    direct: Option<Identity>,
}

impl Drop for Held {
    fn drop(&mut self) {
        kill(&self.brain);
    }
}

fn identity(line: &str) -> Identity {
    let pid = line.rsplit(' ').next().unwrap().trim().parse().unwrap();
    identity_of(pid).unwrap()
}

fn kill(identity: &Identity) {
    if let Ok(Some(process)) = Process::open(identity) {
        process.kill().unwrap();
        await_end(identity);
    }
}

#[track_caller]
fn await_end(identity: &Identity) {
    if let Ok(Some(process)) = Process::open(identity) {
        wait_any(&[&process], TIMEOUT).unwrap();
    }
    assert_eq!(liveness(identity), Liveness::Dead);
}

#[test]
fn the_lock_is_held_until_the_program_has_ended_that_does_the_work() {
    for (what, command) in WAYS {
        println!("{what}");
        let Some(folder) = Folder::new() else { return };
        let held = folder.hold(command);
        let direct = held.direct.clone().unwrap();
        assert_ne!(direct, held.brain);
        kill(&direct);
        assert_eq!(folder.ask(), 75);
        assert_eq!(folder.ask_elsewhere(), 75);
        assert_eq!(liveness(&held.brain), Liveness::Alive);
        // The holder is named, and found by the command that stops it.
        let status = folder.fleet.run("qc-lock", &["status", &folder.name]);
        assert!(status.stdout.contains(&held.brain.pid.to_string()), "{status:?}");
        kill(&held.brain);
        await_end(held.wrapper.identity());
        assert_eq!(folder.ask(), 0);
        assert_eq!(folder.ask_elsewhere(), 0);
    }
}

#[test]
fn a_killed_wrapper_takes_the_whole_chain_along() {
    for (what, command) in WAYS {
        println!("{what}");
        let Some(folder) = Folder::new() else { return };
        let held = folder.hold(command);
        held.wrapper.kill();
        // Whenever the account is free, nothing of it trades.
        folder.await_account();
        assert_eq!(liveness(&held.brain), Liveness::Dead);
        assert_eq!(folder.ask(), 0);
    }
}

#[test]
fn a_wrapper_killed_with_what_it_has_started_takes_the_rest_along() {
    for (what, command) in WAYS {
        println!("{what}");
        let Some(folder) = Folder::new() else { return };
        let held = folder.hold(command);
        let direct = held.direct.clone().unwrap();
        let direct = Process::open(&direct).unwrap().unwrap();
        direct.kill().unwrap();
        held.wrapper.kill();
        folder.await_account();
        assert_eq!(liveness(&held.brain), Liveness::Dead);
        assert_eq!(folder.ask(), 0);
    }
}

#[test]
fn what_a_brain_or_its_batch_file_leaves_to_itself_holds_no_lock() {
    for command in [
        &[".\\run.bat", "short", "helped"][..],
        &["PYTHON", "BRAIN_CHAIN.py", "short", "helped"],
        &["STUB", "BRAIN_CHAIN.py", "short", "helped"],
    ] {
        println!("{command:?}");
        let Some(folder) = Folder::new() else { return };
        let mut args = vec!["run", &*folder.name, "--account", own_account(), "--"];
        let words = folder.words(command);
        args.extend(words.iter().map(String::as_str));
        let lock = folder.fleet.tools.tool("qc-lock");
        let mut wrapper = Program::start(&lock, &args, folder.fleet.root(), &[], |_| ());
        let helper = identity(&wrapper.wait_for("helper "));
        await_end(wrapper.identity());
        assert_eq!(liveness(&helper), Liveness::Alive);
        assert_eq!((folder.ask(), folder.ask_elsewhere()), (0, 0));
        kill(&helper);
    }
}

#[test]
fn a_helper_of_a_batch_file_holds_no_lock_once_the_brain_has_ended() {
    let Some(folder) = Folder::new() else { return };
    let held = folder.hold(&[".\\helped.bat"]);
    kill(&held.brain);
    await_end(held.wrapper.identity());
    assert_eq!((folder.ask(), folder.ask_elsewhere()), (0, 0));
    end_pythons(&folder);
}

/// Ends what a test has left in its folder.
fn end_pythons(folder: &Folder) {
    for process in qc_process::list().unwrap().processes {
        let is_here =
            process.current_dir.as_deref().is_some_and(|dir| dir.starts_with(folder.fleet.root()));
        if is_here {
            kill(&process.identity);
        }
    }
}

#[test]
fn a_brain_that_its_batch_file_does_not_wait_for_keeps_the_lock() {
    let Some(folder) = Folder::new() else { return };
    let held = folder.hold(&[".\\started.bat"]);
    if let Some(direct) = &held.direct
        && *direct != held.brain
    {
        await_end(direct);
    }
    assert_eq!((folder.ask(), folder.ask_elsewhere()), (75, 75));
    kill(&held.brain);
    await_end(held.wrapper.identity());
    assert_eq!((folder.ask(), folder.ask_elsewhere()), (0, 0));
}

#[test]
fn ctrl_c_reaches_the_program_and_its_exit_frees_the_lock() {
    for (what, command) in WAYS {
        println!("{what}");
        let Some(folder) = Folder::new() else { return };
        let mut held = folder.hold(command);
        held.wrapper.ask_to_stop(&folder.fleet.tools);
        await_end(&held.brain);
        await_end(held.wrapper.identity());
        assert_eq!(folder.ask(), 0);
        held.direct = None;
    }
}

/// A fleet whose brain is started in one of these ways.
fn launch(folder: &Folder, command: &[&str], account: u64) -> Program {
    let brain = json!({
        "command": folder.words(command), "ready": { "log": "^ready" },
    });
    let accounts = json!({ folder.name.trim_start_matches("BRAIN_"): { "account": account, "enabled": true } });
    folder.fleet.configure(&json!({ "ACCOUNTS": accounts, "PROCESS_MANAGER": {
        "server": { "enabled": false }, "watchdog_stagger_seconds": 0, "brain_stagger_seconds": 0,
        "restart_cooldown_seconds": 0, "stop_timeout_seconds": 1,
        "components": { folder.name.as_str(): brain },
    } }));
    let mut launch = folder.fleet.launch(&[], |_| ());
    launch.wait_for(&format!("{} is ready", folder.name));
    launch
}

/// The brains that the log shows, in their order.
fn brains(folder: &Folder) -> Vec<u32> {
    let log = folder.fleet.run("qc-launch", &["logs", &folder.name, "-n", "1000"]).stdout;
    log.lines().filter_map(|line| line.strip_prefix("ready ")?.trim().parse().ok()).collect()
}

#[test]
fn a_hung_program_is_killed_by_a_restart_and_by_a_stop_before_the_next_one_runs() {
    for (account, (what, command)) in (7_430_001..).zip(WAYS) {
        println!("{what}");
        let Some(folder) = Folder::new() else { return };
        let deaf = [command, &["deaf"]].concat();
        let mut launch = launch(&folder, &deaf, account);
        let first = identity_of(*brains(&folder).last().unwrap()).unwrap();
        let restarted = folder.fleet.run("qc-launch", &["restart", &folder.name]);
        assert_eq!(liveness(&first), Liveness::Dead, "{restarted:?}");
        assert_eq!(restarted.code, 0, "{restarted:?}");
        launch.wait_for(&format!("{} was KILLED", folder.name));
        let second = identity_of(*brains(&folder).last().unwrap()).unwrap();
        assert_ne!(first, second);
        let stopped = folder.fleet.run("qc-launch", &["stop"]);
        assert_eq!(stopped.code, 0, "{stopped:?}");
        assert_eq!(liveness(&second), Liveness::Dead, "{stopped:?}");
        let (ended, lines) = launch.finish();
        assert_eq!(ended, Ended::Code(0), "{lines:#?}");
    }
}

#[test]
fn qc_shutdown_ends_a_hung_program_with_its_chain() {
    for (what, command) in WAYS {
        println!("{what}");
        let Some(folder) = Folder::new() else { return };
        let deaf = [command, &["deaf"]].concat();
        let held = folder.hold(&deaf);
        let stopped = folder.fleet.run("qc-shutdown", &["--yes", "--timeout", "1s"]);
        assert_eq!(stopped.code, 0, "{stopped:?}");
        assert_eq!(liveness(&held.brain), Liveness::Dead, "{stopped:?}");
        await_end(held.wrapper.identity());
        assert_eq!(folder.ask(), 0);
    }
}

#[test]
fn a_killed_shell_leaves_its_component_running_and_one() {
    for (account, (what, command)) in (7_430_011..).zip(WAYS) {
        println!("{what}");
        let Some(folder) = Folder::new() else { return };
        let launch = launch(&folder, command, account);
        let brain = identity_of(*brains(&folder).last().unwrap()).unwrap();
        let direct = u32::try_from(folder.record()["pid"].as_u64().unwrap()).unwrap();
        kill(&identity_of(direct).unwrap());
        // The wrapper says that it goes on; a component that had ended would be started anew at once.
        while folder.record()["pid"].as_u64() != Some(brain.pid.into()) {}
        let status = folder.fleet.run("qc-launch", &["status"]);
        assert_eq!(liveness(&brain), Liveness::Alive, "{status:?}");
        assert_eq!(brains(&folder), [brain.pid], "{status:?}");
        let stopped = folder.fleet.run("qc-launch", &["stop"]);
        assert_eq!(stopped.code, 0, "{stopped:?}");
        assert_eq!(liveness(&brain), Liveness::Dead, "{stopped:?}");
        assert_eq!(launch.finish().0, Ended::Code(0));
    }
}
