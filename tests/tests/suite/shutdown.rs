//! `qc-shutdown`: what each scope stops and what it leaves, orchestrators that obey and that do
//! not, what is born meanwhile, interruption, the latch, a config that can't be read.

use std::fs;
use std::path::Path;
use std::process::Command;

use qc_process::{Ended, Identity, Liveness, identity_of, liveness};
#[cfg(windows)]
use qc_tests::FAULT_VARIABLE;
use qc_tests::{
    Finished, Program, SampleFleet, Screen, WITH_WORKERS, copy_program, own_key, python, run,
    suspend,
};
use serde_json::{Value, json};

use crate::bad_input::cannot_test;
use crate::tools;
use crate::view::await_suspended;

const ONE: [(&str, u64); 1] = [("ATLAS", 11)];
const TWO: [(&str, u64); 2] = [("ATLAS", 11), ("BOREAS", 12)];

/// Starts one script by hand, without a lock, and waits until it runs.
pub(crate) fn by_hand(fleet: &SampleFleet, args: &[&str]) -> Program {
    let mut program = Program::start(&fleet.python(), args, fleet.root(), &[], |_| ());
    program.wait_for("ready");
    program
}

fn launch(fleet: &SampleFleet) -> Program {
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started BRAIN_BOREAS");
    launch
}

pub(crate) fn shutdown(fleet: &SampleFleet, args: &[&str]) -> Finished {
    fleet.run("qc-shutdown", args)
}

/// The components that run, by name.
fn running(fleet: &SampleFleet) -> Vec<String> {
    let rows = fleet.processes();
    let mut names: Vec<String> =
        rows.iter().map(|row| row["component"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// Each result as `COMPONENT outcome`.
fn outcomes(report: &Value) -> Vec<String> {
    let results = report["results"].as_array().unwrap();
    let text = |one: &Value| {
        format!("{} {}", one["component"].as_str().unwrap(), one["outcome"].as_str().unwrap())
    };
    results.iter().map(text).collect()
}

/// All pids of a plan, stage by stage.
fn planned(report: &Value) -> Vec<u64> {
    let stages = report["plan"].as_array().unwrap().iter();
    let targets = stages.flat_map(|stage| stage["targets"].as_array().unwrap());
    targets.map(|target| target["pid"].as_u64().unwrap()).collect()
}

#[test]
fn the_orchestrator_stops_its_fleet_in_order_and_what_was_planned_is_what_is_done() {
    let fleet = SampleFleet::new(tools(), &TWO);
    let launch = launch(&fleet);
    let dry = shutdown(&fleet, &["--dry-run", "--json"]).json();
    let real = shutdown(&fleet, &["--yes", "--json"]);
    assert_eq!(real.code, 0, "{real:?}");
    let real = real.json();
    assert_eq!(dry["plan"], real["plan"]);
    assert_eq!(real["exposure"]["lose_watchdog"], json!(["ATLAS", "BOREAS"]));
    let mut stopped: Vec<u64> = real["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["pid"].as_u64().unwrap())
        .collect();
    let mut expected = planned(&dry);
    expected.sort_unstable();
    stopped.sort_unstable();
    assert_eq!(stopped, expected);
    let outcomes = outcomes(&real);
    assert!(outcomes.iter().all(|one| one.ends_with(" stopped")), "{outcomes:?}");
    assert!(outcomes[0].starts_with("BRAIN_") && outcomes[1].starts_with("BRAIN_"), "{outcomes:?}");
    assert_eq!(outcomes[5], "MASTER_LAUNCH stopped", "{outcomes:?}");
    let (_, lines) = launch.finish();
    assert!(lines.iter().any(|line| line.contains("stopping the fleet in order")), "{lines:#?}");
    assert_eq!(fleet.run("qc-lock", &["list"]).stdout, "No active locks.\n");
}

/// Sees that these copies of a brain were asked and have ended, and that no watchdog has before
/// any brain.
fn assert_copies_end_before_watchdogs(stopped: &Finished, copies: &[Program]) {
    assert_eq!(stopped.code, 0, "{stopped:?}");
    let report = stopped.json();
    let results = report["results"].as_array().unwrap();
    let position = |pid: u32| results.iter().position(|one| one["pid"] == pid).unwrap();
    let watchdog = results.iter().position(|one| one["role"] == "watchdog").unwrap();
    for copy in copies {
        assert!(position(copy.identity().pid) < watchdog, "{results:#?}");
        let result = &results[position(copy.identity().pid)];
        assert_eq!(result["outcome"], "stopped");
        // One that an orchestrator was told of in vain is asked after three quarters of its time.
        let time = report["plan"][0]["targets"][0]["timeout_seconds"].as_f64().unwrap();
        assert!(result["seconds"].as_f64().unwrap() < time / 2.0, "{result:#}");
    }
    assert!(
        results[watchdog..].iter().all(|one| one["role"] != "brain"),
        "a watchdog ended before a brain: {results:#?}"
    );
}

#[test]
fn copies_that_the_orchestrator_knows_nothing_of_end_before_any_watchdog() {
    for (args, left) in [
        (&["--yes", "--json"][..], &[][..]),
        (
            &["--account", "ATLAS", "--yes", "--json"],
            &["BRAIN_BOREAS", "MASTER_LAUNCH", "WATCHDOG_BOREAS", "quantum_server"],
        ),
    ] {
        let fleet = SampleFleet::new(tools(), &TWO);
        let launch = launch(&fleet);
        let copies = [(); 2].map(|()| by_hand(&fleet, &["BRAIN_ATLAS.py"]));
        let stopped = shutdown(&fleet, args);
        assert_copies_end_before_watchdogs(&stopped, &copies);
        let rows = fleet.processes();
        shutdown(&fleet, &["--yes"]);
        let (_, lines) = launch.finish();
        let mut names: Vec<&str> =
            rows.iter().map(|row| row["component"].as_str().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, left, "{rows:#?}\n{lines:#?}\n{stopped:#?}");
    }
}

#[test]
fn a_launcher_that_is_stopped_itself_ends_them_before_any_watchdog_too() {
    let fleet = SampleFleet::new(tools(), &TWO);
    let launch = launch(&fleet);
    let copies = [(); 2].map(|()| by_hand(&fleet, &["BRAIN_ATLAS.py"]));
    let stopped = fleet.run("qc-launch", &["stop"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    let (ended, lines) = launch.finish();
    assert_eq!(ended, Ended::Code(0), "{lines:#?}");
    let position = |text: &str| lines.iter().position(|line| line.contains(text));
    let watchdog = position("WATCHDOG_ATLAS ended when asked").expect("it was stopped");
    for copy in copies {
        let text =
            format!("BRAIN_ATLAS (PID {}, not started here) ended when asked", copy.identity().pid);
        let copy = position(&text).unwrap_or_else(|| panic!("no `{text}`: {lines:#?}"));
        assert!(copy < watchdog, "{lines:#?}");
    }
    assert_eq!(running(&fleet), [""; 0]);
    let history = fleet.run("qc-lock", &["history", "--name", "BRAIN_ATLAS", "--json"]).stdout;
    assert_eq!(history.matches("\"event\": \"stopped\"").count(), 3, "{history}");
}

#[test]
fn no_watchdog_of_any_folder_ends_before_the_brains_of_all_folders() {
    let key = format!("W{}", std::process::id());
    let accounts = [(key.as_str(), 11)];
    let start = || {
        let fleet = SampleFleet::new(tools(), &accounts);
        let mut launch = fleet.launch(&[], |_| ());
        launch.wait_for(&format!("started BRAIN_{key}"));
        (fleet, launch)
    };
    let script = format!("BRAIN_{key}.py");
    let args = ["--yes", "--json", "--all-roots", "--account", &key, "--timeout", "20s"];
    let left = ["MASTER_LAUNCH", "quantum_server"];
    {
        // Each folder has an orchestrator, and the other one copies that its own knows nothing of.
        let ((fleet, _ours), (other, _theirs)) = (start(), start());
        let copies = [(); 2].map(|()| by_hand(&other, &[&script]));
        assert_copies_end_before_watchdogs(&shutdown(&fleet, &args), &copies);
        assert_eq!(
            (running(&fleet), running(&other)),
            (left.map(Into::into).into(), left.map(Into::into).into())
        );
    }
    // The other folder has no orchestrator, and trades an account that is guarded from here.
    let ((fleet, _ours), other) = (start(), SampleFleet::new(tools(), &accounts));
    let copies = [by_hand(&other, &[&script])];
    assert_copies_end_before_watchdogs(&shutdown(&fleet, &args), &copies);
    assert_eq!(running(&fleet), left);
}

#[test]
fn a_part_is_stopped_by_the_orchestrator_which_runs_on_and_does_not_start_it_again() {
    let fleet = SampleFleet::new(tools(), &TWO);
    let mut launch = launch(&fleet);
    let plan = shutdown(&fleet, &["--account", "atlas", "--dry-run"]);
    for text in [
        "MASTER_LAUNCH (PID ",
        "runs on: it is asked",
        "1 account loses its stop-loss watchdog: ATLAS.",
    ] {
        assert!(plan.stdout.contains(text), "no `{text}`: {plan:?}");
    }
    let stopped = shutdown(&fleet, &["--account", "atlas", "--yes"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    launch.wait_for("WATCHDOG_ATLAS ended when asked");
    assert_eq!(
        running(&fleet),
        ["BRAIN_BOREAS", "MASTER_LAUNCH", "WATCHDOG_BOREAS", "quantum_server"]
    );
    let status = fleet.run("qc-launch", &["status", "--json"]).json();
    let state = |name: &str| {
        let components = status["components"].as_array().unwrap();
        components.iter().find(|one| one["name"] == name).unwrap()["state"].clone()
    };
    assert_eq!((state("BRAIN_ATLAS"), state("BRAIN_BOREAS")), (json!("stopped"), json!("running")));

    let stopped = shutdown(&fleet, &["--keep-watchdogs", "--yes"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert!(stopped.stdout.contains("Watchdogs that run on: BOREAS."), "{stopped:?}");
    assert_eq!(running(&fleet), ["MASTER_LAUNCH", "WATCHDOG_BOREAS", "quantum_server"]);
    assert_eq!(shutdown(&fleet, &["--yes"]).code, 0);
    assert_eq!(running(&fleet), [""; 0]);
}

#[cfg(windows)]
#[test]
fn a_console_that_does_not_answer_keeps_nobody_waiting() {
    let fleet = SampleFleet::new(tools(), &TWO);
    let brains = ["BRAIN_ATLAS.py", "BRAIN_BOREAS.py"].map(|script| by_hand(&fleet, &[script]));
    let mut command = Command::new(fleet.tools.tool("qc-shutdown"));
    command.args(["--yes", "--json", "--timeout", "1s"]).current_dir(fleet.root());
    let stopped = run(command.env(FAULT_VARIABLE, "hang visit console"), "");
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert_eq!(outcomes(&stopped.json()), ["BRAIN_ATLAS killed", "BRAIN_BOREAS killed"]);
    drop(brains);
}

#[test]
fn what_names_nothing_is_refused() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let brain = by_hand(&fleet, &["BRAIN_ATLAS.py"]);
    for (args, message) in [
        (["--account", "ATLSA"], "there is no account `ATLSA`"),
        (["--name", "BRAIN_ATLSA"], "there is no component `BRAIN_ATLSA`"),
        (["--name", "MASTER_LAUNCH"], "stops its whole fleet"),
        (["--role", "orchestrator"], "the roles are brain, watchdog, server, other"),
        (["--latch", " "], "say why"),
    ] {
        let refused = shutdown(&fleet, &[&args[..], &["--yes"]].concat());
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.stderr.contains(message), "{refused:?}");
    }
    assert_eq!(liveness(brain.identity()), Liveness::Alive);
}

#[test]
fn an_orchestrator_that_does_not_answer_is_stopped_and_starts_nothing_again() {
    for (args, expected) in [
        (
            &["--account", "ATLAS", "--yes", "--timeout", "3s"][..],
            &["BRAIN_BOREAS", "WATCHDOG_BOREAS", "quantum_server"][..],
        ),
        (&["--yes", "--timeout", "3s"], &[]),
    ] {
        let fleet = SampleFleet::new(tools(), &TWO);
        let launch = launch(&fleet);
        if !suspend(launch.identity()) {
            return cannot_test(
                "an orchestrator that does not answer",
                "without a Python nothing here lets one stand still",
            );
        }
        let is_shown = await_suspended(launch.identity());
        let stopped = shutdown(&fleet, args);
        assert_eq!(stopped.code, 0, "{stopped:?}");
        let name = format!("MASTER_LAUNCH (PID {})", launch.identity().pid);
        assert!(stopped.stdout.contains(&name), "{stopped:?}");
        if is_shown {
            // The plan says it, and the report has it in the same place.
            let why = "it is suspended and can't be told to stop its fleet";
            let planned = format!("  1. orchestrator\n       {name}: killed, because {why}\n");
            assert!(stopped.stdout.contains(&planned), "{stopped:?}");
            assert!(!stopped.stdout.contains("told first"), "{stopped:?}");
            let first = format!("MASTER_LAUNCH is killed first: {why}");
            assert!(stopped.stderr.contains(&first), "{stopped:?}");
            let killed = stopped.stdout.find(&format!("  {name}: KILLED")).expect("killed");
            let brain = stopped.stdout.rfind("  BRAIN_ATLAS (PID ").expect("a brain");
            assert!(killed < brain, "{stopped:?}");
        } else {
            let ignores = "the orchestrator ignores the request";
            assert!(stopped.stderr.contains(ignores), "{stopped:?}");
        }
        assert_eq!(liveness(launch.identity()), Liveness::Dead);
        assert_eq!(running(&fleet), expected);
    }
}

#[test]
fn a_launcher_that_is_suspended_after_the_plan_is_stopped_and_said_to_ignore_the_request() {
    if !Screen::can_be_played() {
        return cannot_test(
            "a launcher suspended at the prompt",
            "only under Wine one can be played",
        );
    }
    let fleet = SampleFleet::new(tools(), &ONE);
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started BRAIN_ATLAS");
    let mut screen = Screen::start(&fleet.tools, "qc-shutdown", "--timeout 2s", fleet.root());
    screen.wait_for("orchestrator, told first to start nothing again");
    screen.wait_for("Type YES to stop them");
    if !suspend(launch.identity()) {
        return cannot_test(
            "a launcher suspended at the prompt",
            "nothing here suspends a process",
        );
    }
    screen.type_in("YES\r");
    screen.wait_for("the orchestrator ignores the request");
    screen.wait_for("code Some(0);");
    assert_eq!(liveness(launch.identity()), Liveness::Dead);
    assert_eq!(running(&fleet), [""; 0]);
}

/// A terminal: as the child, the parent and a sibling of brains.
struct Terminals {
    brains: Vec<Program>,
    identities: Vec<Identity>,
    _sibling: Program,
}

impl Terminals {
    fn start(fleet: &SampleFleet, keys: &[String; 2]) -> Self {
        let [one, other] = keys.each_ref().map(|key| format!("BRAIN_{key}.py"));
        let name = format!("terminal64{}", if cfg!(windows) { ".exe" } else { "" });
        fleet.script(&one, &format!("start {name}"));
        let mut brain = Program::start(&fleet.python(), &[&one], fleet.root(), &[], |_| ());
        let line = brain.wait_for("started terminal64");
        let child = identity_of(line.rsplit(' ').next().unwrap().parse().unwrap()).unwrap();
        brain.wait_for("ready");
        let terminal = fleet.root().join(&name);
        let python = fleet.python();
        let args = ["run", python.to_str().unwrap(), &other];
        let mut parent = Program::start(&terminal, &args, fleet.root(), &[], |_| ());
        parent.wait_for("ready");
        let args = [&*format!("{one}.ini"), "/portable"];
        let mut sibling = Program::start(&terminal, &args, fleet.root(), &[], |_| ());
        sibling.wait_for("ready");
        let identities = vec![child, parent.identity().clone(), sibling.identity().clone()];
        Self { brains: vec![brain, parent], identities, _sibling: sibling }
    }

    fn assert_untouched(&self, what: &Finished, is_parent_waiting: bool) {
        for (identity, is_parent) in self.identities.iter().zip([false, true, false]) {
            // The parent only waits for its brain, and ends with it by itself.
            if !is_parent || is_parent_waiting {
                assert_eq!(liveness(identity), Liveness::Alive, "{what:?}");
            }
            let pid = identity.pid.to_string();
            let words =
                |text: &str| text.split(|c: char| !c.is_ascii_digit()).any(|word| word == pid);
            assert!(!words(&what.stdout), "{pid}: {what:?}");
        }
    }
}

#[test]
fn a_terminal_survives_every_mode_as_child_parent_and_sibling_of_brains() {
    // Names that no other fleet on this machine has: `--all-roots` must reach none of those.
    let keys = ["A", "B"].map(|key| format!("{key}{}", std::process::id()));
    let [one, other] = keys.each_ref().map(String::as_str);
    let name = format!("BRAIN_{one}");
    for args in [
        &["--yes"][..],
        &["--yes", "--all-roots", "--account", one, other],
        &["--yes", "--role", "brain"],
        &["--yes", "--name", &name],
        &["--yes", "--keep-watchdogs"],
        &["--yes", "--timeout", "0s"],
        &["--yes", "--latch", "test"],
    ] {
        let fleet = SampleFleet::new(tools(), &[(one, 11), (other, 12)]);
        let terminals = Terminals::start(&fleet, &keys);
        let dry = shutdown(&fleet, &[args, &["--dry-run"]].concat());
        terminals.assert_untouched(&dry, true);
        let stopped = shutdown(&fleet, args);
        assert_eq!(stopped.code, 0, "{args:?}: {stopped:?}");
        terminals.assert_untouched(&stopped, false);
        assert_eq!(liveness(terminals.brains[0].identity()), Liveness::Dead, "{args:?}");
    }
}

#[test]
fn copies_in_other_folders_are_stopped_only_with_all_roots() {
    let key = format!("C{}", std::process::id());
    let accounts = [(key.as_str(), 11)];
    let (fleet, other) =
        (SampleFleet::new(tools(), &accounts), SampleFleet::new(tools(), &accounts));
    let script = format!("BRAIN_{key}.py");
    let (ours, theirs) = (by_hand(&fleet, &[&script]), by_hand(&other, &[&script]));
    // The plan shows that a copy in another folder is meant.
    let args = ["--dry-run", "--account", &key, "--all-roots"];
    let plan = shutdown(&fleet, &args).stdout;
    let line = |brain: &Program, of: &SampleFleet, more: &str| {
        let (pid, account) = (brain.identity().pid, of.account(11));
        format!("BRAIN_{key} (PID {pid}, account {account}{more})\n")
    };
    let targets = shutdown(&fleet, &[&args[..], &["--json"]].concat()).json();
    let targets = targets["plan"][0]["targets"].as_array().unwrap().clone();
    let folder = targets.iter().find_map(|one| one["folder"].as_str()).unwrap();
    assert!(folder.ends_with(other.root().file_name().unwrap().to_str().unwrap()), "{folder}");
    assert!(plan.contains(&line(&ours, &fleet, "")), "{plan}");
    assert!(plan.contains(&line(&theirs, &other, &format!(", in {folder}"))), "{plan}");
    assert_eq!(shutdown(&fleet, &["--yes", "--account", &key]).code, 0);
    let rest = by_hand(&fleet, &["quantum_server.py"]);
    let nothing = shutdown(&fleet, &["--yes", "--account", &key]);
    let text = "Nothing that is to be stopped is running.\n";
    assert_eq!((nothing.code, &*nothing.stdout), (0, text), "{nothing:?}");
    drop(rest);
    assert_eq!(liveness(ours.identity()), Liveness::Dead);
    assert_eq!(liveness(theirs.identity()), Liveness::Alive);
    let stopped = shutdown(&fleet, &["--yes", "--account", &key, "--all-roots"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert_eq!(liveness(theirs.identity()), Liveness::Dead);
}

#[test]
fn workers_of_a_brain_are_no_copies_and_do_not_outlive_it() {
    let Some(python) = python() else { return };
    let methods: &[&str] = if cfg!(windows) { &["spawn"] } else { &["spawn", "fork"] };
    for method in methods {
        let fleet = SampleFleet::new(tools(), &ONE);
        fs::write(fleet.root().join("BRAIN_ATLAS.py"), WITH_WORKERS).unwrap();
        let terminal = fleet.root().join(format!("terminal64{}", std::env::consts::EXE_SUFFIX));
        copy_program(&fleet.tools.stand_in(), &terminal);
        let args = ["BRAIN_ATLAS.py", method, terminal.to_str().unwrap()];
        let start = || {
            let mut brain = Program::start(python, &args, fleet.root(), &[], |_| ());
            let [terminal, worker] = ["terminal ", "worker "].map(|word| {
                let line = brain.wait_until(word, |line| line.starts_with(word));
                let pid = line[word.len()..].parse().unwrap_or_else(|_| panic!("{line:?}"));
                identity_of(pid).unwrap()
            });
            (brain, terminal, worker)
        };
        let one = start();
        let rows = fleet.processes();
        assert_eq!(rows.len(), 1, "a worker is no second copy: {rows:#?}");
        let pids = rows[0]["worker_pids"].as_array().unwrap();
        assert!(pids.contains(&json!(one.2.pid)), "{method}: {rows:#?}");
        let other = start();
        assert_eq!(fleet.processes().len(), 2, "a second copy is one");

        let plan = shutdown(&fleet, &["--dry-run"]).stdout;
        let text = "what BRAIN_ATLAS started, where it runs on then (PID ";
        assert!(plan.contains(text) && plan.contains(&one.2.pid.to_string()), "{plan}");
        let stopped = shutdown(&fleet, &["--yes", "--timeout", "5s"]);
        assert_eq!(stopped.code, 0, "{stopped:?}");
        for (brain, terminal, worker) in [&one, &other] {
            assert_eq!(liveness(brain.identity()), Liveness::Dead, "{method}: {stopped:?}");
            assert_eq!(liveness(worker), Liveness::Dead, "{method}: {stopped:?}");
            assert_eq!(liveness(terminal), Liveness::Alive, "{method}: {stopped:?}");
        }
    }
}

#[test]
fn what_is_born_meanwhile_is_stopped_too() {
    let fleet = SampleFleet::new(tools(), &ONE);
    fleet.script("BRAIN_ATLAS.py", "start again");
    let _brain = by_hand(&fleet, &["BRAIN_ATLAS.py"]);
    let stopped = shutdown(&fleet, &["--yes", "--json", "--timeout", "5s"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    let outcomes = outcomes(&stopped.json());
    assert_eq!(outcomes.len(), 2, "{outcomes:?}");
    assert_eq!(running(&fleet), [""; 0]);
}

#[test]
fn one_that_asks_from_inside_the_fleet_is_spared_with_all_it_descends_from() {
    let fleet = SampleFleet::new(tools(), &TWO);
    let other = by_hand(&fleet, &["BRAIN_BOREAS.py"]);
    // The stand-in runs the tool as a script would, under the name of a brain.
    let tool = fleet.tools.tool("qc-shutdown");
    fleet.script("BRAIN_ATLAS.py", &format!("run {}", tool.display()));
    let mut asker = Command::new(fleet.python());
    asker.args(["BRAIN_ATLAS.py"]).current_dir(fleet.root());
    let finished = run(&mut asker, "YES\n");
    assert_eq!(finished.code, 0, "{finished:?}");
    assert!(finished.stdout.contains("BRAIN_ATLAS (PID "), "{finished:?}");
    assert!(
        finished.stdout.contains("runs on, because this command was started from it"),
        "{finished:?}"
    );
    assert_eq!(liveness(other.identity()), Liveness::Dead);
}

#[test]
fn an_interrupted_stop_says_what_is_done_and_what_is_not() {
    let fleet = SampleFleet::new(tools(), &ONE);
    fleet.script("BRAIN_ATLAS.py", "ignore stop");
    let mut deaf = by_hand(&fleet, &["BRAIN_ATLAS.py"]);
    let watchdog = by_hand(&fleet, &["STOPLOSS_WATCHDOG_V2.py", "--account", "ATLAS"]);
    let tool = fleet.tools.tool("qc-shutdown");
    let mut stop = Program::start(&tool, &["--yes", "--timeout", "1m"], fleet.root(), &[], |_| ());
    stop.wait_for("Stopping brains");
    deaf.wait_for("asked to stop");
    stop.ask_to_stop(&fleet.tools);
    let (ended, lines) = stop.finish();
    assert_eq!(ended.code(), 130, "{lines:#?}");
    let said = |text: &str| {
        assert!(lines.iter().any(|line| line.contains(text)), "no `{text}`: {lines:#?}")
    };
    said("BRAIN_ATLAS (PID ");
    said("it was asked and may still end");
    said("it was not asked to stop");
    said("INTERRUPTED: run the command again to stop the rest.");
    for program in [&deaf, &watchdog] {
        assert_eq!(liveness(program.identity()), Liveness::Alive);
    }
}

#[test]
fn at_a_terminal_it_asks_and_shows_what_it_waits_for() {
    if !Screen::can_be_played() {
        return cannot_test("stopping at a terminal", "only under Wine one can be played");
    }
    let fleet = SampleFleet::new(tools(), &ONE);
    fleet.script("BRAIN_ATLAS.py", "ignore stop");
    let brain = by_hand(&fleet, &["BRAIN_ATLAS.py"]);
    let mut screen = Screen::start(&fleet.tools, "qc-shutdown", "--timeout 2s", fleet.root());
    screen.wait_for("before ");
    let before = screen.wait_for(";");
    screen.wait_for("Type YES to stop them");
    screen.type_in("YES\r");
    screen.wait_for("Stopping brains ...");
    screen.wait_for(&format!("BRAIN_ATLAS (PID {}) 1s of 2s", brain.identity().pid));
    screen.wait_for("0 of 1 have ended");
    screen.wait_for(": KILLED after 2.0 s");
    screen.wait_for("0 ended gracefully, 1 had to be killed.");
    screen.wait_for("code Some(0);");
    screen.wait_for("after ");
    assert_eq!(screen.wait_for(";"), before);
}

#[test]
fn a_latch_forbids_every_start_until_it_is_taken_back() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let brain = by_hand(&fleet, &["BRAIN_ATLAS.py"]);
    let dry = shutdown(&fleet, &["--latch", "the broker is down", "--dry-run"]);
    assert!(dry.stdout.contains("Every start will be forbidden"), "{dry:?}");
    assert_eq!(fleet.locks().latch(), None);
    let stopped = shutdown(&fleet, &["--latch", "the broker is down", "--yes"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert!(
        stopped.stdout.contains("EVERY START IS FORBIDDEN: the broker is down (by "),
        "{stopped:?}"
    );
    assert_eq!(liveness(brain.identity()), Liveness::Dead);

    let commands: [(&str, &[&str]); 2] =
        [("qc-launch", &[]), ("qc-lock", &["run", "X", "--", "never-run"])];
    for (tool, args) in commands {
        let refused = fleet.run(tool, args);
        assert_eq!(refused.code, 75, "{refused:?}");
        assert!(
            refused.stderr.contains("every start is forbidden: the broker is down"),
            "{refused:?}"
        );
        assert!(refused.stderr.contains("qc-launch unlatch"), "{refused:?}");
    }
    let other = fleet.run("qc-lock", &["run", "-E", "7", "X", "--", "never-run"]);
    assert_eq!(other.code, 7, "{other:?}");
    let check = fleet.run("qc-ps", &["--check"]);
    assert_eq!(check.code, 3, "{check:?}");
    assert!(
        check.stdout.contains("every start is forbidden until `qc-launch unlatch`"),
        "{check:?}"
    );
    assert_eq!(fleet.run("qc-ps", &["--json"]).json()["latch"]["reason"], "the broker is down");

    assert_eq!(fleet.run("qc-launch", &["unlatch"]).code, 4);
    assert_eq!(fleet.run_with("qc-launch", &["unlatch"], "no\n").code, 4);
    assert!(fleet.locks().latch().is_some());
    assert_eq!(fleet.run_with("qc-launch", &["unlatch"], "YES\n").code, 0);
    let again = fleet.run("qc-launch", &["unlatch", "--yes"]);
    assert_eq!((again.code, &*again.stdout), (0, "Starts are not forbidden.\n"));
    let history = fleet.run("qc-lock", &["history"]).stdout;
    for event in ["latched", "blocked", "unlatched"] {
        assert!(history.contains(event), "no `{event}`: {history}");
    }
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started BRAIN_ATLAS");
}

#[test]
fn a_config_that_cannot_be_read_keeps_nothing_from_being_stopped() {
    let (fleet, name) = {
        // Without a config nothing says which account it trades, and its name alone shuts out others.
        let key = own_key();
        (SampleFleet::new(tools(), &[(&key, 11)]), format!("BRAIN_{key}"))
    };
    let brain = by_hand(&fleet, &[&format!("{name}.py")]);
    let tool = fleet.tools.tool("qc-lock");
    let stand_in = fleet.tools.stand_in();
    // Nothing but its lock says that it is one of the fleet.
    let args = ["run", "ODD_ONE", "--", stand_in.to_str().unwrap(), "odd"];
    let mut odd = Program::start(&tool, &args, fleet.root(), &[], |_| ());
    odd.wait_for("ready");
    fleet.configure_as("{\"ACCOUNTS\": {");
    let asked = fleet.run("qc-shutdown", &[]);
    assert_eq!(asked.code, 2, "{asked:?}");
    let stopped = shutdown(&fleet, &["--yes", "--timeout", "5s"]);
    assert_eq!(stopped.code, 2, "{stopped:?}");
    for text in [
        "THE CONFIG CAN'T BE READ",
        "other components may run on unseen",
        &format!("{name} (PID "),
        "ODD_ONE (PID ",
    ] {
        assert!(stopped.stdout.contains(text), "no `{text}`: {stopped:?}");
    }
    assert!(stopped.stderr.contains("MASTER_CONFIG.json"), "{stopped:?}");
    assert!(stopped.stderr.contains("what is listed above was stopped"), "{stopped:?}");
    assert_eq!(liveness(brain.identity()), Liveness::Dead);
    odd.finish();
    let json = shutdown(&fleet, &["--dry-run", "--json"]);
    assert_eq!(json.code, 2, "{json:?}");
    assert!(json.json()["config_error"].as_str().unwrap().contains("MASTER_CONFIG.json"));
}

#[test]
fn a_pid_that_is_used_again_between_listing_and_stopping_is_not_touched() {
    let can = cfg!(target_os = "linux")
        && Path::new("/proc/sys/kernel/ns_last_pid").exists()
        && Command::new("unshare")
            .args([
                "--pid",
                "--fork",
                "--mount-proc",
                "sh",
                "-c",
                "echo 99 > /proc/sys/kernel/ns_last_pid",
            ])
            .output()
            .is_ok_and(|output| output.status.success());
    if !can {
        return cannot_test(
            "a pid that is used again",
            "it takes root on Linux, a PID namespace and /proc/sys/kernel/ns_last_pid",
        );
    }
    let fleet = SampleFleet::new(tools(), &ONE);
    let mut inside = Command::new("unshare");
    inside.args(["--pid", "--fork", "--mount-proc", "--kill-child"]).arg(fleet.tools.stand_in());
    inside
        .arg("reuse")
        .arg(fleet.tools.tool("qc-shutdown"))
        .arg(fleet.python())
        .arg("BRAIN_ATLAS.py");
    let finished = run(inside.current_dir(fleet.root()), "");
    assert_eq!(finished.code, 0, "{finished:?}");
    assert!(finished.stdout.contains("was used again, and its process lives"), "{finished:?}");
    assert!(finished.stdout.contains("): has ended"), "{finished:?}");
}
