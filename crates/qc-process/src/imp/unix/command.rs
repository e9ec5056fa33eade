//! A command in the form in which the system takes it, so that running it needs no memory.

use std::cell::Cell;
use std::ffi::{CString, OsString};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::ptr;

use libc::{c_char, c_int};

use super::DEFAULT_PATH;
use crate::Spawn;

/// Runs what has no interpreter of its own, as a shell would.
const SHELL: &str = "/bin/sh";

/// The places where the program may be, its arguments and its environment.
pub(super) struct Prepared {
    candidates: Vec<CString>,
    arguments: Strings,
    /// The shell, room for a candidate, the arguments.
    for_shell: Strings,
    environment: Strings,
}

/// Strings, and the list of pointers to them that the system takes.
struct Strings {
    pointers: Vec<Cell<*const c_char>>,
    _strings: Vec<CString>,
}

impl Strings {
    fn new(strings: impl IntoIterator<Item = OsString>) -> io::Result<Self> {
        let strings: Vec<CString> = strings.into_iter().map(c_string).collect::<io::Result<_>>()?;
        let pointers = strings.iter().map(|text| text.as_ptr()).chain([ptr::null()]);
        let pointers = pointers.map(Cell::new).collect();
        Ok(Self { pointers, _strings: strings })
    }
}

impl Prepared {
    pub(super) fn new(spawn: &Spawn<'_>) -> io::Result<Self> {
        let mut environment: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        for (name, value) in &spawn.env {
            environment.retain(|(other, _)| other != name);
            environment.extend(value.iter().map(|value| (name.clone(), value.clone())));
        }
        let path = environment.iter().find(|(name, _)| name == "PATH");
        let path = path.map(|(_, value)| value.clone());
        let words = || spawn.args.iter().cloned();
        let variables = environment.into_iter().map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            name
        });
        Ok(Self {
            candidates: candidates(&spawn.program, path)?,
            arguments: Strings::new([spawn.program.clone()].into_iter().chain(words()))?,
            for_shell: Strings::new([SHELL.into(), OsString::new()].into_iter().chain(words()))?,
            environment: Strings::new(variables)?,
        })
    }

    /// Runs the program in place of this process; returns why that failed. Makes system calls only.
    pub(super) fn exec(&self) -> c_int {
        let mut reason = libc::ENOENT;
        for candidate in &self.candidates {
            match exec(candidate.as_ptr(), &self.arguments, &self.environment) {
                libc::ENOENT | libc::ENOTDIR => {}
                libc::EACCES => reason = libc::EACCES,
                libc::ENOEXEC => {
                    let [shell, script, ..] = &self.for_shell.pointers[..] else { return reason };
                    script.set(candidate.as_ptr());
                    return exec(shell.get(), &self.for_shell, &self.environment);
                }
                other => return other,
            }
        }
        reason
    }
}

fn exec(program: *const c_char, arguments: &Strings, environment: &Strings) -> c_int {
    let (arguments, environment) = (arguments.pointers.as_ptr(), environment.pointers.as_ptr());
    // SAFETY: the program is a C string, and both lists hold C strings and end with a null; a cell
    // has the form of what is in it.
    unsafe { libc::execve(program, arguments.cast(), environment.cast()) };
    errno()
}

/// Returns why the last system call failed.
pub(super) fn errno() -> c_int {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Returns where the program may be: as it is written if that has a slash, else in the folders of PATH.
fn candidates(program: &OsString, path: Option<OsString>) -> io::Result<Vec<CString>> {
    let name = program.as_encoded_bytes();
    if name.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    if name.contains(&b'/') {
        return Ok(vec![c_string(program.clone())?]);
    }
    let path = path.unwrap_or_else(|| DEFAULT_PATH.into());
    std::env::split_paths(&path).map(|dir| c_string(dir.join(program).into_os_string())).collect()
}

fn c_string(text: OsString) -> io::Result<CString> {
    CString::new(text.into_vec())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "it contains a zero byte"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_in_every_folder_of_path() {
        let found = |program: &str, path: Option<&str>| -> Vec<String> {
            let candidates = candidates(&program.into(), path.map(OsString::from)).unwrap();
            candidates.into_iter().map(|path| path.into_string().unwrap()).collect()
        };
        assert_eq!(found("x", Some("/a::/b c")), ["/a/x", "x", "/b c/x"]);
        assert_eq!(found("./x", Some("/a")), ["./x"]);
        assert_eq!(found("x", None), ["/bin/x", "/usr/bin/x"]);
        assert!(candidates(&OsString::new(), None).is_err());
    }
}
