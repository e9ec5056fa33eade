//! A folder that was moved while its fleet ran, and the copy in its old place.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use qc_process::{Identity, Liveness, Process, identity_of, liveness};
use qc_tests::{Finished, Program, SampleFleet};

use crate::tools;

const ONE: [(&str, u64); 1] = [("ATLAS", 71)];

/// A fleet that runs in a folder that was moved.
struct Moved {
    fleet: SampleFleet,
    folder: PathBuf,
    _launch: Program,
    running: Vec<(String, Identity)>,
}

impl Moved {
    fn new() -> Self {
        let fleet = SampleFleet::new(tools(), &ONE);
        let mut launch = fleet.launch(&[], |_| ());
        launch.wait_for("started BRAIN_ATLAS");
        let locks = fleet.locks().list().unwrap();
        let running = locks.into_iter().map(|lock| (lock.name, identity_of(lock.pid.unwrap())));
        let running: Vec<_> = running.map(|(name, identity)| (name, identity.unwrap())).collect();
        assert_eq!(running.len(), 4, "{running:?}");
        let folder = fleet.root().with_extension("moved");
        let moved = Self { fleet, folder, _launch: launch, running };
        let (root, folder) = (moved.fleet.root(), &moved.folder);
        fs::rename(root, folder).unwrap();
        // The launcher may make the folder of its logs anew meanwhile.
        let copy = || Command::new("cp").arg("-aT").arg(folder).arg(root).status().unwrap();
        assert!(copy().success() || copy().success());
        moved
    }

    /// Checks that an answer names all that runs, where it runs, and the command that stops it there.
    fn assert_named(&self, answer: &str) {
        for (name, identity) in &self.running {
            assert!(answer.contains(&format!("{name} (PID {})", identity.pid)), "{answer}");
        }
        let command = format!("`qc-shutdown --root \"{}\"`", self.folder.display());
        assert!(answer.contains(&command), "no {command}: {answer}");
    }

    fn assert_untouched(&self) {
        for (name, identity) in &self.running {
            assert_eq!(liveness(identity), Liveness::Alive, "{name}");
        }
    }

    /// Stops it where it runs.
    fn stop(&self) {
        let root = self.folder.to_str().unwrap();
        let args = ["--yes", "--root", root];
        let stopped: Finished = self.fleet.tools.run("qc-shutdown", &args, Path::new("/"), "");
        assert_eq!(stopped.code, 0, "{stopped:?}");
        for (name, identity) in &self.running {
            assert_eq!(liveness(identity), Liveness::Dead, "{name}");
        }
    }
}

impl Drop for Moved {
    /// The sample fleet kills only what runs in its own folder.
    fn drop(&mut self) {
        for (_, identity) in &self.running {
            if let Ok(Some(process)) = Process::open(identity) {
                let _ = process.kill();
            }
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn the_copy_of_a_moved_folder_names_the_fleet_that_runs_in_it_and_touches_nothing() {
    let moved = Moved::new();
    for (tool, args, code) in [
        ("qc-shutdown", &["--yes"][..], 1),
        ("qc-shutdown", &["--dry-run"], 1),
        ("qc-ps", &[], 0),
        ("qc-ps", &["--check"], 3),
        ("qc-launch", &["status"], 1),
        ("qc-launch", &["stop"], 1),
        ("qc-launch", &["up"], 75),
        ("qc-launch", &["--dry-run"], 75),
    ] {
        let answer = moved.fleet.run(tool, args);
        assert_eq!(answer.code, code, "{tool} {args:?}: {answer:?}");
        moved.assert_named(&format!("{}{}", answer.stdout, answer.stderr));
        assert!(!answer.stdout.contains("can't be asked"), "{answer:?}");
    }
    // Its launcher starts nothing again: neither from here, where only a copy is, nor there.
    let status = ["status", "--json", "--root", moved.folder.to_str().unwrap()];
    let status = moved.fleet.run("qc-launch", &status).json();
    assert_eq!(status["moved_from"], moved.fleet.root().to_str().unwrap(), "{status:#}");
    let report = moved.fleet.run("qc-shutdown", &["--yes", "--json"]);
    let report = report.json();
    let named = report["moved"].as_array().unwrap();
    assert_eq!(named.len(), 4, "{report:#}");
    let folder = moved.folder.to_str().unwrap();
    assert!(named.iter().all(|one| one["folder"] == folder), "{report:#}");
    // A part: only that is named.
    let part = moved.fleet.run("qc-shutdown", &["--yes", "--name", "BRAIN_ATLAS"]);
    assert_eq!(part.code, 1, "{part:?}");
    assert!(!part.stdout.contains("MASTER_LAUNCH"), "{part:?}");
    moved.assert_untouched();
    moved.stop();
}

#[test]
fn a_copy_without_locks_names_the_moved_fleet_by_its_environment() {
    let moved = Moved::new();
    fs::remove_dir_all(moved.fleet.root().join(".locks")).unwrap();
    for (tool, args, code) in [
        ("qc-shutdown", &["--yes"][..], 1),
        ("qc-launch", &["check"], 2),
        ("qc-launch", &["up"], 75),
        ("qc-launch", &["--dry-run"], 75),
    ] {
        let answer = moved.fleet.run(tool, args);
        assert_eq!(answer.code, code, "{tool} {args:?}: {answer:?}");
        let said = format!("{}{}", answer.stdout, answer.stderr);
        moved.assert_named(&said.replace(" runs (PID ", " (PID "));
    }
    moved.assert_untouched();
    moved.stop();
}

/// A fleet that runs in a folder that was renamed, with nothing in its old place.
#[cfg(unix)]
#[test]
fn a_launcher_whose_folder_was_renamed_is_named_stops_nothing_and_creates_nothing() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started BRAIN_ATLAS");
    let locks = fleet.locks().list().unwrap();
    let running = locks.iter().map(|lock| identity_of(lock.pid.unwrap()).unwrap());
    let running: Vec<Identity> = running.collect();
    let watchdog = fleet.locks().record(&"WATCHDOG_ATLAS".parse().unwrap()).unwrap().identity();
    let brain = fleet.locks().record(&"BRAIN_ATLAS".parse().unwrap()).unwrap().identity();
    let folder = fleet.root().with_extension("renamed");
    fs::rename(fleet.root(), &folder).unwrap();
    let run = |tool: &str, args: &[&str]| fleet.tools.run(tool, args, &folder, "");

    for (tool, args, code) in
        [("qc-launch", &["status"][..], 0), ("qc-ps", &[], 0), ("qc-ps", &["--check"], 3)]
    {
        let shown = run(tool, args);
        assert_eq!(shown.code, code, "{shown:?}");
        let named = "stop the fleet here with `qc-shutdown`, then start it anew";
        assert!(shown.stdout.contains(named), "{shown:?}");
    }
    let json = run("qc-launch", &["status", "--json"]).json();
    assert_eq!(json["moved_from"], fleet.root().to_str().unwrap(), "{json:#}");
    for args in [&["restart", "WATCHDOG_ATLAS"][..], &["start", "BRAIN_ATLAS"], &["reload"]] {
        let refused = run("qc-launch", args);
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(refused.stderr.contains("was moved or renamed"), "{refused:?}");
        assert_eq!(liveness(&watchdog), Liveness::Alive, "{refused:?}");
    }
    Process::open(&brain).unwrap().expect("it runs").kill().unwrap();
    launch.wait_for("was moved or renamed while qc-launch runs; restarting");
    assert!(!fleet.root().exists());
    let stopped = run("qc-shutdown", &["--yes"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    let _ = launch.finish();
    assert!(!fleet.root().exists());
    for identity in &running {
        assert_eq!(liveness(identity), Liveness::Dead);
    }
    fs::remove_dir_all(&folder).unwrap();
}
