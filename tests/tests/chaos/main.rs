//! The supervisor under fire: real processes that crash, hang, fork and come back at once, and
//! launchers that are killed, suspended and started twice, while a referee watches that no component
//! ever runs twice.
//!
//! `QC_FIRE_ROUNDS` and `QC_FIRE_COMPONENTS` make it longer and larger.

#![forbid(unsafe_code)]

mod referee;

use std::path::Path;
use std::time::{Duration, Instant};

use qc_process::{Ended, Identity, Liveness, Process, identity_of, liveness};
use qc_tests::{Program, Random, SampleFleet, Tools, cannot_test, resume, suspend};
use serde_json::{Map, Value, json};

use referee::Referee;

/// The tools as they are built with these tests, two folders up from the test program.
fn tools() -> Tools {
    let test = std::env::current_exe().expect("no path of this program");
    Tools::of_tests(test.parent().expect("a program lies in a folder"))
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// A fleet of `count` small components besides the server, each of which plays `script`.
fn crowd(count: u64, script: &str, section: &Value) -> SampleFleet {
    let fleet = SampleFleet::new(tools(), &[]);
    let components: Map<String, Value> = (0..count)
        .map(|number| {
            let file = format!("part_{number}.py");
            fleet.script(&file, script);
            (format!("PART_{number}"), json!({ "script": file }))
        })
        .collect();
    let mut manager = json!({ "server_settle_seconds": 0, "components": components });
    for (key, value) in section.as_object().expect("an object") {
        manager[key] = value.clone();
    }
    fleet.configure(&json!({ "ACCOUNTS": {}, "PROCESS_MANAGER": manager }));
    fleet
}

/// Returns what the running launcher says of its components; nothing before it answers.
fn status(fleet: &SampleFleet) -> Vec<Value> {
    let status = fleet.run("qc-launch", &["status", "--json"]);
    match status.code {
        0 => status.json()["components"].as_array().expect("a list").clone(),
        _ => Vec::new(),
    }
}

/// Waits until `wanted` says so of the components; what is awaited changes only by real processes.
fn wait_for(fleet: &SampleFleet, what: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let components = status(fleet);
        if !components.is_empty() && wanted(&components) {
            return components;
        }
        assert!(Instant::now() < deadline, "no {what} in time: {components:#?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn all_are(components: &[Value], state: &str) -> bool {
    components.iter().all(|component| component["state"] == state)
}

fn identities(components: &[Value]) -> Vec<Identity> {
    let pids = components.iter().filter_map(|component| component["pid"].as_u64());
    // One that has ended since is not there any more.
    pids.filter_map(|pid| identity_of(u32::try_from(pid).ok()?).ok()).collect()
}

fn kill(identity: &Identity) {
    if let Ok(Some(process)) = Process::open(identity) {
        // It may end by itself at this moment.
        let _ = process.kill();
    }
}

/// Stops everything; returns what the launcher has said.
fn stop(fleet: &SampleFleet, launch: Program) -> Vec<String> {
    let stopped = fleet.run("qc-launch", &["stop"]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    let (ended, lines) = launch.finish();
    assert_eq!(ended, Ended::Code(0), "{:#?}", &lines[lines.len().saturating_sub(30)..]);
    assert_eq!(fleet.run("qc-lock", &["list"]).stdout, "No active locks.\n");
    lines
}

const QUICK: &str = r#"{ "restart": { "cooldown": 0, "max_restarts": 1000000 } }"#;

fn quick() -> Value {
    json!({ "defaults": serde_json::from_str::<Value>(QUICK).expect("it is JSON") })
}

#[test]
fn launchers_are_killed_at_random_moments_and_nothing_ever_runs_twice() {
    let rounds = setting("QC_FIRE_ROUNDS", if cfg!(windows) { 4 } else { 50 });
    let seed = setting("QC_FIRE_SEED", u64::from(std::process::id()));
    println!("QC_FIRE_SEED={seed}");
    let mut random = Random::new(seed);
    let count = if cfg!(windows) { 3 } else { 8 };
    let fleet = crowd(count, "", &quick());
    for number in 0..count {
        // Some crash again and again.
        let play = ["", "sleep 200\nexit 1", "sleep 40\ndie"][(number % 3) as usize];
        fleet.script(&format!("part_{number}.py"), &format!("enter part_{number}\n{play}"));
    }
    fleet.script("quantum_server.py", "enter server");
    let referee = Referee::watch(fleet.root());
    for _ in 0..rounds {
        let mut launch = fleet.launch(&[], |_| ());
        launch.wait_for("started ");
        // The moment of the kill is the thing tested.
        let moment = random.below(if cfg!(windows) { 3000 } else { 400 });
        std::thread::sleep(Duration::from_millis(moment));
        launch.kill();
        drop(launch);
    }
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started ");
    let components = wait_for(&fleet, "server", |components| {
        components.iter().any(|one| one["name"] == "quantum_server" && one["state"] == "running")
    });
    assert_eq!(components.len() as u64, count + 1);
    stop(&fleet, launch);
    let report = referee.judge();
    println!("{rounds} launchers killed: {} starts seen", report.entered);
    assert!(report.violations.is_empty(), "{:#?}", report.violations);
    assert!(report.entered > usize::try_from(rounds).unwrap(), "too little happened: {report:?}");
}

#[test]
fn the_referee_sees_a_second_copy() {
    let fleet = crowd(1, "enter part_0", &quick());
    let referee = Referee::watch(fleet.root());
    let copy = || {
        let mut copy = Program::start(&fleet.python(), &["part_0.py"], fleet.root(), &[], |_| ());
        copy.wait_for("ready");
        copy
    };
    let (first, _second) = (copy(), copy());
    first.kill();
    drop(first);
    let report = referee.judge();
    assert_eq!((report.entered, report.violations.len()), (1, 1), "{report:?}");
}

#[test]
fn two_launchers_started_at_the_same_instant_are_one() {
    let fleet = crowd(2, "", &quick());
    for _ in 0..if cfg!(windows) { 2 } else { 10 } {
        let launches: Vec<Program> = (0..3).map(|_| fleet.launch(&[], |_| ())).collect();
        let components = wait_for_launcher(&fleet);
        assert_eq!(components.len(), 3);
        let stopped = fleet.run("qc-launch", &["stop"]);
        assert_eq!(stopped.code, 0, "{stopped:?}");
        let mut codes: Vec<i32> = launches.into_iter().map(|it| it.finish().0.code()).collect();
        codes.sort_unstable();
        assert_eq!(codes, [0, 75, 75]);
    }
}

/// Waits until a launcher answers and all its components run.
fn wait_for_launcher(fleet: &SampleFleet) -> Vec<Value> {
    wait_for(fleet, "running fleet", |components| all_are(components, "running"))
}

#[test]
fn a_hundred_that_crash_at_once_all_come_back() {
    let count = if cfg!(windows) { 6 } else { 100 };
    let fleet = crowd(count, "", &quick());
    let launch = fleet.launch(&[], |_| ());
    let before = identities(&wait_for_launcher(&fleet));
    assert_eq!(before.len() as u64, count + 1);
    before.iter().for_each(kill);
    let after = wait_for(&fleet, "new processes", |components| {
        all_are(components, "running") && components.iter().all(|one| one["restarts"] == 1)
    });
    assert!(identities(&after).iter().all(|one| !before.contains(one)));
    stop(&fleet, launch);
}

#[test]
fn crash_loops_are_given_up_and_do_not_disturb_the_others() {
    let fleet = crowd(
        6,
        "exit 3",
        &json!({
            "defaults": { "restart": { "cooldown": 0, "max_restarts": 5 } }
        }),
    );
    let launch = fleet.launch(&[], |_| ());
    let components = wait_for(&fleet, "giving up", |components| {
        components.iter().filter(|one| one["state"] == "gave-up").count() == 6
    });
    let server = components.iter().find(|one| one["name"] == "quantum_server").unwrap();
    assert_eq!((&server["state"], &server["restarts"]), (&json!("running"), &json!(0)));
    let part = components.iter().find(|one| one["name"] == "PART_0").unwrap();
    assert_eq!(part["restarts"], 5);
    assert_eq!(part["detail"], "it ended with exit code 3 after 5 restarts");
    stop(&fleet, launch);
}

#[test]
fn those_that_ignore_everything_are_killed_in_time() {
    let mut section = quick();
    section["stop_timeout_seconds"] = json!(1);
    let fleet = crowd(4, "ignore stop", &section);
    let launch = fleet.launch(&[], |_| ());
    let before = identities(&wait_for_launcher(&fleet));
    stop(&fleet, launch);
    assert!(before.iter().all(|one| liveness(one) == Liveness::Dead));
}

#[test]
fn what_a_child_leaves_behind_does_not_keep_it_from_starting_again() {
    let fleet = crowd(
        1,
        "",
        &json!({
            "defaults": { "restart": { "cooldown": 0, "max_restarts": 3 } }
        }),
    );
    // It starts a copy of itself, which inherits the lock where that is possible, and ends.
    fleet.script("part_0.py", "start left_behind\nexit 1");
    let launch = fleet.launch(&[], |_| ());
    let components = wait_for(&fleet, "giving up", |components| {
        components.iter().any(|one| one["state"] == "gave-up")
    });
    let part = components.iter().find(|one| one["name"] == "PART_0").unwrap();
    if cfg!(unix) {
        assert_eq!(part["detail"], "it ended with exit code 1 after 3 restarts", "{part:#}");
    }
    drop(launch);
}

#[test]
fn a_stop_during_the_start_leaves_nothing() {
    let fleet = crowd(if cfg!(windows) { 4 } else { 40 }, "", &quick());
    for round in 0..if cfg!(windows) { 2 } else { 10_u64 } {
        let mut launch = fleet.launch(&[], |_| ());
        launch.wait_for("started ");
        std::thread::sleep(Duration::from_millis(round * 5));
        launch.ask_to_stop(&fleet.tools);
        let (ended, lines) = launch.finish();
        assert_eq!(ended, Ended::Code(0), "{lines:#?}");
        assert_eq!(fleet.run("qc-lock", &["list"]).stdout, "No active locks.\n", "{lines:#?}");
    }
}

/// Moves the wall clock of one launcher and what it starts, as an administrator or a time server
/// moves that of the machine; the clock that only runs is left alone, as they leave it.
struct WallClock {
    library: String,
    offset: std::path::PathBuf,
}

impl WallClock {
    /// `None` where libfaketime is not installed; it is no program for Windows.
    fn of(fleet: &SampleFleet) -> Option<Self> {
        let folders = ["x86_64-linux-gnu", "aarch64-linux-gnu"];
        let library = folders
            .map(|folder| format!("/usr/lib/{folder}/faketime/libfaketimeMT.so.1"))
            .into_iter()
            // Wine shows the files of Linux, too.
            .find(|library| cfg!(unix) && Path::new(library).exists())?;
        let clock = Self { library, offset: fleet.root().join("offset") };
        clock.set(0);
        Some(clock)
    }

    fn set(&self, hours: i64) {
        std::fs::write(&self.offset, format!("{:+}\n", hours * 3600)).expect("it can be written");
    }

    fn launch(&self, fleet: &SampleFleet) -> Program {
        let offset = self.offset.to_str().expect("a temporary folder is Unicode");
        let env = [
            ("LD_PRELOAD", &*self.library),
            ("FAKETIME_TIMESTAMP_FILE", offset),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("NO_FAKE_STAT", "1"),
        ];
        Program::start(&fleet.tools.tool("qc-launch"), &[], fleet.root(), &env, |_| ())
    }
}

#[test]
fn promises_are_kept_when_the_wall_clock_is_moved_by_hours() {
    let settings = json!({ "defaults": { "restart": { "cooldown": 1, "max_restarts": 3 } } });
    let fleet = crowd(2, "", &settings);
    let Some(clock) = WallClock::of(&fleet) else {
        eprintln!(
            "NOT TESTED: a moved clock, because it can't be moved here for one program alone (Linux: install faketime)"
        );
        return;
    };
    let told_at = |line: &str| {
        let time = line.get(1..20).expect("a line begins with its time");
        let time = chrono::NaiveDateTime::parse_from_str(time, "%Y-%m-%d %H:%M:%S");
        time.expect("it is a time")
    };
    let mut launch = clock.launch(&fleet);
    let mut last = told_at(&launch.wait_for("started PART_0"));
    let find = |name: &str| {
        let is_it = |one: &Value| one["name"] == name && one["pid"].is_u64();
        let all = wait_for(&fleet, name, |components| components.iter().any(is_it));
        let one: Vec<Value> = all.into_iter().filter(is_it).collect();
        identities(&one).remove(0)
    };
    let other = find("PART_1");
    // An hour is more than what counts as running well: restarts must not be forgotten for that, nor
    // must one wait until a clock that was set back has caught up.
    for moved in [1, 0, -1] {
        clock.set(moved);
        kill(&find("PART_0"));
        let line = launch.wait_for("; restarting ");
        assert!(line.contains("PART_0 "), "{line}");
        let now = told_at(&launch.wait_for("started PART_0"));
        assert!((now - last).num_minutes().abs() >= 58, "the clock was not moved: {last} {now}");
        last = now;
    }
    clock.set(1);
    kill(&find("PART_0"));
    launch.wait_for("GAVE UP PART_0");
    assert_eq!(find("PART_1"), other, "who has nothing to do with it runs on");

    // The processes that ran while the clock was moved are the same as before.
    launch.kill();
    drop(launch);
    clock.set(-2);
    let mut launch = clock.launch(&fleet);
    launch.wait_for("adopted PART_1");
    launch.wait_for("started PART_0");
    assert_eq!(find("PART_1"), other);
    stop(&fleet, launch);
}

#[test]
fn a_suspended_launcher_goes_on_where_it_was() {
    let fleet = crowd(3, "", &quick());
    let launch = fleet.launch(&[], |_| ());
    let before = identities(&wait_for_launcher(&fleet));
    if !suspend(launch.identity()) {
        return cannot_test(
            "a suspended launcher",
            "without a Python nothing here lets one stand still",
        );
    }
    kill(&before[0]);
    kill(&before[1]);
    // Long enough for one that is not suspended to start them again.
    std::thread::sleep(Duration::from_millis(500));
    resume(launch.identity());
    wait_for(&fleet, "two restarts", |components| {
        all_are(components, "running")
            && components.iter().filter(|one| one["restarts"] == 1).count() == 2
    });
    stop(&fleet, launch);
}

#[cfg(unix)]
#[test]
fn a_thousand_components() {
    let count = setting("QC_FIRE_COMPONENTS", 1000);
    let fleet = crowd(count, "", &quick());
    let began = Instant::now();
    let launch = fleet.launch(&[], |_| ());
    let components = wait_for_launcher(&fleet);
    let started = began.elapsed();
    assert_eq!(components.len() as u64, count + 1);
    let memory = pss(launch.identity().pid);
    let began = Instant::now();
    stop(&fleet, launch);
    println!("{count} started in {started:.1?}, stopped in {:.1?}, {memory} KiB", began.elapsed());
}

/// Returns the memory of a process in KiB, shared pages by their share.
#[cfg(unix)]
fn pss(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Whether `dir` is a folder that a full disk can be played in.
#[cfg(unix)]
#[test]
fn a_full_disk_for_logs_does_not_stop_supervision() {
    let mut section = quick();
    // So that each has written what it has to say before the disk is full.
    section["defaults"]["ready"] = json!({ "log": "^ready" });
    let fleet = crowd(1, "", &section);
    let logs = fleet.root().join("orchestrator_logs");
    std::fs::create_dir(&logs).unwrap();
    let Some(_mounted) = Tiny::mount(&logs) else {
        eprintln!("NOT TESTED: a full disk for logs, because no tmpfs can be mounted here");
        return;
    };
    let launch = fleet.launch(&[], |_| ());
    let before = identities(&wait_for_launcher(&fleet));
    // Fill the rest of the disk.
    let _ = std::fs::write(logs.join("filler"), vec![b'x'; 4 * 1024 * 1024]);
    kill(before.last().unwrap());
    wait_for(&fleet, "a restart", |components| {
        all_are(components, "running") && components.iter().any(|one| one["restarts"] == 1)
    });
    let lines = stop(&fleet, launch);
    let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    // It would end by the first line that it can't write, and be started again, and again.
    assert_eq!(count("restarting"), 1, "{lines:#?}");
    assert_eq!(count("starting PART_0, its output is lost"), 1, "{lines:#?}");
    assert_eq!(count("PART_0 ended when asked"), 1, "{lines:#?}");
}

/// A file system of one MiB.
#[cfg(unix)]
struct Tiny<'a>(&'a Path);

#[cfg(unix)]
impl<'a> Tiny<'a> {
    fn mount(dir: &'a Path) -> Option<Self> {
        let mut mount = std::process::Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(dir).output();
        mounted.is_ok_and(|done| done.status.success()).then_some(Self(dir))
    }
}

#[cfg(unix)]
impl Drop for Tiny<'_> {
    fn drop(&mut self) {
        // Only so that nothing is left behind.
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0).status();
    }
}
