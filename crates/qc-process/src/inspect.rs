//! A closer look at a single process, for the few whose command line does not settle what they are.
//!
//! The caller makes sure that the pid still belongs to the process it means.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::{Identity, imp};

/// Returns the files that the process has open in folders of this name. Empty where the system does
/// not show them.
pub fn open_in(pid: u32, folder: &str) -> Vec<PathBuf> {
    imp::open_in(pid, folder)
}

/// Returns the number of the user whose process it is, as in [`crate::file::owner`]; `None` on
/// Windows, and if there is no such process.
pub fn user_of(pid: u32) -> Option<u32> {
    imp::user_of(pid)
}

/// Whether the process has loaded a Python interpreter, which a launcher of Python has not; `None`
/// where the system does not show it.
pub fn loads_python(pid: u32) -> Option<bool> {
    imp::loads_python(pid)
}

/// Returns the folder that the process was started in, as the variable `PWD` of its first environment
/// says. Shells set it; a program that starts another in a different folder may not, so the caller
/// checks it. `None` on Windows, which has no such variable, and where the system does not show it.
pub fn first_folder(pid: u32) -> Option<PathBuf> {
    imp::first_folder(pid)
}

/// Whether `file`, an absolute path, exists where the process sees it. On Unix, a process can have
/// another root directory, as in a container.
pub fn sees_file(pid: u32, file: &Path) -> bool {
    imp::sees_file(pid, file)
}

/// Returns the pids of the processes whose first environment has the first of these variables, with the
/// values of all. Processes that do not show theirs, such as those of other users, are left out.
///
/// # Errors
/// If the system's process list can't be read at all.
pub fn with_variables<const N: usize>(
    names: [&str; N],
) -> io::Result<Vec<(u32, [Option<OsString>; N])>> {
    imp::with_variables(names)
}

/// Returns the processes that were started with a [`crate::Spawn::mark`], or by such a process, each with
/// the number. Processes that do not show it, such as those of other users, are left out; so are those
/// that did not get it, see [`crate::Child::is_marked`].
///
/// # Errors
/// If the system's process list can't be read at all.
pub fn with_marks() -> io::Result<Vec<(Identity, u64)>> {
    imp::with_marks()
}

/// Returns the processes of these sessions, each with the session. Windows has no such sessions, and
/// returns none.
///
/// # Errors
/// If the system's process list can't be read at all.
pub fn in_sessions(sessions: &[u32]) -> io::Result<Vec<(Identity, u32)>> {
    imp::in_sessions(sessions)
}

/// Returns what stands for a folder under whatever name, until the machine starts again; `None` where the
/// system does not show it.
pub fn folder_id(folder: &Path) -> Option<String> {
    imp::folder_id(folder)
}

/// Returns the values of these variables in the first environment of the process; `None` if it lacks the
/// first one, or does not show them.
pub fn variables_of<const N: usize>(pid: u32, names: [&str; N]) -> Option<[Option<OsString>; N]> {
    imp::variables_of(pid, names)
}

/// Whether `path`, as the process sees it, is the same file or folder as `own`. On Unix, a process can
/// have another root directory, as in a container.
pub fn sees_same(pid: u32, path: &Path, own: &Path) -> bool {
    imp::sees_same(pid, path, own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_loaded_no_python() {
        assert_eq!(loads_python(std::process::id()), Some(false));
        assert_eq!(loads_python(u32::MAX - 3), None);
    }

    /// Windows shows no open files.
    #[cfg(unix)]
    #[test]
    fn open_files_are_found_by_the_name_of_their_folder() {
        let folder = tempfile::tempdir().unwrap();
        let guards = folder.path().join("guards-of-this-test");
        std::fs::create_dir(&guards).unwrap();
        let path = guards.join("name@x");
        let file = std::fs::File::create(&path).unwrap();
        assert_eq!(open_in(std::process::id(), "guards-of-this-test"), [path]);
        drop(file);
        assert!(open_in(std::process::id(), "guards-of-this-test").is_empty());
    }

    /// Windows has no such variable.
    #[cfg(unix)]
    #[test]
    fn the_first_folder_is_the_one_that_the_environment_names() {
        use std::io::{Read, Write};
        use std::process::Stdio;

        for (pwd, expected) in [("/usr", Some("/usr")), ("relative", None), ("", None)] {
            let mut cat = std::process::Command::new("cat");
            cat.env("PWD", pwd).current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = cat.spawn().unwrap();
            // The process has begun before it answers.
            let mut input = child.stdin.take().unwrap();
            input.write_all(b"x").unwrap();
            child.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
            assert_eq!(first_folder(child.id()).as_deref(), expected.map(Path::new), "{pwd}");
            drop(input);
            child.wait().unwrap();
        }
        assert_eq!(first_folder(u32::MAX - 3), None);
    }

    #[test]
    fn a_file_is_seen_where_it_exists() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let pid = std::process::id();
        assert!(sees_file(pid, file.path()));
        assert!(!sees_file(pid, &file.path().join("below-a-file")));
    }

    /// Windows does not number its users.
    #[cfg(unix)]
    #[test]
    fn an_own_file_belongs_to_the_user_of_this_process() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(user_of(std::process::id()), crate::file::owner(file.path()));
        assert_eq!(user_of(u32::MAX - 3), None);
    }

    #[test]
    fn processes_are_found_by_the_variables_that_they_were_started_with() {
        use std::process::{Command, Stdio};

        let value = format!("of {}", std::process::id());
        let names = ["QC_TEST_ONE", "QC_TEST_OTHER"];
        let program = if cfg!(windows) { "cmd" } else { "cat" };
        let start = |names: &[&str]| {
            let mut command = Command::new(program);
            command.envs(names.iter().map(|name| (*name, &value)));
            command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
        };
        let (mut both, mut one) = (start(&names), start(&names[..1]));
        // It has its environment a moment after it was started.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let found = loop {
            let found = with_variables(names).unwrap();
            if [&both, &one].iter().all(|it| found.iter().any(|(pid, _)| *pid == it.id())) {
                break found;
            }
            assert!(std::time::Instant::now() < deadline, "{found:?}");
        };
        let values = &found.iter().find(|(pid, _)| *pid == both.id()).unwrap().1;
        assert_eq!(values, &[Some(OsString::from(&value)), Some(OsString::from(&value))]);
        let others = found.iter().find(|(pid, _)| *pid == one.id()).map(|(_, values)| values);
        assert_eq!(others, Some(&[Some(OsString::from(&value)), None]));
        assert!(!with_variables(["QC_TEST_OTHER"]).unwrap().iter().any(|it| it.0 == one.id()));
        assert_eq!(variables_of(both.id(), names).as_ref(), Some(values));
        assert_eq!(variables_of(one.id(), names).as_ref(), others);
        assert_eq!(variables_of(u32::MAX - 3, names), None);
        for child in [&mut both, &mut one] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Windows has no such number.
    #[cfg(unix)]
    #[test]
    fn what_a_marked_process_starts_is_marked_whatever_it_does() {
        use std::io::Read;

        use crate::{Console, Output, Process, Spawn};

        let (mut lines, output) = std::io::pipe().unwrap();
        let mark = 0x5143_0000_0000_0000 | u64::from(std::process::id());
        let script = "setsid env -i sleep 30 >/dev/null 2>&1 & echo $!";
        let spawn = Spawn {
            output: Output::Pipe(&output),
            console: Console::Own,
            mark: Some(mark),
            ..Spawn::new("sh", vec!["-c".into(), script.into()])
        };
        let mut child = spawn.start(|_| Ok(())).unwrap();
        assert!(child.is_marked());
        drop(output);
        let mut pid = String::new();
        lines.read_to_string(&mut pid).unwrap();
        child.wait().unwrap();
        let pid: u32 = pid.trim().parse().unwrap();
        let found = with_marks().unwrap();
        let sleeper = crate::identity_of(pid).unwrap();
        assert!(found.contains(&(sleeper.clone(), mark)), "{found:?}");
        assert!(!found.iter().any(|one| one.0.pid == std::process::id()));
        Process::open(&sleeper).unwrap().expect("it runs").kill().unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn the_processes_of_a_session_are_found_by_it() {
        let own = crate::describe(std::process::id()).unwrap().unwrap();
        let session = own.session.unwrap();
        let found = in_sessions(&[session]).unwrap();
        assert!(found.contains(&(own.identity, session)), "{found:?}");
        assert_eq!(in_sessions(&[u32::MAX - 3]).unwrap(), []);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_was_moved_is_the_same_and_its_copy_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let [before, after] = ["before", "after"].map(|name| folder.path().join(name));
        std::fs::create_dir(&before).unwrap();
        let id = folder_id(&before);
        std::fs::rename(&before, &after).unwrap();
        std::fs::create_dir(&before).unwrap();
        assert!(id.is_some() && folder_id(&after) == id && folder_id(&before) != id);
    }

    #[test]
    fn a_folder_is_the_same_under_each_of_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let pid = std::process::id();
        assert!(sees_same(pid, &folder.path().join("."), folder.path()));
        assert!(!sees_same(pid, &folder.path().join(".."), folder.path()));
        assert!(!sees_same(pid, &folder.path().join("none"), folder.path()));
    }
}
