//! Dying or waiting at a chosen step, as a test asks for in the environment.

use std::env;
use std::io;

use qc_process::fault;

/// The environment variable: `die 7` or `wait 7`, where 7 is the number of the step, or
/// `hang at this`, where `at this` is its name.
pub const FAULT_VARIABLE: &str = "QC_TEST_FAULT";

/// The line on standard error of a program that dies at a step.
pub const DIES: &str = "dies at: ";

/// The line of a program that waits at a step for a line on its standard input.
pub const WAITS: &str = "waits at: ";

/// Arms the step that [`FAULT_VARIABLE`] names, if it is set. A test's copy of a program calls
/// this first.
///
/// # Panics
/// If the variable can't be understood.
pub fn arm_fault() {
    let Ok(text) = env::var(FAULT_VARIABLE) else { return };
    let (what, step) = text.split_once(' ').expect("a word and a step");
    if what == "hang" {
        return fault::arm_step(step.into(), |_| {
            loop {
                std::thread::park();
            }
        });
    }
    let step = step.parse().expect("the number of a step");
    match what {
        "die" => fault::arm(step, |name| {
            eprintln!("{DIES}{name}");
            fault::die()
        }),
        "wait" => fault::arm(step, |name| {
            println!("{WAITS}{name}");
            io::stdin().read_line(&mut String::new()).expect("standard input can be read");
        }),
        _ => panic!("{FAULT_VARIABLE} says neither `die` nor `wait` nor `hang`: {text}"),
    }
}
