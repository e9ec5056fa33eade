use std::time::{Duration, SystemTime};

use qc_process::Identity;

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
    for line in ["BRAIN_A.py --live", "x; BRAIN_A.py --live 2>&1; true", "BRAIN_A.py --live\ny"] {
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

/// A process of this command line.
pub(crate) fn process(root: &Path, pid: u32, parent: u32, line: &str) -> ProcessInfo {
    let identity = Identity { pid, started: pid.into(), boot_id: "boot".into() };
    ProcessInfo {
        parent: Some(parent),
        name: program_stem(line.split(' ').next().unwrap()),
        current_dir: Some(root.into()),
        since: SystemTime::UNIX_EPOCH + Duration::from_secs(pid.into()),
        ..ProcessInfo::new(identity, line.split(' ').map(str::to_owned).collect())
    }
}
