//! Titles that name another program. A program can overwrite its own command line and name
//! (`setproctitle`); its file says what it is.

use qc_process::{ProcessInfo, is_interpreter, is_terminal};

use crate::{is_python, path_name, program_stem};

/// The programs of qc, by the beginnings of their names.
const OWN_TOOLS: [&str; 4] = ["qc-launch", "qc-lock", "qc-ps", "qc-shutdown"];

/// Removes the title of a Python that names a terminal or a program of qc, if its file is seen.
/// Whatever is no Python keeps its names: under Wine only they tell a terminal.
pub fn without_false_title(process: ProcessInfo) -> ProcessInfo {
    let exe = process.exe.as_deref().map(path_name).filter(|exe| is_interpreter(exe));
    let Some(exe) = exe else { return process };
    let is_false = |name: &str| {
        let stem = program_stem(name);
        is_own_tool(&stem) || [&stem, &format!("{stem}.exe")].iter().any(|it| is_terminal(it))
    };
    let mut process = process;
    if is_false(&process.name) {
        process.name.clone_from(&exe);
    }
    if let Some(first) = process.args.first_mut().filter(|first| is_false(first)) {
        // As the system shows programs without a command line. It must not look like a call of Python.
        *first = format!("({exe})");
    }
    process
}

/// Whether a program has overwritten its arguments with a title: what is left of them reads as empty
/// ones at the end. Such a title says nothing, whatever it reads like.
pub fn is_overwritten(args: &[String]) -> bool {
    args.len() > 1 && args.last().is_some_and(String::is_empty)
}

/// Whether a Python shows a title instead of what it was called with: an overwritten one, one that is
/// longer than its command line was, or none at all.
pub fn has_own_title(python: &ProcessInfo) -> bool {
    let is_called_so = |first: &String| is_python(first);
    is_overwritten(&python.args) || !python.args.first().is_some_and(is_called_so)
}

/// Whether a program of this name, in lower case, is one of qc.
pub fn is_own_tool(name: &str) -> bool {
    OWN_TOOLS.iter().any(|own| name.starts_with(own))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::tests::process;

    #[test]
    fn only_a_python_whose_file_is_seen_loses_a_title() {
        let titled = |line: &str, exe: Option<&str>| {
            let process = process(Path::new("/"), 10, 1, line);
            let found = without_false_title(ProcessInfo { exe: exe.map(Into::into), ..process });
            (found.name, found.args.join(" "))
        };
        let python = Some("/usr/bin/python3.11");
        let without = |args: &str| ("python3.11".to_owned(), args.to_owned());
        assert_eq!(titled(r"C:\MT5\terminal64.exe", python), without("(python3.11)"));
        assert_eq!(titled("qc-lock", python), without("(python3.11)"));
        assert_eq!(titled("qc-launch up", python), without("(python3.11) up"));
        for (line, exe) in [
            (r"C:\MT5\terminal64.exe", Some("/usr/lib/wine/wine64-preloader")),
            (r"C:\MT5\terminal64.exe", None),
            ("qc-launch up", Some("/usr/bin/qc-launch")),
            ("brain ATLAS", python),
            ("python3 BRAIN_A.py", python),
        ] {
            let stem = program_stem(line.split(' ').next().unwrap());
            assert_eq!(titled(line, exe), (stem, line.to_owned()), "{exe:?}");
        }
    }
}
