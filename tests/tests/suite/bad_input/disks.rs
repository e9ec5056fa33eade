//! Places that can't be written to, and places that are somewhere else.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use qc_tests::{cannot_test, link};

use super::bench::{Bench, CONFIG, LIVE, OTHER, Row, can_mount, remove};
use super::run_done;
use super::situations::write;

#[test]
fn an_answer_that_can_not_be_written_is_a_failure() {
    let full = match File::options().write(true).open("/dev/full") {
        Ok(full) => full,
        Err(error) => return cannot_test("an output that is full", &error.to_string()),
    };
    let bench = Bench::new(&[]);
    let mut command = Command::new(bench.fleet.tools.tool("qc-lock"));
    command.args(["list", "--root"]).arg(bench.fleet.root()).env_remove("QC_LOCK_DIR");
    let output = command.stdin(Stdio::null()).stdout(full).output().expect("it can be started");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    // "No space left on device", or "Disk full." of a Windows program under Wine.
    assert!(errors.starts_with("qc-lock: ") && errors.contains("os error"), "{errors}");
    assert!(errors.ends_with("\nhint: see whether the disk is full or the output is closed\n"));
}

#[test]
fn a_read_only_disk_frees_no_lock_and_hides_none() {
    if let Err(why) = can_mount() {
        return cannot_test("a read-only lock directory", &why);
    }
    let bench = Bench::read_only(&["EMPTY"]);
    let done = bench.fleet.tools.stand_in();
    let done = done.to_str().expect("a path in Unicode");
    let record = |root: &Path| write(&root.join(".locks/BRAIN_EMPTY.lock"), "");
    let refusal = "cannot lock guard ";
    bench.check(
        "qc-lock",
        &[
            Row::typed(&run_done("X", done)).refused(1, refusal),
            // A guard that is there can be looked at all the same.
            Row::typed(&run_done(LIVE, done)).refused(75, "is held by PID "),
            Row::new("a corrupt record", record, &run_done("BRAIN_EMPTY", done))
                .refused(1, refusal),
            Row::new("a corrupt record", record, &["clear-stale"])
                .prints("Cleared 0 stale locks, kept 1.\n")
                .refused(1, refusal),
            Row::new("a corrupt record", record, &["clear-all"])
                .prints("Cleared 0 locks, kept 1.\n")
                .refused(1, refusal),
            Row::new("a corrupt record", record, &["list"]).prints("BRAIN_LIVE   held "),
        ],
    );
    bench.check("qc-ps", &[Row::new("a corrupt record", record, &[]).prints(LIVE)]);
    bench.check(
        "qc-shutdown",
        // The bench holds a brain's lock, and goes on doing so.
        &[Row::new("a corrupt record", record, &["--yes", "--role", "server"])
            .prints("Nothing that is to be stopped is running.\n")
            .notes("WARNING: cannot lock guard ")],
    );
    bench.check("qc-launch", &[Row::typed(&[]).refused(2, "cannot be written to: ")]);
}

#[test]
fn a_full_disk_frees_no_lock_and_hides_none() {
    if let Err(why) = can_mount() {
        return cannot_test("a lock directory on a full disk", &why);
    }
    let bench = Bench::small(&["EMPTY"]);
    let done = bench.fleet.tools.stand_in();
    let done = done.to_str().expect("a path in Unicode");
    let locks = bench.locks.clone();
    let full = move |_: &Path| {
        // An empty file takes up no room.
        write(&locks.join("BRAIN_EMPTY.lock"), "");
        let filler = File::options().append(true).create(true).open(locks.join(".guards/filler"));
        let mut filler = filler.expect("a file can be made");
        let error =
            io::copy(&mut io::repeat(0), &mut filler).expect_err("a disk of 64 KiB has an end");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
    };
    let full = |args: &[&str]| Row::new("a full disk", full.clone(), args);
    let refusal = ".lock: No space left on device";
    bench.check(
        "qc-lock",
        &[
            full(&run_done("X", done)).refused(1, refusal),
            full(&run_done("BRAIN_EMPTY", done)).refused(1, refusal),
            full(&run_done(LIVE, done)).refused(75, "is held by PID "),
            full(&["list"]).prints("BRAIN_LIVE   held "),
            full(&["clear-stale"])
                .prints("Cleared 1 stale locks, kept 1.\n")
                .notes("WARNING: cannot access history "),
            full(&["clear-all"])
                .prints("Cleared 1 locks, kept 1.\n")
                .notes("WARNING: cannot access history "),
        ],
    );
    bench.check("qc-ps", &[full(&[]).prints(LIVE)]);
    let cleared = "Cleared the records of BRAIN_EMPTY.\n";
    let shutdown = full(&["--yes", "--role", "server"])
        .prints(cleared)
        .notes("WARNING: cannot access history ");
    bench.check("qc-shutdown", &[shutdown]);
    bench.check("qc-launch", &[full(&[]).refused(1, refusal)]);
}

#[test]
fn links_are_refused_for_locks_and_followed_for_the_config() {
    let bench = Bench::new(&[]);
    let root = bench.fleet.root();
    let made = link(&root.join(".locks"), &root.join(OTHER));
    remove(&root.join(OTHER));
    if let Err(why) = made {
        return cannot_test("links", &why.to_string());
    }
    let done = bench.fleet.tools.stand_in();
    let run = [
        "--lock-dir",
        OTHER,
        "run",
        "X",
        "--",
        done.to_str().expect("a path in Unicode"),
        "done.py",
    ];
    let to_living = |root: &Path| link(&root.join(".locks"), &root.join(OTHER)).expect("linked");
    let to_nowhere = |root: &Path| link(&root.join("nowhere"), &root.join(OTHER)).expect("linked");
    let config_to_nowhere = |root: &Path| {
        remove(&root.join(CONFIG));
        link(&root.join("nowhere"), &root.join(CONFIG)).expect("linked");
    };
    let config_elsewhere = |root: &Path| {
        fs::rename(root.join(CONFIG), root.join(OTHER)).expect("renamed");
        link(&root.join(OTHER), &root.join(CONFIG)).expect("linked");
    };
    let record = |root: &Path| {
        let locks = root.join(".locks");
        link(&locks.join(format!("{LIVE}.lock")), &locks.join("ODD.lock")).expect("linked");
    };
    let is_link = "it is a symbolic link";
    bench.check(
        "qc-lock",
        &[
            Row::new("a link to living locks", to_living, &run).refused(1, is_link),
            Row::new("a link to living locks", to_living, &["--lock-dir", OTHER, "clear-all"])
                .refused(1, is_link),
            Row::new("a link to nowhere", to_nowhere, &run).refused(1, is_link),
            Row::new("a link to nowhere", to_nowhere, &["--lock-dir", OTHER, "list"])
                .refused(1, is_link),
            Row::new("a link to the living record", record, &["clear-stale"])
                .prints("Cleared ODD (corrupt)\n"),
            Row::new("a link to the living record", record, &run[2..]).ends_with(7),
            Row::new("a link to the living record", record, &["status", "ODD"])
                .prints("ODD   corrupt"),
        ],
    );
    bench.check(
        "qc-ps",
        &[
            Row::new("a link to nowhere", to_nowhere, &["--lock-dir", OTHER]).refused(1, is_link),
            Row::new("a config that leads nowhere", config_to_nowhere, &[])
                .refused(2, "cannot read ")
                .prints(LIVE),
            Row::new("a config that is a link", config_elsewhere, &[]).prints(LIVE),
        ],
    );
    bench.check(
        "qc-shutdown",
        &[Row::new("a link to living locks", to_living, &["--yes", "--lock-dir", OTHER])
            .refused(1, is_link)],
    );
    bench.check(
        "qc-launch",
        &[Row::new("a link to living locks", to_living, &["--lock-dir", OTHER])
            .refused(1, is_link)],
    );
}

#[test]
fn a_record_that_may_not_be_read_is_held_and_stays() {
    let bench = Bench::new(&[]);
    let record = bench.locks.join("BRAIN_HIDDEN.lock");
    write(&record, format!(r#"{{"pid": {}, "name": "BRAIN_HIDDEN"}}"#, std::process::id()));
    if let Err(why) = hide(&record, &bench.locks) {
        return cannot_test("a record of another user", &why);
    }
    for (args, code) in [(&["clear-stale"][..], 0), (&["clear-all"], 0), (&["list"], 0)] {
        let (found, output) = as_nobody(&bench, args);
        assert_eq!(found, Some(code), "{args:?}: {output}");
        assert!(record.exists(), "{args:?}: {output}");
    }
    let (found, output) = as_nobody(&bench, &["run", "BRAIN_HIDDEN", "--", "never-run"]);
    assert_eq!(found, Some(75), "{output}");
    assert!(output.contains("a process whose record can't be read (Permission denied"), "{output}");
    assert!(output.contains(" belongs to user `root`)"), "{output}");
}

/// Takes a record away from all other users, while they may write to its folder.
#[cfg(unix)]
fn hide(record: &Path, locks: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;

    let set = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .map_err(|error| error.to_string())
    };
    if qc_process::here().user != "root" {
        return Err("only root can become another user".into());
    }
    set(record, 0o600)?;
    // From the temporary folder down to the guards.
    for folder in locks.ancestors().take(2).chain([locks.join(".guards").as_path()]) {
        fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        set(folder, 0o777)?;
    }
    Ok(())
}

#[cfg(windows)]
fn hide(_record: &Path, _locks: &Path) -> Result<(), String> {
    Err("it needs a second user".into())
}

/// Runs `qc-lock` as the user who owns nothing; returns its exit code and all it printed.
fn as_nobody(bench: &Bench, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new("setpriv");
    // A copy beside the locks, where that user may start it.
    let tool = bench.locks.join("qc-lock-copy");
    // Not copied by this program: a child that another test starts meanwhile would hold the copy open
    // for writing, and it could not be run.
    let copied = Command::new("cp").arg(bench.fleet.tools.tool("qc-lock")).arg(&tool).status();
    assert!(copied.is_ok_and(|status| status.success()), "it can't be copied");
    command.args(["--reuid", "65534", "--clear-groups"]).arg(&tool);
    command.arg("--lock-dir").arg(&bench.locks).args(args).current_dir("/").stdin(Stdio::null());
    let output = command.output().expect("util-linux is there");
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}
