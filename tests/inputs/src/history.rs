//! The history of the locks.

use qc_lock_core::{Event, History};

/// Reads `bytes` as a history.
pub fn any_history(bytes: &[u8]) {
    let history = History::from_bytes(bytes);
    let is_blank = |line: &&[u8]| line.iter().all(|byte| b" \t\r".contains(byte));
    let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !is_blank(line)).count();
    // Each line is read or counted; behind what was cut off in it there can be more.
    let (read, unreadable) = (history.entries.len(), history.unreadable);
    assert!(unreadable <= lines, "{unreadable} unreadable of {lines}");
    assert!(read + unreadable >= lines, "{read} entries and {unreadable} unreadable of {lines}");

    let mut written = Vec::new();
    for entry in &history.entries {
        serde_json::to_writer(&mut written, entry).expect("an entry is JSON");
        written.push(b'\n');
    }
    let again = History::from_bytes(&written);
    assert_eq!(again.unreadable, 0, "what is written can't be read: {history:?}");
    assert_eq!(again.entries, history.entries, "it does not survive writing");

    // Another line behind it is never lost, whether it was cut off or not.
    let last = br#"{"time":"2026-11-02T21:04:05+01:00","event":"blocked","name":"LAST"}"#;
    let longer = History::from_bytes(&[bytes, last].concat());
    let found = longer.entries.last().expect("there is one");
    assert_eq!((found.event, found.name.as_str()), (Event::Blocked, "LAST"), "the last is lost");
}
