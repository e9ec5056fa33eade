use super::*;

#[test]
fn lines_are_kept_and_a_cut_one_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (file, guard) = (dir.path().join("history.jsonl"), dir.path().join("guard"));
    append(&file, &guard, &[Entry::new(Event::Acquired, "A", "test")]).unwrap();
    let mut text = std::fs::read(&file).unwrap();
    text.extend(
        b"{\"time\": \"2026\n{\"time\":\"t\",\"event\":\"invented_later\",\"name\":\"B\"}\n",
    );
    text.extend(b"{\"time\": \"2026-11-02T21:04:05Z\", \"event\": \"bl");
    std::fs::write(&file, text).unwrap();
    append(&file, &guard, &[Entry::new(Event::Released, "A", "test")]).unwrap();

    let history = read(&file).unwrap();
    let events: Vec<Event> = history.entries.iter().map(|entry| entry.event).collect();
    assert_eq!(events, [Event::Acquired, Event::Unknown, Event::Released]);
    assert_eq!(history.unreadable, 2);
}

#[test]
fn wherever_a_line_is_cut_no_other_is_lost() {
    let line = |name| {
        let entry = Entry::new(Event::Acquired, name, "test");
        serde_json::to_vec(&entry).unwrap()
    };
    let (cut, next) = (line("CUT"), line("NEXT"));
    for length in 1..=cut.len() {
        let history = History::from_bytes(&[&cut[..length], &next, b"\n"].concat());
        let names: Vec<&str> = history.entries.iter().map(|entry| &*entry.name).collect();
        let whole = length == cut.len();
        assert_eq!(names, if whole { vec!["CUT", "NEXT"] } else { vec!["NEXT"] }, "{length}");
        assert_eq!(history.unreadable, usize::from(!whole), "{length}");
    }
}

#[test]
fn a_large_file_is_rotated_and_still_read() {
    let dir = tempfile::tempdir().unwrap();
    let (file, guard) = (dir.path().join("history.jsonl"), dir.path().join("guard"));
    let entry = Entry::new(Event::Acquired, "A", "test");
    let line = serde_json::to_string(&entry).unwrap() + "\n";
    let lines = usize::try_from(ROTATE_AT).unwrap() / line.len() + 1;
    std::fs::write(&file, line.repeat(lines)).unwrap();
    append(&file, &guard, std::slice::from_ref(&entry)).unwrap();
    append(&file, &guard, std::slice::from_ref(&entry)).unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 1);
    assert_eq!(read(&file).unwrap().entries.len(), lines + 2);
}

proptest::proptest! {
    #[test]
    fn a_history_of_anything_is_read_line_by_line(bytes: Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let (file, guard) = (dir.path().join("history.jsonl"), dir.path().join("guard"));
        std::fs::write(&file, [&bytes[..], b"\n"].concat()).unwrap();
        append(&file, &guard, &[Entry::new(Event::Acquired, "A", "test")]).unwrap();
        let history = read(&file).unwrap();
        let is_blank = |line: &&[u8]| line.iter().all(|byte| b" \t\r".contains(byte));
        let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !is_blank(line)).count();
        proptest::prop_assert!(history.unreadable <= lines);
        proptest::prop_assert!(history.entries.len() + history.unreadable > lines);
        proptest::prop_assert_eq!(history.entries.last().unwrap().name.as_str(), "A");
    }
}
