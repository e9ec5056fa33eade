//! Modules that Python code imports, and scripts that it runs: the code of `python -c`, and what
//! `python -m timeit` and `python -m unittest` are given. An import runs a script.

use crate::{ScriptCall, Told, program_stem, script_of_module, told};

/// Functions whose first argument names a module or a script that they run.
const IMPORTERS: [&str; 6] =
    ["__import__", "import_module", "run_module", "run_path", "execfile", "SourceFileLoader"];

/// Returns the modules that a Python imports by its command line, as calls of their files.
pub fn imported_calls(args: &[String]) -> Vec<ScriptCall<'_>> {
    match told(args) {
        Some(Told::Code(code, rest)) => calls_of(code, rest),
        Some(Told::Script(call)) => {
            let name =
                if call.script == call.word { crate::file_name(call.word) } else { call.word };
            let stem = program_stem(name);
            let words = call.rest.iter().enumerate();
            let words = words.filter(|(_, word)| !word.starts_with('-'));
            let rest = |position: usize| &call.rest[position + 1..];
            match stem.strip_suffix(".py").unwrap_or(&stem) {
                "timeit" => words.flat_map(|(at, word)| calls_of(word, rest(at))).collect(),
                "unittest" | "unittest.__main__" | "doctest" => {
                    words.flat_map(|(at, word)| tested(word, rest(at))).collect()
                }
                _ => Vec::new(),
            }
        }
        None => Vec::new(),
    }
}

/// Returns what the statements of this code import or run.
fn calls_of<'a>(code: &'a str, rest: &'a [String]) -> Vec<ScriptCall<'a>> {
    let pieces = pieces(code);
    let runs_files = pieces.iter().any(|(code, _)| has_call(code, "exec"));
    let mut calls = Vec::new();
    for (plain, literal) in pieces {
        for statement in plain.split([';', '\n', ':']).map(str::trim) {
            calls.extend(modules(statement).into_iter().map(|(word, module)| ScriptCall {
                script: script_of_module(&module),
                word,
                rest,
            }));
        }
        let Some(word) = literal else { continue };
        let is_read = runs_files && ["open", "Path"].iter().any(|it| ends_in_call(plain, it));
        if is_read || IMPORTERS.iter().any(|name| ends_in_call(plain, name)) {
            let is_file = word.contains(['/', '\\']) || word.to_ascii_lowercase().ends_with(".py");
            let script = if is_file { word.to_owned() } else { script_of_module(word) };
            calls.push(ScriptCall { script, word, rest });
        }
    }
    calls
}

/// Returns the modules that one statement imports, each with the word that names it.
fn modules(statement: &str) -> Vec<(&str, String)> {
    let Some((keyword, rest)) = statement.split_once(char::is_whitespace) else {
        return Vec::new();
    };
    let first_word = |text| str::split_whitespace(text).next();
    match (keyword, first_word(rest)) {
        ("import", _) => {
            let names = rest.split(',').filter_map(first_word);
            names.map(|name| (name, name.to_owned())).collect()
        }
        ("from", Some(package)) => {
            let behind = rest.trim_start()[package.len()..].trim_start();
            let names = behind.strip_prefix("import").unwrap_or_default().split(['(', ')', ',']);
            // A name that is imported from a package may be a module of it.
            let below =
                names.filter_map(first_word).map(|name| (name, format!("{package}.{name}")));
            std::iter::once((package, package.to_owned())).chain(below).collect()
        }
        _ => Vec::new(),
    }
}

/// Returns what a test runner imports for one of its words: a file, a module, or the module before the
/// name of a class and a method.
fn tested<'a>(word: &'a str, rest: &'a [String]) -> Vec<ScriptCall<'a>> {
    if word.to_ascii_lowercase().ends_with(".py") {
        return vec![ScriptCall { script: word.to_owned(), word, rest }];
    }
    let ends = word.match_indices('.').map(|(at, _)| at).chain([word.len()]);
    let modules = ends.map(|end| &word[..end]);
    modules.map(|word| ScriptCall { script: script_of_module(word), word, rest }).collect()
}

/// Splits code at its text literals: the code before each of them, and the literal; at last the rest.
fn pieces(code: &str) -> Vec<(&str, Option<&str>)> {
    let mut pieces = Vec::new();
    let mut rest = code;
    while let Some(start) = rest.find(['"', '\'']) {
        let quote = &rest[start..=start];
        let triple = quote.repeat(3);
        let quote = if rest[start..].starts_with(&triple) { &triple } else { quote };
        let behind = &rest[start + quote.len()..];
        let Some(end) = literal_end(behind, quote) else { break };
        pieces.push((&rest[..start], Some(&behind[..end])));
        rest = &behind[end + quote.len()..];
    }
    pieces.push((rest, None));
    pieces
}

fn literal_end(text: &str, quote: &str) -> Option<usize> {
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with(quote) {
            return Some(at);
        }
        let mut letters = text[at..].chars();
        let is_escape = letters.next()? == '\\';
        let next = if is_escape { letters.next().map_or(0, char::len_utf8) } else { 0 };
        at += text[at..].chars().next()?.len_utf8() + next;
    }
    None
}

/// Whether code ends in the beginning of a call of `name`, before its first argument.
fn ends_in_call(code: &str, name: &str) -> bool {
    // A literal may have a prefix, as in `r"x.py"`.
    let code = code.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim_end();
    code.strip_suffix('(').is_some_and(|code| ends_in_name(code, name))
}

fn has_call(code: &str, name: &str) -> bool {
    code.match_indices('(').any(|(at, _)| ends_in_name(&code[..at], name))
}

fn ends_in_name(code: &str, name: &str) -> bool {
    let before = code.trim_end().strip_suffix(name);
    before.is_some_and(|before| !before.ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imported(args: &[&str]) -> Vec<String> {
        let args: Vec<String> = args.iter().map(|&word| word.to_owned()).collect();
        imported_calls(&args).into_iter().map(|call| call.script).collect()
    }

    #[test]
    fn an_import_names_its_script() {
        let imported = |code: &str| {
            let args = ["python", "-uc", code, "--live"].map(str::to_owned);
            let calls = imported_calls(&args);
            assert!(calls.iter().all(|call| call.rest == ["--live"]), "{code}");
            calls.into_iter().map(|call| call.script).collect::<Vec<_>>()
        };
        for (code, scripts) in [
            ("import BRAIN_A", &["BRAIN_A.py"][..]),
            ("import sys, BRAIN_A as b; b.run()", &["sys.py", "BRAIN_A.py"]),
            ("x = 1\nfrom bots.BRAIN_A import run", &["bots/BRAIN_A.py", "bots/BRAIN_A/run.py"]),
            ("from bots import (BRAIN_A, x)", &["bots.py", "bots/BRAIN_A.py", "bots/x.py"]),
            ("while True: import BRAIN_A", &["BRAIN_A.py"]),
            ("__import__('BRAIN_A')", &["BRAIN_A.py"]),
            ("m = __import__ ( \"BRAIN_A\" ); m.run()", &["BRAIN_A.py"]),
            (
                "import importlib; importlib.import_module('bots.BRAIN_A')",
                &["importlib.py", "bots/BRAIN_A.py"],
            ),
            (
                "import runpy; runpy.run_path(r'C:\\x\\BRAIN_A.py')",
                &["runpy.py", "C:\\x\\BRAIN_A.py"],
            ),
            ("exec(open('BRAIN_A.py').read())", &["BRAIN_A.py"]),
            ("exec(compile(open('''BRAIN_A.py''').read(), 'x', 'exec'))", &["BRAIN_A.py"]),
            ("print('import BRAIN_A')", &[]),
            ("print(\"x; __import__('BRAIN_A')\")", &[]),
            ("print(open('BRAIN_A.py').read())", &[]),
            ("my_run_path('BRAIN_A.py')", &[]),
            ("print('BRAIN_A.py', 'it\\'s; import BRAIN_A')", &[]),
            ("__import__('", &[]),
            ("'é\\", &[]),
        ] {
            assert_eq!(imported(code), scripts, "{code}");
        }
    }

    #[test]
    fn a_script_is_no_code() {
        assert_eq!(imported(&["python", "BRAIN_A.py", "-c", "import"]), [""; 0]);
    }

    #[test]
    fn what_times_or_tests_a_module_imports_it() {
        for args in [
            &["python", "-m", "timeit", "import BRAIN_A"][..],
            &["python", "-m", "timeit", "-n", "1", "-s", "import BRAIN_A", "pass"],
            &["python", "/usr/lib/python3.11/timeit.py", "__import__('BRAIN_A')"],
            &["python", "-m", "unittest", "BRAIN_A"],
            &["python", "-m", "unittest", "-v", "BRAIN_A.Test.test_run"],
            &["python", "-m", "unittest", "BRAIN_A.py"],
            &["python", "-m", "doctest", "BRAIN_A.py"],
        ] {
            let found = imported(args);
            assert!(found.contains(&"BRAIN_A.py".to_owned()), "{args:?} {found:?}");
        }
        for args in [
            &["python", "-m", "timeit", "print('BRAIN_A')"][..],
            &["python", "-m", "pytest", "BRAIN_A.py"],
            &["python", "-m", "black", "BRAIN_A.py"],
            &["python", "-m", "unittest", "discover", "tests"],
            &["python", "unittest_x.py", "BRAIN_A.py"],
        ] {
            let found = imported(args);
            assert!(!found.contains(&"BRAIN_A.py".to_owned()), "{args:?} {found:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_code_makes_taking_apart_panic(code in "(import |from |__import__\\(|open\\(|exec\\(|['\"\\\\;:\n,()é ]|A|r){0,12}") {
            let args = ["python".to_owned(), "-c".to_owned(), code];
            imported_calls(&args);
        }
    }
}
