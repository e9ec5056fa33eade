//! An archive as a user meets it: unpacked, installed over old files, a day in the life of the
//! fleet, and taken away again.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use qc_process::Ended;
use qc_tests::{ACCOUNTS, Finished, Program, SampleFleet, Tools};

use super::TOOLS;
use crate::release::Target;
use crate::{demo, windows};

/// Files that lie beside the config before, and again afterwards.
const OLD: [(&str, &str); 4] = [
    ("process_lock.py", "# the old module\n"),
    ("SAFE_SHUTDOWN.bat", "@echo the old script\r\n"),
    ("SAFE_SHUTDOWN.py", "# the old shutdown\n"),
    ("MASTER_LAUNCH.py", "# the old launcher\n"),
];

/// Tries `archive`.
///
/// # Errors
/// If something does not go as a user is told it will.
pub(crate) fn run(target: Target, archive: &Path) -> Result<()> {
    let place = tempfile::Builder::new().prefix("qc trial ").tempdir()?;
    let unpacked = unpack(archive, place.path())?;
    let root = place.path().join("the trader's fleet");
    fs::create_dir(&root)?;
    fs::write(root.join("MASTER_CONFIG.json"), "{}")?;
    for (name, text) in OLD {
        fs::write(root.join(name), text)?;
    }

    let refused = install(&unpacked, &[place.path()])?;
    ensure!(!refused.status.success(), "a folder without a config was accepted");
    installed(install(&unpacked, &[&root])?)?;
    for name in ["SAFE_SHUTDOWN.py", "MASTER_LAUNCH.py"] {
        ensure!(!root.join(name).exists(), "{name} is not moved aside");
    }
    // An upgrade must not take the first one's files for the user's.
    installed(install(&unpacked, &[&root])?)?;
    match target {
        Target::Linux => day(&root, &demo::build()?)?,
        Target::Windows => in_fresh_prefix(place.path(), &root)?,
    }
    let edited = root.join("process_lock.py");
    fs::write(&edited, "# edited\n")?;
    installed(install(&unpacked, &[Path::new("--uninstall"), &root])?)?;

    for (name, text) in OLD {
        let found = fs::read_to_string(root.join(name))?;
        ensure!(found == text, "{name} is not what it was before: {found:?}");
    }
    ensure!(
        fs::read_to_string(root.join("process_lock.py.changed"))? == "# edited\n",
        "what the user had changed is lost"
    );
    ensure!(!root.join("qc-backup").exists(), "the backup is left");
    for tool in TOOLS {
        for name in [tool.to_owned(), format!("{tool}.exe")] {
            ensure!(!root.join(&name).exists(), "{name} is left");
        }
    }
    println!("A day of a user with {} went well.", archive.display());
    Ok(())
}

/// Unpacks into `dir`; returns the one folder in it.
fn unpack(archive: &Path, dir: &Path) -> Result<PathBuf> {
    let bytes = fs::read(archive)?;
    let dir = dir.join("unpacked");
    if archive.extension().is_some_and(|extension| extension == "zip") {
        zip::ZipArchive::new(Cursor::new(bytes))?.extract(&dir)?;
    } else {
        tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice())).unpack(&dir)?;
    }
    let entry = fs::read_dir(&dir)?.next().context("the archive is empty")??;
    Ok(entry.path())
}

fn install(unpacked: &Path, args: &[&Path]) -> Result<std::process::Output> {
    let mut script = Command::new("sh");
    script.arg(unpacked.join("install.sh")).args(args);
    script.output().context("cannot run sh")
}

fn installed(output: std::process::Output) -> Result<()> {
    print!("{}", String::from_utf8_lossy(&output.stdout));
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

/// Plays the day with Windows programs, in a fresh Wine prefix.
fn in_fresh_prefix(place: &Path, root: &Path) -> Result<()> {
    let bins = windows::build_demo()?;
    let prefix = place.join("wine");
    windows::finish(windows::script("setup.sh").env("QC_WINEPREFIX", &prefix))?;
    let mut day = windows::script("wine-run.sh");
    day.env("QC_WINEPREFIX", &prefix).arg(bins.join("xtask.exe")).arg("day");
    day.args([windows::windows_path(root), windows::windows_path(&bins)]);
    let played = windows::finish(&mut day);
    // In any case, its programs must not outlive the prefix.
    windows::finish(windows::script("cargo-windows.sh").arg("stop").env("QC_WINEPREFIX", &prefix))?;
    played
}

/// Plays the day in the folder `root`, where the tools are installed; the stand-in of `bins` is its
/// Python.
///
/// # Errors
/// If a step does not go as it should.
pub(crate) fn day(root: &Path, bins: &Path) -> Result<()> {
    let fleet = SampleFleet::in_folder(Tools::built(bins), &ACCOUNTS, root);
    let mut launch = start(root);
    launch.wait_for("started BRAIN_GETLEVERAGED");

    let check = tool(root, "qc-ps", &["--check"]);
    ensure!(check.code == 0, "qc-ps --check: {check:?}");
    let again = script(root, ["MASTER_LAUNCH.bat", "qc-launch"], "");
    ensure!(again.code == 75, "a second launch: {again:?}");

    let cancelled = script(root, ["SAFE_SHUTDOWN.bat", "qc-shutdown"], "no\n");
    ensure!(cancelled.code == 4, "a shutdown that was not confirmed: {cancelled:?}");
    let stopped = script(root, ["SAFE_SHUTDOWN.bat", "qc-shutdown"], "YES\n");
    ensure!(stopped.code == 0, "the shutdown: {stopped:?}");
    print!("{}", stopped.stdout);
    let (ended, lines) = launch.finish();
    ensure!(ended == Ended::Code(0), "the launcher ended with {ended}: {lines:#?}");
    let left = fleet.locks().list()?;
    ensure!(left.is_empty(), "locks are left: {left:?}");
    Ok(())
}

/// Starts the fleet, on Windows as a double click does.
fn start(root: &Path) -> Program {
    let echo = |line: &str| println!("{line}");
    if cfg!(windows) {
        let args = ["/d", "/c", "MASTER_LAUNCH.bat"];
        return Program::start(&shell(), &args, root, &[("QC_NO_PAUSE", "1")], echo);
    }
    Program::start(&root.join("qc-launch"), &[], root, &[], echo)
}

/// Returns the shell of Windows.
fn shell() -> PathBuf {
    std::env::var_os("ComSpec").map_or_else(|| r"C:\Windows\System32\cmd.exe".into(), PathBuf::from)
}

/// Runs the first on Windows, from another folder, and the second elsewhere.
fn script(root: &Path, [batch, program]: [&str; 2], input: &str) -> Finished {
    if !cfg!(windows) {
        return qc_tests::run(Command::new(root.join(program)).current_dir(root), input);
    }
    let mut command = Command::new(root.join(batch));
    qc_tests::run(command.env("QC_NO_PAUSE", "1").current_dir(std::env::temp_dir()), input)
}

fn tool(root: &Path, name: &str, args: &[&str]) -> Finished {
    let program = root.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    qc_tests::run(Command::new(program).args(args).current_dir(root), "")
}
