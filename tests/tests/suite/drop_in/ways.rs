//! The values, folders and ways of starting that bots come with.

use qc_tests::{SampleLocks, own_account, run};

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
