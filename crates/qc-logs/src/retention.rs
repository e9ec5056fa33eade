//! Which log files go: pure, from facts to a list.

use std::collections::HashMap;
use std::time::Duration;

/// The limits on kept logs. `None` is no limit; by default nothing is removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// How long ago a file may have been written to last.
    pub max_age: Option<Duration>,
    /// The most files of each component.
    pub max_files: Option<usize>,
    /// The most bytes of all files together.
    pub max_bytes: Option<u64>,
}

/// A log file, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// The component that wrote it.
    pub component: &'a str,
    /// Its size.
    pub bytes: u64,
    /// How long ago it was written to last; a time in the future is now.
    pub age: Duration,
    /// Whether that time lies ahead, see [`crate::Found::is_ahead`].
    pub is_ahead: bool,
    /// Whether a living process may be writing to it.
    pub in_use: bool,
}

/// Chooses the files to remove, by position, the oldest first. `files` lists each component's files
/// in the order they were written.
///
/// What is in use stays, and so does each component's newest file: that one may be all there is to
/// say why it is not running. Both count all the same.
pub fn plan(files: &[Candidate<'_>], retention: &Retention) -> Vec<usize> {
    let stays = protected(files);
    let mut later: HashMap<&str, usize> = HashMap::new();
    let mut goes = vec![false; files.len()];
    for (index, file) in files.iter().enumerate().rev() {
        let newer = later.entry(file.component).or_default();
        let is_too_many = retention.max_files.is_some_and(|most| *newer >= most);
        let is_too_old = retention.max_age.is_some_and(|most| file.age > most);
        goes[index] = (is_too_many || is_too_old) && !stays[index];
        *newer += 1;
    }

    let mut by_age: Vec<usize> = (0..files.len()).collect();
    by_age.sort_by_key(|&index| {
        (std::cmp::Reverse((files[index].is_ahead, files[index].age)), index)
    });
    if let Some(most) = retention.max_bytes {
        let kept = (0..files.len()).filter(|&index| !goes[index]);
        let mut total: u64 = kept.map(|index| files[index].bytes).sum();
        for &index in &by_age {
            if total > most && !goes[index] && !stays[index] {
                goes[index] = true;
                total -= files[index].bytes;
            }
        }
    }
    by_age.retain(|&index| goes[index]);
    by_age
}

/// Tells which files must stay: those in use, and the last one of each component.
fn protected(files: &[Candidate<'_>]) -> Vec<bool> {
    let last: HashMap<&str, usize> =
        files.iter().enumerate().map(|(index, file)| (file.component, index)).collect();
    let is_last = |index: usize| last.get(files[index].component) == Some(&index);
    (0..files.len()).map(|index| files[index].in_use || is_last(index)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    /// A file of component `component` with its size, and its age in days.
    fn file(component: &'static str, bytes: u64, days: u32) -> Candidate<'static> {
        Candidate { component, bytes, age: DAY * days, is_ahead: false, in_use: false }
    }

    fn used(file: Candidate<'static>) -> Candidate<'static> {
        Candidate { in_use: true, ..file }
    }

    fn ahead(file: Candidate<'static>) -> Candidate<'static> {
        Candidate { is_ahead: true, ..file }
    }

    #[test]
    fn what_is_beyond_a_limit_goes_unless_it_is_needed() {
        let none = Retention::default();
        let aged = Retention { max_age: Some(DAY * 7), ..none };
        let few = Retention { max_files: Some(2), ..none };
        let small = Retention { max_bytes: Some(100), ..none };
        let all = Retention { max_age: Some(DAY * 7), max_files: Some(3), max_bytes: Some(100) };
        let a = |days| file("A", 40, days);
        let b = |days| file("B", 40, days);
        let table: &[(&str, &[Candidate<'_>], Retention, &[usize])] = &[
            ("no files", &[], all, &[]),
            ("no limits", &[a(900), a(800), a(0)], none, &[]),
            ("old ones go", &[a(9), a(8), a(7), a(0)], aged, &[0, 1]),
            ("the newest stays, however old", &[a(99), b(98)], aged, &[]),
            ("one in use stays, however old", &[used(a(99)), a(98), a(1)], aged, &[1]),
            ("the number is per component", &[a(4), a(3), a(2), b(4), b(3)], few, &[0]),
            ("one in use counts", &[used(a(4)), a(3), a(2), a(1)], few, &[1]),
            (
                "none at all still leaves one",
                &[a(2), a(1)],
                Retention { max_files: Some(0), ..none },
                &[0],
            ),
            ("the oldest of all go first", &[a(1), a(0), b(3), b(2)], small, &[2, 0]),
            (
                "what fits stays",
                &[a(3), a(2), b(0)],
                Retention { max_bytes: Some(120), ..none },
                &[],
            ),
            ("too much in use stays", &[used(a(3)), used(a(2)), used(a(0))], small, &[]),
            ("what goes by age frees room", &[a(9), a(2), a(1)], all, &[0]),
            ("of the order, not the age", &[a(0), a(5)], few_of(1), &[0]),
            (
                "a clock set back: what lies ahead is the oldest",
                &[ahead(a(0)), a(5), a(0)],
                small,
                &[0],
            ),
            ("what lies ahead is not too old", &[ahead(a(0)), a(0)], aged, &[]),
            ("of the same age, the first by name goes", &[a(1), a(1), a(1)], small, &[0]),
        ];
        for (what, files, retention, expected) in table {
            assert_eq!(plan(files, retention), *expected, "{what}");
        }
    }

    fn few_of(max_files: usize) -> Retention {
        Retention { max_files: Some(max_files), ..Retention::default() }
    }

    proptest::proptest! {
        #[test]
        fn nothing_needed_ever_goes_and_limits_hold(
            raw in proptest::collection::vec((0..3usize, 0..1000u64, 0..100u32, proptest::bool::ANY), 0..40),
            max_age in proptest::option::of(0..100u32),
            max_files in proptest::option::of(0..10usize),
            max_bytes in proptest::option::of(0..20_000u64),
        ) {
            let files: Vec<Candidate<'_>> = raw
                .iter()
                .map(|&(component, bytes, days, in_use)| {
                    Candidate { in_use, ..file(["A", "B", "C"][component], bytes, days) }
                })
                .collect();
            let retention = Retention { max_age: max_age.map(|days| DAY * days), max_files, max_bytes };
            let goes = plan(&files, &retention);
            for &index in &goes {
                proptest::prop_assert!(!files[index].in_use);
                let last = files.iter().rposition(|file| file.component == files[index].component);
                proptest::prop_assert_ne!(last, Some(index));
            }
            let left: Vec<Candidate<'_>> =
                (0..files.len()).filter(|index| !goes.contains(index)).map(|index| files[index]).collect();
            // A second look finds nothing more to do.
            proptest::prop_assert_eq!(plan(&left, &retention), Vec::<usize>::new());
        }
    }
}
