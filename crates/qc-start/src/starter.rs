//! Starting one component under its lock.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use qc_fleet::{
    COMPONENT_LOCKS_ID_VARIABLE, COMPONENT_LOCKS_VARIABLE, COMPONENT_VARIABLE, Component, run_mark,
};
use qc_lock_core::{AccountUse, LockDir, LockForChild, PAPER_VARIABLE, StartError};
use qc_logs::LogFolder;
use qc_process::{
    Child, Console, Identity, LOCKS_ARE_INHERITED, MachineGuard, NOT_MARKED, Output, Spawn, inspect,
};
use qc_supervise::NotStarted;

use crate::heartbeat::HeartbeatMonitor;
use crate::listen::listen;
use crate::no_start::{NoStart, failed, not_locked, refuse_busy};
use crate::readiness::ReadinessCheck;

/// A component that was started.
pub struct Begun {
    /// Its process, or that of its wrapper.
    pub child: Child,
    /// Whether a wrapper will say when the component itself runs.
    pub is_wrapped: bool,
    /// Since when it holds its lock, if that is known.
    pub held_since: Option<SystemTime>,
    /// Where its output goes; without a log, nowhere, and why.
    pub log: io::Result<PathBuf>,
    /// The readiness check, where one has to be polled.
    pub check: Option<ReadinessCheck>,
    /// The monitor of its heartbeat, if it has one.
    pub heartbeat: Option<HeartbeatMonitor>,
    /// That what it leaves behind may not be found, if that is so.
    pub unmarked: Option<String>,
    /// Remarks for the log.
    pub remarks: Vec<String>,
    /// The guards of the machine that it has, too. It may close them by mistake.
    pub machine_guards: Vec<MachineGuard>,
}

/// A message from a wrapper.
#[derive(Debug)]
pub enum WrapperReport {
    /// The component runs.
    Started(Identity),
    /// Something for people.
    Line(String),
}

/// Starts components under their locks.
pub struct Starter<'a> {
    /// Where the locks are taken.
    pub locks: &'a LockDir,
    /// Whether the scripts lock by themselves with the old module.
    pub scripts_lock: bool,
}

impl Starter<'_> {
    /// Starts a component, under the guards that were kept for it, if there are any. `hear` gets
    /// what a wrapper says, on another thread.
    ///
    /// # Errors
    /// A [`NoStart`]; nothing runs then.
    pub fn start(
        &self,
        component: &Component,
        kept: Option<LockForChild>,
        logs: &LogFolder,
        hear: impl Fn(WrapperReport) + Send + 'static,
    ) -> Result<Begun, NoStart> {
        for &port in &component.ports {
            refuse_busy(port)?;
        }
        let name = component.name.as_str();
        let (file, log) = logs.open_or_nowhere(name).map_err(failed)?;
        let path = log.as_deref().ok();
        let check = ReadinessCheck::new(component, logs, path).map_err(NotStarted::Failed)?;
        let heartbeat = HeartbeatMonitor::new(component, path);
        let written = path.map_or_else(|| logs.next(name), PathBuf::from);
        let command: Vec<OsString> =
            component.command.iter().map(|word| word.value().into()).collect();
        let begun = |child: Child, is_wrapped| Begun {
            unmarked: unmarked(&child, component),
            child,
            is_wrapped,
            held_since: None,
            log,
            check,
            heartbeat,
            remarks: Vec::new(),
            machine_guards: Vec::new(),
        };
        if self.scripts_lock {
            let spawn = self.spawn_of(command, component, Output::File(&file));
            return Ok(begun(spawn.start(|_| Ok(())).map_err(failed)?, false));
        }
        if !LOCKS_ARE_INHERITED {
            // The wrapper takes them itself. What is in the way is known here already, and is
            // waited for as on Unix; a wrapper that is refused can't say more than that.
            drop(match kept {
                Some(guards) => guards,
                None => self.guards_of(component)?,
            });
            // A wrapper stays with the child, holds the lock, and says through the pipe what it
            // does.
            let (reader, writer) = io::pipe().map_err(failed)?;
            let wrapper = self.wrapped(component, &written, command).map_err(failed)?;
            let spawn = self.spawn_of(wrapper, component, Output::Pipe(&writer));
            let child = spawn.start(|_| Ok(())).map_err(failed)?;
            listen(reader, hear).map_err(failed)?;
            return Ok(begun(child, true));
        }
        let lock = match kept {
            Some(guards) => guards,
            None => self.guards_of(component)?,
        };
        let (lock, child) = lock
            .start(self.spawn_of(command, component, Output::File(&file)))
            .map_err(|error| match error {
                StartError::Lock(error) => not_locked(error),
                StartError::GuardDeleted => NotStarted::Busy.into(),
                StartError::Spawn(error) => failed(error),
            })?;
        let remarks = lock.reclaimed().iter();
        let remarks = remarks.map(|it| format!("reclaimed lock {} {it}", component.name)).collect();
        let held_since = lock.record().since();
        let machine_guards = lock.leave_to_child();
        Ok(Begun { held_since, remarks, machine_guards, ..begun(child, false) })
    }

    /// Takes what keeps other copies of a component out.
    fn guards_of(&self, component: &Component) -> Result<LockForChild, NoStart> {
        self.locks.acquire_for_child(&component.request().at_once()).map_err(not_locked)
    }

    fn spawn_of<'a>(
        &self,
        command: Vec<OsString>,
        component: &Component,
        output: Output<'a>,
    ) -> Spawn<'a> {
        let mut words = command.into_iter();
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let mut env: Vec<(OsString, Option<OsString>)> = PYTHON_OUTPUT
            .iter()
            .filter(|(name, _)| !is_set(name))
            .map(|(name, value)| (name.into(), Some(value.into())))
            .collect();
        let given = component.env.iter();
        env.extend(given.map(|(name, value)| (name.into(), Some(value.reveal().into()))));
        // A `qc-shutdown` that it runs spares it and this launcher.
        if component.account_use == AccountUse::Paper {
            env.push((PAPER_VARIABLE.into(), Some("1".into())));
        }
        env.push((COMPONENT_VARIABLE.into(), Some(component.name.as_str().into())));
        env.push((COMPONENT_LOCKS_VARIABLE.into(), Some(self.locks.path().into())));
        let id = inspect::folder_id(self.locks.path());
        env.push((COMPONENT_LOCKS_ID_VARIABLE.into(), id.map(Into::into)));
        Spawn {
            program: words.next().unwrap_or_default(),
            args: words.collect(),
            current_dir: Some(component.cwd.clone()),
            env,
            output,
            console: Console::Own,
            keep: Vec::new(),
            machine_guards: Vec::new(),
            end_with_parent: false,
            mark: run_mark(self.locks.path(), component.name.as_str()),
            chain: None,
        }
    }

    fn wrapped(
        &self,
        component: &Component,
        log: &Path,
        command: Vec<OsString>,
    ) -> io::Result<Vec<OsString>> {
        let mut words: Vec<OsString> =
            vec![std::env::current_exe()?.into(), "hold".into(), "--lock-dir".into()];
        words.push(self.locks.path().into());
        if let Some(account) = &component.account {
            words.extend(["--account".into(), account.as_str().into()]);
        }
        if let Some(terminal) = &component.terminal {
            words.extend(["--terminal".into(), terminal.as_str().into()]);
        }
        match component.account_use {
            AccountUse::Trades => {}
            AccountUse::Shares => words.push("--shared-account".into()),
            AccountUse::Paper => words.push("--paper".into()),
        }
        if component.own_record {
            words.push("--own-record".into());
        }
        words.extend([
            "--program".into(),
            component.script_file().into(),
            "--output".into(),
            log.into(),
        ]);
        words.extend([component.name.as_str().into(), "--".into()]);
        words.extend(command);
        Ok(words)
    }
}

/// Says that what a component leaves behind may not be found, if that is so.
fn unmarked(child: &Child, component: &Component) -> Option<String> {
    let text = || {
        let name = &component.name;
        format!(
            "{name} has no mark, so what it leaves behind is known only while it shows its \
             environment: {NOT_MARKED}"
        )
    };
    (!child.is_marked()).then(text)
}

/// How a Python writes to a log, unless the user has it otherwise. It writes to a file in blocks,
/// and a crash loses the last of them; and in the encoding of the system's language, in which an
/// emoji ends a bot. What no encoding knows, such as half a surrogate pair, is escaped.
const PYTHON_OUTPUT: [(&str, &str); 2] =
    [("PYTHONUNBUFFERED", "1"), ("PYTHONIOENCODING", "utf-8:backslashreplace")];
