//! A program that wants a lock, and keeps it until it is told to give it back.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use qc_process::{Identity, Liveness, Process, identity_of, liveness, wait_any};

use crate::Finished;
use crate::deadline::Deadline;
use crate::lines::{Lines, all_of};
use crate::tools::{spawn, without_settings};

/// The longest that a killed process may take to be gone.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Longer than any of them lives.
const LIFETIME: Duration = Duration::from_secs(180);

/// The line of a program that holds its lock, up to its pid.
const HELD: &str = "held by PID ";

/// A running program that takes a lock, prints `held by PID <pid>`, and gives the lock back when
/// its standard input ends; killed when dropped. It ends by itself after two minutes, so what is
/// awaited here comes or ends.
pub struct Contender {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines,
    /// Its processes once it holds the lock, the outermost first; the last one does the work.
    processes: Vec<Process>,
    /// The one that does the work, once it holds the lock and if it has not ended meanwhile.
    worker: Option<Identity>,
}

impl Contender {
    /// Starts it.
    pub fn start(command: &mut Command) -> Self {
        without_settings(command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            spawn(command).unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let input = child.stdin.take();
        let output = Lines::of(child.stdout.take().expect("its output is a pipe"), |_| ());
        Self { child, input, output, processes: Vec::new(), worker: None }
    }

    /// Waits until it holds its lock, or has closed its output without; returns the pid that the
    /// record should name.
    pub fn holds(&mut self) -> Option<u32> {
        let line = self.line_with(HELD, |line| line.starts_with(HELD))?;
        let pid = line[HELD.len()..].split(' ').next().and_then(|pid| pid.parse().ok());
        let pid = pid.unwrap_or_else(|| panic!("no pid: {line}"));
        for pid in [self.child.id(), pid] {
            if self.processes.last().is_some_and(|process| process.identity().pid == pid) {
                continue;
            }
            // One that was killed meanwhile has no identity any more.
            self.worker = identity_of(pid).ok();
            let Some(identity) = self.worker.clone() else { continue };
            self.processes.extend(Process::open(&identity).expect("it may be opened"));
        }
        Some(pid)
    }

    /// Returns the pid that the record should name.
    pub fn pid(&self) -> u32 {
        self.worker().identity().pid
    }

    /// Returns the pid of the program that was started.
    pub fn wrapper_pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns what it has printed so far, as far as it was awaited.
    pub fn seen(&self) -> &[String] {
        self.output.seen()
    }

    /// Sends it a line.
    pub fn tell(&mut self, line: &str) {
        let input = self.input.as_mut().expect("its input is open");
        writeln!(input, "{line}").and_then(|()| input.flush()).expect("it listens");
    }

    /// Waits until it prints a line that holds `text`.
    pub fn wait_for(&mut self, text: &str) {
        if self.line_with(text, |line| line.contains(text)).is_none() {
            let mut errors = String::new();
            // More to show, if there is more.
            let _ = self.child.stderr.take().map(|mut pipe| pipe.read_to_string(&mut errors));
            panic!("ended without `{text}`; seen: {:#?} {errors}", self.seen());
        }
    }

    /// Waits until it prints a line, whatever it is; `None` if its output has ended.
    pub fn next_line(&mut self) -> Option<String> {
        self.line_with("line", |_| true)
    }

    /// Kills all its processes, as a crash would, the outermost first so that none can tidy up.
    pub fn kill(&mut self) {
        for process in &self.processes {
            process.kill().expect("it may be killed");
        }
        self.processes.iter().for_each(wait_for_end);
    }

    /// Kills the program that was started, and waits until nothing of it is left that could print.
    /// Works also where the working process can't be opened, as in another container.
    pub fn crash(mut self) {
        self.child.kill().expect("it may be killed");
        while self.next_line().is_some() {}
    }

    /// Kills only the program that was started.
    pub fn kill_wrapper(&mut self) {
        let [wrapper, _, ..] = &self.processes[..] else { panic!("it has no wrapper") };
        wrapper.kill().expect("it may be killed");
        wait_for_end(wrapper);
    }

    /// Kills only the process that does the work.
    pub fn kill_worker(&mut self) {
        self.worker().kill().expect("it may be killed");
        wait_for_end(self.worker());
    }

    /// Waits until the process that does the work has ended.
    pub fn wait_for_worker(&self) {
        wait_for_end(self.worker());
    }

    /// Whether the process that does the work is alive.
    pub fn works(&self) -> bool {
        self.worker.as_ref().is_some_and(|worker| liveness(worker) == Liveness::Alive)
    }

    /// Lets it give the lock back, and waits until all its processes have ended.
    pub fn finish(mut self) -> Finished {
        drop(self.input.take());
        let all = self.processes.iter().map(|process| process.identity().clone());
        let deadline = Deadline::of(all.chain(identity_of(self.child.id())).collect());
        let errors = all_of(self.child.stderr.take().expect("finished once"));
        let status = self.child.wait().expect("cannot wait");
        self.processes.iter().for_each(wait_for_end);
        let finished = Finished {
            code: status.code().unwrap_or(-1),
            stdout: self.output.finish().join("\n"),
            stderr: String::from_utf8_lossy(&errors()).replace("\r\n", "\n"),
        };
        deadline.met(&format!("{finished:?}"));
        finished
    }

    fn worker(&self) -> &Process {
        self.processes.last().expect("it holds its lock")
    }

    fn line_with(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> Option<String> {
        self.output.wait_for(what, LIFETIME, wanted)
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        drop(self.input.take());
        // Some or all of it may have ended, or been killed, already.
        let _ = self.child.kill();
        for process in &self.processes {
            let _ = process.kill();
        }
        let _ = self.child.wait();
        // No process may write into a folder that is about to be removed.
        for process in &self.processes {
            let _ = wait_any(&[process], TIMEOUT);
        }
    }
}

fn wait_for_end(process: &Process) {
    let ended = wait_any(&[process], TIMEOUT).expect("cannot wait");
    assert_eq!(ended, [0], "{} lives on", process.identity().pid);
}
