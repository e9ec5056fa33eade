//! Virtual processes under a virtual clock: what the supervisor asks for happens here, or does not.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::time::Duration;

use qc_supervise::{Action, Event, Exit, Id, NotStarted, Spec};

/// A generator after Marsaglia's xorshift64.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A time below `limit`, of any order of magnitude.
    pub(crate) fn time(&mut self, limit: Duration) -> Duration {
        let millis = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let shift = self.below(16);
        Duration::from_millis(self.below(millis + 1) >> shift)
    }
}

/// How the processes of one component behave.
#[derive(Debug, Clone)]
pub(crate) struct Nature {
    /// The longest that being started takes.
    pub(crate) spawn: Duration,
    /// In how many of a hundred cases it can't be started.
    pub(crate) unstartable: u64,
    /// In how many it is never ready.
    pub(crate) unready: u64,
    /// The longest that becoming ready takes.
    pub(crate) settling: Duration,
    /// The longest it runs until it ends by itself; `None` for ever.
    pub(crate) lifetime: Option<Duration>,
    /// In how many of a hundred cases it hangs instead of ending.
    pub(crate) hangs: u64,
    /// In how many it does not end when asked.
    pub(crate) deaf: u64,
    /// The longest it takes to end when asked.
    pub(crate) farewell: Duration,
    /// In how many it survives being killed for a while.
    pub(crate) tough: u64,
    /// In how many it ends with the code that means a held lock.
    pub(crate) blocked: u64,
}

/// A process that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) generation: u32,
    pub(crate) adopted: bool,
    /// When the supervisor was told that it runs.
    pub(crate) started: Option<Duration>,
    /// When the supervisor was told that it is ready.
    pub(crate) ready: Option<Duration>,
    hangs: bool,
    deaf: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Started,
    NotStarted(u64),
    /// The copy that blocked this generation has ended.
    Unblocked,
    Ready,
    Ends(i32),
}

/// The fates of processes, in the order of time.
type Fates = BinaryHeap<Reverse<(Duration, u64, Id, u32, Fate)>>;

/// The supervisor's surroundings.
pub(crate) struct World {
    pub(crate) now: Duration,
    pub(crate) random: Random,
    natures: Vec<Nature>,
    /// The processes that exist, by component.
    pub(crate) processes: Vec<Option<Process>>,
    /// The lives that were not started because of another copy, which still runs.
    pub(crate) blocked: HashSet<(Id, u32)>,
    fates: Fates,
    count: u64,
}

impl World {
    pub(crate) fn new(natures: Vec<Nature>, seed: u64) -> Self {
        let processes = natures.iter().map(|_| None).collect();
        let random = Random::new(seed);
        let (blocked, fates) = (HashSet::new(), Fates::new());
        Self { now: Duration::ZERO, random, natures, processes, blocked, fates, count: 0 }
    }

    pub(crate) fn add(&mut self, nature: Nature) {
        self.natures.push(nature);
        self.processes.push(None);
    }

    pub(crate) fn process(&self, id: Id) -> Option<&Process> {
        self.processes[id.0 as usize].as_ref()
    }

    fn nature(&self, id: Id) -> Nature {
        self.natures[id.0 as usize].clone()
    }

    fn plan(&mut self, after: Duration, id: Id, generation: u32, fate: Fate) {
        self.count += 1;
        self.fates.push(Reverse((self.now + after, self.count, id, generation, fate)));
    }

    /// A process that an earlier supervisor has left.
    pub(crate) fn leave_behind(&mut self, id: Id) {
        self.create(id, 1, true);
        self.live(id, 1);
    }

    fn create(&mut self, id: Id, generation: u32, adopted: bool) {
        let nature = self.nature(id);
        let hangs = self.random.chance(nature.hangs);
        let deaf = hangs || self.random.chance(nature.deaf);
        let since = adopted.then_some(self.now);
        self.processes[id.0 as usize] =
            Some(Process { generation, adopted, started: since, ready: since, hangs, deaf });
    }

    /// Does what the supervisor asked for; an answer that comes at once is returned.
    pub(crate) fn perform(&mut self, action: &Action) -> Option<Event> {
        match *action {
            Action::Spawn { id, generation } => {
                let nature = self.nature(id);
                self.create(id, generation, false);
                let delay = self.random.time(nature.spawn);
                let fate = match self.random.chance(nature.unstartable) {
                    true => Fate::NotStarted(self.random.below(8)),
                    false => Fate::Started,
                };
                self.plan(delay, id, generation, fate);
            }
            Action::Ask { id, .. } => {
                let farewell = self.nature(id).farewell;
                if let Some(Process { generation, deaf: false, .. }) = self.processes[id.0 as usize]
                {
                    let delay = self.random.time(farewell);
                    self.plan(delay, id, generation, Fate::Ends(0));
                }
            }
            Action::Kill(id) => {
                if let Some(Process { generation, .. }) = self.processes[id.0 as usize] {
                    let is_tough = self.random.chance(self.nature(id).tough);
                    let limit = Duration::from_millis(if is_tough { 600_000 } else { 100 });
                    let delay = self.random.time(limit);
                    self.plan(delay, id, generation, Fate::Ends(-9));
                }
            }
            Action::Look { id, generation } => {
                let silent = self.process(id).is_none_or(|process| process.hangs);
                return Some(if silent {
                    Event::Silent { id, generation }
                } else {
                    Event::Heartbeat { id, generation }
                });
            }
            Action::Say(..) | Action::Forget(_) => {}
        }
        None
    }

    /// Returns when the next thing happens by itself.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.fates.peek().map(|Reverse((at, ..))| *at)
    }

    /// Lets the next thing happen; what is told of a process that is gone was late.
    pub(crate) fn step(&mut self) -> Option<Event> {
        let Reverse((at, _, id, generation, fate)) = self.fates.pop()?;
        self.now = self.now.max(at);
        if fate == Fate::Unblocked {
            self.blocked.remove(&(id, generation));
            return Some(Event::Unblocked { id, generation });
        }
        let process =
            self.processes[id.0 as usize].as_mut().filter(|it| it.generation == generation)?;
        Some(match fate {
            Fate::Started => {
                process.started = Some(at);
                self.live(id, generation);
                Event::Started { id, generation }
            }
            Fate::NotStarted(kind) => {
                self.processes[id.0 as usize] = None;
                let why = match kind {
                    0 => NotStarted::Refused("its lock is held by PID 7".into()),
                    1 => {
                        let delay = self.random.time(Duration::from_secs(900));
                        self.blocked.insert((id, generation));
                        self.plan(delay, id, generation, Fate::Unblocked);
                        NotStarted::Blocked("PID 7 runs without its lock".into())
                    }
                    2 => NotStarted::InUse("its port is taken".into()),
                    3..5 => NotStarted::Busy,
                    5 => NotStarted::NotNow("no space left".into()),
                    _ => NotStarted::Failed("the file is missing".into()),
                };
                Event::NotStarted { id, generation, why }
            }
            Fate::Unblocked => return None,
            Fate::Ready => {
                process.ready = Some(at);
                Event::Ready { id, generation }
            }
            Fate::Ends(code) => {
                let adopted = process.adopted;
                self.processes[id.0 as usize] = None;
                let exit = match code {
                    _ if adopted => Exit::Unknown,
                    -9 => Exit::Signal(9),
                    code => Exit::Code(code),
                };
                Event::Exited { id, generation, exit }
            }
        })
    }

    fn live(&mut self, id: Id, generation: u32) {
        let nature = self.nature(id);
        let Some(Process { hangs, adopted, .. }) = self.processes[id.0 as usize] else { return };
        if !adopted && !self.random.chance(nature.unready) {
            let delay = self.random.time(nature.settling);
            self.plan(delay, id, generation, Fate::Ready);
        }
        if let Some(lifetime) = nature.lifetime.filter(|_| !hangs) {
            let code = match self.random.chance(nature.blocked) {
                true => 75,
                false => i32::from(self.random.chance(70)),
            };
            let delay = self.random.time(lifetime);
            self.plan(delay, id, generation, Fate::Ends(code));
        }
    }
}

/// The fleet that a trader has: a server, and for each account a watchdog and a brain.
pub(crate) fn fleet(accounts: u32, spec: &mut dyn FnMut(Id) -> Spec) -> Vec<Spec> {
    let ids = (0..=2 * accounts).map(Id);
    ids.map(|id| {
        let mut spec = spec(id);
        if id.0 == 0 {
            spec.stop_rank = 2;
        } else if id.0 <= accounts {
            spec.stop_rank = 1;
            spec.depends_on = vec![Id(0)];
        } else {
            spec.guard = Some(Id(id.0 - accounts));
        }
        spec
    })
    .collect()
}
