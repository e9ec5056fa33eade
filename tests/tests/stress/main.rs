//! Many processes contend for overlapping locks while holders are killed, records are deleted and
//! false ones are written; two referees watch that no two ever hold the same thing.
//!
//! `QC_STRESS_SECONDS` and `QC_STRESS_CONTENDERS` make it longer and larger.

#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use qc_process::{Identity, Process, identity_of};
use qc_tests::{Random, SharedFiles, is_wine, own_account, python, stress_ports};
use serde_json::{Value, json};

/// The events of one run.
#[derive(Debug, Default)]
struct Report {
    entered: usize,
    killed: usize,
    killed_inside: usize,
    violations: Vec<String>,
}

/// Processes that contend; killed when dropped. Every fourth is a Python, where there is one.
struct Crowd {
    folders: Vec<PathBuf>,
    /// Referee and ports.
    args: [String; 2],
    /// The prefix of the accounts.
    accounts: String,
    members: Vec<(Child, Identity)>,
    seed: u64,
    pythons: usize,
}

impl Crowd {
    fn join(&mut self) {
        self.seed += 1;
        let mut command = match python().filter(|_| self.seed.is_multiple_of(4)) {
            Some(python) => {
                self.pythons += 1;
                python_hammer(python)
            }
            None => Command::new(hammer()),
        };
        // Every second one works in the other folder; a Python comes every fourth time.
        let folder = self.seed / 4 % stress_ports::FOLDERS;
        command.arg(&self.folders[folder as usize]).args(&self.args).arg(self.seed.to_string());
        command.arg(&self.accounts).arg((folder * stress_ports::NAMES).to_string());
        let child = command.stdin(Stdio::piped()).spawn().expect("cannot start a contender");
        let identity = identity_of(child.id()).expect("it has ended at once");
        self.members.push((child, identity));
    }
}

impl Crowd {
    /// Chooses whom to kill: where a record names one of the crowd, it is most likely inside.
    fn victim(&self, random: &mut Random) -> usize {
        let record: Option<Value> = fs::read(self.record(random).1)
            .ok()
            .and_then(|record| serde_json::from_slice(&record).ok());
        let pid = record.and_then(|record| record["pid"].as_u64());
        let holder = self.members.iter().position(|(_, member)| pid == Some(member.pid.into()));
        holder.unwrap_or_else(|| random.below(self.members.len() as u64) as usize)
    }

    /// Chooses a record: its lock's number, and its file.
    fn record(&self, random: &mut Random) -> (u64, PathBuf) {
        let number = random.below(stress_ports::FOLDERS * stress_ports::NAMES);
        let folder = &self.folders[(number / stress_ports::NAMES) as usize];
        (number, folder.join(format!("BRAIN_{number}.lock")))
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for (child, _) in &mut self.members {
            // Both only so that nothing is left behind.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

#[test]
fn no_two_ever_hold_the_same_thing() {
    let seconds = setting("QC_STRESS_SECONDS", 3);
    let contenders = setting("QC_STRESS_CONTENDERS", if cfg!(windows) { 8 } else { 32 });
    let dir = tempfile::tempdir().unwrap();
    let folders = (0..stress_ports::FOLDERS).map(|one| dir.path().join(one.to_string()));
    let folders: Vec<PathBuf> = folders.map(|folder| folder.join(".locks")).collect();
    folders.iter().for_each(|folder| fs::create_dir_all(folder).unwrap());
    let _shared: Vec<SharedFiles> = folders.iter().cloned().map(SharedFiles).collect();
    let referee = Referee::start();
    let mut crowd = Crowd {
        args: [referee.port.to_string(), free_ports().to_string()],
        accounts: own_account().into(),
        folders,
        members: Vec::new(),
        seed: u64::from(std::process::id()),
        pythons: 0,
    };
    for _ in 0..contenders {
        crowd.join();
    }

    let mut random = Random::new(crowd.seed);
    let began = Instant::now();
    let mut started = contenders;
    while began.elapsed() < Duration::from_secs(seconds) {
        // The pace of the disturbances is the thing tested.
        thread::sleep(Duration::from_millis(random.below(20)));
        match random.below(3) {
            0 => {
                let (mut child, identity) = crowd.members.swap_remove(crowd.victim(&mut random));
                // Told before it is done: whoever enters after this line may find the other inside.
                referee.write(format!("kill {} -", identity.pid));
                Process::open(&identity)
                    .unwrap()
                    .expect("a contender has ended by itself")
                    .kill()
                    .unwrap();
                child.wait().unwrap();
                crowd.join();
                started += 1;
            }
            1 => {
                let _ = fs::remove_file(crowd.record(&mut random).1);
            }
            _ => write_a_false_record(crowd.record(&mut random)),
        }
    }
    for (child, _) in &mut crowd.members {
        drop(child.stdin.take());
    }
    for (mut child, _) in crowd.members.drain(..) {
        assert!(child.wait().unwrap().success(), "a contender has failed; see above");
    }

    let report = judge(&referee.log.lock().unwrap().join("\n"));
    let histories = crowd.folders.iter().map(|folder| qc_lock_core::LockDir::new(folder).history());
    let histories: Vec<_> = histories.map(|history| history.unwrap()).collect();
    let lines: usize = histories.iter().map(|history| history.entries.len()).sum();
    let unreadable: usize = histories.iter().map(|history| history.unreadable).sum();
    println!(
        "{started} contenders, {} of them Python, {contenders} at a time, {seconds} s: {} times inside, {} killed, {} of them inside; \
         {} lines of history, {} unreadable",
        crowd.pythons, report.entered, report.killed, report.killed_inside, lines, unreadable,
    );
    assert!(report.violations.is_empty(), "{:#?}", report.violations);
    assert!(report.entered > 20 && report.killed > 5, "too little happened: {report:?}");
    // Wine appends in two steps, and there lines of two programs can overwrite each other.
    if !is_wine() {
        let cuts: Vec<usize> = crowd.folders.iter().flat_map(|folder| cuts(folder)).collect();
        let at_pages = cuts.iter().all(|place| place.is_multiple_of(PAGE));
        assert!(at_pages && cuts.len() <= report.killed, "{cuts:?}");
        assert!(unreadable <= cuts.len(), "{cuts:?}");
    }
}

/// Linux lets a write go on to the end of a page of the file before it heeds a kill: a line that
/// lies on two of them can be cut there, and only there. Pages are a multiple of this, in bytes.
const PAGE: usize = 4096;

/// Returns where in the files of the history a line ends without a line break.
fn cuts(locks: &Path) -> Vec<usize> {
    const BEGIN: &[u8] = br#"{"time":"#;
    let mut cuts = Vec::new();
    for name in ["history.jsonl", "history.1.jsonl"] {
        let bytes = fs::read(locks.join(name)).unwrap_or_default();
        let begins = (1..bytes.len()).filter(|&at| bytes[at..].starts_with(BEGIN));
        cuts.extend(begins.chain([bytes.len()]).filter(|&at| at > 0 && bytes[at - 1] != b'\n'));
    }
    cuts
}

/// Writes down what the contenders say, in the order in which it answers them: each goes on only
/// when its line is written, so a `leave` stands before the lock is given back.
struct Referee {
    port: u16,
    log: Arc<Mutex<Vec<String>>>,
}

impl Referee {
    fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let referee = Self { port: listener.local_addr().unwrap().port(), log: Arc::default() };
        let log = Arc::clone(&referee.log);
        thread::spawn(move || {
            for contender in listener.incoming().map_while(Result::ok) {
                let log = Arc::clone(&log);
                thread::spawn(move || Self::hear(&contender, &log));
            }
        });
        referee
    }

    /// Ends with the contender: one that was killed breaks off.
    fn hear(mut contender: &TcpStream, log: &Mutex<Vec<String>>) {
        for line in BufReader::new(contender).lines().map_while(Result::ok) {
            log.lock().unwrap().push(line);
            if contender.write_all(b"!").is_err() {
                break;
            }
        }
    }

    fn write(&self, line: String) {
        self.log.lock().unwrap().push(line);
    }
}

/// The script that contends, with the module beside the other scripts of the suite.
fn python_hammer(python: &Path) -> Command {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(python);
    command.arg(tests.join("tests/stress/hammer.py"));
    command
        .env("PYTHONPATH", tests.parent().unwrap().join("scripts"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    // The Python of the Windows lab takes no file of Linux for its output.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The program that contends lies beside the other programs of the tests.
fn hammer() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let dir = test.parent().and_then(Path::parent).unwrap();
    dir.join(format!("hammer{}", std::env::consts::EXE_SUFFIX))
}

/// Finds a row of free ports below those that the system gives out by itself.
fn free_ports() -> u16 {
    let start = 20_000 + u16::try_from(std::process::id() % 500).unwrap() * stress_ports::COUNT;
    let rows = (0..500).map(|row| 20_000 + (start - 20_000 + row * stress_ports::COUNT) % 10_000);
    let is_free = |first: &u16| {
        (*first..*first + stress_ports::COUNT)
            .all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
    };
    rows.into_iter().find(is_free).expect("no row of free ports")
}

/// Writes a record that names a living process which is not its holder, as a pid that was used
/// again makes it.
fn write_a_false_record((number, path): (u64, PathBuf)) {
    let here = qc_process::here();
    let record = json!({
        "pid": std::process::id(), "name": format!("BRAIN_{number}"), "account": null,
        "timestamp": "2026-01-02T03:04:05+00:00", "host": here.name, "version": 1, "started": 1,
        "boot_id": here.boot_id, "pid_namespace": here.pid_namespace, "resources": [format!("name/brain_{number}")],
    });
    // Written aside and renamed, as a contender does; on Windows another may have it open.
    let temporary = path.with_file_name(".false.tmp");
    fs::write(&temporary, record.to_string()).unwrap();
    let _ = fs::rename(&temporary, path);
}

/// Reads the log: at each moment at most one process that was not killed is inside a resource.
fn judge(log: &str) -> Report {
    let mut report = Report::default();
    let mut inside: HashMap<&str, HashSet<&str>> = HashMap::new();
    let mut killed: HashSet<&str> = HashSet::new();
    for line in log.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [word, pid, resource] = words[..] else { panic!("a strange line: {line}") };
        let there = inside.entry(resource).or_default();
        match word {
            // Its last line may arrive after its death.
            "enter" if killed.contains(pid) => {}
            "enter" => {
                report.entered += 1;
                let living: Vec<&&str> =
                    there.iter().filter(|other| !killed.contains(**other)).collect();
                if !living.is_empty() {
                    report
                        .violations
                        .push(format!("{pid} entered {resource} while {living:?} were inside"));
                }
                there.insert(pid);
            }
            "leave" => {
                there.remove(pid);
            }
            "kill" => {
                report.killed += 1;
                killed.insert(pid);
                report.killed_inside +=
                    usize::from(inside.values().any(|there| there.contains(pid)));
            }
            _ => panic!("a strange line: {line}"),
        }
    }
    report
}

#[test]
fn the_referee_sees_two_at_once_and_lets_the_dead_lie() {
    let two = "enter 1 name/a\nenter 2 name/a\n";
    assert_eq!(judge(two).violations.len(), 1);
    let killed = "enter 1 name/a\nkill 1 -\nenter 2 name/a\nenter 1 name/a\nleave 2 name/a\nenter 3 name/a\n";
    assert_eq!(judge(killed).violations.len(), 0);
    assert_eq!(judge(killed).killed_inside, 1);
}
