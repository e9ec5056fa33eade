//! Listing: `qc-ps` among many processes, beside a C program that reads the same files, and beside
//! what people use otherwise.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::{compile, keep, machine, median, python_with, quietly, release, time, version};

/// How many of many are of the fleet, in the case where few are.
const FEW: usize = 20;

/// A listing with psutil as in the scripts that qc replaces.
const PSUTIL: &str = "import psutil\n\
    for p in psutil.process_iter(['pid', 'ppid', 'name', 'cmdline', 'create_time', 'cpu_times', 'memory_info', 'cwd']):\n    \
    print(p.info)\n";

/// Measured once, when the list was moved from one to the other.
const WITHOUT_SYSINFO: &str = "\n\n`sysinfo` is not used on Linux. `qc-ps` read the list through it until 2026-11-25, with only the fields it needs. In processor time, which depends less on the load of the machine than the\n\
    clock, that was 3.3 times the C program with 200 of 200 and 3.2 times with 20 of 1000. Reading `/proc` itself, with the command lines first, takes 1.1 and 0.4 times. No cheaper first check\n\
    exists: `comm` costs 4.3 us, `cmdline` 5.8 us, `stat` 6.7 us, `exe` 2.3 us (each open, read, close), and the name that a process gives itself proves nothing.";

pub(crate) fn run(counts: &[usize], rounds: usize) -> Result<()> {
    ensure!(cfg!(target_os = "linux"), "the other programs read /proc, so this runs on Linux");
    let dir = crate::workspace().join("target/bench");
    fs::create_dir_all(&dir)?;
    let bench = Bench {
        qc_ps: release("qc-ps")?,
        c: compile("list.c", &dir, &[])?,
        sleeper: compile("sleeper.c", &dir, &["-static"])?,
        psutil: python_with(&dir, "psutil"),
        procs: procs(&dir),
    };
    let mut text = format!(
        "`cargo xtask bench ps`: {rounds} rounds on {}. {}.\n\n\
         The C program (`bench/c/list.c`) reads for every process what `qc-ps` reads for one that it shows: `cmdline`, `stat`, `exe`, `cwd`.\n\
         *C, few files* is the same program, but for all other processes it reads only `cmdline`, as `qc-ps` does.\n\n",
        machine(),
        bench.versions()
    );
    text.push_str("| processes | of the fleet | program | median | ratio to C |\n| ---: | ---: | --- | ---: | ---: |\n");
    let mut missed = Vec::new();
    for &count in counts {
        for matching in [count, FEW] {
            let fleet = Sleepers::start(&bench.sleeper, count, matching)?;
            for (name, milliseconds, ratio) in bench.measure(&fleet, rounds)? {
                let line = format!(
                    "| {count} | {matching} | {name} | {milliseconds:.1} ms | {ratio:.2} |\n"
                );
                print!("{line}");
                text.push_str(&line);
                let goal = if matching == count { 1.5 } else { 1.0 };
                if name == "`qc-ps`" && ratio > goal {
                    missed.push(format!("{matching} of {count}: {ratio:.2} instead of {goal}"));
                }
            }
        }
    }
    text.push_str("\nGoals: at most 1.5 with all of the fleet, at most 1.0 with 20 of it. ");
    text.push_str(&match missed.is_empty() {
        true => "Both are met.".to_owned(),
        false => format!("Missed: {}.", missed.join("; ")),
    });
    text.push_str(&bench.not_measured());
    text.push_str(WITHOUT_SYSINFO);
    println!("{text}");
    keep("Listing", &text)
}

struct Bench {
    qc_ps: PathBuf,
    c: PathBuf,
    sleeper: PathBuf,
    psutil: Result<PathBuf>,
    procs: Result<PathBuf>,
}

impl Bench {
    /// Returns name, median in milliseconds, and ratio for each program.
    fn measure(&self, fleet: &Sleepers, rounds: usize) -> Result<Vec<(String, f64, f64)>> {
        let command = |program: &Path, args: &[&str]| {
            let mut command = Command::new(program);
            command.args(args).current_dir(&fleet.root);
            command.env_remove("QC_ROOT").env_remove("QC_LOCK_DIR");
            command
        };
        let mut programs = vec![
            ("C".to_owned(), command(&self.c, &[])),
            ("C, few files".to_owned(), command(&self.c, &[".py"])),
            ("`qc-ps`".to_owned(), command(&self.qc_ps, &[])),
            ("`qc-ps --format csv`".to_owned(), command(&self.qc_ps, &["--format", "csv"])),
            ("`qc-ps --json`".to_owned(), command(&self.qc_ps, &["--json"])),
        ];
        let ps = ["-eo", "pid,ppid,stat,pcpu,rss,lstart,args"];
        programs.push(("`ps`".to_owned(), command(Path::new("ps"), &ps)));
        if let Ok(python) = &self.psutil {
            programs.push(("psutil".to_owned(), command(python, &["-c", PSUTIL])));
        }
        if let Ok(procs) = &self.procs {
            programs.push(("`procs`".to_owned(), command(procs, &["--pager", "disable"])));
        }
        fleet.check(&mut command(&self.qc_ps, &["--format", "csv", "--state", "rogue"]))?;
        let mut times: Vec<Vec<f64>> = vec![Vec::new(); programs.len()];
        for _ in 0..rounds {
            for ((_, command), times) in programs.iter_mut().zip(&mut times) {
                times.push(time(command)?.as_secs_f64() * 1000.0);
            }
        }
        let ratios = |times: &[f64], base: &[f64]| {
            median(times.iter().zip(base).map(|(time, base)| time / base).collect())
        };
        let rows = programs.into_iter().zip(&times);
        Ok(rows
            .map(|((name, _), own)| (name, median(own.clone()), ratios(own, &times[0])))
            .collect())
    }

    fn versions(&self) -> String {
        let mut versions = vec![
            version("rustc", &["--version"]),
            version("cc", &["--version"]),
            version("ps", &["--version"]),
        ];
        if let Ok(python) = &self.psutil {
            let question = "import sys, psutil; print('Python', sys.version.split()[0] + ', psutil', psutil.__version__)";
            versions.push(version(&python.to_string_lossy(), &["-c", question]));
        }
        if let Ok(procs) = &self.procs {
            versions.push(version(&procs.to_string_lossy(), &["--version"]));
        }
        versions.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    fn not_measured(&self) -> String {
        let peers = [("psutil", &self.psutil), ("procs", &self.procs)];
        let missing = peers.into_iter().filter_map(|(name, peer)| {
            peer.as_ref().err().map(|error| format!("\n\nNot measured: {name}, because {error:#}."))
        });
        missing.collect()
    }
}

fn procs(dir: &Path) -> Result<PathBuf> {
    let procs = dir.join("bin/procs");
    if !procs.exists() {
        let mut install = Command::new(crate::cargo());
        quietly(install.args(["install", "--quiet", "--locked", "procs", "--root"]).arg(dir))?;
    }
    Ok(procs)
}

/// Many processes, some of which look like brains of the fleet in `root`.
struct Sleepers {
    root: PathBuf,
    _dir: tempfile::TempDir,
    children: Vec<Child>,
    matching: usize,
}

impl Sleepers {
    fn start(sleeper: &Path, count: usize, matching: usize) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let root = dir.path().to_path_buf();
        fs::write(root.join("MASTER_CONFIG.json"), r#"{"ACCOUNTS": {}}"#)?;
        for name in ["python", "worker"] {
            fs::copy(sleeper, root.join(name))?;
        }
        let mut sleepers = Self { root, _dir: dir, children: Vec::new(), matching };
        for number in 0..count {
            let (program, script) = if number < matching {
                ("python", format!("BRAIN_{number:04}.py"))
            } else {
                ("worker", format!("--queue={number:04}"))
            };
            let mut command = Command::new(sleepers.root.join(program));
            command.arg(script).args(["--server", "Demo", "--magic", "20260101"]);
            command.current_dir(&sleepers.root).stdin(Stdio::null());
            let child =
                command.spawn().with_context(|| format!("cannot start process {number}"))?;
            sleepers.children.push(child);
        }
        Ok(sleepers)
    }

    /// Fast and wrong is worth nothing.
    fn check(&self, list: &mut Command) -> Result<()> {
        let output = list.output()?;
        let rows = String::from_utf8_lossy(&output.stdout).lines().count().saturating_sub(1);
        ensure!(rows == self.matching, "qc-ps shows {rows} of {} processes", self.matching);
        Ok(())
    }
}

impl Drop for Sleepers {
    fn drop(&mut self) {
        for child in &mut self.children {
            // A child that has not been waited for keeps its number, so no other process is hit.
            let _ = child.kill();
        }
        for child in &mut self.children {
            let _ = child.wait();
        }
    }
}
