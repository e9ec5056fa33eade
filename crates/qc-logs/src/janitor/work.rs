//! The work of the keeper, on its thread: what is looked at when, cut and removed.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use qc_process::file;

use super::{Message, SETTLE, Settings};
use crate::limiter::Limiter;
use crate::pace::{self, Look, next_look};
use crate::retention::{Candidate, Retention, plan};
use crate::rotate::{Durability, recover, rotate_with};
use crate::{LogFolder, LogName};

/// How often files are looked at for their age.
const AGE_LOOK: Duration = Duration::from_secs(3600);

/// The time between two looks from which on a cut may wait for the disk.
const UNHURRIED: Duration = Duration::from_secs(5);

/// The smallest size at which a file is cut.
pub(super) const LEAST_SIZE: u64 = 64 * 1024;

/// The files that are looked after, on that thread.
pub(super) struct Work {
    pub(super) folder: LogFolder,
    pub(super) settings: Settings,
    pub(super) tell: Box<dyn Fn(&str) + Send>,
    /// The files that living processes write to.
    pub(super) in_use: HashMap<PathBuf, Watched>,
    /// The problems that were reported, so that they are not reported every minute.
    pub(super) told: HashSet<(&'static str, PathBuf)>,
    /// Keeps a flood of rotations from becoming a flood of lines.
    pub(super) limiter: Limiter<(&'static str, String)>,
    /// When to look for files to remove.
    pub(super) tidy: Option<Instant>,
}

/// A file that is written to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watched {
    /// The last look at it.
    look: Option<Look>,
    /// When to look again.
    due: Instant,
}

impl Watched {
    fn new() -> Self {
        Self { look: None, due: Instant::now() + pace::FIRST }
    }
}

impl Work {
    pub(super) fn run(mut self, receiver: &Receiver<Message>) {
        self.attempt("finish cutting in", |work| recover(&work.folder));
        loop {
            let due = [self.next_look(), self.tidy].into_iter().flatten().min();
            let message = match due {
                None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => receiver.recv_timeout(due.saturating_duration_since(Instant::now())),
            };
            match message {
                Ok(Message::Changed { opened, closed }) => {
                    for path in closed {
                        self.in_use.remove(&path);
                    }
                    for path in opened {
                        self.opened(path);
                    }
                }
                Ok(Message::Change(settings)) => self.change(settings),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    let now = Instant::now();
                    self.look_at_sizes(now);
                    if self.tidy.is_some_and(|at| at <= now) {
                        self.attempt("remove old logs in", Self::remove_old);
                        // All files were listed.
                        qc_process::return_memory();
                        self.tidy = self.settings.retention.max_age.map(|_| now + AGE_LOOK);
                    }
                }
            }
        }
    }

    fn opened(&mut self, path: PathBuf) {
        if let Some(name) = path.file_name().and_then(|name| LogName::parse(name.to_str()?)) {
            let pointer = self.folder.path().join(format!("{}_latest.log", name.component()));
            self.attempt("make pointers to the latest logs in", |_| {
                file::point_at(&pointer, name.file_name().as_ref())
            });
        }
        self.in_use.insert(path, Watched::new());
        self.tidy_soon();
    }

    fn change(&mut self, settings: Settings) {
        self.settings = settings;
        // The known sizes were measured against another limit.
        self.in_use.values_mut().for_each(|file| *file = Watched::new());
        self.tidy_soon();
    }

    fn tidy_soon(&mut self) {
        if self.settings.retention != Retention::default() {
            self.tidy = Some(Instant::now() + SETTLE);
        }
    }

    /// Returns when the next file is to be looked at.
    fn next_look(&self) -> Option<Instant> {
        self.settings.rotate_at?;
        self.in_use.values().map(|file| file.due).min()
    }

    fn look_at_sizes(&mut self, now: Instant) {
        let Some(limit) = self.settings.rotate_at.map(|bytes| bytes.max(LEAST_SIZE)) else {
            return;
        };
        let due = self.in_use.iter().filter(|(_, file)| file.due <= now);
        for path in due.map(|(path, _)| path.clone()).collect::<Vec<PathBuf>>() {
            let look = self.look_at(&path, limit);
            let Some(file) = self.in_use.get_mut(&path) else { continue };
            let wait = look.map_or(pace::LONGEST, |look| next_look(file.look, look, limit));
            *file = Watched { look, due: Instant::now() + wait };
        }
    }

    /// Looks at a file, and rotates it if it is too large. One that has vanished is written to all the
    /// same, but there is nothing to rotate.
    fn look_at(&mut self, path: &Path, limit: u64) -> Option<Look> {
        let size = || fs::metadata(path).ok().map(|metadata| metadata.len());
        let found = size()?;
        let mut left = found;
        if found >= limit {
            let before = self.in_use.get(path).and_then(|file| file.look);
            self.rotate(path, durability(before, Instant::now()));
            left = size()?;
        }
        Some(Look { found, left, at: Instant::now() })
    }

    fn rotate(&mut self, path: &Path, durability: Durability) {
        let name = path.file_name().and_then(|name| LogName::parse(name.to_str()?));
        let Some(name) = name else { return };
        let result = rotate_with(&self.folder, &name, durability);
        let Some(Some(made)) = self.note("cut", path, result) else { return };
        let segment = made.segment.file_name().unwrap_or_default().to_string_lossy();
        let lost = match made.lost {
            0 => String::new(),
            lost => format!("; {lost} bytes written meanwhile are lost"),
        };
        let text = format!("cut {} bytes off a log: {segment}{lost}", made.bytes);
        self.log_limited("cut", name.component(), &text);
        self.tidy = Some(Instant::now());
    }

    fn remove_old(&mut self) -> io::Result<()> {
        let found = self.folder.list()?;
        let now = SystemTime::now();
        let files: Vec<Candidate<'_>> = found
            .iter()
            .map(|found| Candidate {
                component: found.name.component(),
                bytes: found.bytes,
                age: now.duration_since(found.modified).unwrap_or_default(),
                is_ahead: found.is_ahead(now),
                in_use: self.in_use.contains_key(&found.path),
            })
            .collect();
        for index in plan(&files, &self.settings.retention) {
            let path = &found[index].path;
            if let Some(()) = self.note("remove", path, file::remove(path)) {
                let name = &found[index].name;
                let text = format!("removed old log {}", name.file_name());
                self.log_limited("remove", name.component(), &text);
            }
        }
        Ok(())
    }

    /// Says what was done for a component, unless that was said often enough of late.
    fn log_limited(&mut self, what: &'static str, component: &str, text: &str) {
        match self.limiter.count((what, component.into()), Instant::now()) {
            None => {}
            Some(0) => (self.tell)(text),
            Some(more) => (self.tell)(&format!("{text} (and {more} times before)")),
        }
    }

    fn attempt(&mut self, what: &'static str, act: impl FnOnce(&mut Self) -> io::Result<()>) {
        let result = act(self);
        let folder = self.folder.path().to_path_buf();
        self.note(what, &folder, result);
    }

    /// Says what went wrong with a file or folder, once until it went well again.
    fn note<T>(&mut self, what: &'static str, path: &Path, result: io::Result<T>) -> Option<T> {
        match result {
            Ok(done) => {
                self.told.remove(&(what, path.to_path_buf()));
                Some(done)
            }
            Err(error) => {
                if self.told.insert((what, path.into())) {
                    (self.tell)(&format!("WARNING: cannot {what} {}: {error}", path.display()));
                }
                None
            }
        }
    }
}

/// Decides whether there is time for a busy disk: not for a file that had to be looked at again soon.
fn durability(before: Option<Look>, now: Instant) -> Durability {
    let is_slow = before.is_some_and(|look| now.saturating_duration_since(look.at) >= UNHURRIED);
    if is_slow { Durability::Synced } else { Durability::Hasty }
}
