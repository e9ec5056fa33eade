//! May this component start? One answer for a first start, a restart, a start by hand, a reload, an
//! adoption, `qc-launch check` and `--dry-run`.
//!
//! Another copy is in the way: the component itself in this folder, or a program anywhere that holds
//! its place at the account or the terminal. Servers elsewhere are left to their ports.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use qc_lock_core::{LockEntry, LockState, Resource};
use qc_process::Identity;

use crate::{Component, Fleet, Instance, Place, Role, Snapshot};

/// What is said of a copy that can be adopted.
const UNDER_LOCK: &str = " under its lock";

/// Whether a component may start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MayStart {
    /// Nothing is in the way.
    Yes,
    /// It runs, once and under its lock, and a launcher that begins can supervise it from now on. For
    /// one that supervises already, it is a copy like any other.
    Adoptable {
        /// The process to supervise.
        identity: Identity,
        /// The same as an obstacle.
        copy: Obstacle,
    },
    /// These are in the way; never empty.
    No(Vec<Obstacle>),
}

/// Something that keeps a component from being started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// The component that it is, or the lock that it holds.
    pub name: String,
    /// Its processes, as far as they run on this machine.
    pub processes: Vec<Identity>,
    /// The holder of a lock that is not among the instances.
    pub holder: Option<u32>,
    /// The folder of its script, if that can be seen.
    pub folder: Option<PathBuf>,
    /// Whether it is an orchestrator.
    pub is_orchestrator: bool,
    text: String,
}

impl Obstacle {
    /// Returns it as a sentence, such as "BRAIN_ATLAS runs (PID 7) without its lock".
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns it as an item of a list of what runs, with the folder.
    pub fn listed(&self) -> String {
        self.text_with_folder().replacen(" runs (PID ", " (PID ", 1)
    }

    /// Returns it as a sentence that names the folder.
    pub fn text_with_folder(&self) -> String {
        match &self.folder {
            Some(folder) if !self.text.contains(&*folder.to_string_lossy()) => {
                format!("{} (folder {})", self.text, folder.display())
            }
            _ => self.text.clone(),
        }
    }
}

/// What a first start finds.
#[derive(Debug, Default)]
pub struct Survey {
    /// What can be supervised from now on: the process, and the copy that it is, by its component's name.
    pub adoptable: Vec<(Identity, Obstacle)>,
    /// What is in the way.
    pub obstacles: Vec<Obstacle>,
}

/// What runs beside a start.
#[derive(Debug)]
pub struct Beside<'a> {
    root: &'a Path,
    orchestrator: String,
    /// The instances of this folder, by name.
    own: HashMap<String, Vec<&'a Instance>>,
    /// All instances with the places at accounts and terminals that they hold.
    placed: HashMap<String, Vec<&'a Instance>>,
    /// Brains elsewhere of which nothing shows the account, by name.
    unknown: HashMap<String, Vec<&'a Instance>>,
    /// Locks whose living holder is no instance, by what they protect and by their names.
    loose: HashMap<String, Vec<&'a LockEntry>>,
}

impl<'a> Beside<'a> {
    /// Sorts what `snapshot` shows. What `is_own` accepts belongs to the program that asks, and is
    /// in no way.
    pub fn new(
        fleet: &'a Fleet,
        snapshot: &'a Snapshot,
        is_own: impl Fn(&Instance) -> bool,
    ) -> Self {
        let mut beside = Self {
            root: &fleet.root,
            orchestrator: key(fleet.orchestrator.as_str()),
            own: HashMap::new(),
            placed: HashMap::new(),
            unknown: HashMap::new(),
            loose: HashMap::new(),
        };
        for instance in snapshot.instances.iter().filter(|one| !is_own(one)) {
            beside.add(instance);
        }
        for lock in snapshot.loose_locks().filter(|lock| lock.state.is_live()) {
            let places = lock.resources.iter().filter(|one| is_place(one)).cloned();
            for place in places.chain([key(&lock.name)]) {
                beside.loose.entry(place).or_default().push(lock);
            }
        }
        beside
    }

    fn add(&mut self, instance: &'a Instance) {
        let name = key(&instance.component);
        if instance.place == Place::Fleet {
            self.own.entry(name.clone()).or_default().push(instance);
        }
        if matches!(instance.role, Role::Server | Role::Orchestrator) {
            return;
        }
        let places = places_of(instance);
        let shows_no_account = !places.iter().any(|place| place.starts_with("account/"));
        let may_be_ours = instance.place == Place::Foreign
            && instance.role == Role::Brain
            && !instance.of_another_user;
        if shows_no_account && may_be_ours {
            self.unknown.entry(name).or_default().push(instance);
        }
        for place in places {
            self.placed.entry(place).or_default().push(instance);
        }
    }

    /// Decides about one component.
    pub fn may_start(&self, component: &Component) -> MayStart {
        let name = key(component.name.as_str());
        let copies = self.own.get(&name).map(Vec::as_slice).unwrap_or_default();
        let mut obstacles = Vec::new();
        let mut told: HashSet<*const Instance> =
            copies.iter().map(|&one| one as *const _).collect();
        let asked = component.request().resources();
        for place in asked.iter().map(|one| one.as_str()).filter(|one| is_place(one)) {
            let why = match place.starts_with("account/") {
                true => "for the same account",
                false => "at the same terminal",
            };
            for &one in self.placed.get(place).into_iter().flatten() {
                if told.insert(one) {
                    obstacles.push(self.obstacle(one, &format!(" {why}")));
                }
            }
        }
        if component.role == Role::Brain && component.account.is_some() {
            for &one in self.unknown.get(&name).into_iter().flatten() {
                if told.insert(one) {
                    obstacles.push(self.obstacle(one, ", for an account that nothing shows"));
                }
            }
        }
        obstacles.extend(self.locks_of(component, &asked));
        match (copies, &obstacles[..]) {
            ([], []) => MayStart::Yes,
            ([one], []) => match adoptable(one, component) {
                Ok(identity) => {
                    let copy = self.obstacle(one, UNDER_LOCK);
                    MayStart::Adoptable { identity, copy }
                }
                Err(why) => MayStart::No(vec![self.obstacle(one, why)]),
            },
            ([one], _) => {
                let why = adoptable(one, component).err().unwrap_or(UNDER_LOCK);
                obstacles.insert(0, self.obstacle(one, why));
                MayStart::No(obstacles)
            }
            (several, _) => {
                let why = format!(", one of {} copies", several.len());
                let several = several.iter().map(|one| self.obstacle(one, &why));
                MayStart::No(several.chain(obstacles).collect())
            }
        }
    }

    /// Decides about all `components` of a first start, beside which nothing else of the fleet may run.
    pub fn survey(&self, components: &[Arc<Component>]) -> Survey {
        let mut survey = Survey::default();
        for component in components {
            match self.may_start(component) {
                MayStart::Yes => {}
                MayStart::Adoptable { identity, copy } => survey.adoptable.push((identity, copy)),
                MayStart::No(obstacles) => survey.obstacles.extend(obstacles),
            }
        }
        for other in self.others(components) {
            let is_it =
                |one: &Obstacle| !one.processes.is_empty() && one.processes == other.processes;
            if !survey.obstacles.iter().any(is_it) {
                survey.obstacles.push(other);
            }
        }
        survey
    }

    /// Returns what runs in the fleet's folder and is none of `components`.
    fn others(&self, components: &[Arc<Component>]) -> Vec<Obstacle> {
        let known: HashSet<String> = components.iter().map(|it| key(it.name.as_str())).collect();
        let mut others: Vec<&Instance> = self
            .own
            .iter()
            .filter(|(name, _)| !known.contains(*name))
            .flat_map(|(_, instances)| instances.iter().copied())
            .collect();
        others.sort_by_cached_key(|one| (one.role, one.component.clone(), one.pids()));
        let obstacle = |one: &Instance| {
            let why = match one.role {
                Role::Orchestrator => " and supervises the fleet",
                _ => " and is not among what is to be started",
            };
            self.obstacle(one, why)
        };
        let held = self.loose.get(&self.orchestrator).into_iter().flatten();
        let held = held.map(|lock| Obstacle { is_orchestrator: true, ..lock_obstacle(lock) });
        others.into_iter().map(obstacle).chain(held).collect()
    }

    /// Returns the locks held by what is no instance that `component` would ask for.
    fn locks_of(&self, component: &Component, asked: &[Resource]) -> Vec<Obstacle> {
        let places = asked.iter().map(|one| one.as_str().to_owned()).filter(|one| is_place(one));
        let mut found: Vec<&LockEntry> = Vec::new();
        for place in places.chain([key(component.name.as_str())]) {
            let locks = self.loose.get(&place).into_iter().flatten();
            found.extend(locks.filter(|lock| key(&lock.name) != self.orchestrator));
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        found.dedup_by(|one, other| one.name == other.name);
        found.into_iter().map(lock_obstacle).collect()
    }

    fn obstacle(&self, instance: &Instance, why: &str) -> Obstacle {
        let pids: Vec<String> = instance.pids().iter().map(ToString::to_string).collect();
        let is_own = instance.place == Place::Fleet;
        let folder = instance.folder.clone().or_else(|| is_own.then(|| self.root.into()));
        let place = match &folder {
            Some(folder) if !is_own => format!(" in {}", folder.display()),
            _ => String::new(),
        };
        let (name, pids) = (&instance.component, pids.join(", "));
        Obstacle {
            name: name.clone(),
            processes: instance.processes.iter().map(|one| one.identity.clone()).collect(),
            holder: None,
            folder,
            is_orchestrator: instance.role == Role::Orchestrator,
            text: format!("{name} runs (PID {pids}){place}{why}"),
        }
    }
}

/// Returns whom to supervise if this copy of `component` can be taken over, or what speaks against it.
fn adoptable(instance: &Instance, component: &Component) -> Result<Identity, &'static str> {
    let Some(lock) = &instance.lock else { return Err(" without its lock") };
    if !lock.name.eq_ignore_ascii_case(component.name.as_str()) {
        return Err(" under another lock");
    }
    if !instance.adoptable() {
        return Err(" under its lock, and looks like another program");
    }
    // A record that the script keeps itself names no account.
    let is_its_own = component.own_record;
    if !is_its_own
        && component.account.as_ref().map(|account| account.as_str()) != lock.account.as_deref()
    {
        return Err(" under its lock, for another account than the config's");
    }
    // Behind a virtual environment's stub, the stub is the one that was started.
    let first = instance.processes.first().map(|process| process.identity.clone());
    first.ok_or(" under its lock, and cannot be seen")
}

fn lock_obstacle(lock: &LockEntry) -> Obstacle {
    let pid = lock.pid.map(|pid| format!(" by PID {pid}")).unwrap_or_default();
    let host = lock.host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
    Obstacle {
        name: lock.name.clone(),
        processes: Vec::new(),
        holder: lock.pid.filter(|_| lock.state != LockState::Foreign),
        folder: None,
        is_orchestrator: false,
        text: format!("lock {} is held{pid}{host}", lock.name),
    }
}

/// Returns the places at accounts and terminals that an instance holds, as its lock names them, or by
/// its config.
fn places_of(instance: &Instance) -> Vec<String> {
    let locked = instance.lock.iter().flat_map(|lock| &lock.resources);
    let mut places: Vec<String> = locked.filter(|one| is_place(one)).cloned().collect();
    let role = if instance.role == Role::Watchdog { "watchdog" } else { "brain" };
    let account = instance.account.as_ref().map(|number| format!("account/{number}/{role}"));
    let terminal = instance.terminal.as_ref();
    let terminal = terminal.map(|path| format!("terminal/{}/{role}", path.as_str()));
    places.extend(account.into_iter().chain(terminal));
    places.sort_unstable();
    places.dedup();
    places
}

/// Whether a resource is a place at an account or a terminal; names belong to their folder.
fn is_place(resource: &str) -> bool {
    resource.starts_with("account/") || resource.starts_with("terminal/")
}

fn key(name: &str) -> String {
    name.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use qc_lock_core::Terminal;

    use super::*;
    use crate::snapshot::tests::{fleet, lock, process};

    fn brain(name: &str, place: Place) -> Instance {
        let root = Path::new("/elsewhere");
        let process = process(root, 10, 1, &format!("python {name}.py"));
        Instance {
            place,
            folder: Some(root.into()),
            ..Instance::new(name.into(), Role::Brain, vec![process])
        }
    }

    /// Returns why BRAIN_A, which trades account 1 at the terminal /mt5, may not start beside this.
    fn why(instance: Instance) -> Option<String> {
        let root = tempfile::tempdir().unwrap();
        let mut fleet = fleet(root.path());
        for component in &mut fleet.components {
            Arc::make_mut(component).terminal = Some(Terminal::new("/mt5"));
        }
        let snapshot = Snapshot { instances: vec![instance], ..Snapshot::default() };
        let beside = Beside::new(&fleet, &snapshot, |_| false);
        match beside.may_start(fleet.component("BRAIN_A").unwrap()) {
            MayStart::Yes => None,
            MayStart::Adoptable { identity, .. } => Some(format!("adopt {}", identity.pid)),
            MayStart::No(obstacles) => Some(obstacles[0].text().to_owned()),
        }
    }

    #[test]
    fn a_copy_here_is_adopted_under_its_lock_and_blocks_without_it() {
        let copy = brain("BRAIN_A", Place::Fleet);
        let text = "BRAIN_A runs (PID 10) without its lock";
        assert_eq!(why(copy.clone()).as_deref(), Some(text));
        let held = lock("BRAIN_A", 10, LockState::Held);
        let of = |account: &str| LockEntry { account: Some(account.into()), ..held.clone() };
        let locked = |account| Instance { lock: Some(of(account)), ..copy.clone() };
        assert_eq!(why(locked("1")).as_deref(), Some("adopt 10"));
        assert!(why(locked("2")).is_some_and(|text| text.contains("for another account")));
        assert_eq!(why(brain("BRAIN_B", Place::Fleet)), None);
    }

    #[test]
    fn a_program_elsewhere_blocks_by_account_terminal_or_as_an_unknown_brain_of_that_name() {
        let foreign = |name: &str| brain(name, Place::Foreign);
        let account = |number: &str, one| Instance { account: Some(number.into()), ..one };
        let why = |one| why(one).unwrap_or_default();
        let same = why(account("1", foreign("BRAIN_X")));
        assert_eq!(same, "BRAIN_X runs (PID 10) in /elsewhere for the same account");
        let terminal = Some(Terminal::new("/MT5/terminal64.exe"));
        let same = why(Instance { terminal, ..account("9", foreign("BRAIN_X")) });
        assert!(same.ends_with("at the same terminal"), "{same}");
        assert!(why(foreign("brain_a")).contains("for an account that nothing shows"));

        assert_eq!(why(account("9", foreign("BRAIN_A"))), "", "another account");
        assert_eq!(why(foreign("BRAIN_X")), "", "another name, and no account is shown");
        let other = Instance { of_another_user: true, ..foreign("BRAIN_A") };
        assert_eq!(why(other), "", "another user's, and no account is shown");
        let watchdog = Instance { role: Role::Watchdog, ..account("1", foreign("WATCHDOG_A")) };
        assert_eq!(why(watchdog), "", "the other place at the account");
        let server = Instance { role: Role::Server, ..account("1", foreign("quantum_server")) };
        assert_eq!(why(server), "", "a server elsewhere is judged by its port");
    }

    #[test]
    fn a_lock_blocks_only_what_would_ask_for_it() {
        let root = tempfile::tempdir().unwrap();
        let fleet = fleet(root.path());
        let brain = fleet.component("BRAIN_A").unwrap();
        let judge = |entry: LockEntry| {
            let snapshot = Snapshot { locks: vec![entry], ..Snapshot::default() };
            Beside::new(&fleet, &snapshot, |_| false).may_start(brain)
        };
        let held = |name: &str| lock(name, 10, LockState::Held);
        assert!(matches!(judge(held("brain_a")), MayStart::No(_)));
        assert_eq!(judge(held("NIGHTLY_BACKUP")), MayStart::Yes);
        let account = LockEntry { resources: vec!["account/1/brain".into()], ..held("HELPER") };
        assert!(matches!(judge(account), MayStart::No(_)));
        let other = LockEntry { resources: vec!["account/2/brain".into()], ..held("HELPER") };
        assert_eq!(judge(other), MayStart::Yes);
    }
}
