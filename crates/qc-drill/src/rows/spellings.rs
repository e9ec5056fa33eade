//! The other names that a system gives to a folder, all of which mean one terminal.

use std::fs;
use std::path::{Path, PathBuf};

use qc_lock_core::Terminal;

use crate::child::run;
use crate::outcome::{Miss, Outcome, failed, skipped};
use crate::sandbox::{ON_WINDOWS, Sandbox};

/// The folder of a terminal.
const FOLDER: &str = "MetaTrader 5 of Atlas";

/// A terminal is one, whether it is named by its folder, its short name, a drive of `subst`, or a
/// link.
pub(crate) fn terminals(sandbox: &Sandbox) -> Outcome {
    let root = sandbox.folder("spellings")?;
    fs::create_dir(root.join(FOLDER))?;
    if ON_WINDOWS { of_windows(&root) } else { of_a_link(&root) }
}

fn of_windows(root: &Path) -> Outcome {
    let mut seen = Vec::new();
    let line = format!("@for %%I in (\"{FOLDER}\") do @echo %%~sI");
    let short = said_by(root, "short.cmd", &line)?;
    // A volume without short names gives the long one.
    if let Some(short) = short.filter(|it| !it.ends_with(FOLDER) && Path::new(it).is_dir()) {
        same(root, &short)?;
        seen.push(format!("the short name {short}"));
    }
    if let Some(drive) = Drive::new(root)? {
        same(root, &format!("{}\\", drive.letter))?;
        seen.push(format!("drive {} of subst", drive.letter));
    }
    match seen[..] {
        [] => skipped("there are no short names, and subst makes no drive"),
        _ => Ok(format!("one terminal by its folder and by {}", seen.join(" and "))),
    }
}

fn of_a_link(root: &Path) -> Outcome {
    let (ended, lines) = run("ln", &["-s", FOLDER, "link"], root)?;
    let link = root.join("link");
    if !link.is_dir() {
        return skipped(format!("no link could be made ({ended}): {}", lines.join(" ")));
    }
    same(root, &link.to_string_lossy())?;
    Ok("one terminal by its folder and by a link".into())
}

/// Sees that another spelling means the folder's terminal, also by its program.
fn same(root: &Path, spelling: &str) -> Result<(), Miss> {
    let folder = Terminal::new(&root.join(FOLDER).to_string_lossy());
    let program = PathBuf::from(spelling).join("terminal64.exe");
    for other in [spelling, &program.to_string_lossy()] {
        let other = Terminal::new(other);
        if other != folder {
            let (other, folder) = (other.as_str(), folder.as_str());
            return failed(format!("{spelling} is {other}, and not {folder}"));
        }
    }
    Ok(())
}

/// Runs a batch file of one line in `root`; returns the last line that it printed, and `None` if it
/// failed.
fn said_by(root: &Path, name: &str, line: &str) -> Result<Option<String>, Miss> {
    let script = root.join(name);
    fs::write(&script, format!("{line}\r\n"))?;
    let (ended, lines) = run(script, &[], root)?;
    let last = lines.last().map_or_else(String::new, |line| line.trim().to_owned());
    Ok(ended.success().then_some(last))
}

/// A drive that `subst` has made for the terminal's folder. Removed when dropped.
struct Drive<'a> {
    root: &'a Path,
    letter: String,
}

impl<'a> Drive<'a> {
    /// Takes the last free letter; `None` if no drive comes of it.
    fn new(root: &'a Path) -> Result<Option<Self>, Miss> {
        let mut letters = ('D'..='Z').rev().map(|letter| format!("{letter}:"));
        let is_free = |letter: &String| !Path::new(&format!("{letter}\\")).exists();
        let Some(letter) = letters.find(is_free) else { return Ok(None) };
        let line = format!("@subst {letter} \"%~dp0{FOLDER}\"");
        let made = said_by(root, "drive.cmd", &line)?.is_some();
        let drive = made.then_some(Self { root, letter });
        Ok(drive.filter(|drive| Path::new(&format!("{}\\", drive.letter)).is_dir()))
    }
}

impl Drop for Drive<'_> {
    fn drop(&mut self) {
        // A letter that stays is no reason to call the row failed.
        let _ = said_by(self.root, "remove.cmd", &format!("@subst {} /D", self.letter));
    }
}
