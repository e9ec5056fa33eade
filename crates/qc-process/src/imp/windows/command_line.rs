//! Program, arguments and environment in the words that CreateProcessW takes.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::sys;

/// Whether `program` is run by the shell. Windows drops dots and blanks at the end of a file's name
/// when it opens it, so they don't hide its ending.
pub(super) fn is_batch(program: &Path) -> bool {
    let name = program.as_os_str().to_string_lossy();
    let name = name.trim_end_matches(['.', ' ']).to_lowercase();
    name.ends_with(".bat") || name.ends_with(".cmd")
}

pub(super) fn system_shell() -> io::Result<OsString> {
    Ok(Path::new(&sys::system_directory()?).join("cmd.exe").into_os_string())
}

/// Joins program and arguments so that the child's C runtime, or the shell, takes them apart again.
///
/// # Errors
/// `InvalidInput` for what can't be passed: a zero anywhere, and to a batch file also `"`, `%` and
/// line ends, which the shell would act upon.
pub(super) fn command_line(program: &Path, args: &[OsString]) -> io::Result<Vec<u16>> {
    let words = std::iter::once(program.as_os_str()).chain(args.iter().map(OsString::as_os_str));
    let batch = is_batch(program);
    let mut line: Vec<u16> = Vec::new();
    if batch {
        line.extend("cmd.exe /e:on /v:off /d /c \"".encode_utf16());
    }
    for (position, word) in words.enumerate() {
        let word: Vec<u16> = word.encode_wide().collect();
        let refused: &[u16] =
            if batch { &[0, b'"' as u16, b'%' as u16, b'\r' as u16, b'\n' as u16] } else { &[0] };
        if word.iter().any(|unit| refused.contains(unit)) {
            let what = if position == 0 { "the path of a batch file" } else { "an argument" };
            let word = OsString::from_wide(&word);
            let text = format!(
                "{what} holds a character that can't be passed safely: `{}`",
                word.display()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        if position > 0 {
            line.push(b' '.into());
        }
        quote(&word, &mut line);
    }
    if batch {
        line.push(b'"'.into());
    }
    line.push(0);
    Ok(line)
}

/// Quotes one word by the rules of the C runtime: backslashes count only before a quote.
///
/// Source: <https://learn.microsoft.com/cpp/c-language/parsing-c-command-line-arguments>
fn quote(word: &[u16], line: &mut Vec<u16>) {
    const QUOTE: u16 = b'"' as u16;
    const BACKSLASH: u16 = b'\\' as u16;
    line.push(QUOTE);
    let mut backslashes = 0;
    for &unit in word {
        if unit == QUOTE {
            line.extend(std::iter::repeat_n(BACKSLASH, backslashes + 1));
        }
        backslashes = if unit == BACKSLASH { backslashes + 1 } else { 0 };
        line.push(unit);
    }
    line.extend(std::iter::repeat_n(BACKSLASH, backslashes));
    line.push(QUOTE);
}

/// This program's environment with the changes, in the form that CreateProcessW takes: sorted by
/// name, whatever its case.
///
/// Source: <https://learn.microsoft.com/windows/win32/procthread/changing-environment-variables>
pub(super) fn environment(changes: &[(OsString, Option<OsString>)]) -> Vec<u16> {
    let changed =
        |name: &OsStr| changes.iter().any(|(other, _)| sys::compare_names(other, name).is_eq());
    let kept = env::vars_os().filter(|(name, _)| !changed(name));
    // Of two changes of one variable, the later one counts.
    let last = changes.iter().enumerate().filter(|(at, (name, _))| {
        let same = |(other, _): &(OsString, _)| sys::compare_names(other, name).is_eq();
        !changes[at + 1..].iter().any(same)
    });
    let set = last.filter_map(|(_, (name, value))| Some((name.clone(), value.clone()?)));
    let mut variables: Vec<(OsString, OsString)> = kept.chain(set).collect();
    variables.sort_by(|(one, _), (other, _)| sys::compare_names(one, other));
    let mut block = Vec::new();
    for (name, value) in variables {
        block.extend(name.encode_wide());
        block.push(b'='.into());
        block.extend(to_wide_nul(&value));
    }
    if block.is_empty() {
        block.push(0);
    }
    block.push(0);
    block
}

pub(super) fn to_wide_nul(text: &OsStr) -> Vec<u16> {
    text.encode_wide().chain([0]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_command_line() {
        let cases = [
            ("plain", r#""plain""#),
            ("two words", r#""two words""#),
            ("", r#""""#),
            (r#"a"b"#, r#""a\"b""#),
            (r"dir\", r#""dir\\""#),
            (r#"a\"b"#, r#""a\\\"b""#),
            (r"a\b", r#""a\b""#),
        ];
        for (word, expected) in cases {
            let mut line = Vec::new();
            quote(&word.encode_utf16().collect::<Vec<u16>>(), &mut line);
            assert_eq!(String::from_utf16_lossy(&line), expected, "{word}");
        }
    }

    #[test]
    fn a_batch_file_gets_no_argument_that_the_shell_would_act_upon() {
        for argument in ["%PATH%", "a\"b", "a\nb"] {
            let line = command_line(Path::new("x.bat"), &[argument.into()]);
            assert_eq!(line.unwrap_err().kind(), io::ErrorKind::InvalidInput, "{argument}");
        }
    }

    #[test]
    fn dots_and_blanks_at_the_end_do_not_hide_a_batch_file() {
        for program in
            ["run.bat", "run.BAT", r"C:\a b\run.cmd", "run.bat.", "run.cmd ", "run.bat. ."]
        {
            assert!(is_batch(Path::new(program)), "{program}");
        }
        for program in ["run.exe", "bat", r"C:\x.bat\run.exe", "run.bat.exe"] {
            assert!(!is_batch(Path::new(program)), "{program}");
        }
    }

    #[test]
    fn a_batch_file_that_can_not_be_passed_is_named() {
        let error = command_line(Path::new(r"C:\100% sure\x.bat"), &[]).unwrap_err().to_string();
        assert!(error.contains("path of a batch file") && error.contains("100% sure"), "{error}");
    }

    #[test]
    fn the_environment_is_sorted_whatever_the_case_of_names() {
        let set = |name: &str, value: &str| (name.into(), Some(value.into()));
        let changes = ["qc_b", "QC_C", "Qc_A", "QC_"].map(|name| set(name, "1"));
        let changes = [&[set("QC_B", "0"), set("QC_c", "2")], &changes[..]].concat();
        let block = String::from_utf16_lossy(&environment(&changes));
        let ours: Vec<&str> = block
            .split('\0')
            .filter(|one| {
                ["QC_=", "QC_A=", "QC_B=", "QC_C="]
                    .iter()
                    .any(|name| one.to_uppercase().starts_with(name))
            })
            .collect();
        assert_eq!(ours, ["QC_=1", "Qc_A=1", "qc_b=1", "QC_C=1"]);
    }
}
