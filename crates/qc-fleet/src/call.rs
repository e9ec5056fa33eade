//! Command lines taken apart: which script a Python runs, and which programs only start another.

mod imports;
mod runners;
mod wrappers;

use std::path::Path;

pub(crate) use self::imports::imported_calls;
pub use self::wrappers::starts_another;
pub(crate) use self::wrappers::{
    is_shell, is_wrapper, is_wrapper_of_qc, is_wrapper_program, names_call, names_whole_call,
    wrapped_call,
};

/// A call of a Python script.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ScriptCall<'a> {
    /// The script's file.
    pub(crate) script: String,
    /// The word that names it: the script's file, or with `-m` its module.
    pub(crate) word: &'a str,
    /// The script's own arguments.
    pub(crate) rest: &'a [String],
}

/// Takes a Python's command line apart, its program first; `None` if it runs no script. What a
/// runner was told to run counts, such as the script of `python -m pdb BRAIN_ATLAS.py`.
pub(crate) fn script_call(args: &[String]) -> Option<ScriptCall<'_>> {
    let call = direct_call(args)?;
    let is_module = call.script != call.word;
    let name = if is_module { call.word } else { file_name(call.word) };
    // A package's folder is run like a script.
    match runners::script_of_runner(name, call.rest) {
        Some(inner) => Some(inner),
        None => Some(call),
    }
}

/// The program that a Python's arguments name.
enum Told<'a> {
    /// A script or a module.
    Script(ScriptCall<'a>),
    /// This text, with these arguments.
    Code(&'a str, &'a [String]),
}

/// Takes a Python's command line apart; what it runs may be a runner.
fn direct_call(args: &[String]) -> Option<ScriptCall<'_>> {
    match told(args)? {
        Told::Script(call) => Some(call),
        Told::Code(..) => None,
    }
}

/// Returns the script that a file was compiled from: `BRAIN_ATLAS.pyc` and
/// `__pycache__/BRAIN_ATLAS.cpython-312.pyc` are `BRAIN_ATLAS.py`, as is `BRAIN_ATLAS.pyw`.
pub(crate) fn source_of(script: &str) -> String {
    let (folder, file) = script.split_at(script.len() - file_name(script).len());
    let Some((stem, ending)) = file.rsplit_once('.') else { return script.to_owned() };
    let ending = ending.to_ascii_lowercase();
    if !matches!(ending.as_str(), "pyc" | "pyw") {
        return script.to_owned();
    }
    let cache = folder.strip_suffix(['/', '\\']).filter(|it| file_name(it) == "__pycache__");
    let stem = match (cache, stem.split_once('.')) {
        (Some(_), Some((stem, _))) => stem,
        _ => stem,
    };
    let folder = cache.map_or(folder, |cache| &folder[..cache.len() - "__pycache__".len()]);
    format!("{folder}{stem}.py")
}

fn told(args: &[String]) -> Option<Told<'_>> {
    let mut position = 1;
    while let Some(word) = args.get(position) {
        position += 1;
        if word == "--" {
            break;
        }
        if word.len() < 2 || !word.starts_with('-') {
            position -= 1;
            break;
        }
        if word.starts_with("--") {
            // The only long option with a value of its own.
            if word == "--check-hash-based-pycs" {
                position += 1;
            }
            continue;
        }
        // Short options can stand together; some take the rest of the word, or the next word.
        let letters = &word[1..];
        let Some(at) = letters.find(['c', 'm', 'W', 'X']) else { continue };
        let stands_alone = letters.len() == at + 1;
        match letters.as_bytes()[at] {
            b'c' => {
                let at_once = &letters[at + 1..];
                let code = if stands_alone { args.get(position)?.as_str() } else { at_once };
                let after = position + usize::from(stands_alone);
                return Some(Told::Code(code, args.get(after..).unwrap_or_default()));
            }
            b'm' => {
                let word =
                    if stands_alone { args.get(position)?.as_str() } else { &letters[at + 1..] };
                let script = script_of_module(word);
                let after = position + usize::from(stands_alone);
                let rest = args.get(after..).unwrap_or_default();
                return Some(Told::Script(ScriptCall { script, word, rest }));
            }
            _ if stands_alone => position += 1,
            _ => {}
        }
    }
    let word = args.get(position)?;
    let rest = &args[position + 1..];
    Some(Told::Script(ScriptCall { script: word.clone(), word, rest }))
}

/// `python`, `pythonw`, `python3.12`, `pypy3`, and the launchers `py` and `pyw`.
pub(crate) fn is_python(program: &str) -> bool {
    let stem = program_stem(program);
    let rest = ["python", "pypy", "py"].iter().find_map(|name| stem.strip_prefix(name));
    rest.is_some_and(|rest| {
        let rest = rest.strip_prefix('w').unwrap_or(rest);
        rest.chars().all(|c| c.is_ascii_digit() || c == '.' || c == 't' || c == 'd')
    })
}

/// Returns the file of a module, as it would be written.
fn script_of_module(module: &str) -> String {
    module.replace('.', "/") + ".py"
}

/// Returns the file name of a program in lower case, without `.exe`.
pub(crate) fn program_stem(program: &str) -> String {
    let file = file_name(program).to_lowercase();
    file.strip_suffix(".exe").map(str::to_owned).unwrap_or(file)
}

/// Returns the last part of a path, whichever system it is written for.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// Returns the value of `--name value` or `--name=value`.
pub(crate) fn option(args: &[String], name: &str) -> Option<String> {
    args.iter().enumerate().find_map(|(position, word)| match word.strip_prefix(name)? {
        "" => args.get(position + 1).cloned(),
        rest => rest.strip_prefix('=').map(str::to_owned),
    })
}

/// Returns the text of a path's file name.
pub(crate) fn path_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn script(line: &str) -> Option<String> {
        let words = words(line);
        is_python(&words[0]).then(|| script_call(&words).map(|call| call.script)).flatten()
    }

    #[test]
    fn the_script_is_found_behind_the_options() {
        for line in [
            "python BRAIN_ATLAS.py",
            r"C:\x\.venv312_gpu\Scripts\python.exe -u BRAIN_ATLAS.py --account X",
            "/usr/bin/python3.12 -W ignore -Xdev -uB BRAIN_ATLAS.py",
            "pythonw -uX utf8 BRAIN_ATLAS.py",
            "py -3.12 BRAIN_ATLAS.py",
            "python --check-hash-based-pycs always -- BRAIN_ATLAS.py",
            "python -um BRAIN_ATLAS",
            "python -m runpy BRAIN_ATLAS",
        ] {
            assert_eq!(script(line).as_deref(), Some("BRAIN_ATLAS.py"), "{line}");
        }
    }

    #[test]
    fn a_compiled_file_stands_for_its_script() {
        for (file, source) in [
            ("BRAIN_A.pyc", "BRAIN_A.py"),
            ("/x/BRAIN_A.PYW", "/x/BRAIN_A.py"),
            ("__pycache__/BRAIN_A.cpython-312.pyc", "BRAIN_A.py"),
            (r"C:\x\__pycache__\BRAIN_A.cpython-312.opt-1.pyc", r"C:\x\BRAIN_A.py"),
            ("x/BRAIN_A.old.pyc", "x/BRAIN_A.old.py"),
            ("BRAIN_A.py", "BRAIN_A.py"),
            ("BRAIN_A", "BRAIN_A"),
            ("", ""),
        ] {
            assert_eq!(source_of(file), source);
        }
    }

    #[test]
    fn what_only_mentions_a_script_is_not_a_script() {
        for line in [
            "notepad.exe BRAIN_ATLAS.py",
            "grep -r BRAIN_ATLAS.py .",
            "python -c BRAIN_ATLAS.py",
            "python",
            "python -m",
            "pyright BRAIN_ATLAS.py",
            "pytest BRAIN_ATLAS.py",
            "qc-lock run BRAIN_ATLAS -- python BRAIN_ATLAS.py",
            "qc-ps --name BRAIN_ATLAS.py",
        ] {
            assert_eq!(script(line), None, "{line}");
        }
    }

    #[test]
    fn runners_are_looked_through() {
        for line in [
            "python -m pdb BRAIN_ATLAS.py --live",
            "python -m pdb -c continue BRAIN_ATLAS.py --live",
            "python -X dev -m cProfile -o prof -s tottime BRAIN_ATLAS.py --live",
            "python -m profile BRAIN_ATLAS.py --live",
            "python -m trace --trace -m BRAIN_ATLAS.py --live",
            "python -mtrace -t --module BRAIN_ATLAS --live",
            "python -m debugpy --listen 127.0.0.1:0 --wait-for-client BRAIN_ATLAS.py --live",
            "python /x/debugpy --connect 1 --configure-qt none BRAIN_ATLAS.py --live",
            "python -m debugpy --listen 5678 -m BRAIN_ATLAS --live",
            "python -m coverage run --source . -a BRAIN_ATLAS.py --live",
            "python /venv/bin/coverage run --branch BRAIN_ATLAS.py --live",
            r"python C:\venv\Scripts\coverage.exe run BRAIN_ATLAS.py --live",
            "python -m IPython --no-banner BRAIN_ATLAS.py --live",
            "python /usr/bin/ipython3 -i BRAIN_ATLAS.py --live",
            "python /usr/bin/kernprof -l -v BRAIN_ATLAS.py --live",
            "python /x/pydevd.py --client 127.0.0.1 --port 5 --file BRAIN_ATLAS.py --live",
            "python -m cProfile -m pdb BRAIN_ATLAS.py --live",
        ] {
            let words = words(line);
            let call = script_call(&words).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(
                (call.script.as_str(), call.rest),
                ("BRAIN_ATLAS.py", &["--live".to_owned()][..]),
                "{line}"
            );
        }
        for line in [
            "python -m pylint BRAIN_ATLAS.py",
            "python -m black BRAIN_ATLAS.py",
            "python -m pytest BRAIN_ATLAS.py",
            "python -m mypy BRAIN_ATLAS.py",
            "python -m py_compile BRAIN_ATLAS.py",
            "python -m pyflakes BRAIN_ATLAS.py",
            "python -m coverage report BRAIN_ATLAS.py",
            "python /usr/bin/coverage html BRAIN_ATLAS.py",
            "python -m pdb -p 5",
            "python debug.py BRAIN_ATLAS.py",
        ] {
            assert_ne!(script(line).as_deref(), Some("BRAIN_ATLAS.py"), "{line}");
        }
    }

    #[test]
    fn wrappers_are_looked_through() {
        let wrapped = |line: &str| {
            let words = words(line);
            wrapped_call(&words, &|word| word.ends_with("py.sh")).map(|call| call.script)
        };
        for line in [
            "timeout -k 5 10 python BRAIN_ATLAS.py",
            "flock -n /tmp/lock /usr/bin/python3 -u BRAIN_ATLAS.py",
            "env MODE=live python BRAIN_ATLAS.py",
            "nice -n 5 timeout 9 python BRAIN_ATLAS.py",
            "conda run -n trade --no-capture-output python BRAIN_ATLAS.py",
            "poetry run python BRAIN_ATLAS.py",
            "python /opt/conda/bin/conda run -n trade python BRAIN_ATLAS.py",
            "python3 -I /usr/bin/poetry run python BRAIN_ATLAS.py",
            "python -m pipenv run python BRAIN_ATLAS.py",
            r"python C:\\x\\conda-script.py run -n trade python BRAIN_ATLAS.py",
            "uv run --no-project --python 3.12 BRAIN_ATLAS.py --live",
            "uv run python -m pdb BRAIN_ATLAS.py",
            "uv run coverage run BRAIN_ATLAS.py",
            "sudo -u trader python3.12 BRAIN_ATLAS.py",
            "bash /home/x/.pyenv/shims/python BRAIN_ATLAS.py",
            "bash -e /home/x/.pyenv/libexec/pyenv exec python BRAIN_ATLAS.py",
            "bash /home/x/.pyenv/libexec/pyenv-exec python BRAIN_ATLAS.py",
            "bash ./py.sh BRAIN_ATLAS.py",
            r"cmd /c C:\pyenv\shims\python.bat BRAIN_ATLAS.py",
        ] {
            assert_eq!(wrapped(line).as_deref(), Some("BRAIN_ATLAS.py"), "{line}");
        }
        for line in [
            "bash backup.sh BRAIN_ATLAS.py",
            "bash -c python BRAIN_ATLAS.py",
            "bash",
            "sudo tail -f BRAIN_ATLAS.py",
            "timeout 5 grep x BRAIN_ATLAS.py",
            "env vim BRAIN_ATLAS.py",
            "uv run ruff check BRAIN_ATLAS.py",
            "uv run --frozen black BRAIN_ATLAS.py",
            "timeout 5 grep python BRAIN_ATLAS.py",
            "qc-lock run BRAIN_ATLAS -- python BRAIN_ATLAS.py",
            "code BRAIN_ATLAS.py",
            "python BRAIN_ATLAS.py",
            "python other.py run python BRAIN_ATLAS.py",
        ] {
            assert_eq!(wrapped(line), None, "{line}");
        }
    }

    #[test]
    fn a_wrapper_names_the_script_that_it_starts() {
        let brain = words("python -u BRAIN_A.py --live");
        let call = script_call(&brain).unwrap();
        for wrapper in [
            &["cmd.exe", "/c", "python BRAIN_A.py --live"][..],
            &["cmd", "/c", "python", "BRAIN_A.py", "--live"],
            &["cmd", "/c", "cd /d C:\\fleet&&python \"BRAIN_A.py\" --live>>x.log"],
            &["sh", "-c", "cd /fleet; exec python 'BRAIN_A.py' --live"],
            &["qc-lock.exe", "run", "BRAIN_A", "--", "python", "BRAIN_A.py", "--live"],
            &["qc-launch", "hold", "BRAIN_A", "--", "python", "BRAIN_A.py", "--live"],
            &["uv", "run", "--with", "x", "BRAIN_A.py", "--live"],
        ] {
            let wrapper: Vec<String> = wrapper.iter().map(|&word| word.into()).collect();
            assert!(is_wrapper(&wrapper) && names_call(&wrapper, &call), "{wrapper:?}");
        }
        for stranger in [
            &["cmd", "/c", "python BRAIN_B.py --live"][..],
            &["cmd", "/c", "python OLD_BRAIN_A.py --live"],
            &["cmd", "/c", "python BRAIN_A.py --livelihood"],
            &["sh", "-c", "python BRAIN_A.py"],
            &["bash"],
            &["notepad", "BRAIN_A.py", "--live"],
            &["qc-lock", "list"],
            &["qc-launch"],
        ] {
            let stranger: Vec<String> = stranger.iter().map(|&word| word.into()).collect();
            assert!(!is_wrapper(&stranger) || !names_call(&stranger, &call), "{stranger:?}");
        }
        let whole = |line: &str| {
            let shell = ["sh", "-c", line].map(str::to_owned);
            names_whole_call(&shell, &call)
        };
        for line in ["BRAIN_A.py --live", "x; BRAIN_A.py --live 2>&1; true", "BRAIN_A.py --live\ny"]
        {
            assert!(whole(line), "{line}");
        }
        for line in ["BRAIN_A.py --live --twice", "BRAIN_A.py", "BRAIN_A.py --live 2"] {
            assert!(!whole(line), "{line}");
        }
        let module = words("python -m BRAIN_A");
        assert!(names_call(&words("uv run python -m BRAIN_A"), &script_call(&module).unwrap()));
    }

    proptest::proptest! {
        #[test]
        fn no_arguments_make_taking_apart_panic(args: Vec<String>) {
            let args: Vec<String> = ["python".to_owned()].into_iter().chain(args).collect();
            if let Some(call) = script_call(&args) {
                proptest::prop_assert!(call.rest.len() < args.len());
                proptest::prop_assert!(call.script != call.word || names_call(&args, &call));
            }
        }

        #[test]
        fn odd_options_do_not_make_taking_apart_panic(args in proptest::collection::vec("-{0,2}[cmWXu=]{0,3}", 0..6)) {
            let args: Vec<String> = ["py".to_owned()].into_iter().chain(args).collect();
            script_call(&args);
        }
    }
}
