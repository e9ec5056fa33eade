//! The resources that a lock protects: a name, a place at an account, a place at a terminal.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use hmac_sha256::Hash;

use crate::{Account, LockName};

/// The programs of terminals, in lower case.
const PROGRAMS: [&str; 2] = ["terminal64.exe", "terminal.exe"];

/// A trading terminal, by its folder, in the form in which two spellings of one path are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Terminal(String);

impl Terminal {
    /// Normalises `path`, which names the terminal's folder or its program. Links and short names are
    /// resolved as far as the path exists, so that it stays the same when the terminal is installed.
    pub fn new(path: &str) -> Self {
        let path = without_quotes(path);
        let resolved = resolved(Path::new(path), MOST_LINKS);
        let resolved = resolved.as_ref().and_then(|path| path.to_str()).unwrap_or(path);
        Self(normalised(resolved))
    }

    /// Returns the normalised path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// More links than any system follows.
const MOST_LINKS: usize = 40;

/// Resolves the longest part of a path that exists; `None` if no part of it does. A link that leads to
/// where nothing is yet is followed as well.
fn resolved(path: &Path, most_links: usize) -> Option<PathBuf> {
    let mut parts = path.ancestors().filter(|part| !part.as_os_str().is_empty());
    let (found, rest) = parts
        .find_map(|part| Some((fs::canonicalize(part).ok()?, path.strip_prefix(part).ok()?)))?;
    let mut behind = rest.components();
    let missing = behind.next().map(|part| found.join(part));
    match missing.and_then(|missing| missing.read_link().ok()) {
        Some(target) if most_links > 0 => {
            resolved(&found.join(target).join(behind.as_path()), most_links - 1)
        }
        _ => Some(found.join(rest)),
    }
}

fn without_quotes(path: &str) -> &str {
    path.trim().trim_matches(['"', '\'']).trim()
}

/// Forward slashes, none doubled or trailing, lower case, without quotes, without `//?/` or `//./` in
/// front, `.` and `..` folded, no dot or blank at the end of a part (Windows drops them), and without the
/// terminal's program at the end.
fn normalised(path: &str) -> String {
    let path = without_quotes(path).replace('\\', "/").to_lowercase();
    let device = path.strip_prefix("//?/").or_else(|| path.strip_prefix("//./"));
    let (path, is_share) = match device {
        Some(rest) => match rest.strip_prefix("unc/") {
            Some(share) => (share, true),
            None => (rest, false),
        },
        None => (path.as_str(), path.starts_with("//")),
    };
    let is_absolute = is_share || path.starts_with('/');
    // A share's host and name, and the letter of a drive, can't be left.
    let is_drive = |part: &str| part.len() == 2 && part.ends_with(':');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        let fixed =
            if is_share { 2 } else { usize::from(parts.first().is_some_and(|it| is_drive(it))) };
        match part.trim_end_matches(['.', ' ']) {
            _ if part == ".." && parts.len() > fixed && parts.last() != Some(&"..") => {
                parts.pop();
            }
            _ if part == ".." && !is_absolute && fixed == 0 => parts.push(part),
            "" => {}
            part => parts.push(part),
        }
    }
    if parts.last().is_some_and(|last| PROGRAMS.contains(last)) {
        parts.pop();
    }
    let lead = if is_share {
        "//"
    } else if is_absolute {
        "/"
    } else {
        ""
    };
    format!("{lead}{}", parts.join("/"))
}

/// One thing that at most one process may hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource(String);

impl Resource {
    /// The name itself: `name/<name>`.
    pub fn name(name: &LockName) -> Self {
        Self(format!("name/{}", name.key()))
    }

    /// A place at an account: `account/<number>/<place>`.
    pub(crate) fn account(account: &Account, place: &str) -> Self {
        Self(format!("account/{}/{place}", account.key()))
    }

    /// A place at a terminal: `terminal/<normalised path>/<place>`.
    pub(crate) fn terminal(terminal: &Terminal, place: &str) -> Self {
        Self(format!("terminal/{}/{place}", terminal.0))
    }

    /// Whether it is the place at an account, or at a terminal, of whoever trades there.
    pub fn is_traders(&self) -> bool {
        self.is_machine_wide() && self.0.ends_with("/brain")
    }

    /// Whether it is held on the whole machine, and not in one lock directory alone: a name stays with
    /// its folder, accounts and terminals do not.
    pub fn is_machine_wide(&self) -> bool {
        !self.0.starts_with("name/")
    }

    /// Whether the record of a lock called `name` can be about this: one about a name bears it.
    pub(crate) fn may_be_of(&self, name: &str) -> bool {
        self.0.strip_prefix("name/").is_none_or(|key| key.eq_ignore_ascii_case(name))
    }

    /// Returns the text that stands in records.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the file name of the guard: `name@<name>`, and for the others the kind, `@`, and
    /// the first 32 hexadecimal digits of the SHA-256 of the text.
    pub fn guard_file(&self) -> String {
        guard_file(&self.0)
    }
}

/// Returns the file name of the guard of a resource, see [`Resource::guard_file`].
pub(crate) fn guard_file(resource: &str) -> String {
    match resource.split_once('/') {
        Some(("name", name)) => format!("name@{name}"),
        Some((kind, _)) => format!("{kind}@{}", hash(resource)),
        None => resource.to_owned(),
    }
}

/// Returns the first 32 hexadecimal digits of the SHA-256 of a text.
pub(crate) fn hash(text: &str) -> String {
    let digest = Hash::hash(text.as_bytes());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_terminal_are_equal() {
        for path in [
            r"C:\MT5\Atlas\terminal64.exe",
            "c:/mt5/atlas/",
            r"C:\\MT5\.\ATLAS\\Terminal64.exe",
            r"\\?\C:\MT5\Atlas",
            r"\\.\C:\MT5\Atlas",
            "\"C:\\MT5\\Atlas\\terminal64.exe\"",
            r"C:\Old\..\MT5\.\x\..\Atlas",
            r"C:\..\MT5\Atlas",
            r"C:\MT5.\Atlas. \terminal64.exe",
        ] {
            assert_eq!(normalised(path), "c:/mt5/atlas", "{path}");
        }
        assert_eq!(normalised(r"\\server\share\MT5"), "//server/share/mt5");
        assert_eq!(normalised(r"\\?\UNC\server\share\MT5\"), "//server/share/mt5");
        assert_eq!(normalised(r"\\server\share\..\MT5"), "//server/share/mt5");
        assert_eq!(normalised("/opt/mt5//terminal64.exe"), "/opt/mt5");
        assert_eq!(normalised("/../opt/x/../mt5"), "/opt/mt5");
        assert_eq!(normalised("../../mt5/x/.."), "../../mt5");
        assert_eq!(normalised("/opt/mt5..."), "/opt/mt5");
    }

    #[test]
    fn a_terminal_without_its_program_is_that_folder() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Terminal::new(dir.path().to_str().unwrap());
        let below = dir.path().join("..").join(dir.path().file_name().unwrap());
        let program = below.join("Terminal64.exe");
        assert_eq!(Terminal::new(program.to_str().unwrap()), folder);
    }

    #[test]
    fn what_is_not_installed_yet_is_resolved_as_far_as_it_exists() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("..").join(dir.path().file_name().unwrap()).join("x/y");
        let before = Terminal::new(below.to_str().unwrap());
        assert!(!before.as_str().contains(".."), "{before:?}");
        fs::create_dir_all(dir.path().join("x/y")).unwrap();
        assert_eq!(Terminal::new(below.to_str().unwrap()), before);
        assert_eq!(Terminal::new(&format!(" \"{}\" ", below.display())), before);
    }

    #[test]
    fn guard_files_are_the_ones_the_protocol_names() {
        let name: LockName = "BRAIN_ATLAS".parse().unwrap();
        assert_eq!(Resource::name(&name).guard_file(), "name@brain_atlas");
        let account = Resource::account(&"1234567".parse().unwrap(), "brain");
        assert_eq!(account.as_str(), "account/1234567/brain");
        assert_eq!(account.guard_file(), "account@4e7f4089c214c07fa102e52fd33c74cf");
    }
}
