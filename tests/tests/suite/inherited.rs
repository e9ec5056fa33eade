//! The state that a tool inherits from its parent: signals ignored or blocked, a limit for files.
//! Windows has none of these.

use std::fs;
use std::path::Path;
use std::process::Command;

use qc_process::{Ended, Liveness, liveness};
use qc_tests::{Program, SampleFleet, run};

use crate::tools;

/// Runs `qc-lock run` with this command line in a shell, after `env` has set the signals.
fn run_under(signals: &[&str], script: &str) -> qc_tests::Finished {
    let fleet = SampleFleet::new(tools(), &[("ATLAS", 1_210_001)]);
    let mut command = Command::new("env");
    command.args(signals).arg(fleet.tools.tool("qc-lock"));
    command.args(["run", "BRAIN_ATLAS", "--", "sh", "-c", script]).current_dir(fleet.root());
    run(&mut command, "")
}

#[test]
fn signals_that_the_starter_ignored_or_blocked_cost_no_exit_code() {
    for signals in [
        &["--ignore-signal=CHLD"][..],
        &["--block-signal=CHLD"],
        &["--block-signal=INT,TERM,HUP,CHLD", "--ignore-signal=CHLD,PIPE,TERM,USR1"],
        &["--block-signal", "--ignore-signal=CHLD"],
    ] {
        let finished = run_under(signals, "exit 7");
        assert_eq!(finished.code, 7, "{signals:?}: {finished:?}");
    }
}

/// Returns the sets of blocked and ignored signals that `grep` shows of itself.
fn masks(signals: &[&str]) -> Vec<u64> {
    let shown = run_under(signals, "grep -E '^Sig(Blk|Ign)' /proc/self/status");
    assert_eq!(shown.code, 0, "{shown:?}");
    // The C library keeps signals 32 and 33 to itself.
    let usual = 0x7fff_ffff;
    let number = |line: &str| {
        u64::from_str_radix(line.split_whitespace().last()?, 16).ok().map(|set| set & usual)
    };
    let masks: Vec<u64> = shown.stdout.lines().filter_map(number).collect();
    assert_eq!(masks.len(), 2, "{shown:?}");
    masks
}

#[test]
fn a_command_starts_with_no_signal_blocked_and_only_what_the_user_ignores_ignored() {
    // The test itself may run under `nohup`.
    let default = "--default-signal";
    let ignored = [default, "--block-signal", "--ignore-signal=CHLD,PIPE,USR1,TERM,XFSZ"];
    assert_eq!(masks(&ignored), [0, 0]);
    // As `nohup` and the `&` of a script ask for: SIGHUP is 1, SIGINT 2, SIGQUIT 3.
    assert_eq!(masks(&[default, "--ignore-signal=HUP,INT,QUIT,CHLD"]), [0, 0b111]);
}

#[test]
fn a_launcher_whose_signals_were_blocked_can_be_asked_to_stop() {
    let fleet = SampleFleet::new(tools(), &[("ATLAS", 1_210_002)]);
    let launcher = fleet.tools.tool("qc-launch");
    let blocked = ["--block-signal", "--ignore-signal=CHLD,TERM", launcher.to_str().unwrap()];
    let mut launch = Program::start(Path::new("env"), &blocked, fleet.root(), &[], |_| ());
    launch.wait_for("started BRAIN_ATLAS");
    let pid = launch.identity().pid.to_string();
    let asked = run(Command::new("kill").args(["-TERM", &pid]), "");
    assert_eq!(asked.code, 0, "{asked:?}");
    let (ended, lines) = launch.finish();
    assert_eq!(ended, Ended::Code(0), "{lines:?}");
    assert_eq!(fleet.run("qc-lock", &["list"]).stdout, "No active locks.\n");
}

#[test]
fn a_limit_for_the_size_of_files_ends_neither_wrapper_nor_launcher() {
    let fleet = SampleFleet::new(tools(), &[("ATLAS", 1_210_003)]);
    let folder = fleet.root().join(".locks");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("history.jsonl"), "{}\n".repeat(4000)).unwrap();
    let limited = |tool: &str, args: &[&str]| {
        let tool = fleet.tools.tool(tool);
        let script = r#"ulimit -f 8; exec "$0" "$@""#;
        let words = [&["-c", script, tool.to_str().unwrap()], args].concat();
        Program::start(Path::new("/bin/sh"), &words, fleet.root(), &[], |_| ())
    };
    let (ended, lines) = limited("qc-lock", &["run", "OTHER", "--", "sh", "-c", "exit 7"]).finish();
    assert_eq!(ended, Ended::Code(7), "{lines:?}");
    let mut launch = limited("qc-launch", &[]);
    launch.wait_for("started BRAIN_ATLAS");
    assert_eq!(liveness(launch.identity()), Liveness::Alive);
    // The default is back in children: SIGXFSZ ends a component that writes beyond the limit.
    launch.ask_to_stop(&fleet.tools);
    let (ended, lines) = launch.finish();
    assert_eq!(ended, Ended::Code(0), "{lines:?}");
}
