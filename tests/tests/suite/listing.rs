//! `qc-ps`: one line for each program that runs, and the truth about it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use qc_process::{Ended, LOCKS_ARE_INHERITED, Process, list_wanted};
use qc_tests::{Finished, Program, SampleFleet, Screen, copy_program, python, run};
use serde_json::{Value, json};

use crate::bad_input::cannot_test;
use crate::tools;

/// Accounts that no other test uses: a copy that trades the same one is a finding.
const ONE: [(&str, u64); 1] = [("LEDA", 7_100_001)];
const THREE: [(&str, u64); 3] = [("LEDA", 7_200_001), ("MAIA", 7_200_002), ("NYX", 7_200_003)];

/// The script of a Python that is to be looked at.
const WAITING: &str = "import time\nprint('ready', flush=True)\ntime.sleep(100)\n";

/// A fleet in whose folder real programs run: what names the folder is killed with it.
struct Folder {
    fleet: SampleFleet,
}

impl Folder {
    fn new(accounts: &[(&str, u64)]) -> Self {
        let fleet = SampleFleet::new(tools(), accounts);
        fs::write(fleet.root().join("BRAIN_LEDA.py"), WAITING).unwrap();
        Self { fleet }
    }

    fn brain(&self) -> String {
        self.fleet.root().join("BRAIN_LEDA.py").display().to_string()
    }

    fn start(&self, program: &Path, args: &[&str]) -> Program {
        let mut program = Program::start(program, args, self.fleet.root(), &[], |_| ());
        program.wait_for("ready");
        program
    }

    /// Returns the only program that runs here, with what was folded into it.
    fn only(&self) -> Value {
        let report = ps(&self.fleet, &["--json", "--tree"]).json();
        let rows = report["processes"].as_array().unwrap();
        let mut rows = rows.iter().filter(|row| row["state"] != "foreign");
        let row = rows.next().unwrap_or_else(|| panic!("nothing runs: {report:#}"));
        assert!(rows.next().is_none(), "{report:#}");
        row.clone()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let name = self.fleet.root().file_name().unwrap().to_string_lossy().into_owned();
        let Ok(listing) = list_wanted(&|args| args.iter().any(|word| word.contains(&name))) else {
            return;
        };
        let here = |args: &[String]| args.iter().any(|word| word.contains(&name));
        for process in listing.processes.iter().filter(|one| here(&one.args)) {
            if let Ok(Some(process)) = Process::open(&process.identity) {
                // It may be ending by itself.
                let _ = process.kill();
            }
        }
    }
}

fn ps(fleet: &SampleFleet, args: &[&str]) -> Finished {
    fleet.run("qc-ps", args)
}

/// Returns `kind name` for each process that was folded into a row.
fn folded(row: &Value) -> Vec<String> {
    let stem = |name: &str| name.trim_end_matches(".exe").to_lowercase();
    let parts = row["tree"].as_array().unwrap().iter();
    parts
        .map(|part| {
            let name = stem(part["name"].as_str().unwrap());
            let name = if name.starts_with("python") { "python" } else { &name };
            format!("{} {name}", part["kind"].as_str().unwrap())
        })
        .collect()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

#[test]
fn a_stub_and_its_interpreter_count_once() {
    let fleet = SampleFleet::new(tools(), &ONE);
    fleet.script("BRAIN_LEDA.py", "start interpreter");
    let mut stub = Program::start(&fleet.python(), &["BRAIN_LEDA.py"], fleet.root(), &[], |_| ());
    stub.wait_for("ready");
    let processes = fleet.processes();
    // On Linux a virtual environment's Python is no stub, so this is a brain that starts another.
    let counts: Vec<usize> =
        processes.iter().map(|row| row["pids"].as_array().unwrap().len()).collect();
    assert_eq!(counts, if cfg!(windows) { vec![2] } else { vec![1, 1] }, "{processes:#?}");
    assert_eq!(processes[0]["pids"][0], stub.identity().pid);
    assert_eq!(fleet.run("qc-shutdown", &["--yes"]).code, 0);
    assert_eq!(fleet.processes(), Vec::<Value>::new());
}

#[test]
fn a_brain_that_starts_another_copy_of_itself_is_two() {
    let fleet = SampleFleet::new(tools(), &ONE);
    fleet.script("BRAIN_LEDA.py", "start self");
    let mut first = Program::start(&fleet.python(), &["BRAIN_LEDA.py"], fleet.root(), &[], |_| ());
    // Both print it.
    first.wait_for("ready");
    first.wait_for("ready");
    let check = ps(&fleet, &["--check"]);
    assert_eq!(check.code, 3, "{check:?}");
    let told = format!("BRAIN_LEDA runs 2 times (account {})", fleet.account(1));
    assert!(check.stdout.contains(&told), "{check:?}");
}

#[test]
fn wrappers_around_a_real_python_are_folded() {
    let Some(python) = python() else { return };
    let folder = Folder::new(&ONE);
    let (brain, python) = (folder.brain(), text(python));
    let lock = folder.fleet.tools.tool("qc-lock");
    let lock_stem = lock.file_stem().unwrap().to_str().unwrap();
    let run = ["run", "BRAIN_LEDA", "--", python, &brain];
    {
        let _locked = folder.start(&lock, &run);
        let row = folder.only();
        assert_eq!(folded(&row), [format!("wrapper {lock_stem}"), "program python".into()]);
        assert_eq!((&row["state"], &row["lock"]["state"]), (&json!("unguarded"), &json!("held")));
        assert_eq!(row["pids"].as_array().unwrap().len(), 1, "{row:#}");
    }
    #[cfg(unix)]
    {
        let folder = Folder::new(&ONE);
        let brain = folder.brain();
        let command = format!("'{}' run BRAIN_LEDA -- '{python}' '{brain}'; true", lock.display());
        let _shell = folder.start(Path::new("/bin/sh"), &["-c", &command]);
        let shell = folded(&folder.only())[0].clone();
        assert!(["wrapper sh", "wrapper dash", "wrapper bash"].contains(&&*shell), "{shell}");
        assert_eq!(
            folded(&folder.only())[1..],
            [format!("wrapper {lock_stem}"), "program python".into()]
        );
    }
    #[cfg(windows)]
    {
        // The stub that a virtual environment has is played; what it starts is the real Python.
        let folder = Folder::new(&ONE);
        let brain = folder.brain();
        let environment = folder.fleet.root().join(".venv312_gpu");
        let home = Path::new(python).parent().unwrap();
        fs::write(environment.join("pyvenv.cfg"), format!("home = {}\n", home.display())).unwrap();
        fs::write(&brain, format!("# stand-in: start interpreter\n{WAITING}")).unwrap();
        let stub = folder.fleet.python();
        let args = ["/d", "/c", text(&lock), "run", "BRAIN_LEDA", "--", text(&stub), &brain];
        let _shell = folder.start(Path::new("cmd.exe"), &args);
        let row = folder.only();
        assert_eq!(
            folded(&row),
            [
                "wrapper cmd".into(),
                format!("wrapper {lock_stem}"),
                "stub python".into(),
                "program python".into()
            ],
            "{row:#}"
        );
        assert_eq!(row["lock"]["state"], "held", "{row:#}");
    }
}

#[cfg(unix)]
#[test]
fn a_virtual_environments_python_is_one_process() {
    let Some(python) = python() else { return };
    for how in ["--symlinks", "--copies"] {
        let folder = Folder::new(&ONE);
        let environment = folder.fleet.root().join("venv");
        let mut make = Command::new(python);
        make.args(["-m", "venv", "--without-pip", how]).arg(&environment);
        let made = run(&mut make, "");
        assert_eq!(made.code, 0, "{made:?}");
        let brain = folder.brain();
        let _brain = folder.start(&environment.join("bin/python"), &["-u", &brain]);
        assert_eq!(folded(&folder.only()), ["program python"], "{how}");
    }
}

#[test]
fn the_four_states_stand_side_by_side() {
    let fleet = SampleFleet::new(tools(), &THREE);
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started BRAIN_NYX");
    assert_eq!(states(&fleet), ["running"; 8]);
    let check = ps(&fleet, &["--check"]);
    assert_eq!((check.code, &*check.stdout), (0, "OK: 8 running, each once and under its lock.\n"));

    // The launcher crashes, and everything runs on under its lock.
    launch.kill();
    drop(launch);
    let check = ps(&fleet, &["--check", "--role", "brain"]);
    assert_eq!(check.code, 3, "{check:?}");
    assert!(check.stdout.contains("BRAIN_LEDA is not supervised by a launcher"), "{check:?}");
    assert_eq!(states(&fleet), ["orphan"; 7]);

    // One brain crashes, and the user starts it by hand, without its lock.
    let row = fleet.processes().into_iter().find(|row| row["component"] == "BRAIN_LEDA").unwrap();
    let pid = u32::try_from(row["pids"][0].as_u64().unwrap()).unwrap();
    kill(pid);
    if LOCKS_ARE_INHERITED {
        let check = ps(&fleet, &["--check", "--name", "brain_leda"]);
        let stale = format!(
            "lock BRAIN_LEDA was left behind: its holder PID {pid} has ended without giving it back\n"
        );
        let missing = "BRAIN_LEDA is missing: the launcher crashed\n";
        assert_eq!((check.code, check.stdout), (3, format!("{missing}{stale}")));
    }
    let mut rogue = Program::start(&fleet.python(), &["BRAIN_LEDA.py"], fleet.root(), &[], |_| ());
    rogue.wait_for("ready");
    let brains = ps(&fleet, &["--role", "brain", "--columns", "component,state,lock"]);
    let rows: Vec<Vec<&str>> =
        brains.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(rows.contains(&vec!["BRAIN_LEDA", "ROGUE", "none"]), "{brains:?}");
    assert!(rows.contains(&vec!["BRAIN_MAIA", "orphan", "held"]), "{brains:?}");
    let stale = ps(&fleet, &["--state", "stale", "--format", "csv", "--columns", "component,lock"]);
    assert!(stale.stdout.contains("MASTER_LAUNCH,stale\n"), "{stale:?}");
    // A wrapper that sees its brain die gives the lock back.
    assert_eq!(stale.stdout.contains("BRAIN_LEDA,stale\n"), LOCKS_ARE_INHERITED, "{stale:?}");
    assert_eq!(fleet.run("qc-shutdown", &["--yes"]).code, 0);
}

fn states(fleet: &SampleFleet) -> Vec<String> {
    fleet.processes().iter().map(|row| row["state"].as_str().unwrap().to_owned()).collect()
}

fn kill(pid: u32) {
    let identity = qc_process::identity_of(pid).unwrap();
    let process = Process::open(&identity).unwrap().unwrap();
    process.kill().unwrap();
    qc_process::wait_any(&[&process], std::time::Duration::from_secs(30)).unwrap();
}

#[test]
fn a_copy_in_another_folder_that_trades_our_account_is_found() {
    let (ours, theirs) = (("LEDA", 7_300_001), ("LEDA", 7_300_002));
    let fleet = SampleFleet::new(tools(), &[ours]);
    let copy = fleet.elsewhere(&[ours]);
    let other = fleet.elsewhere(&[theirs]);
    let start = |fleet: &SampleFleet| {
        let mut brain =
            Program::start(&fleet.python(), &["BRAIN_LEDA.py"], fleet.root(), &[], |_| ());
        brain.wait_for("ready");
        brain
    };
    let _other = start(&other);
    // That nothing of this fleet runs is another matter.
    let check = |fleet: &SampleFleet| ps(fleet, &["--check", "--allow-stopped"]);
    assert_eq!(check(&fleet).code, 0, "another account is none of our business");
    let copied = start(&copy);
    let check = check(&fleet);
    let pid = copied.identity().pid;
    assert_eq!(check.code, 3, "{check:?}");
    let told = format!("BRAIN_LEDA (account {}) runs from another folder ", fleet.account(1));
    assert!(check.stdout.starts_with(&told), "{check:?}");
    let command = format!("`qc-shutdown --root \"{}\"` stops it there", copy.root().display());
    assert!(check.stdout.ends_with(&format!(": PID {pid}; {command}\n")), "{check:?}");
    let list = ps(&fleet, &[]);
    assert!(list.stdout.contains(&command), "{list:?}");
    assert!(!list.stdout.contains("to stop all processes safely"), "{list:?}");
}

#[test]
fn the_list_is_filtered_sorted_and_cut_as_asked() {
    let fleet = SampleFleet::new(tools(), &[("LEDA", 7_500_001), ("MAIA", 7_500_002)]);
    let start = |script: &str, args: &[&str]| {
        let args = [&[script], args].concat();
        let mut program = Program::start(&fleet.python(), &args, fleet.root(), &[], |_| ());
        program.wait_for("ready");
        program
    };
    let account = fleet.account(1).to_string();
    let _programs = [
        start("BRAIN_LEDA.py", &["--password", "hunter2", "--login", &account, "token=hunter2"]),
        start("STOPLOSS_WATCHDOG_V2.py", &["--account", "LEDA"]),
        start("BRAIN_MAIA.py", &[]),
        start("quantum_server.py", &[]),
    ];
    let csv = |args: &[&str]| {
        let args = [&["--format", "csv", "--columns", "component"], args].concat();
        let found = ps(&fleet, &args);
        assert_eq!(found.code, 0, "{found:?}");
        let ours = ["BRAIN_LEDA", "WATCHDOG_LEDA", "BRAIN_MAIA", "quantum_server"];
        let lines = found.stdout.lines().skip(1).filter(|line| ours.contains(line));
        lines.map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    let rogue = ["--state", "rogue"];
    for (args, expected) in [
        (&[][..], "BRAIN_LEDA BRAIN_MAIA WATCHDOG_LEDA quantum_server"),
        (&["--sort", "-component"], "quantum_server WATCHDOG_LEDA BRAIN_MAIA BRAIN_LEDA"),
        (&["--sort", "-role,-component"], "quantum_server WATCHDOG_LEDA BRAIN_MAIA BRAIN_LEDA"),
        (&["--role", "brain"], "BRAIN_LEDA BRAIN_MAIA"),
        (&["--role", "watchdog,server"], "WATCHDOG_LEDA quantum_server"),
        (&["--account", "leda"], "BRAIN_LEDA WATCHDOG_LEDA"),
        (&["--account", &fleet.account(2).to_string()], "BRAIN_MAIA"),
        (&["--name", "brain_*"], "BRAIN_LEDA BRAIN_MAIA"),
        (&["--account", "LEDA", "--role", "brain"], "BRAIN_LEDA"),
        (&["--state", "stale"], ""),
    ] {
        let only_rogue: &[&str] = if args.contains(&"--state") { &[] } else { &rogue };
        assert_eq!(csv(&[args, only_rogue].concat()), expected, "{args:?}");
    }
    let none = ps(&fleet, &["--role", "other"]);
    assert!(
        none.stdout.starts_with("Nothing of the fleet that runs fits the filters.\n"),
        "{none:?}"
    );
    for (args, why) in [
        (["--account", "LEDAA"], "there is no account `LEDAA`\nhint: the accounts are LEDA, MAIA"),
        (["--name", "BRAIN_X"], "there is no component `BRAIN_X`"),
        (["--state", "rouge"], "it is one of running, duplicate, rogue"),
        (["--columns", "size"], "invalid value 'size' for '--columns <COLUMNS>'"),
        (["--sort", "-size"], "it is one of component, role"),
        (["--watch", "1ms"], "the shortest pause is 100ms"),
    ] {
        let refused = ps(&fleet, &args);
        assert_eq!(refused.code, 2, "{args:?} {refused:?}");
        assert!(refused.stderr.contains(why), "{args:?} {refused:?}");
    }

    let forms: [&[&str]; 6] = [
        &["--columns", "component,account,command"],
        &["--json", "--tree"],
        &["--format", "csv", "--columns", "account,command"],
        &["--format", "legacy"],
        &["--tree"],
        &["--check"],
    ];
    for form in forms {
        let shown = ps(&fleet, form);
        assert!(!shown.stdout.contains("hunter2"), "{form:?} {shown:?}");
        assert!(shown.stdout.contains(&account) || form.contains(&"--check"), "{form:?} {shown:?}");
        let masked = ps(&fleet, &[form, &["--mask"]].concat());
        assert!(!masked.stdout.contains(&account), "{form:?} {masked:?}");
        assert!(
            masked.stdout.contains("****001") || form.contains(&"--check"),
            "{form:?} {masked:?}"
        );
    }
}

#[test]
fn csv_quotes_what_needs_it() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let args = ["BRAIN_LEDA.py", "a \"b\", c"];
    let mut brain = Program::start(&fleet.python(), &args, fleet.root(), &[], |_| ());
    brain.wait_for("ready");
    let args = ["--format", "csv", "--columns", "component,command,state", "--account", "LEDA"];
    let csv = ps(&fleet, &args).stdout;
    let line = csv.lines().find(|line| line.ends_with(",rogue")).unwrap();
    assert!(line.ends_with(r#"BRAIN_LEDA.py ""a ""b"", c""",rogue"#), "{line}");
}

#[test]
fn a_tool_that_is_told_a_brains_name_is_no_brain() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let ps = fleet.tools.tool("qc-ps");
    let root = text(fleet.root());
    let words = ["--root", root, "--json", "--name", "BRAIN_LEDA"];
    // As itself, below a Python that runs another script with such words, and below a shell.
    let mut below_python = Command::new(fleet.python());
    below_python.arg("run").arg(&ps).args(words);
    let mut below_shell = if cfg!(windows) { Command::new("cmd") } else { Command::new("sh") };
    if cfg!(windows) {
        below_shell.args(["/d", "/c"]).arg(&ps).args(words).args(["&", "rem", "BRAIN_LEDA.py"]);
    } else {
        below_shell.args(["-c", r#""$0" "$@"; : python BRAIN_LEDA.py"#]).arg(&ps).args(words);
    }
    let mut itself = Command::new(&ps);
    itself.args(words);
    for mut command in [itself, below_python, below_shell] {
        let report = run(command.current_dir(fleet.root()), "");
        let rows = report.json()["processes"].clone();
        let ours: Vec<&Value> =
            rows.as_array().unwrap().iter().filter(|row| row["state"] != "foreign").collect();
        assert!(ours.is_empty(), "{command:?}: {rows:#}");
    }
}

/// A program that nothing of qc ever kills, not even these tests' own helpers.
struct Terminal(Child);

impl Terminal {
    fn start(program: &Path) -> Self {
        let mut terminal = Command::new(program).stdout(Stdio::piped()).spawn().unwrap();
        let output = terminal.stdout.take().unwrap();
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).unwrap();
        assert!(line.starts_with("ready"), "{line}");
        Self(terminal)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It is this test's own child, and has not been waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn terminals_are_listed_with_their_accounts() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let folder = fleet.root().join("MT5 Leda");
    fs::create_dir_all(&folder).unwrap();
    let program = folder.join(format!("terminal64{}", std::env::consts::EXE_SUFFIX));
    copy_program(&fleet.tools.stand_in(), &program);
    fleet.configure(&json!({ "ACCOUNTS": {
        "LEDA": { "account": 7_100_001, "enabled": true, "terminal_path": program },
        "MAIA": { "account": 7_100_002, "enabled": true, "terminal_path": fleet.root().join("MT5 Maia") },
    }}));
    let terminal = Terminal::start(&program);
    let report = ps(&fleet, &["--terminals", "--json"]).json();
    let row = |key: &str| {
        let rows = report["terminals"].as_array().unwrap().iter();
        rows.clone()
            .find(|row| row["accounts"][0]["key"] == key)
            .unwrap_or_else(|| panic!("{report:#}"))
    };
    assert_eq!(
        (&row("LEDA")["running"], &row("LEDA")["pid"]),
        (&json!(true), &json!(terminal.0.id()))
    );
    assert_eq!((&row("MAIA")["running"], &row("MAIA")["pid"]), (&json!(false), &Value::Null));
    let table = ps(&fleet, &["--terminals", "--account", "MAIA", "--mask"]).stdout;
    assert!(table.contains("****002") && table.contains("not running"), "{table}");
    assert!(!table.contains("LEDA") && !table.contains("7100002"), "{table}");
}

/// `/proc` as other users see it where the administrator hides foreign processes.
#[cfg(unix)]
#[test]
fn processes_that_are_hidden_are_not_passed_over() {
    // Brains of other tests with its name could not be read, either.
    let fleet = SampleFleet::new(tools(), &[("PHOEBE", 1)]);
    let mut brain =
        Program::start(&fleet.python(), &["BRAIN_PHOEBE.py"], fleet.root(), &[], |_| ());
    brain.wait_for("ready");
    let tool = fleet.root().join("qc-ps-copy");
    copy_program(&fleet.tools.tool("qc-ps"), &tool);
    for folder in [fleet.root(), &fleet.root().join("base")] {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let as_nobody = |hidepid: &str, words: &str| {
        let script = format!(
            "mount -t proc -o hidepid={hidepid} proc /proc && exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$0\" {words}"
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script]).arg(&tool).current_dir(fleet.root());
        run(&mut command, "")
    };
    let able = as_nobody("0", "--version");
    if able.code != 0 {
        return cannot_test("hidden processes", &format!("{able:?}"));
    }
    // Another user's brain, by its name, whose folder is not shown: it may be this fleet's.
    let seen = as_nobody("0", "--check --allow-stopped");
    assert_eq!(seen.code, 3, "{seen:?}");
    assert_eq!(seen.stdout, "at least 0 run; 1 process could not be read\n", "{seen:?}");
    // Listed without their contents: counted. Not listed at all: said.
    let listed = as_nobody("1", "--check --allow-stopped");
    assert_eq!(listed.code, 3, "{listed:?}");
    assert!(listed.stdout.starts_with("at least 0 run; "), "{listed:?}");
    assert!(listed.stdout.ends_with(" processes could not be read\n"), "{listed:?}");
    let hidden = as_nobody("2", "--check --allow-stopped");
    let said = "at least 0 run; the processes of other users are hidden (hidepid)\n";
    assert_eq!((hidden.code, &*hidden.stdout), (3, said), "{hidden:?}");
    let table = as_nobody("2", "");
    assert_eq!(table.code, 0, "{table:?}");
    assert!(table.stdout.contains("! at least 0 run; the processes"), "{table:?}");
}

#[test]
fn the_list_is_watched_in_place_until_a_key_ends_it() {
    const ENTER: &str = "\x1b[?1049h";
    const LEAVE: &str = "\x1b[?1049l";
    const SHOW_CURSOR: &str = "\x1b[?25h";

    if !Screen::can_be_played() {
        return cannot_test("the list at a terminal", "only under Wine one can be played");
    }
    // Brains of other tests with its name would be rows, too, and change the columns.
    let fleet = SampleFleet::new(tools(), &[("TETHYS", 1)]);
    let words = "--watch 200ms --account TETHYS --state rogue";
    for (keys, code) in [("q", 0), ("\x03", 130), ("\x1b", 0)] {
        let mut screen = Screen::start(&fleet.tools, "qc-ps", words, fleet.root());
        screen.wait_for("before ");
        let before = screen.wait_for(";");
        screen.wait_for(ENTER);
        screen.wait_for("q ends");
        let mut brain =
            Program::start(&fleet.python(), &["BRAIN_TETHYS.py"], fleet.root(), &[], |_| ());
        brain.wait_for("ready");
        let pid = brain.identity().pid;
        let account = fleet.account(1);
        screen.wait_for(&format!("+  BRAIN_TETHYS  brain  {account}  {pid}"));
        // New only once.
        screen.wait_for(&format!("\n   BRAIN_TETHYS  brain  {account}  {pid}"));
        drop(brain);
        let gone = screen.wait_for(&format!("- BRAIN_TETHYS (PID {pid}) is gone"));
        assert!(!gone.contains("\x1b[2J"), "it is drawn over, not cleared: {gone:?}");
        assert!(gone.contains("\x1b[1;1H"), "from the first line on: {gone:?}");
        screen.type_in(keys);
        screen.wait_for(LEAVE);
        let after = screen.wait_for(&format!("code Some({code});"));
        assert!(after.contains(SHOW_CURSOR), "the cursor is shown again: {after:?}");
        // The terminal is as it was: Ctrl-C means something, and what is typed is shown.
        screen.wait_for("after ");
        assert_eq!(screen.wait_for(";"), before);
    }
}

#[cfg(unix)]
#[test]
fn a_watch_that_is_ended_from_outside_gives_the_terminal_back() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let qc_ps = fleet.tools.tool("qc-ps").display().to_string();
    let command = format!("bash -mc '\"{qc_ps}\" --watch & echo \"pid $! \"; fg; wait'; stty -a");
    let mut screen = Screen::run(&command, fleet.root());
    screen.wait_for("pid ");
    let pid = screen.wait_for(" ");
    screen.wait_for("q ends");
    let status = Command::new("kill").arg(pid.trim()).status().unwrap();
    assert!(status.success());
    screen.wait_for("\x1b[?1049l");
    let settings = screen.wait_for("tostop");
    assert!(settings.split_whitespace().any(|word| word == "icanon"), "{settings}");
}

#[cfg(unix)]
#[test]
fn a_watch_whose_terminal_is_gone_ends() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let qc_ps = fleet.tools.tool("qc-ps").display().to_string();
    // It is not told.
    let command = format!("bash -c 'trap \"\" HUP; echo \"pid $$ \"; exec \"{qc_ps}\" --watch'");
    let mut screen = Screen::run(&command, fleet.root());
    screen.wait_for("pid ");
    let pid: u32 = screen.wait_for(" ").trim().parse().unwrap();
    screen.wait_for("q ends");
    let watch = Process::open(&qc_process::identity_of(pid).unwrap()).unwrap().unwrap();
    drop(screen);
    let ended = qc_process::wait_any(&[&watch], std::time::Duration::from_secs(60)).unwrap();
    watch.kill().unwrap();
    assert!(!ended.is_empty(), "it runs on");
}

#[test]
fn a_terminal_that_is_no_terminal_is_refused() {
    let fleet = SampleFleet::new(tools(), &ONE);
    let watch = ps(&fleet, &["--watch", "1s"]);
    assert_eq!(watch.code, 2, "{watch:?}");
    assert!(watch.stderr.starts_with("qc-ps: --watch needs a terminal\nhint: "), "{watch:?}");
}

#[test]
fn a_script_that_another_program_runs_is_listed_with_its_component() {
    let fleet = SampleFleet::new(tools(), &[]);
    let root = fleet.root();
    let stand_in = fleet.tools.stand_in();
    let (file, text) = match cfg!(windows) {
        true => ("feed.bat", format!("@echo ready\r\n@\"{}\" wait\r\n", stand_in.display())),
        false => ("feed", "#!/bin/sh\necho ready\nwhile :; do sleep 0.1; done\n".to_owned()),
    };
    fs::write(root.join(file), text).unwrap();
    #[cfg(unix)]
    fs::set_permissions(root.join(file), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let feed = json!({
        "command": [format!("./{file}"), "one two"],
        "ready": { "log": "^ready" }, "stop": { "timeout": 2 },
    });
    fleet.configure(&json!({
        "ACCOUNTS": {}, "PROCESS_MANAGER": { "server": { "enabled": false }, "components": { "FEED": feed } },
    }));
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("FEED is ready");
    let rows = fleet.processes();
    let row = rows.iter().find(|row| row["component"] == "FEED");
    let row = row.unwrap_or_else(|| panic!("{rows:#?}"));
    assert_eq!(
        (&row["state"], &row["lock"]["state"]),
        (&json!("running"), &json!("held")),
        "{row:#}"
    );
    assert_eq!(rows.iter().filter(|row| row["component"] == "FEED").count(), 1, "{rows:#?}");
    let check = ps(&fleet, &["--check"]);
    assert_eq!(check.code, 0, "{check:?}");
    assert_eq!(fleet.run("qc-launch", &["stop"]).code, 0);
    let (ended, lines) = launch.finish();
    assert_eq!(ended, Ended::Code(0), "{lines:#?}");
}

/// A program that hands over to a copy of itself again and again, and ends by itself after a while: where
/// nothing awaits orphans, each copy stays in the system's list. On Unix a fork is the same program from
/// its first moment on.
const HAND_OVER: &str = if cfg!(windows) {
    "import os, subprocess, sys
print('ready', flush=True)
left = int(os.environ.get('LEFT', '100')) - 1
if left and not os.path.exists('end'):
    environment = dict(os.environ, LEFT=str(left))
    subprocess.Popen([sys.executable, *sys.argv], stdin=subprocess.DEVNULL, env=environment)
else:
    open('over', 'w').close()
os._exit(0)
"
} else {
    "import os, time
print('ready', flush=True)
for _ in range(1000):
    if os.path.exists('end'):
        break
    if os.fork():
        os._exit(0)
    time.sleep(0.001)
open('over', 'w').close()
"
};

#[test]
fn a_program_that_hands_over_while_the_list_is_read_is_on_it() {
    let Some(python) = python() else { return };
    let folder = Folder::new(&ONE);
    let root = folder.fleet.root();
    fs::write(root.join("BRAIN_LEDA.py"), HAND_OVER).unwrap();
    let script = folder.brain();
    let chain = folder.start(python, &[&script]);
    let is_it = |args: &[String]| args.contains(&script);
    let (mut looks, mut missed) = (0, 0);
    while looks < 100 {
        let listing = list_wanted(&is_it).unwrap();
        if root.join("over").exists() {
            break;
        }
        looks += 1;
        missed += usize::from(!listing.processes.iter().any(|one| is_it(&one.args)));
    }
    fs::write(root.join("end"), "").unwrap();
    let _ = chain.finish();
    assert!(looks > 0 && missed == 0, "{missed} of {looks}");
}

#[test]
fn programs_of_other_fleets_are_one_line_unless_all_are_wanted() {
    let fleet = SampleFleet::new(tools(), &[("LEDA", 7_400_001)]);
    let other = SampleFleet::new(tools(), &[("MAIA", 7_400_002)]);
    let mut launch = other.launch(&[], |_| ());
    launch.wait_for("started BRAIN_MAIA");
    let number = other.locks().record(&"BRAIN_MAIA".parse().unwrap()).unwrap().pid;
    let pid = number.to_string();
    let row = |args: &[&str]| {
        let shown = ps(&fleet, args);
        assert_eq!(shown.code, 0, "{shown:#?}");
        let says_how_many = shown.stdout.contains("`qc-ps --all` lists what other fleets run.");
        let mut lines = shown.stdout.lines().map(|line| line.split_whitespace().collect());
        (
            says_how_many,
            lines
                .find(|cells: &Vec<&str>| cells.contains(&pid.as_str()))
                .map(|cells| cells.join(" ")),
        )
    };
    let columns = ["--columns", "component,pid,state,lock"];
    assert_eq!(row(&columns), (true, None));
    let expected = Some(format!("BRAIN_MAIA {pid} foreign held"));
    assert_eq!(row(&[&columns[..], &["--all"]].concat()), (false, expected.clone()));
    assert_eq!(row(&[&columns[..], &["--state", "foreign"]].concat()), (false, expected));
    let processes = ps(&fleet, &["--json"]).json();
    let is_it =
        |row: &Value| row["pids"].as_array().unwrap().iter().any(|one| *one == json!(number));
    assert!(processes["processes"].as_array().unwrap().iter().any(is_it), "{processes:#}");
    assert_eq!(other.run("qc-shutdown", &["--yes"]).code, 0);
    launch.finish();
}
