//! Programs that another program runs: a script with `#!` in its first line on Unix, a batch file on
//! Windows. A process of one has the command line of that other program.

use std::fs::File;
use std::io::{Read, Take};
use std::path::Path;

use qc_call::{file_name, path_name, program_stem};
use qc_process::SCRIPTS_NAME_THEIR_PROGRAM;

use crate::Component;

/// More of a first line than any system reads.
const FIRST_LINE: u64 = 512;

/// A component whose program is run by another one.
#[derive(Debug)]
pub(crate) struct Interpreted<'a> {
    pub(crate) component: &'a Component,
    /// The name of that other one.
    interpreter: String,
}

impl<'a> Interpreted<'a> {
    /// Looks what runs the program of `component`; `None` if the system does, or if that can't be
    /// seen.
    pub(crate) fn new(component: &'a Component) -> Option<Self> {
        let program = component.command.first()?.path();
        let interpreter = match SCRIPTS_NAME_THEIR_PROGRAM {
            false => of_batch(program)?,
            // Opening anything else may wait for ever.
            true if !program.is_file() => return None,
            true => of_first_line(File::open(program).ok()?.take(FIRST_LINE))?,
        };
        Some(Self { component, interpreter })
    }

    /// Returns the name of the program that runs it.
    pub(crate) fn interpreter(&self) -> &str {
        &self.interpreter
    }

    /// Whether a process with this command line may run it. Says no to most at once.
    pub(crate) fn may_be(&self, args: &[String]) -> bool {
        let Some((program, words)) = args.split_first() else { return false };
        program_stem(program) == self.interpreter && self.is_called(words)
    }

    /// Whether these arguments of its interpreter call it, with its own arguments.
    fn is_called(&self, words: &[String]) -> bool {
        let Some((program, args)) = self.component.command.split_first() else { return false };
        if !SCRIPTS_NAME_THEIR_PROGRAM {
            // The shell takes the rest of its line as it is, quotes and all.
            let Some(at) = words.iter().position(|word| word.eq_ignore_ascii_case("/c")) else {
                return false;
            };
            let plain = |text: String| text.replace('"', "").to_lowercase();
            let own = [program].into_iter().chain(args).map(|word| word.value().to_string_lossy());
            let own: Vec<_> = own.collect();
            return plain(words[at + 1..].join(" ")) == plain(own.join(" "));
        }
        let name = path_name(program.path());
        // The first line may hold one argument for the interpreter.
        (0..words.len().min(2)).any(|at| {
            let rest = &words[at + 1..];
            file_name(&words[at]) == name
                && rest.len() == args.len()
                && args.iter().zip(rest).all(|(own, word)| own.may_be(word))
        })
    }
}

/// Returns the name of what runs a batch file; `None` if `program` is none.
fn of_batch(program: &Path) -> Option<String> {
    let ending = program.extension()?;
    let is_batch = ["bat", "cmd"].iter().any(|one| ending.eq_ignore_ascii_case(one));
    is_batch.then(|| "cmd".into())
}

/// Returns the name of the interpreter that the first line of a script names.
///
/// Source: <https://man7.org/linux/man-pages/man2/execve.2.html>
fn of_first_line(mut file: Take<impl Read>) -> Option<String> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    let line = bytes.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_whitespace();
    let first = program_stem(words.next()?);
    if first != "env" {
        return Some(first);
    }
    // `env -S NAME=VALUE program` becomes that program.
    words.find(|word| !word.starts_with('-') && !word.contains('=')).map(program_stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_names_the_interpreter() {
        let cases = [
            ("#!/bin/sh\necho", Some("sh")),
            ("#! /usr/bin/python3.11 -u\n", Some("python3.11")),
            ("#!/usr/bin/env bash", Some("bash")),
            ("#!/usr/bin/env -S MODE=1 node --x\n", Some("node")),
            ("#!\n", None),
            ("#!/usr/bin/env\n", None),
            ("\x7fELF", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let found = of_first_line(text.as_bytes().take(FIRST_LINE));
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn only_batch_files_are_run_by_the_shell() {
        for (program, expected) in [
            ("feed.bat", Some("cmd")),
            ("x/FEED.CMD", Some("cmd")),
            ("feed.exe", None),
            ("feed", None),
        ] {
            assert_eq!(of_batch(Path::new(program)).as_deref(), expected, "{program}");
        }
    }
}
