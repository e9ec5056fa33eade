//! Ends the programs that the last run of a component has left behind before the component is
//! started again: they may keep its lock, or trade beside the next run.
//!
//! Left alone is what is never ended, such as a trading terminal. A component whose lock that keeps
//! open is blocked until it has ended.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::io;
use std::thread;

use qc_fleet::{
    Fate, LeftOver, Role, Stage, StopMode, StopPlan, Stopped, Target, left_over, perform_at,
};
use qc_logs::{Level, Line};
use qc_process::{
    Identity, Liveness, ProcessInfo, describe, identity_of, inspect, lineage, liveness,
};
use qc_supervise::{Event, Id, NotStarted, State};

use super::post::Message;
use super::{Runtime, outcome_text};

/// How often what a run has left behind is ended before its component is started again: a loop in
/// it may start others meanwhile.
const MOST_ROUNDS: u32 = 5;

/// The programs that keep components from being started.
#[derive(Default)]
pub(super) struct LeftOvers {
    /// The processes in the session of a component's run when it ended, with the session and the
    /// component.
    seen: HashMap<Identity, (u32, String)>,
    /// The components that a reload has removed, whose last runs may have left something behind.
    pub(super) removed: HashMap<String, Id>,
    /// The session of this program, once it was asked for.
    own_session: OnceCell<Option<u32>>,
}

impl LeftOvers {
    /// Notes what is in these sessions, which belong to the components with these names.
    fn note(&mut self, sessions: &HashMap<u32, String>) {
        if sessions.is_empty() {
            return;
        }
        self.seen.retain(|process, _| liveness(process) != Liveness::Dead);
        // Without the process list nothing else is found, either, and the next look says so.
        let found = inspect::in_sessions(&sessions.keys().copied().collect::<Vec<_>>());
        for (process, session) in found.unwrap_or_default() {
            self.seen.insert(process, (session, sessions[&session].clone()));
        }
    }

    /// Notes what these, which have just ended, have started in their sessions meanwhile.
    fn note_again<'a>(&mut self, ended: impl Iterator<Item = &'a Identity>) {
        let sessions = ended.filter_map(|one| self.seen.get(one).cloned()).collect();
        self.note(&sessions);
    }

    /// A component is not in the config any more, and has ended.
    pub(super) fn removed(&mut self, id: Id, name: &str) {
        self.removed.insert(name.to_lowercase(), id);
    }

    /// Whether a process is in the session of this program, as the commands are that it notifies
    /// people by. Each component has a session of its own.
    pub(super) fn is_in_own_session(&self, process: &ProcessInfo) -> bool {
        let session = *self.own_session.get_or_init(|| {
            describe(std::process::id()).ok().flatten().and_then(|own| own.session)
        });
        session.is_some() && process.session == session
    }
}

impl Runtime<'_> {
    /// Returns those of these starts before which nothing is to be ended. The others are made as
    /// soon as what their last runs have left behind has ended.
    pub(super) fn without_left_over(&mut self, generations: Vec<(Id, u32)>) -> Vec<(Id, u32)> {
        let ids: HashSet<Id> = generations.iter().map(|(id, _)| *id).collect();
        let is_meant = |name: &str| self.roster.id(name).is_some_and(|id| ids.contains(&id));
        let found = match self.spared_of_left_over() {
            Ok(spared) => self.found_left_over(is_meant, &[], &spared),
            Err(error) => Err(error),
        };
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                let text = format!("cannot see what earlier runs have left behind: {error}");
                self.report.warn("starting", &text);
                return generations;
            }
        };
        if found.is_empty() {
            return generations;
        }
        let mut of: HashMap<Id, Vec<LeftOver>> = HashMap::new();
        for one in found.into_iter().filter(|one| !self.left_overs.is_in_own_session(&one.process))
        {
            if let Some(id) = self.roster.id(&one.component) {
                of.entry(id).or_default().push(one);
            }
        }
        let mut free = generations;
        free.retain(|&(id, generation)| match of.remove(&id) {
            None => true,
            Some(left) => !self.end_left_over(id, generation, left),
        });
        free
    }

    /// Finds what the runs of these components have started, also by what was seen when they ended.
    pub(super) fn found_left_over(
        &self,
        is_meant: impl Fn(&str) -> bool,
        former: &[String],
        spared: &[Identity],
    ) -> io::Result<Vec<LeftOver>> {
        let seen = self.left_overs.seen.iter();
        let known = seen.map(|(process, (_, name))| (process.clone(), name.clone())).collect();
        left_over(&self.fleet, self.locks.path(), is_meant, &known, former, spared)
    }

    /// Notes what is in the sessions of these, whose runs have just ended, so that their number is
    /// still theirs: a worker may have no other mark.
    pub(super) fn note_sessions(&mut self, ids: &[Id]) {
        let first = |id: &Id| Some((self.running(*id)?.first_pid()?, self.roster.name(*id)));
        let sessions = ids.iter().filter_map(first);
        let sessions = sessions.map(|(session, name)| (session, name.to_string())).collect();
        self.left_overs.note(&sessions);
    }

    /// Returns whom no look for left-over programs may touch: this program, what it was started
    /// from, and what it supervises.
    pub(super) fn spared_of_left_over(&self) -> io::Result<Vec<Identity>> {
        let own = self.own_pids().into_iter().filter_map(|pid| identity_of(pid).ok());
        Ok(lineage()?.into_iter().chain(own).collect())
    }

    /// Begins to end what a component has left behind, or blocks the component by a copy among
    /// that; returns whether its start has to wait.
    pub(super) fn end_left_over(&mut self, id: Id, generation: u32, left: Vec<LeftOver>) -> bool {
        let name = self.roster.name(id);
        let is_copy = |one: &&LeftOver| match &one.fate {
            Fate::Copy(of) => of.eq_ignore_ascii_case(&name),
            Fate::Ends | Fate::Spared(_) => false,
        };
        let copies: Vec<&LeftOver> = left.iter().filter(is_copy).collect();
        let why = format!("its last run goes on as {}", texts(copies.iter().copied()));
        let identities: Vec<Identity> =
            copies.iter().map(|one| one.process.identity.clone()).collect();
        if !copies.is_empty() && self.block(id, generation, &identities, &why) {
            return true;
        }
        let ending: Vec<LeftOver> = left.into_iter().filter(|it| it.fate == Fate::Ends).collect();
        if ending.is_empty() {
            return false;
        }
        let Some(live) = self.live_mut(id) else { return false };
        live.left_over_rounds += 1;
        if live.left_over_rounds > MOST_ROUNDS {
            live.left_over_rounds = 0;
            let left = texts(&ending);
            let why = NotStarted::Failed(format!("what its last run has left comes again: {left}"));
            self.events.push_back(Event::NotStarted { id, generation, why });
            return true;
        }
        // A program that starts another one of itself when it is asked gets no second chance.
        let is_again = live.left_over_rounds > 1;
        let what = if is_again { "comes again, and is killed" } else { "is asked to stop" };
        let text = format!("{name} has left {} behind, which {what}", texts(&ending));
        self.log_of(id, Level::Warning, "stopping", &text);
        let names = ending.iter().map(|one| (one.process.identity.clone(), one.text())).collect();
        let targets = ending.iter().map(|one| one.target(&self.fleet)).collect();
        let mode = if is_again { StopMode::KillNow } else { StopMode::Escalate };
        self.stop_left_over(LeftOverEnd { id, generation, names }, targets, mode);
        true
    }

    /// Stops these on another thread.
    pub(super) fn stop_left_over(
        &mut self,
        end: LeftOverEnd,
        mut targets: Vec<Target>,
        mode: StopMode,
    ) {
        let role = Role::Other;
        targets.iter_mut().for_each(|target| target.role = role);
        let plan = StopPlan { stages: vec![Stage { role, targets }], ..StopPlan::default() };
        let (post, told) = (self.post(), end.clone());
        let stop = move || {
            let stopped = perform_at(&plan, mode, &mut |_| ());
            post.send(Message::LeftOverEnded(told, stopped));
        };
        if let Err(error) = thread::Builder::new().name("left over".into()).spawn(stop) {
            self.left_over_ended(&end, &Err(error));
        }
    }

    /// Starts a component once its left-over programs have ended, unless one lives on.
    pub(super) fn left_over_ended(
        &mut self,
        end: &LeftOverEnd,
        stopped: &io::Result<Vec<Stopped>>,
    ) {
        let (id, generation) = (end.id, end.generation);
        if let Ok(stopped) = stopped {
            self.left_overs.note_again(stopped.iter().map(|one| &one.target.identity));
            stopped.iter().for_each(|one| self.record_left_over(one, &end.names));
        }
        if self.roster.get(id).is_none() {
            return;
        }
        let stopped = match stopped {
            Ok(stopped) => stopped,
            Err(error) => {
                let why = format!("what its last run has left behind can't be ended: {error}");
                let why = NotStarted::Failed(why);
                self.events.push_back(Event::NotStarted { id, generation, why });
                return;
            }
        };
        let alive: Vec<Identity> = stopped
            .iter()
            .filter(|one| one.outcome.is_alive())
            .map(|one| one.target.identity.clone())
            .collect();
        let left: Vec<&str> =
            alive.iter().filter_map(|one| Some(end.names.get(one)?.as_str())).collect();
        let why = format!("its last run has left {} behind, which can't be ended", left.join(", "));
        let is_stopping = self.supervisor.view(id).is_none_or(|view| view.state == State::Stopping);
        if is_stopping {
            self.events.push_back(Event::NotStarted { id, generation, why: NotStarted::Busy });
        } else if alive.is_empty() || !self.block(id, generation, &alive, &why) {
            self.todo.starts.push((id, generation));
        }
    }

    /// Says how one ended that a component has left behind.
    pub(super) fn record_left_over(&mut self, one: &Stopped, names: &HashMap<Identity, String>) {
        let name = &one.target.component;
        let program = names.get(&one.target.identity).map_or("a program", String::as_str);
        let text =
            outcome_text(&format!("{program}, left behind by {name},"), &one.outcome, one.took);
        let line = Line::new(Level::Info, "stopped", &text).component(name);
        self.report.note(&line.pid(one.target.identity.pid));
        self.note_end_of(one);
    }
}

/// The left-over programs of a component that are being ended.
#[derive(Debug, Clone)]
pub(super) struct LeftOverEnd {
    pub(super) id: Id,
    pub(super) generation: u32,
    /// The programs, for messages.
    pub(super) names: HashMap<Identity, String>,
}

fn texts<'a>(left: impl IntoIterator<Item = &'a LeftOver>) -> String {
    left.into_iter().map(LeftOver::text).collect::<Vec<_>>().join(", ")
}
