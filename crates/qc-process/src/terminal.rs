//! Trading terminals: the programs that are never asked to stop and never killed.

use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use crate::imp;

/// The file names of MetaTrader's terminals, in lower case.
const TERMINALS: [&str; 9] = [
    "terminal.exe",
    "terminal64.exe",
    "terminal",
    "terminal64",
    "metatrader.exe",
    "metatrader4.exe",
    "metatrader5.exe",
    "metatrader 4.exe",
    "metatrader 5.exe",
];

/// The first letters of the programs that come with a terminal: its editor and its testers.
const TOOLS: [&str; 2] = ["metaeditor", "metatester"];

/// The displays that terminals under Wine show their windows on, in lower case.
const DISPLAYS: [&str; 8] =
    ["xvfb", "xorg", "xvnc", "xtigervnc", "xwayland", "xephyr", "xnest", "xpra"];

/// The most bytes that Linux keeps of a process's name.
const SHORT_NAME: usize = 15;

/// The programs that [`spare_programs`] was called with.
static SPARED: RwLock<Vec<Spared>> = RwLock::new(Vec::new());

/// A program that counts as a terminal although its name does not say so.
#[derive(Debug, PartialEq, Eq)]
struct Spared {
    /// Its path as configured, and as the system resolves it.
    paths: [String; 2],
    /// Which file it is, where the system tells that of running programs.
    id: Option<imp::ProgramId>,
}

/// Makes these files count as trading terminals for as long as this program runs: nothing that runs
/// one of them is ever asked or killed. Folders and Pythons are left out.
pub fn spare_programs(files: impl IntoIterator<Item = PathBuf>) {
    for file in files {
        let is_python = file_name(&file.to_string_lossy()).starts_with("py");
        if is_python || file.is_dir() {
            continue;
        }
        let resolved = std::fs::canonicalize(&file).or_else(|_| std::path::absolute(&file));
        let paths = [&file, resolved.as_ref().unwrap_or(&file)];
        let one = Spared {
            paths: paths.map(|path| spelled(&path.to_string_lossy())),
            id: imp::program_at(&file),
        };
        let mut spared = SPARED.write().unwrap_or_else(PoisonError::into_inner);
        if !spared.contains(&one) {
            spared.push(one);
        }
    }
}

/// Tells whether a program of this file name or path is a trading terminal.
pub fn is_terminal(image: &str) -> bool {
    has_terminal_name(image) || {
        let path = spelled(image);
        let spared = SPARED.read().unwrap_or_else(PoisonError::into_inner);
        spared.iter().any(|one| one.paths.contains(&path))
    }
}

/// Tells whether a program of this file name or path is one that terminals run on: Wine, whose programs
/// serve all terminals of a user, or a display. Whoever ends it ends them.
pub fn carries_terminals(image: &str) -> bool {
    let file = file_name(image);
    file.starts_with("wine") || DISPLAYS.contains(&file.as_str())
}

/// Tells whether a running program is a file that was spared, whatever the name it was started by.
pub(crate) fn is_spared(program: impl FnOnce() -> Option<imp::ProgramId>) -> bool {
    let spared = SPARED.read().unwrap_or_else(PoisonError::into_inner);
    let mut ids = spared.iter().filter_map(|one| one.id).peekable();
    ids.peek().is_some() && program().is_some_and(|id| ids.any(|one| one == id))
}

/// Returns the paths that were spared, for a helper that does not know the config.
#[cfg_attr(unix, expect(dead_code, reason = "Unix signals need no helper"))]
pub(crate) fn spared_paths() -> Vec<String> {
    let spared = SPARED.read().unwrap_or_else(PoisonError::into_inner);
    spared.iter().flat_map(|one| one.paths.clone()).collect()
}

fn has_terminal_name(image: &str) -> bool {
    let mut file = file_name(image);
    if file.len() == SHORT_NAME {
        // Linux has cut the ending off.
        for cut in [".ex", ".e", "."] {
            if let Some(stem) = file.strip_suffix(cut) {
                file = format!("{stem}.exe");
                break;
            }
        }
    }
    TERMINALS.contains(&file.as_str())
        || (file.ends_with(".exe") && TOOLS.iter().any(|tool| file.starts_with(tool)))
}

fn file_name(path: &str) -> String {
    path.rsplit(['/', '\\']).next().unwrap_or(path).to_lowercase()
}

/// Returns a path in a form in which two spellings of it are equal.
fn spelled(path: &str) -> String {
    let path = path.strip_prefix(r"\\?\").unwrap_or(path);
    let is_windows = path.contains('\\') || path.as_bytes().get(1) == Some(&b':');
    if is_windows { path.replace('\\', "/").to_lowercase() } else { path.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_known_by_their_file_name() {
        for image in [
            "terminal64.exe",
            "terminal",
            r"C:\MT5\Terminal64.EXE",
            "/opt/mt5/terminal.exe",
            "MetaTrader5.exe",
            "MetaTrader 5.exe",
            "metatrader.exe",
            "MetaEditor64.exe",
            "metaeditor64.ex",
            r"C:\MT5\metatester64.exe",
            "metatrader 5.ex",
        ] {
            assert!(is_terminal(image), "{image}");
        }
        for image in [
            "python.exe",
            "gnome-terminal",
            "terminal64_helper.py",
            "terminal.py",
            r"C:\terminal64.exe\python.exe",
            "MetaTraderBot.exe",
            "metatrader5_bridge.exe",
            "metaeditor.py",
            "",
        ] {
            assert!(!is_terminal(image), "{image}");
        }
    }

    #[test]
    fn wine_and_displays_carry_terminals() {
        for image in ["wineserver", "/opt/wine/bin/wine64-preloader", "Xvfb", "/usr/bin/Xtigervnc"]
        {
            assert!(carries_terminals(image), "{image}");
        }
        for image in ["python3", "sleep", "xterm", "xvfb-run", ""] {
            assert!(!carries_terminals(image), "{image}");
        }
    }

    #[test]
    fn a_file_that_the_config_names_as_a_terminal_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("broker.bin");
        std::fs::write(&file, "").unwrap();
        let python = dir.path().join("python3");
        let windows = r"C:\Broker Z7\Broker.exe";
        spare_programs([file.clone(), python.clone(), dir.path().into(), windows.into()]);
        assert!(is_terminal(&file.to_string_lossy()));
        assert!(
            is_terminal("c:/broker z7/BROKER.EXE") && is_terminal(r"\\?\C:\Broker Z7\broker.exe")
        );
        for other in [python.as_path(), dir.path(), &dir.path().join("other.bin")] {
            assert!(!is_terminal(&other.to_string_lossy()), "{}", other.display());
        }
        assert!(!is_terminal("broker.bin"), "another program may have that name");
    }
}
