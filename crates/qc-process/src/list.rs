//! The processes of this machine.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::{Identity, imp, own_identity};

/// One running process, as far as the system lets us see.
#[derive(Debug, Clone)]
pub struct ProcessInfo {
    /// Its identity.
    pub identity: Identity,
    /// The pid of the process that started it. That one may have ended, and on Windows its pid
    /// may by now belong to a younger process.
    pub parent: Option<u32>,
    /// The program's name.
    pub name: String,
    /// The program and its arguments. Empty if they can't be read.
    pub args: Vec<String>,
    /// The program's file.
    pub exe: Option<PathBuf>,
    /// Its current directory.
    pub current_dir: Option<PathBuf>,
    /// Whether all it does is to start the real interpreter and wait for it: the launcher `py`,
    /// and the `python.exe` of a virtual environment. Never on Unix, where both become the
    /// interpreter.
    pub is_stub: bool,
    /// Whether its parent made it as a copy of itself, as `multiprocessing` can, and it has run no
    /// other program since. Never on Windows, which makes no such copies.
    pub is_fork: bool,
    /// The pid of the process that began its session, which may be long gone. Never on Windows, where
    /// sessions are those of users.
    pub session: Option<u32>,
    /// When it was started, by the wall clock.
    pub since: SystemTime,
    /// The processor time it has used so far.
    pub cpu_time: Duration,
    /// The memory it has in use, in bytes.
    pub memory_bytes: u64,
}

impl ProcessInfo {
    /// A process of which nothing else is known.
    pub fn new(identity: Identity, args: Vec<String>) -> Self {
        Self {
            identity,
            parent: None,
            name: String::new(),
            args,
            exe: None,
            current_dir: None,
            is_stub: false,
            is_fork: false,
            session: None,
            since: SystemTime::UNIX_EPOCH,
            cpu_time: Duration::ZERO,
            memory_bytes: 0,
        }
    }

    /// Whether this process may have started `child`: the child names it as its parent and is no
    /// older. A parent's pid can have been used again, but only by something younger.
    pub fn can_be_parent_of(&self, child: &Self) -> bool {
        child.parent == Some(self.identity.pid)
            && self.identity != child.identity
            && self.identity.boot_id == child.identity.boot_id
            && self.identity.started <= child.identity.started
    }
}

/// How often the list is read at most. A machine that starts programs all the time shows new processes
/// at every reading.
const MOST_SCANS: usize = 10;

/// Processes that could be read, and how many could not.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// The readable ones, by pid.
    pub processes: Vec<ProcessInfo>,
    /// How many exist whose command line is hidden from us, so that it is unknown what they are.
    pub unreadable: usize,
    /// Whether the system shows us only part of the processes, so that there may be more than
    /// can be counted: Linux with `/proc` mounted `hidepid=invisible`.
    pub hides_others: bool,
}

/// Tells from a program and its arguments whether a process is wanted. Several threads ask.
pub type Wanted<'a> = dyn Fn(&[String]) -> bool + Sync + 'a;

/// Which processes are listed.
pub struct Sought<'a> {
    /// Tells it from a program and its arguments.
    pub args: &'a Wanted<'a>,
    /// Tells from the file name of a program whether it could be one of those. Asked on Windows,
    /// about processes that don't show their arguments.
    pub name: &'a (dyn Fn(&str) -> bool + Sync + 'a),
    /// Processes that are listed whatever they are.
    pub pids: &'a [u32],
    /// Tells from its arguments whether what a listed process has started is listed, too.
    pub starters: &'a Wanted<'a>,
}

/// Lists the processes of this machine.
///
/// # Errors
/// If the system's process list can't be read at all.
pub fn list() -> io::Result<Listing> {
    list_wanted(&|_| true)
}

/// Lists the processes whose program and arguments `wanted` accepts, and those they descend from.
///
/// # Errors
/// If the system's process list can't be read at all.
pub fn list_wanted(wanted: &Wanted<'_>) -> io::Result<Listing> {
    let is_python = |name: &str| name.to_lowercase().starts_with("py");
    list_sought(&Sought { args: wanted, name: &is_python, pids: &[], starters: &|_| false })
}

/// Lists the processes that are sought, and those they descend from.
///
/// Of all others only the command line is read. No cheaper question would do: a process can give
/// itself any name, and its file can be a copy with another one, but what it was called with is
/// what tells a script. Arguments that can't be read are empty, and are asked for like others.
///
/// # Errors
/// If the system's process list can't be read at all.
pub fn list_sought(sought: &Sought<'_>) -> io::Result<Listing> {
    let mut seen = HashSet::new();
    let mut listing = Listing::default();
    // The system does not show all processes of one moment: a process may start another one and end
    // while the list is read, and neither is on it. So the list is read again until nothing is new.
    for _ in 0..MOST_SCANS {
        let Some(new) = imp::scan(sought, &mut seen)? else { break };
        listing.processes.extend(new.processes);
        listing.unreadable += new.unreadable;
        listing.hides_others |= new.hides_others;
    }
    with_ancestors(listing, sought)
}

/// Adds the processes whose pids are sought, and those that the listed ones descend from.
fn with_ancestors(mut listing: Listing, sought: &Sought<'_>) -> io::Result<Listing> {
    let mut known: HashSet<u32> = listing.processes.iter().map(|one| one.identity.pid).collect();
    let mut from = 0;
    let mut missing: Vec<u32> = sought.pids.to_vec();
    loop {
        let added = &listing.processes[from..];
        missing.extend(added.iter().filter_map(|one| one.parent));
        let starters = added.iter().filter(|one| (sought.starters)(&one.args));
        missing.extend(starters.flat_map(|one| imp::children_with_titles(one.identity.pid)));
        missing.retain(|&pid| pid > 0 && known.insert(pid));
        if missing.is_empty() {
            break;
        }
        from = listing.processes.len();
        let described = imp::describe(&missing)?;
        listing.processes.extend(described.processes);
        listing.unreadable += described.unreadable;
        missing.clear();
    }
    listing.processes.sort_by_key(|info| info.identity.pid);
    Ok(listing)
}

/// Returns the pids of all processes that the system shows.
///
/// # Errors
/// If the system's process list can't be read at all.
pub fn pids() -> io::Result<Vec<u32>> {
    imp::pids()
}

/// Lists the processes with these pids, and those they descend from.
///
/// # Errors
/// If the system's process list can't be read at all.
pub fn list_of(pids: &[u32]) -> io::Result<Listing> {
    let none = Sought { args: &|_| false, name: &|_| false, pids, starters: &|_| false };
    with_ancestors(Listing::default(), &none)
}

/// Returns this process and those that it descends from, the nearest first.
///
/// # Errors
/// If the system's process list can't be read at all.
pub fn lineage() -> io::Result<Vec<Identity>> {
    let mut line = vec![own_identity().clone()];
    let mut child = describe(own_identity().pid)?;
    while let Some(one) = child {
        let parent = one.parent.map(describe).transpose()?.flatten();
        let parent = parent
            .filter(|parent| parent.can_be_parent_of(&one) && !line.contains(&parent.identity));
        if parent.is_none() {
            // The parent may have ended since, and a nearest living ancestor has taken its place.
            let now = describe(one.identity.pid)?;
            child = now.filter(|now| now.identity == one.identity && now.parent != one.parent);
            continue;
        }
        line.extend(parent.iter().map(|parent| parent.identity.clone()));
        child = parent;
    }
    Ok(line)
}

/// Describes one process; `None` if there is none with this pid.
///
/// # Errors
/// If the system's process list can't be read at all.
pub fn describe(pid: u32) -> io::Result<Option<ProcessInfo>> {
    Ok(imp::describe(&[pid])?.processes.pop())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_listed_with_its_arguments() {
        let listing = list().unwrap();
        let found = listing.processes.iter().find(|info| info.identity == *own_identity());
        let found = found.expect("not listed");
        let expected: Vec<String> = std::env::args().collect();
        assert_eq!(found.args[1..], expected[1..]);
        assert_eq!(found.current_dir.as_deref(), std::env::current_dir().ok().as_deref());
        let age = SystemTime::now().duration_since(found.since).unwrap();
        assert!(age < Duration::from_secs(3600), "{age:?}");
    }

    #[test]
    fn one_process_is_described_as_the_list_does() {
        let info = describe(std::process::id()).unwrap().expect("not described");
        assert_eq!(info.identity, *own_identity());
        assert!(info.memory_bytes > 0);
        assert!(!info.is_stub);
        assert!(describe(u32::MAX - 3).unwrap().is_none());
    }

    #[test]
    fn what_is_wanted_comes_with_what_it_descends_from() {
        let own: Vec<String> = std::env::args().collect();
        let listing = list_wanted(&|args| args.get(1..) == own.get(1..)).unwrap();
        let find = |pid: u32| listing.processes.iter().find(|one| one.identity.pid == pid);
        let found = find(std::process::id()).expect("not listed");
        match found.parent.and_then(find) {
            Some(parent) => assert!(parent.can_be_parent_of(found), "{parent:?} {found:?}"),
            // The first program of a tree under Wine, or one whose parent has ended.
            None => assert!(found.parent.is_none_or(|pid| crate::identity_of(pid).is_err())),
        }
        assert!(listing.processes.len() < list().unwrap().processes.len() || cfg!(windows));
    }

    #[test]
    fn this_process_descends_from_its_parent() {
        let line = lineage().unwrap();
        assert_eq!(line[0], *own_identity());
        let parent = describe(std::process::id()).unwrap().unwrap().parent;
        let parent = parent.and_then(|pid| crate::identity_of(pid).ok());
        assert_eq!(line.get(1), parent.as_ref());
    }

    #[test]
    fn a_younger_process_is_nobodys_parent() {
        let child =
            ProcessInfo { parent: Some(7), ..describe(std::process::id()).unwrap().unwrap() };
        let started = child.identity.started;
        let parent = |started| ProcessInfo {
            identity: Identity { pid: 7, started, ..child.identity.clone() },
            ..child.clone()
        };
        assert!(parent(started).can_be_parent_of(&child));
        assert!(parent(started - 1).can_be_parent_of(&child));
        assert!(!parent(started + 1).can_be_parent_of(&child), "its pid was used again");
    }
}
