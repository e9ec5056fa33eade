//! A child of the drill: started, waited for with a limit, and ended in any case.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use qc_process::{Child, Console, Ended, Identity, Output, Process, Spawn, Watcher};

use super::outcome::{Miss, failed};

/// How long anything may take that should happen at once, on a slow machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(15);

/// How long nothing has to happen, to be sure that it does not.
pub(crate) const A_WHILE: Duration = Duration::from_millis(400);

/// How long another program may take, such as a PowerShell that starts for the first time.
const OTHERS_TIMEOUT: Duration = Duration::from_secs(40);

/// A part's first line.
pub(crate) const READY: &str = "ready";

/// A child at a console of its own.
#[derive(Debug)]
pub(crate) struct DrillChild {
    child: Child,
    ended: Option<Ended>,
    lines: Receiver<String>,
    /// It stays as long as this file does.
    stay: PathBuf,
    /// The process that reported ready: the child, or the one that it runs.
    pub(crate) player: Identity,
    /// The rest of its line.
    pub(crate) word: String,
}

impl DrillChild {
    /// Starts a part and waits until it is ready.
    pub(super) fn start(
        program: &Path,
        words: Vec<OsString>,
        dir: &Path,
        stay: PathBuf,
    ) -> Result<Self, Miss> {
        let mut part = Self::launch(program, words, dir, stay)?;
        let line = part.line()?;
        let mut words = line.splitn(4, ' ');
        let ready = (words.next(), words.next().map(str::parse), words.next().map(str::parse));
        let (Some(READY), Some(Ok(pid)), Some(Ok(started))) = ready else {
            return failed(format!("a child said: {line}"));
        };
        (part.player.pid, part.player.started) = (pid, started);
        part.word = words.next().unwrap_or_default().to_owned();
        Ok(part)
    }

    /// Starts something that says in another way when it is ready.
    pub(super) fn launch(
        program: &Path,
        words: Vec<OsString>,
        dir: &Path,
        stay: PathBuf,
    ) -> Result<Self, Miss> {
        let (child, lines) = start(program.into(), words, dir)?;
        let player = child.identity().clone();
        Ok(Self { child, ended: None, lines, stay, player, word: String::new() })
    }

    /// Returns who it is.
    pub(crate) fn identity(&self) -> &Identity {
        self.child.identity()
    }

    /// Waits for the next line that it prints.
    pub(crate) fn line(&self) -> Result<String, Miss> {
        self.lines.recv_timeout(TIMEOUT).map_err(|error| {
            Miss::Failed(match error {
                RecvTimeoutError::Timeout => "a child says nothing".into(),
                RecvTimeoutError::Disconnected => "a child has ended without a word".into(),
            })
        })
    }

    /// Waits until it ends, for at most `limit`; `None` if it does not.
    pub(crate) fn ended_within(&mut self, limit: Duration) -> Result<Option<Ended>, Miss> {
        if self.ended.is_none() {
            self.ended = ended_within(&mut self.child, limit)?;
        }
        Ok(self.ended)
    }

    /// Waits until it ends by itself.
    pub(crate) fn end(&mut self) -> Result<Ended, Miss> {
        match self.ended_within(TIMEOUT)? {
            Some(ended) => Ok(ended),
            None => failed("a child does not end"),
        }
    }

    /// Kills it, as a crash would; returns when it is gone.
    pub(crate) fn kill(&mut self) -> Result<(), Miss> {
        if let Some(process) = Process::open(self.identity())? {
            process.kill()?;
        }
        self.end().map(drop)
    }

    /// Tells it that its time is over, and waits for its end.
    pub(crate) fn dismiss(&mut self) -> Result<Ended, Miss> {
        fs::remove_file(&self.stay)?;
        self.end()
    }
}

impl Drop for DrillChild {
    fn drop(&mut self) {
        if self.ended.is_some() {
            return;
        }
        // A file that is gone already says the same. Who plays a terminal is never killed, and
        // who can't be reached in another way ends by itself.
        let _ = fs::remove_file(&self.stay);
        if let Ok(Some(process)) = Process::open(self.identity()) {
            let _ = process.kill();
        }
        let _ = self.ended_within(TIMEOUT);
    }
}

/// Runs another program in `dir`; returns how it ended and what it printed. `NotFound` as a
/// failure of the system if there is no such program.
pub(crate) fn run(
    program: impl AsRef<OsStr>,
    args: &[&str],
    dir: &Path,
) -> io::Result<(Ended, Vec<String>)> {
    let program = program.as_ref();
    let args = args.iter().map(OsString::from).collect();
    let (mut child, lines) = start(program.into(), args, dir)?;
    let Some(ended) = ended_within(&mut child, OTHERS_TIMEOUT)? else {
        if let Ok(Some(process)) = Process::open(child.identity()) {
            // It may end by itself at this moment.
            let _ = process.kill();
        }
        let limit = OTHERS_TIMEOUT.as_secs();
        return Err(io::Error::other(format!(
            "{} does not end within {limit} s",
            program.display()
        )));
    };
    let mut printed = Vec::new();
    // A process that it has left running may hold the pipe open.
    while let Ok(line) = lines.recv_timeout(A_WHILE) {
        printed.push(line);
    }
    Ok((ended, printed))
}

fn start(
    program: OsString,
    args: Vec<OsString>,
    dir: &Path,
) -> io::Result<(Child, Receiver<String>)> {
    let (reader, writer) = io::pipe()?;
    let spawn = Spawn {
        program,
        args,
        current_dir: Some(dir.into()),
        // This machine's fleet is none of the drill's business.
        env: ["QC_ROOT", "QC_LOCK_DIR", "QC_LOCK_TOKEN", "QC_COMPONENT"]
            .map(|name| (name.into(), None))
            .into(),
        output: Output::Pipe(&writer),
        console: Console::Own,
        keep: Vec::new(),
        machine_guards: Vec::new(),
        end_with_parent: true,
        mark: None,
        chain: None,
    };
    let child = spawn.start(|_| Ok(()))?;
    drop(writer);
    let (sender, lines) = mpsc::channel();
    thread::Builder::new().name("lines".into()).spawn(move || {
        for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                break;
            }
        }
    })?;
    Ok((child, lines))
}

fn ended_within(child: &mut Child, limit: Duration) -> io::Result<Option<Ended>> {
    let deadline = Instant::now() + limit;
    let mut watcher = Watcher::new()?;
    watcher.watch_child(child, 0)?;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if !watcher.wait(Some(left))?.is_empty() {
            return child.wait().map(Some);
        }
        if left.is_zero() {
            return Ok(None);
        }
    }
}
