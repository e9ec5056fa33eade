//! The story that qc exists for, played on a sample fleet: no Python, no terminal, no set-up. A
//! stand-in plays the scripts. Each step is checked; the first that did not happen ends the demo.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use qc_process::{Ended, Identity, Liveness, identity_of, liveness};
use qc_tests::{ACCOUNTS, Finished, Program, SampleFleet, Tools};
use serde_json::Value;

/// The fleet's programs: the server, and a watchdog and a brain for each account.
const COMPONENTS: usize = 1 + 2 * ACCOUNTS.len();

pub(crate) fn run(bin_dir: Option<PathBuf>) -> Result<()> {
    let bin_dir = bin_dir.map_or_else(build, Ok)?;
    let began = Instant::now();
    let fleet = SampleFleet::new(Tools::built(bin_dir), &ACCOUNTS);
    say(&format!("A fleet of {} accounts in {}", ACCOUNTS.len(), fleet.root().display()));

    say("1. Start it");
    let mut launch = start(&fleet);

    say("2. Start the same brain twice more: both are refused");
    for copy in ["the same script again", "and once more, under another name"] {
        refuse_copy(&fleet, copy)?;
    }

    say("3. What runs");
    let processes = check_running(&fleet)?;

    say("4. Kill a brain: its lock is free at once, and it is started again");
    crash_and_restart(&fleet, &mut launch)?;

    say("5. Shut down");
    shut_down(&fleet)?;
    let (ended, _) = launch.finish();
    ensure!(ended == Ended::Code(0), "qc-launch ended with {ended}");

    say("6. Nothing is left");
    check_nothing_left(&fleet, &processes)?;
    say(&format!("Every step happened, in {:.1} s.", began.elapsed().as_secs_f64()));
    Ok(())
}

/// Builds the tools and the stand-in; returns their folder.
pub(crate) fn build() -> Result<PathBuf> {
    let mut command = Command::new(crate::cargo());
    command.current_dir(crate::workspace()).args(["build", "--quiet", "--bins"]);
    for package in ["qc-lock", "qc-ps", "qc-shutdown", "qc-launch", "qc-tests"] {
        command.args(["--package", package]);
    }
    ensure!(command.status().context("cannot run cargo")?.success(), "the build failed; see above");
    // This program was built by the same cargo, into the same folder.
    let own = std::env::current_exe().context("cannot find this program")?;
    Ok(own.parent().context("this program lies in no folder")?.into())
}

fn say(text: &str) {
    println!("\n=== {text}\n");
}

/// Shows a command and what it printed.
fn show(command: &str, finished: &Finished) {
    println!("$ {command}");
    print!("{}{}", finished.stdout, finished.stderr);
    println!("(exit code {})\n", finished.code);
}

fn start(fleet: &SampleFleet) -> Program {
    println!("$ qc-launch");
    let mut launch = fleet.launch(&[], |line| println!("{line}"));
    launch.wait_for("started BRAIN_GETLEVERAGED");
    launch
}

fn refuse_copy(fleet: &SampleFleet, what: &str) -> Result<()> {
    let python = fleet.python();
    let python = python.to_str().context("the folder's name is no text")?;
    let again = what.starts_with("the same");
    let name = if again { "BRAIN_ATLAS" } else { "BRAIN_ATLAS_COPY" };
    let account = fleet.account(ACCOUNTS[0].1).to_string();
    let args = ["run", name, "--account", &account, "--", python, "BRAIN_ATLAS.py"];
    let refused = fleet.run("qc-lock", &args);
    show(&format!("qc-lock run {name} --account {account} -- python BRAIN_ATLAS.py"), &refused);
    ensure!(refused.code == 75, "{what}: the exit code is {}, not 75", refused.code);
    ensure!(
        refused.stderr.contains("is held by PID "),
        "{what}: the refusal does not name the holder"
    );
    ensure!(
        refused.stderr.contains(qc_process::SHUTDOWN_COMMAND),
        "{what}: the refusal does not say what to do"
    );
    Ok(())
}

/// Checks that all runs once, under its lock; returns who runs.
fn check_running(fleet: &SampleFleet) -> Result<Vec<Identity>> {
    show("qc-ps", &fleet.run("qc-ps", &[]));
    let check = fleet.run("qc-ps", &["--check"]);
    show("qc-ps --check", &check);
    ensure!(check.code == 0, "qc-ps --check found something");
    let processes = fleet.processes();
    let running = |row: &&Value| row["state"] == "running" && row["lock"]["state"] == "held";
    let count = processes.iter().filter(running).count();
    ensure!(
        count == COMPONENTS + 1,
        "{count} components run under their locks, not {}",
        COMPONENTS + 1
    );
    let pids = processes
        .iter()
        .filter(running)
        .flat_map(|row| row["pids"].as_array().into_iter().flatten());
    pids.map(|pid| {
        identity_of(u32::try_from(pid.as_u64().context("no pid")?)?).context("a process has ended")
    })
    .collect()
}

fn crash_and_restart(fleet: &SampleFleet, launch: &mut Program) -> Result<()> {
    let name = "BRAIN_CASTOR".parse()?;
    let before = fleet
        .locks()
        .status(&name)?
        .and_then(|lock| lock.pid)
        .context("BRAIN_CASTOR is not locked")?;
    println!("$ kill -9 {before}");
    let brain =
        qc_process::Process::open(&identity_of(before)?)?.context("BRAIN_CASTOR has ended")?;
    brain.kill()?;
    // How a kill shows depends on the system.
    launch.wait_until("the end of BRAIN_CASTOR", |line| {
        ["BRAIN_CASTOR ended with", "BRAIN_CASTOR was KILLED"].iter().any(|end| line.contains(end))
    });
    launch.wait_for("started BRAIN_CASTOR");
    let after = fleet.locks().status(&name)?.context("BRAIN_CASTOR is not locked again")?;
    ensure!(after.pid != Some(before) && after.state.is_live(), "BRAIN_CASTOR was not restarted");
    show("qc-lock status BRAIN_CASTOR", &fleet.run("qc-lock", &["status", "BRAIN_CASTOR"]));
    let history = fleet.run("qc-lock", &["history", "--name", "BRAIN_CASTOR"]);
    show("qc-lock history --name BRAIN_CASTOR", &history);
    // Where a wrapper holds the lock, it gives it back for the brain that was killed.
    let freed = history.stdout.contains("reclaimed") || history.stdout.contains("released");
    ensure!(freed, "the history does not say that the lock came free");
    Ok(())
}

fn shut_down(fleet: &SampleFleet) -> Result<()> {
    let dry_run = fleet.run("qc-shutdown", &["--dry-run"]);
    ensure!(
        dry_run.code == 0 && dry_run.stdout.contains("BRAIN_ATLAS"),
        "the dry run shows no plan: {dry_run:?}"
    );
    let stopped = fleet.run_with("qc-shutdown", &[], "YES\n");
    show("echo YES | qc-shutdown", &stopped);
    ensure!(stopped.code == 0, "qc-shutdown failed");
    ensure!(stopped.stdout.contains("0 had to be killed"), "something had to be killed");
    Ok(())
}

fn check_nothing_left(fleet: &SampleFleet, processes: &[Identity]) -> Result<()> {
    let alive: Vec<u32> =
        processes.iter().filter(|one| liveness(one) != Liveness::Dead).map(|one| one.pid).collect();
    ensure!(alive.is_empty(), "still running: {alive:?}");
    let left = fleet.run("qc-ps", &[]);
    show("qc-ps", &left);
    ensure!(
        left.stdout.contains("Nothing of the fleet is running."),
        "qc-ps still shows something"
    );
    let locks = fleet.run("qc-lock", &["list"]);
    show("qc-lock list", &locks);
    ensure!(locks.stdout == "No active locks.\n", "a lock is left");
    let logs = std::fs::read_dir(fleet.root().join("orchestrator_logs"))?;
    let mut clean = 0;
    for log in logs {
        let path = log?.path();
        // Beside each log there is its second name, which always is that of the latest.
        let is_latest =
            path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("_latest"));
        let says_so =
            || Ok::<_, std::io::Error>(std::fs::read_to_string(&path)?.contains("cleaned up"));
        clean += usize::from(!is_latest && says_so()?);
    }
    ensure!(clean == COMPONENTS, "{clean} of {COMPONENTS} components cleaned up before they ended");
    println!("All {clean} components ran their clean-up before they ended.");
    Ok(())
}
