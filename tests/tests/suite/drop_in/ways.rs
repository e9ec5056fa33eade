//! The values, folders and ways of starting that bots come with.

use std::path::Path;
use std::process::Command;

use qc_process::find_program;
use qc_tests::{SampleLocks, cannot_test, own_account, run};

use super::{command, works};
use crate::tools;

#[test]
fn each_type_of_name_and_account_is_read_or_refused_as_one() {
    works(include_str!("values.py"), &[]);
}

#[test]
fn what_the_module_offers_is_annotated_and_python_3_8_can_read_it() {
    works(include_str!("typed.py"), &[]);
}

/// The tests use one Python; the others that are here at least compile the module and take a lock.
#[test]
fn each_python_of_this_machine_can_use_it() {
    let path = std::env::var_os("PATH");
    // The stand-ins of pyenv run only the version that they are told.
    let start = |version: &str| {
        let name = format!("python{version}");
        let mut command = Command::new(find_program(name.as_ref(), path.as_deref()).ok()?);
        command.env("PYENV_VERSION", version).args(["-W", "error"]);
        Some(command)
    };
    let can_run = |version: &String| {
        let asked = start(version).map(|mut command| command.args(["-c", "pass"]).output());
        asked.is_some_and(|asked| asked.is_ok_and(|output| output.status.success()))
    };
    let found: Vec<String> = (8..20).map(|minor| format!("3.{minor}")).filter(can_run).collect();
    let drop_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/process_lock.py");
    let text = "import sys
code = compile(open(sys.argv[1], encoding='utf-8').read(), sys.argv[1], 'exec')
module = type(sys)('process_lock')
module.__file__ = sys.argv[1]
sys.modules['process_lock'] = module
exec(code, vars(module))
lock = module.ProcessLock('BRAIN_DROPIN', sys.argv[2])
assert lock.acquire()
lock.release()
";
    if found.is_empty() {
        cannot_test("the drop-in on several versions of Python", "there is none by its version");
    }
    for version in found {
        let locks = SampleLocks::new(tools());
        let mut command = start(&version).expect("it was there a moment ago");
        command.args(["-c", text]).arg(&drop_in).arg(own_account());
        command.env("QC_LOCK_DIR", locks.dir()).current_dir(locks.folder());
        let finished = run(&mut command, "");
        assert_eq!(finished.code, 0, "{version} {finished:?}");
    }
}

#[test]
fn one_rule_finds_the_folder_of_the_locks() {
    works(include_str!("folders.py"), &[]);
}

#[test]
fn what_is_printed_fits_each_console() {
    works(include_str!("consoles.py"), &[]);
}

#[test]
fn a_lock_works_in_all_ways_to_start_a_python() {
    let locks = SampleLocks::new(tools());
    let Some(mut command) = command(&locks, include_str!("starts.py"), &[own_account().as_ref()])
    else {
        return;
    };
    let ways = locks.folder().join("ways.py");
    std::fs::write(ways, include_str!("ways.py")).expect("it can be written");
    let finished = run(command.current_dir(locks.folder()), "");
    assert_eq!(finished.code, 0, "{finished:?}");
}

#[test]
fn a_holder_is_named_with_its_own_folder_or_none_while_it_changes() {
    works(include_str!("claims.py"), &[]);
}
