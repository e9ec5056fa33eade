use std::fs::OpenOptions;
use std::time::{Duration, Instant};

use super::*;
use crate::{Console, Output, Process, Spawn};

/// The processes that have a handle of their job.
pub(super) static GIVEN: Mutex<Vec<u32>> = Mutex::new(Vec::new());

#[test]
fn what_an_ended_child_has_started_is_found_without_a_handle_of_this_program() {
    let nowhere = OpenOptions::new().write(true).open("NUL").unwrap();
    let mark = 0x5143_0000_0000_0000 | u64::from(std::process::id());
    let spawn = Spawn {
        output: Output::File(&nowhere),
        console: Console::Own,
        end_with_parent: true,
        mark: Some(mark),
        ..Spawn::new("cmd", ["/c", "ping", "-n", "60", "127.0.0.1"].map(Into::into).into())
    };
    let mut child = spawn.start(|_| Ok(())).unwrap();
    assert!(child.is_marked());
    let is_other = |(process, of): &(Identity, u64)| {
        *of == mark && process.pid != child.identity().pid && {
            let found = crate::describe(process.pid).ok().flatten();
            found.is_some_and(|it| it.name.to_lowercase().starts_with("ping"))
        }
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    let ping = loop {
        if let Some((ping, _)) = with_marks().unwrap().into_iter().find(is_other)
            && GIVEN.lock().unwrap().contains(&ping.pid)
        {
            break ping;
        }
        assert!(Instant::now() < deadline, "{:?} {GIVEN:?}", with_marks());
    };
    // As after the end of this program.
    Process::open(child.identity()).unwrap().expect("it waits").kill().unwrap();
    child.wait().unwrap();
    drop(child);
    drop(jobs().take());
    let found = with_marks().unwrap();
    assert!(found.contains(&(ping.clone(), mark)), "{found:?}");
    assert!(!found.iter().any(|one| one.0.pid == std::process::id()));
    Process::open(&ping).unwrap().expect("it runs").kill().unwrap();
    while with_marks().unwrap().contains(&(ping.clone(), mark)) {
        assert!(Instant::now() < deadline, "it goes on");
    }
}
