//! Guards of the whole machine: kernel objects that die with the processes that have them, whatever
//! folder, user or session those belong to.
//!
//! On Linux a guard has two legs, an abstract Unix socket and a locked file in `/dev/shm`; each sees
//! holders that the other does not, and either one says that the guard is held. On Windows it is a
//! named event in `Global\`, whose existence is the lock.

mod claims;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use self::claims::Claims;
use crate::fault::point;
use crate::{Identity, Liveness, here, imp, liveness};

/// A guard that this process holds, and shares with the children it is handed to.
#[derive(Debug)]
pub struct MachineGuard {
    guard: String,
    legs: imp::MachineLegs,
}

/// How far a guard reaches that is taken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MachineReach {
    /// The whole machine.
    Machine,
    /// A container: the rest of the machine where it shares the network or `/dev/shm` with that.
    Container,
    /// Nothing: the system forbids every object that could keep another process out.
    Nowhere,
}

/// Looks how far the guards of the machine reach for this program.
pub fn machine_reach() -> MachineReach {
    let probe = format!("probe@{}", std::process::id());
    let holds = MachineGuard::take(&probe).map(|guard| guard.is_none_or(|guard| guard.holds()));
    imp::forget_machine_guard(&probe);
    // That there is no room now says nothing of what may be done.
    match holds {
        Ok(false) => MachineReach::Nowhere,
        Ok(true) | Err(_) if imp::is_container() => MachineReach::Container,
        Ok(true) | Err(_) => MachineReach::Machine,
    }
}

/// Removes the file that a guard leaves behind where the system has one. For the accounts of tests, which
/// will not be asked for again: a guard that is held is not freed by it, but loses one of its legs.
pub fn forget_machine_guard(guard: &str) {
    imp::forget_machine_guard(guard);
}

/// The process behind a guard of the machine, by what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineHolder {
    /// The guard it holds, as it was asked for.
    pub guard: String,
    /// The process that does the work.
    pub pid: u32,
    /// When that process was created, as in [`Identity::started`].
    pub started: u64,
    /// The lock's name, perhaps without its end.
    pub name: String,
    /// The folder whose lock it is, perhaps without its beginning. `None` where that is not said, or
    /// where the holder was changing while it was read.
    pub folder: Option<String>,
}

impl MachineHolder {
    /// Returns who it is; of another container's that means nothing here.
    pub fn identity(&self) -> Identity {
        let boot_id = here().boot_id.clone();
        Identity { pid: self.pid, started: self.started, boot_id }
    }
}

impl MachineGuard {
    /// Takes the guard called `guard`; `None` if another process on this machine holds it.
    ///
    /// # Errors
    /// That the system has no room, as for open files. Where it offers no such guard, that is no error:
    /// see [`MachineGuard::holds`].
    pub fn take(guard: &str) -> io::Result<Option<Self>> {
        point("take machine guard");
        let legs = imp::MachineLegs::take(guard)?;
        Ok(legs.map(|legs| Self { guard: guard.into(), legs }))
    }

    /// Whether other processes are kept out: not where the system forbids every object that could.
    pub fn holds(&self) -> bool {
        self.legs.holds()
    }

    /// Lets everybody read who holds the guard: the process, the lock's name, its folder. What can't be
    /// said is left out, for it decides nothing. On Linux only the first call counts.
    pub fn name_holder(&self, holder: &Identity, lock: &str, folder: &Path) {
        let (guard, cut, part) = (&self.guard, imp::MACHINE_PART, imp::MACHINE_TEXT);
        let namespace = here().pid_namespace.unwrap_or(0);
        let by = format!("{guard}{cut}by{cut}{}.{}.{namespace}{cut}", holder.pid, holder.started);
        let inside = format!("{guard}{cut}in{cut}");
        let room = |lead: &str| part.most.saturating_sub((part.length)(lead));
        let folder = imp::folder_text(folder);
        let name = at_most(lock, room(&by), part.length, Keep::Beginning);
        let folder = at_most(&folder, room(&inside), part.length, Keep::End);
        // The folder first: where the holder is seen, its folder is, too.
        self.legs.name(&[format!("{inside}{folder}"), format!("{by}{name}")]);
    }

    pub(crate) fn legs(&self) -> &imp::MachineLegs {
        &self.legs
    }
}

/// The part of a text that is kept if it is too long.
#[derive(Clone, Copy)]
enum Keep {
    Beginning,
    End,
}

/// Returns as many whole characters of `text` as `room` takes.
fn at_most(text: &str, room: usize, length: fn(&str) -> usize, keep: Keep) -> &str {
    let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let fits = |part: &&str| length(part) <= room;
    match keep {
        Keep::Beginning => starts.rev().map(|end| &text[..end]).find(fits),
        Keep::End => starts.map(|start| &text[start..]).find(fits),
    }
    .unwrap_or_default()
}

/// Returns who holds which guard of this machine, as far as the holders say so and live. That can be
/// forged, so it is good for naming a holder and for nothing else.
///
/// # Errors
/// If the system does not show the objects.
pub fn machine_holders() -> io::Result<Vec<MachineHolder>> {
    Ok(machine_guards()?.into_iter().filter_map(|(_, holder)| holder).collect())
}

/// Returns all guards of this machine that are held, sorted, with their holders as in
/// [`machine_holders`]; `None` where no living process claims to hold it, or where its claim is not seen,
/// as in another network namespace.
///
/// # Errors
/// If the system does not show the objects.
pub fn machine_guards() -> io::Result<Vec<(String, Option<MachineHolder>)>> {
    let claims = Claims::read()?;
    let names = &claims.names;
    let plain = names.iter().filter(|name| !name.contains(imp::MACHINE_PART));
    let mut guards: BTreeMap<&str, Option<MachineHolder>> =
        plain.map(|name| (name.as_str(), None)).collect();
    let locked = imp::machine_locked();
    guards.extend(
        locked.iter().filter(|guard| !names.contains(guard)).map(|guard| (guard.as_str(), None)),
    );
    let folders: HashMap<&str, &str> = names.iter().filter_map(|name| part(name, "in")).collect();
    for holder in names.iter().filter_map(|name| holder(name)) {
        // Rather none than that of another holder.
        let folder = folders.get(&*holder.guard).filter(|_| claims.is_clear(&holder.guard));
        let folder = folder.map(|&folder| folder.to_owned());
        if let Some(held) = guards.get_mut(&*holder.guard) {
            *held = Some(MachineHolder { folder, ..holder });
        }
    }
    Ok(guards.into_iter().map(|(guard, holder)| (guard.to_owned(), holder)).collect())
}

/// Returns what stands in the place of a guard's file and can't be locked by this program, such as a
/// folder or a link: such a guard is seen by its socket alone, and by no program in another network
/// namespace. None on Windows, which has no such files.
pub fn machine_unusable() -> Vec<PathBuf> {
    let mut found = imp::machine_unusable();
    found.sort();
    found
}

/// Whether this program may not see all guards of the machine: it is in namespaces of its own, and sees
/// only what shares its network or its `/dev/shm`.
pub fn machine_is_partly_hidden() -> bool {
    imp::has_own_namespaces()
}

/// Returns for each of these guards the processes that have its file or its socket open, as far as the
/// system shows: pid and name. None on Windows, where each guard dies with the one process that has it.
pub fn machine_openers(guards: &[&str]) -> Vec<Vec<(u32, String)>> {
    let files: Vec<PathBuf> =
        guards.iter().map(|guard| imp::machine_file(guard).unwrap_or_default()).collect();
    let mut found = imp::openers(&files.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    // Where the file can't be used, the socket is all there is.
    let is_open = found.iter().map(|open| !open.is_empty());
    let closed: Vec<usize> = is_open.enumerate().filter(|one| !one.1).map(|one| one.0).collect();
    let names: Vec<&str> = closed.iter().map(|&at| guards[at]).collect();
    for (at, open) in closed.into_iter().zip(imp::socket_openers(&names)) {
        found[at] = open;
    }
    found
}

/// Returns who took a guard that is held, also if it has ended since: what it has started may have
/// inherited the guard, and its name with it. As little to be relied on as [`machine_holders`].
pub fn machine_taker(guard: &str) -> Option<MachineHolder> {
    let claims = Claims::read().ok()?;
    let names = &claims.names;
    let taker = names.iter().filter_map(|name| taker(name)).find(|one| one.0.guard == guard)?.0;
    let folders = names.iter().filter_map(|name| part(name, "in"));
    let folder = folders.filter(|_| claims.is_clear(guard)).find(|one| one.0 == guard);
    Some(MachineHolder { folder: folder.map(|(_, folder)| folder.to_owned()), ..taker })
}

/// Splits the name of an object that says something of a guard: which one, and what.
fn part<'a>(name: &'a str, kind: &str) -> Option<(&'a str, &'a str)> {
    let (guard, rest) = name.split_once(imp::MACHINE_PART)?;
    Some((guard, rest.strip_prefix(kind)?.strip_prefix(imp::MACHINE_PART)?))
}

/// Reads a living holder from the name of its object.
fn holder(name: &str) -> Option<MachineHolder> {
    let (holder, namespace) = taker(name)?;
    // The numbers of another PID namespace mean nothing here, and what dies with its holder still lives.
    let is_here = namespace == here().pid_namespace.unwrap_or(0);
    let is_dead = is_here && liveness(&holder.identity()) == Liveness::Dead;
    (!is_dead).then_some(holder)
}

/// Reads who has taken a guard from the name of an object, and the number of his PID namespace.
fn taker(name: &str) -> Option<(MachineHolder, u64)> {
    let (guard, rest) = part(name, "by")?;
    let mut parts = rest.splitn(4, ['.', imp::MACHINE_PART]);
    let mut number = || parts.next()?.parse::<u64>().ok();
    let (pid, started, namespace) = (number()?, number()?, number()?);
    let (pid, name) = (u32::try_from(pid).ok()?, parts.next()?.to_owned());
    Some((MachineHolder { guard: guard.into(), pid, started, name, folder: None }, namespace))
}

#[cfg(test)]
mod tests;
