//! The names of objects, read until they hold still.
//!
//! A holder is named by two objects, and the system shows all of them in several parts. So one look may
//! see the process of one holder and the folder of the next.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;

use crate::imp;

/// How often to look until two looks agree.
const MOST_LOOKS: u32 = 5;

/// The names of all objects.
pub(super) struct Claims {
    pub(super) names: Vec<String>,
    /// The guards whose objects have changed between the last two looks, or name more than one holder.
    unclear: HashSet<String>,
}

impl Claims {
    /// Reads the names.
    ///
    /// # Errors
    /// If the system does not show the objects.
    pub(super) fn read() -> io::Result<Self> {
        Self::read_by(&mut imp::machine_names)
    }

    fn read_by(names: &mut dyn FnMut() -> io::Result<Vec<String>>) -> io::Result<Self> {
        let mut before = names()?;
        if by_guard(&before).is_empty() {
            return Ok(Self { names: before, unclear: HashSet::new() });
        }
        let mut looks = 1;
        loop {
            let now = names()?;
            looks += 1;
            let unclear = unclear(&before, &now);
            if unclear.is_empty() || looks == MOST_LOOKS {
                return Ok(Self { names: now, unclear });
            }
            before = now;
        }
    }

    /// Whether all that is said of a guard is said by one holder.
    pub(super) fn is_clear(&self, guard: &str) -> bool {
        !self.unclear.contains(guard)
    }
}

/// Returns the guards of which two looks show different objects, or several of one kind.
fn unclear(before: &[String], now: &[String]) -> HashSet<String> {
    let (before, now) = (by_guard(before), by_guard(now));
    let is_unclear = |guard: &&&str| {
        let said = now.get(**guard);
        let several = |kind: &str| {
            said.is_some_and(|said| said.iter().filter(|one| one.starts_with(kind)).count() > 1)
        };
        before.get(**guard) != said || several("by") || several("in")
    };
    let guards: BTreeSet<&str> = before.keys().chain(now.keys()).copied().collect();
    guards.iter().filter(is_unclear).map(ToString::to_string).collect()
}

/// Returns what is said of each guard.
fn by_guard(names: &[String]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut said: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (guard, text) in names.iter().filter_map(|name| name.split_once(imp::MACHINE_PART)) {
        said.entry(guard).or_default().insert(text);
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(guard: &str, pid: u32) -> String {
        let part = imp::MACHINE_PART;
        format!("{guard}{part}by{part}{pid}.1.0{part}BRAIN_A")
    }

    fn folder(guard: &str, folder: &str) -> String {
        let part = imp::MACHINE_PART;
        format!("{guard}{part}in{part}{folder}")
    }

    /// Reads these looks, the last one for ever; returns whether the guard `a` is clear, and the looks.
    fn read(looks: &[Vec<String>]) -> (bool, usize) {
        let mut count = 0;
        let mut names = || {
            count += 1;
            Ok(looks[(count - 1).min(looks.len() - 1)].clone())
        };
        let is_clear = Claims::read_by(&mut names).unwrap().is_clear("a");
        (is_clear, count)
    }

    #[test]
    fn a_holder_is_believed_when_two_looks_agree() {
        let one = vec!["a".to_owned(), by("a", 1), folder("a", "x")];
        let other = vec!["a".to_owned(), by("a", 2), folder("a", "y")];
        let mixed = vec!["a".to_owned(), by("a", 1), folder("a", "y")];
        let both = vec!["a".to_owned(), by("a", 2), folder("a", "x"), folder("a", "y")];
        assert_eq!(read(&[vec!["a".to_owned()]]), (true, 1), "nothing is said");
        assert_eq!(read(std::slice::from_ref(&one)), (true, 2));
        assert_eq!(read(&[mixed.clone(), other.clone()]), (true, 3), "it has changed meanwhile");
        assert_eq!(read(&[both.clone(), other.clone()]), (true, 3), "the last one was just ending");
        assert_eq!(read(&[both]), (false, 5), "two at once");
        let changing = [one.clone(), other.clone(), one.clone(), other.clone(), one];
        assert_eq!(read(&changing), (false, 5), "it never holds still");
    }

    #[test]
    fn a_guard_that_changes_leaves_the_others_clear() {
        let names = |pid| vec![by("a", 1), folder("a", "x"), by("b", pid)];
        let mut pid = 0;
        let claims = Claims::read_by(&mut || {
            pid += 1;
            Ok(names(pid))
        });
        let claims = claims.unwrap();
        assert!(claims.is_clear("a") && !claims.is_clear("b"));
    }
}
