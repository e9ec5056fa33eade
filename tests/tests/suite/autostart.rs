//! `qc-launch autostart`, with a stand-in for the system's own tool.

use std::env::consts::EXE_SUFFIX;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use qc_process::{AT_LOG_ON, AtLogOn};
use qc_tests::{Finished, SampleFleet, copy_program, run};

use crate::tools;

/// A fleet, a home, and a tool that notes how it is called.
struct Bench {
    fleet: SampleFleet,
    home: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let fleet = SampleFleet::new(tools(), &[("ATLAS", 1)]);
        let home = tempfile::tempdir().expect("a folder");
        let bench = Self { fleet, home };
        fs::create_dir(bench.bin()).expect("a folder can be made");
        let name = match AT_LOG_ON {
            AtLogOn::TaskScheduler => "schtasks.exe",
            AtLogOn::Systemd => "systemctl",
        };
        copy_program(&tools().stand_in(), &bench.bin().join(name));
        // Windows looks beside the program first, then in its own folder, and on PATH last.
        copy_program(&tools().tool("qc-launch"), &bench.tool());
        bench
    }

    fn bin(&self) -> PathBuf {
        self.home.path().join("bin")
    }

    fn tool(&self) -> PathBuf {
        self.bin().join(format!("qc-launch{EXE_SUFFIX}"))
    }

    fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.home.path().join("calls")).unwrap_or_default();
        let _ = fs::remove_file(self.home.path().join("calls"));
        text.lines().map(str::to_owned).collect()
    }

    fn fail_with(&self, code: &str) {
        fs::write(self.home.path().join("exit"), code).expect("it can be written");
    }

    fn autostart(&self, args: &[&str]) -> Finished {
        self.autostart_at(&self.bin(), args)
    }

    fn autostart_at(&self, path: &Path, args: &[&str]) -> Finished {
        let home = self.home.path();
        let mut command = Command::new(self.tool());
        command.arg("autostart").args(args).current_dir(self.fleet.root());
        command.env("HOME", home).env_remove("XDG_CONFIG_HOME").env("PATH", path);
        command.env("STAND_IN_CALLS", home.join("calls")).env("STAND_IN_EXIT", home.join("exit"));
        run(&mut command, "")
    }
}

/// Returns what stands after `word` at the beginning of a line.
fn after<'a>(done: &'a Finished, word: &str) -> &'a str {
    let found = done.stdout.lines().find_map(|line| line.strip_prefix(word));
    found.unwrap_or_else(|| panic!("no line `{word}`: {done:?}"))
}

fn decoded(file: &Path) -> String {
    let bytes = fs::read(file).expect("it was written");
    match AT_LOG_ON {
        AtLogOn::Systemd => String::from_utf8(bytes).expect("UTF-8"),
        AtLogOn::TaskScheduler => {
            let units: Vec<u16> =
                bytes.chunks(2).map(|two| u16::from_le_bytes([two[0], two[1]])).collect();
            let text = String::from_utf16(&units).expect("UTF-16");
            text.strip_prefix('\u{feff}').expect("a mark").replace("\r\n", "\n")
        }
    }
}

#[test]
fn what_is_printed_is_what_is_done() {
    let bench = Bench::new();
    let printed = bench.autostart(&["enable", "--print", "--", "--accounts", "ATLAS"]);
    assert_eq!(printed.code, 0, "{printed:?}");
    let file = PathBuf::from(after(&printed, "write "));
    assert!(!file.exists() && bench.calls().is_empty(), "nothing was done");
    let (commands, text) = printed.stdout.split_once("\n\n").expect("commands and text");
    let commands: Vec<String> = commands
        .lines()
        .filter_map(|line| line.strip_prefix("run   "))
        .map(|line| line.split_once(' ').expect("arguments").1.replace('"', ""))
        .collect();
    let root = fs::canonicalize(bench.fleet.root()).expect("it exists");
    let name = root.file_name().expect("it has a name").to_string_lossy().into_owned();
    assert!(text.contains(&name) && text.contains("--accounts"), "{text}");

    let done = bench.autostart(&["enable", "--", "--accounts", "ATLAS"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(decoded(&file), text);
    assert_eq!(bench.calls(), commands);

    let status = bench.autostart(&["status"]);
    assert!(status.stdout.starts_with("The fleet starts at log-on.\n"), "{status:?}");
    assert_eq!(after(&status, "file: "), file.display().to_string());
    assert_eq!(bench.calls().len(), 1);

    let printed = bench.autostart(&["disable", "--print"]);
    assert_eq!(Path::new(after(&printed, "remove ")), file);
    assert!(file.exists() && bench.calls().is_empty(), "nothing was done");
    let done = bench.autostart(&["disable"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(!file.exists() && !bench.calls().is_empty());

    bench.fail_with("1");
    let status = bench.autostart(&["status"]);
    assert_eq!(status.code, 0, "{status:?}");
    assert!(status.stdout.starts_with("The fleet does not start at log-on.\n"), "{status:?}");
    let done = bench.autostart(&["disable"]);
    assert_eq!((done.code, &*done.stderr), (0, ""), "{done:?}");
    assert!(done.stdout.contains("nothing was changed"), "{done:?}");
}

#[test]
fn a_tool_that_fails_or_is_missing_is_named_with_what_to_do() {
    let bench = Bench::new();
    bench.fail_with("7");
    let done = bench.autostart(&["enable"]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.stderr.contains("ended with exit "), "{done:?}");
    assert!(done.stderr.contains(": the stand-in was told to fail"), "{done:?}");
    assert!(done.stderr.contains("\nhint: run `"), "{done:?}");

    let empty = bench.home.path().join("empty");
    fs::create_dir(&empty).expect("a folder can be made");
    if cfg!(windows) {
        // The system's folder is searched whatever PATH says.
        return;
    }
    let done = bench.autostart_at(&empty, &["enable"]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.stderr.starts_with("qc-launch: cannot run `systemctl "), "{done:?}");
}
