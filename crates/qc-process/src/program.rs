//! Finding the file of a program, in the one way in which starting it, checking it and explaining
//! that it is not there agree.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use crate::imp;

/// The end of the path that Linux shows of a program whose file is gone.
pub(crate) const DELETED: &str = " (deleted)";

/// More folders of PATH than this are only counted.
const SHOWN: usize = 6;

/// Finds the file that a program names: a path as it is, a bare name in the folders of `path`; on
/// Windows also with `.com`, `.exe`, `.bat` and `.cmd` added, as in `python3.11`.
///
/// # Errors
/// `NotFound` with the folders that were searched and what to write instead; `PermissionDenied` if
/// the only file of that name may not be run.
pub fn find_program(program: &OsStr, path: Option<&OsStr>) -> io::Result<PathBuf> {
    find(program, path).and_then(std::path::absolute)
}

/// Does the same, but leaves a relative path as it is.
pub(crate) fn find(program: &OsStr, path: Option<&OsStr>) -> io::Result<PathBuf> {
    let name = Path::new(program);
    let folders = if is_bare(name) { folders(path) } else { vec![PathBuf::new()] };
    let endings = endings(name);
    let mut reason = io::ErrorKind::NotFound;
    for folder in &folders {
        for ending in &endings {
            let mut candidate = folder.join(name).into_os_string();
            candidate.push(ending);
            let candidate = PathBuf::from(candidate);
            match imp::may_run(&candidate) {
                Some(true) => return Ok(candidate),
                Some(false) => reason = io::ErrorKind::PermissionDenied,
                None => {}
            }
        }
    }
    if reason == io::ErrorKind::PermissionDenied {
        return Err(io::Error::new(reason, "the file may not be run"));
    }
    Err(io::Error::new(reason, not_found(name, &folders)))
}

/// Whether a program is looked up on PATH.
pub fn is_bare(program: &Path) -> bool {
    program.components().count() == 1
        && !program.has_root()
        && program.file_name() == Some(program.as_os_str())
}

/// Whether two names are those of one environment variable: on Windows, case makes no difference.
pub fn is_same_variable(one: &OsStr, other: &OsStr) -> bool {
    imp::is_same_variable(one, other)
}

/// Whether an environment variable of this name is PATH.
pub fn is_path_variable(name: &OsStr) -> bool {
    is_same_variable(name, OsStr::new("PATH"))
}

/// Returns the folders of PATH. An empty one means the current folder on Unix. On Windows it means
/// nothing: a program of the same name may lie there.
fn folders(path: Option<&OsStr>) -> Vec<PathBuf> {
    let path = path.unwrap_or(OsStr::new(imp::DEFAULT_PATH));
    env::split_paths(path)
        .filter(|folder| imp::EMPTY_IN_PATH_IS_HERE || !folder.as_os_str().is_empty())
        .collect()
}

/// Returns the endings to try, in their order. `python3.11` has none of its own.
fn endings(program: &Path) -> Vec<&'static str> {
    let known = |ending: &OsStr| {
        imp::PROGRAM_ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(&known[1..]))
    };
    match program.extension() {
        None if imp::PROGRAM_ENDINGS.is_empty() => vec![""],
        None => imp::PROGRAM_ENDINGS.to_vec(),
        Some(ending) if known(ending) => vec![""],
        Some(_) => [&[""], imp::PROGRAM_ENDINGS].concat(),
    }
}

fn not_found(program: &Path, folders: &[PathBuf]) -> String {
    if program.as_os_str().is_empty() {
        return "the name of the program is empty".into();
    }
    if !is_bare(program) {
        let file = std::path::absolute(program).unwrap_or_else(|_| program.into());
        return format!("there is no file {}", file.display());
    }
    let shown: Vec<String> =
        folders.iter().take(SHOWN).map(|folder| folder.display().to_string()).collect();
    let more = folders.len().saturating_sub(SHOWN);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let searched = format!("it is in no folder of PATH ({}{more})", shown.join(", "));
    if program.is_file() {
        let here = Path::new(".").join(program);
        return format!("{searched}; to run the one in this folder, write {}", here.display());
    }
    format!("{searched}; write its full path")
}

/// Explains why a program could not be started, where the error alone says only that something was
/// not found: the program, its working folder, or its interpreter.
pub(crate) fn explained(
    error: io::Error,
    program: &OsStr,
    current_dir: Option<&Path>,
    env: &[(OsString, Option<OsString>)],
) -> io::Error {
    if error.kind() != io::ErrorKind::NotFound {
        return error;
    }
    if let Some(dir) = current_dir.filter(|dir| !dir.is_dir()) {
        let text = format!("its working folder {} does not exist", dir.display());
        return io::Error::new(io::ErrorKind::NotFound, text);
    }
    match find(program, path_among(env).as_deref()) {
        Err(found) if found.kind() == io::ErrorKind::NotFound => found,
        Err(_) | Ok(_) => error,
    }
}

/// Returns the PATH of a child with these changes to this program's environment.
pub(crate) fn path_among(env: &[(OsString, Option<OsString>)]) -> Option<OsString> {
    match env.iter().rev().find(|(name, _)| is_path_variable(name)) {
        Some((_, value)) => value.clone(),
        None => env::var_os("PATH"),
    }
}

/// Tells whether a program's file is a Python interpreter. A Python can give its process any title, so
/// that its title says nothing then.
pub fn is_interpreter(file: &str) -> bool {
    let file = file.strip_suffix(DELETED).unwrap_or(file);
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file).to_lowercase();
    let stem = name.strip_suffix(".exe").unwrap_or(&name);
    let version = ["python", "pypy"].iter().find_map(|one| stem.strip_prefix(one));
    version.is_some_and(|version| {
        let version = version.strip_prefix('w').unwrap_or(version);
        version.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 't' | 'd'))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Makes a file that may be run.
    fn program(folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        fs::copy(env::current_exe().unwrap(), &path).unwrap();
        path
    }

    fn path_of(folders: &[&Path]) -> OsString {
        env::join_paths(folders).unwrap()
    }

    #[test]
    fn a_bare_name_is_found_in_the_first_folder_of_path_that_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        for folder in [&one, &two] {
            fs::create_dir(folder).unwrap();
        }
        let file = program(&two, &format!("feed{}", env::consts::EXE_SUFFIX));
        let path = path_of(&[&one, &two]);
        assert_eq!(find_program("feed".as_ref(), Some(&path)).unwrap(), file);
        // The name has a dot, so Windows itself would add no ending.
        let file = program(&one, &format!("python3.11{}", env::consts::EXE_SUFFIX));
        assert_eq!(find_program("python3.11".as_ref(), Some(&path)).unwrap(), file);
        assert_eq!(find_program(file.as_os_str(), None).unwrap(), file);
    }

    #[test]
    fn what_is_not_found_names_where_was_searched_and_what_to_write() {
        let dir = tempfile::tempdir().unwrap();
        let path = path_of(&[dir.path()]);
        let error = find_program("no-such-program".as_ref(), Some(&path)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let expected =
            format!("it is in no folder of PATH ({}); write its full path", dir.path().display());
        assert_eq!(error.to_string(), expected);
        let file = dir.path().join("gone");
        let error = find_program(file.as_os_str(), Some(&path)).unwrap_err();
        assert_eq!(error.to_string(), format!("there is no file {}", file.display()));
        let many = path_of(&[dir.path(); 9]);
        let error = find_program("no-such-program".as_ref(), Some(&many)).unwrap_err();
        assert!(error.to_string().contains(" and 3 more)"), "{error}");
        assert!(find_program("".as_ref(), Some(&path)).is_err());
    }

    #[test]
    fn an_empty_entry_of_path_means_the_current_folder_on_unix_only() {
        let path = path_of(&[Path::new(""), Path::new("/x")]);
        let has_empty = folders(Some(&path)).iter().any(|folder| folder.as_os_str().is_empty());
        assert_eq!(has_empty, imp::EMPTY_IN_PATH_IS_HERE);
    }

    #[test]
    fn only_names_without_a_folder_are_looked_up() {
        for bare in ["python", "python3.11", "x.exe"] {
            assert!(is_bare(Path::new(bare)), "{bare}");
        }
        for path in ["./x", "bin/x", "/x", "", ".", ".."] {
            assert!(!is_bare(Path::new(path)), "{path}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_without_leave_to_run_is_not_run_which_only_unix_knows() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("feed"), "x").unwrap();
        let path = path_of(&[dir.path()]);
        let error = find_program("feed".as_ref(), Some(&path)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }
}
