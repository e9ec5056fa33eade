//! The processes behind a child that only launches them: each in the child's job, with handles of the
//! same guards, and awaited.
//!
//! The job lets go of what its processes start, because a trading terminal must never end with a brain.
//! So the processes of the chain are found in the process list, by their parents, and taken in one by one.

mod parents;

use std::collections::HashMap;
use std::io;
use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use windows_sys::Win32::System::Threading::{
    PROCESS_DUP_HANDLE, PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SET_QUOTA, PROCESS_TERMINATE,
};

use self::parents::parents;
use super::job::Job;
use super::list::{describe, info_of};
use super::machine::{Given, hand_to, take_back};
use super::sys;
use crate::terminal::is_terminal;
use crate::{Chain, Continues, Identity, ProcessInfo};

/// How long there is between two looks at the process list: a part of the age of the youngest process
/// that may launch another one, within these bounds.
const SOONEST: Duration = Duration::from_millis(20);
const LATEST: Duration = Duration::from_secs(2);

/// How long a process may take to show its command line.
const STARTING: Duration = Duration::from_secs(1);

/// How long a shell must have waited for a program before that is taken into the job.
const SETTLING: Duration = Duration::from_secs(1);

/// How long a process may still turn out to continue its parent.
const UNDECIDED: Duration = Duration::from_secs(60);

/// Consoles are children of the programs at them.
const CONSOLE_HOSTS: [&str; 2] = ["conhost.exe", "openconsole.exe"];

/// One process of the chain.
#[derive(Debug)]
struct Link {
    info: ProcessInfo,
    process: OwnedHandle,
    /// None for the first one.
    parent: Option<u32>,
    continues: Continues,
    has_ended: bool,
    may_launch: bool,
    /// Whether it is in the job and has its handles, or can't be taken in.
    is_taken_in: bool,
    given: Vec<Given>,
}

impl Link {
    fn pid(&self) -> u32 {
        self.info.identity.pid
    }

    fn age(&self) -> Duration {
        SystemTime::now().duration_since(self.info.since).unwrap_or_default()
    }
}

/// The chain behind a wrapper, from its child on.
#[derive(Debug)]
pub(super) struct Links {
    rules: Chain,
    /// The handles that each of them gets.
    shared: Vec<OwnedHandle>,
    links: Vec<Link>,
    /// Children of theirs that are no links, with when they were started.
    others: HashMap<u32, u64>,
}

impl Links {
    /// Begins a chain with a child that was created from `command` and already has the shared handles.
    pub(super) fn of(
        rules: Chain,
        identity: &Identity,
        process: &OwnedHandle,
        command: Vec<String>,
        exe: PathBuf,
        shared: Vec<OwnedHandle>,
    ) -> io::Result<Self> {
        let first = Link {
            info: info_of(identity.clone(), command, exe),
            process: process.try_clone()?,
            parent: None,
            continues: Continues::Yes,
            has_ended: false,
            may_launch: true,
            is_taken_in: true,
            given: Vec::new(),
        };
        Ok(Self { rules, shared, links: vec![first], others: HashMap::new() })
    }

    /// Waits until all of the chain has ended. `passed_on` is told of the process that does the work
    /// when the one before it has ended.
    pub(super) fn wait(
        mut self,
        job: &Job,
        mut passed_on: impl FnMut(&Identity),
    ) -> io::Result<()> {
        let mut named = self.links[0].pid();
        loop {
            // After its end, all children of a process are on the list.
            self.note_ends()?;
            self.look()?;
            self.take_in(job);
            let Some(at_work) = self.at_work(0) else { break };
            let has_named_ended = self.find(named).is_none_or(|link| link.has_ended);
            if has_named_ended && at_work.pid() != named {
                named = at_work.pid();
                passed_on(&at_work.info.identity);
            }
            self.forget();
            self.pause()?;
        }
        self.let_go(job);
        Ok(())
    }

    fn find(&self, pid: u32) -> Option<&Link> {
        self.links.iter().find(|link| link.pid() == pid)
    }

    fn note_ends(&mut self) -> io::Result<()> {
        for link in self.links.iter_mut().filter(|link| !link.has_ended) {
            link.has_ended = sys::has_ended(link.process.as_handle())?;
            // One that has ended may have launched another just before.
            if !link.has_ended && link.may_launch {
                link.may_launch = (self.rules.may_launch)(&link.info, link.age());
            }
        }
        Ok(())
    }

    /// Finds what the links have started, and what that has started in turn.
    fn look(&mut self) -> io::Result<()> {
        if !self.links.iter().any(|link| link.may_launch) {
            return Ok(());
        }
        let processes = parents()?;
        let mut from = 0;
        while from < self.links.len() {
            let parents: Vec<u32> =
                self.links[from..].iter().filter(|link| link.may_launch).map(Link::pid).collect();
            from = self.links.len();
            let children = processes.iter().filter(|(_, parent)| parents.contains(parent));
            for &(pid, parent) in children {
                if self.find(pid).is_none() {
                    let link = self.judge(pid, parent);
                    self.links.extend(link);
                }
            }
        }
        Ok(())
    }

    /// Returns the process as a link, if it is one.
    fn judge(&mut self, pid: u32, parent: u32) -> Option<Link> {
        let wanted = PROCESS_DUP_HANDLE | PROCESS_SET_QUOTA | PROCESS_TERMINATE;
        let rights = PROCESS_QUERY_LIMITED_INFORMATION;
        // One that may not be taken in can still be waited for.
        let process = sys::open_process(pid, rights | wanted)
            .or_else(|_| sys::open_process(pid, rights))
            .ok()?;
        let started = sys::created_at(process.as_handle()).ok()?;
        let parent = self.find(parent)?;
        if started < parent.info.identity.started || self.others.get(&pid) == Some(&started) {
            return None;
        }
        let described = describe(&[pid]).ok()?.processes;
        let info = described.into_iter().find(|info| info.identity.started == started)?;
        let continues = match is_apart(&info) {
            true => Continues::No,
            false => (self.rules.continues)(&parent.info, &info),
        };
        let parent = Some(parent.pid());
        let (has_ended, is_taken_in) = (false, false);
        let given = Vec::new();
        let link = Link {
            info,
            process,
            parent,
            continues,
            has_ended,
            may_launch: true,
            is_taken_in,
            given,
        };
        let age = link.age();
        if link.info.args.is_empty() && age < STARTING {
            return None;
        }
        if continues == Continues::No {
            if age > UNDECIDED || is_apart(&link.info) {
                self.others.insert(pid, started);
            }
            return None;
        }
        Some(link)
    }

    /// Returns what a link has launched last.
    fn last_of(&self, pid: u32) -> Option<usize> {
        let children = (0..self.links.len()).filter(|&one| self.links[one].parent == Some(pid));
        children.max_by_key(|&one| self.links[one].info.identity.started)
    }

    /// Returns the process that does the work of a link: it, or what it has launched. None if that has
    /// ended. What a shell has started before its last program was not waited for.
    fn at_work(&self, at: usize) -> Option<&Link> {
        let link = &self.links[at];
        let launched = self.last_of(link.pid()).and_then(|last| self.at_work(last));
        launched.or((!link.has_ended).then_some(link))
    }

    /// Takes into the job what is not in it yet, and gives it the guards.
    fn take_in(&mut self, job: &Job) {
        let is_due = |link: &Link| {
            let is_last =
                || link.parent.and_then(|it| self.last_of(it)).map(|it| self.links[it].pid());
            !link.is_taken_in
                && !link.has_ended
                && (link.continues == Continues::Yes
                    || link.age() >= SETTLING && is_last() == Some(link.pid()))
        };
        let due: Vec<usize> =
            (0..self.links.len()).filter(|&one| is_due(&self.links[one])).collect();
        for one in due {
            let link = &mut self.links[one];
            link.is_taken_in = true;
            // One that denies it is waited for, and that is all that can be done.
            let _ = job.add(link.process.as_handle());
            let hand = |handle: &OwnedHandle| hand_to(handle.as_handle(), link.process.as_handle());
            link.given = self.shared.iter().filter_map(|handle| hand(handle).ok()).collect();
        }
    }

    /// Forgets what has ended and decides nothing any more: a batch file may start its program for ever.
    fn forget(&mut self) {
        let is_needed = |link: &Link| {
            let Some(parent) = link.parent else { return true };
            let is_last = self.last_of(parent).is_some_and(|it| self.links[it].pid() == link.pid());
            is_last || !link.has_ended || self.last_of(link.pid()).is_some()
        };
        let needed: Vec<u32> =
            self.links.iter().filter(|link| is_needed(link)).map(Link::pid).collect();
        self.links.retain(|link| needed.contains(&link.pid()));
    }

    /// Waits until one of them ends, or it is time to look again.
    fn pause(&self) -> io::Result<()> {
        let running: Vec<&Link> = self.links.iter().filter(|link| !link.has_ended).collect();
        let handles: Vec<BorrowedHandle<'_>> =
            running.iter().map(|link| link.process.as_handle()).take(sys::MOST_HANDLES).collect();
        let ages = running.iter().filter(|link| link.may_launch || !link.is_taken_in);
        let next = ages.map(|link| link.age() / 20).min().map(|age| age.clamp(SOONEST, LATEST));
        let more = (running.len() > handles.len()).then_some(LATEST);
        let millis = next.or(more).map(|it| u32::try_from(it.as_millis()).unwrap_or(u32::MAX));
        sys::wait_for_any(&handles, millis.unwrap_or(u32::MAX))
    }

    /// Leaves what still runs to itself: it was not waited for, and holds nothing any more.
    fn let_go(self, job: &Job) {
        // Should it fail, it ends with this program.
        let _ = job.let_go();
        for link in self.links.iter().filter(|link| !link.has_ended) {
            for given in &link.given {
                // One that can't be reached keeps it until it ends.
                let _ = take_back(given, link.process.as_handle());
            }
        }
    }
}

/// Whether a process never belongs to a chain: a terminal, which nothing of qc may touch, or a console.
fn is_apart(info: &ProcessInfo) -> bool {
    let image = info.exe.as_deref().and_then(Path::to_str);
    is_terminal(&info.name)
        || image.is_some_and(is_terminal)
        || CONSOLE_HOSTS.contains(&&*info.name.to_lowercase())
}
