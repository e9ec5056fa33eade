//! One supervisor with its children, from start to end, measured.

use std::collections::HashSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use qc_process::{Ask, Process, ask_all, identity_of, wait_any};

use super::births::{Birth, Births};
use super::peers::{Peer, Scene};
use super::usage::{Own, Work};

/// The longest that stopping may take.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The longest that one supervisor is killed children of; the slow ones take a second for each.
const KILLING: Duration = Duration::from_secs(10);

/// The measurements besides start and stop.
#[derive(Clone, Copy)]
pub(super) struct Depth {
    /// How long it is watched idle.
    pub(super) idle: Duration,
    pub(super) kills: usize,
}

pub(super) struct Measured {
    /// In milliseconds, as all times here.
    pub(super) start: f64,
    pub(super) stop: f64,
    pub(super) deep: Option<Deep>,
}

pub(super) struct Deep {
    pub(super) processes: usize,
    pub(super) memory: u64,
    pub(super) idle: Work,
    pub(super) replacements: Vec<f64>,
}

/// A supervisor that runs; killed when dropped, and its children with it.
pub(super) struct Running {
    child: Child,
    children: Vec<Process>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // All only so that nothing is left behind. The supervisor first: it would start them anew.
        let below = Own::find(self.child.id(), &HashSet::new());
        let below = below.map(|own| own.pids().to_vec()).unwrap_or_default();
        let below: Vec<Process> = below.into_iter().skip(1).flat_map(open).collect();
        let _ = self.child.kill();
        let _ = self.child.wait();
        for process in below.iter().chain(&self.children) {
            let _ = process.kill();
        }
    }
}

/// Runs `peer` with `count` children.
pub(super) fn run(
    peer: &Peer,
    child: &Path,
    count: usize,
    depth: Option<Depth>,
) -> Result<Measured> {
    let dir = tempfile::tempdir()?;
    let births = Births::new(dir.path().join("births"))?;
    let scene = Scene { dir: dir.path(), child, fifo: births.path(), count };
    let mut command = peer.lay_out(&scene)?;

    let began = Instant::now();
    let mut running = Running::start(&mut command)?;
    let last = running.take_born(&births, count)?;
    let start = milliseconds(last.map_or(Duration::ZERO, |last| last - began));
    let deep = depth.map(|depth| running.look_deep(&births, depth)).transpose()?;
    ensure!(!births.is_another(), "more children run than were asked for");
    let stop = running.stop(peer)?;
    Ok(Measured { start, stop, deep })
}

impl Running {
    /// Starts a supervisor.
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
        Ok(Self { child, children: Vec::new() })
    }

    /// Waits until so many children run, which are its children from now on; returns since when the
    /// last one does.
    pub(super) fn take_born(&mut self, births: &Births, count: usize) -> Result<Option<Instant>> {
        let born: Vec<Birth> = (0..count).map(|_| births.next()).collect::<Result<_>>()?;
        self.children = born.iter().map(|birth| open(birth.pid)).collect::<Result<_>>()?;
        Ok(born.last().map(|last| last.at))
    }

    /// Kills all children, one right after the other.
    pub(super) fn kill_children(&self) -> Result<()> {
        self.children.iter().try_for_each(|child| Ok(child.kill()?))
    }

    fn look_deep(&mut self, births: &Births, depth: Depth) -> Result<Deep> {
        // The work after a start is not idleness. When it is over, no supervisor tells.
        thread::sleep(Duration::from_secs(2));
        let children = self.children.iter().map(|child| child.identity().pid).collect();
        let own = Own::find(self.child.id(), &children)?;
        let memory = own.memory()?;
        let before = own.work()?;
        // The span that is measured.
        thread::sleep(depth.idle);
        let idle = own.work()?.since(before);
        let replacements = self.replacements(births, depth.kills)?;
        Ok(Deep { processes: own.count(), memory, idle, replacements })
    }

    /// Kills one child after the other, each another one, and waits for the one that follows.
    fn replacements(&mut self, births: &Births, kills: usize) -> Result<Vec<f64>> {
        let mut took = Vec::with_capacity(kills);
        let begun = Instant::now();
        for number in 0..kills {
            let index = number % self.children.len();
            let killed = Instant::now();
            self.children[index].kill()?;
            let birth = births.next()?;
            took.push(milliseconds(birth.at - killed));
            self.children[index] = open(birth.pid)?;
            if begun.elapsed() > KILLING {
                break;
            }
        }
        Ok(took)
    }

    /// Returns how long it took until it and all its children had ended.
    pub(super) fn stop(mut self, peer: &Peer) -> Result<f64> {
        let supervisor = open(self.child.id())?;
        let began = Instant::now();
        match peer.stop_signal {
            None => ask_all(&[&supervisor], Ask::Firmly).remove(0)?,
            Some(signal) => {
                let pid = self.child.id().to_string();
                let sent = Command::new("kill").args([signal, &pid]).status()?;
                ensure!(sent.success(), "kill {signal} failed");
            }
        }
        ensure!(!wait_any(&[&supervisor], TIMEOUT)?.is_empty(), "it does not end");
        let mut took = began.elapsed();
        for child in &self.children {
            if wait_any(&[child], Duration::ZERO)?.is_empty() {
                ensure!(!wait_any(&[child], TIMEOUT)?.is_empty(), "a child does not end");
                took = began.elapsed();
            }
        }
        self.child.wait()?;
        Ok(milliseconds(took))
    }
}

fn open(pid: u32) -> Result<Process> {
    Process::open(&identity_of(pid)?)?.context("it has ended")
}

pub(super) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
