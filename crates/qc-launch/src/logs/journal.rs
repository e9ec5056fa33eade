//! What the launcher says: one line per event, to the terminal and to a file of its own.
//!
//! Nothing here stops supervision: not a full disk, not a folder that has vanished, not a terminal
//! that is gone, nor one that stands still because somebody selects text in it.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use chrono::{DateTime, Local, SecondsFormat};
use serde::Serialize;

use crate::logs::LogFolder;

/// How many lines wait for a terminal that stands still; further ones are in the file only.
const WAITING_LINES: usize = 10_000;

/// How lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `[time] text`
    #[default]
    Text,
    /// One JSON object per line
    Json,
}

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Info,
    /// To look at.
    Warning,
    /// Something does not run that should.
    Error,
}

/// One event. Never holds command lines or environments: they can hold secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'a> {
    level: Level,
    event: &'a str,
    text: &'a str,
    component: Option<&'a str>,
    account: Option<&'a str>,
    pid: Option<u32>,
}

impl<'a> Line<'a> {
    /// Makes a line of an event, such as `started`, told in words.
    pub fn new(level: Level, event: &'a str, text: &'a str) -> Self {
        Self { level, event, text, component: None, account: None, pid: None }
    }

    /// Adds the component it happened to.
    pub fn component(self, component: &'a str) -> Self {
        Self { component: Some(component), ..self }
    }

    /// Adds the account.
    pub fn account(self, account: Option<&'a str>) -> Self {
        Self { account, ..self }
    }

    /// Adds the process.
    pub fn pid(self, pid: u32) -> Self {
        Self { pid: Some(pid), ..self }
    }

    /// Renders it with a line end; whatever the text holds, it is one line.
    fn render(&self, time: DateTime<Local>, format: Format) -> String {
        match format {
            Format::Text => {
                let mark = match self.level {
                    Level::Info => "",
                    Level::Warning => "WARNING: ",
                    Level::Error => "ERROR: ",
                };
                let text = qc_cli::visible(self.text);
                format!("[{}] {mark}{text}\n", time.format("%Y-%m-%d %H:%M:%S"))
            }
            Format::Json => {
                let object = Object {
                    time: time.to_rfc3339_opts(SecondsFormat::Millis, false),
                    level: self.level,
                    event: self.event,
                    component: self.component,
                    account: self.account,
                    pid: self.pid,
                    text: self.text,
                };
                // It holds nothing that JSON does not know.
                serde_json::to_string(&object).unwrap_or_default() + "\n"
            }
        }
    }
}

#[derive(Serialize)]
struct Object<'a> {
    time: String,
    level: Level,
    event: &'a str,
    component: Option<&'a str>,
    account: Option<&'a str>,
    pid: Option<u32>,
    text: &'a str,
}

/// The launcher's own log. Clones write to the same.
#[derive(Debug, Clone)]
pub struct Journal {
    format: Format,
    file: Arc<Mutex<OwnFile>>,
    terminal: Option<Terminal>,
}

impl Journal {
    /// Starts `orchestrator_<now>.log`, and with `on_terminal` says everything on standard output,
    /// too.
    ///
    /// # Errors
    /// If the file can't be made. Later on, nothing is an error.
    pub fn open(folder: &LogFolder, format: Format, on_terminal: bool) -> io::Result<Self> {
        let (file, path) = folder.open(NAME)?;
        let file =
            OwnFile { folder: folder.clone(), path, file: Some(file), missed: 0, torn: false };
        let terminal = if on_terminal { Some(Terminal::start(io::stdout())?) } else { None };
        Ok(Self { format, file: Arc::new(Mutex::new(file)), terminal })
    }

    /// Returns the file that is written to at this moment.
    pub fn path(&self) -> PathBuf {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).path.clone()
    }

    /// Says one line.
    pub fn say(&self, line: &Line<'_>) {
        let mut lines = Lines::default();
        lines.add(self, line);
        self.say_all(lines);
    }

    /// Says several lines with one write.
    pub fn say_all(&self, lines: Lines) {
        let notice =
            |text: &str| Line::new(Level::Warning, "log", text).render(Local::now(), self.format);
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write(&lines, notice);
        if let Some(terminal) = &self.terminal {
            terminal.write(lines);
        }
    }

    /// Waits until the terminal shows everything, but no longer than `limit`.
    pub fn flush(&self, limit: Duration) {
        if let Some(terminal) = &self.terminal {
            terminal.flush(limit);
        }
    }
}

/// Lines that are to be said together, each with the time at which it was added.
#[derive(Debug, Default)]
pub struct Lines {
    text: String,
    count: usize,
}

impl Lines {
    /// Adds a line as `journal` writes it.
    pub fn add(&mut self, journal: &Journal, line: &Line<'_>) {
        self.text.push_str(&line.render(Local::now(), journal.format));
        self.count += 1;
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// The launcher's log file is named like those of the components.
const NAME: &str = "orchestrator";

#[derive(Debug)]
struct OwnFile {
    folder: LogFolder,
    path: PathBuf,
    file: Option<File>,
    /// How many lines could not be written.
    missed: usize,
    /// Whether the last write stopped in the middle of a line.
    torn: bool,
}

impl OwnFile {
    fn write(&mut self, lines: &Lines, notice: impl Fn(&str) -> String) {
        if self.file.is_none() || !self.path.exists() {
            self.reopen();
        }
        let Some(file) = &mut self.file else {
            self.missed += lines.count;
            return;
        };
        let mut all = String::new();
        if self.torn {
            all.push('\n');
        }
        if self.missed > 0 {
            all.push_str(&notice(&format!(
                "{} lines before this one could not be written",
                self.missed
            )));
        }
        all.push_str(&lines.text);
        match write_whole(file, all.as_bytes()) {
            Ok(()) => (self.missed, self.torn) = (0, false),
            Err(written) => {
                self.missed += lines.count;
                self.torn |= written > 0;
            }
        }
    }

    /// Makes the folder and a file anew: somebody has removed them.
    fn reopen(&mut self) {
        self.file = None;
        if let Ok((file, path)) = self.folder.open(NAME) {
            (self.file, self.path, self.torn) = (Some(file), path, false);
        }
    }
}

/// Writes all of `bytes`, or returns how many were written.
fn write_whole(file: &mut File, bytes: &[u8]) -> Result<(), usize> {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(count) if count > 0 => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => return Err(written),
        }
    }
    Ok(())
}

/// The terminal, written to by a thread that may stand still.
#[derive(Debug, Clone)]
struct Terminal {
    sender: Sender<Shown>,
    counts: Arc<Counts>,
}

/// Counts of lines.
#[derive(Debug, Default)]
struct Counts {
    /// Those that wait to be shown.
    waiting: AtomicUsize,
    /// Those that found no room.
    missed: AtomicUsize,
}

#[derive(Debug)]
enum Shown {
    Lines(Lines),
    /// Answered when all before it was written.
    Flush(Sender<()>),
}

impl Terminal {
    fn start(output: impl Write + Send + 'static) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        let builder = thread::Builder::new().name("terminal".into()).stack_size(64 * 1024);
        builder.spawn(move || show(&receiver, output, &counted))?;
        Ok(Self { sender, counts })
    }

    fn write(&self, lines: Lines) {
        let count = lines.count;
        let waiting = self.counts.waiting.fetch_add(count, Ordering::Relaxed);
        let is_sent =
            waiting + count <= WAITING_LINES && self.sender.send(Shown::Lines(lines)).is_ok();
        if !is_sent {
            self.counts.waiting.fetch_sub(count, Ordering::Relaxed);
            self.counts.missed.fetch_add(count, Ordering::Relaxed);
        }
    }

    fn flush(&self, limit: Duration) {
        let (sender, done) = mpsc::channel();
        if self.sender.send(Shown::Flush(sender)).is_ok() {
            // A terminal that stands still must not keep the program from ending.
            let _ = done.recv_timeout(limit);
        }
    }
}

fn show(waiting: &Receiver<Shown>, mut output: impl Write, counts: &Counts) {
    for shown in waiting {
        match shown {
            Shown::Lines(lines) => {
                // A terminal that has gone away is no reason to stop; the file has it all.
                let _ = output.write_all(lines.text.as_bytes());
                counts.waiting.fetch_sub(lines.count, Ordering::Relaxed);
            }
            Shown::Flush(done) => drop(done.send(())),
        }
        let gone = counts.missed.swap(0, Ordering::Relaxed);
        if gone > 0 {
            let _ = writeln!(output, "({gone} lines are not shown here; see the log)");
        }
        let _ = output.flush();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use chrono::TimeZone;

    use super::*;

    #[test]
    fn every_event_is_one_line() {
        let time = Local.with_ymd_and_hms(2026, 1, 31, 23, 59, 58).unwrap();
        let text = "started BRAIN_A (PID 7)\nand \"more\"";
        let line = Line::new(Level::Info, "started", text).component("BRAIN_A").pid(7);
        let plain = "[2026-01-31 23:59:58] started BRAIN_A (PID 7)\\nand \"more\"\n";
        assert_eq!(line.render(time, Format::Text), plain);
        let json = line.render(time, Format::Json);
        assert_eq!(json.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(DateTime::parse_from_rfc3339(value["time"].as_str().unwrap()).unwrap(), time);
        let expected = serde_json::json!({
            "time": value["time"], "level": "info", "event": "started", "component": "BRAIN_A",
            "account": null, "pid": 7, "text": text,
        });
        assert_eq!(value, expected);
        let line = Line::new(Level::Warning, "log", "the disk is full");
        assert_eq!(
            line.render(time, Format::Text),
            "[2026-01-31 23:59:58] WARNING: the disk is full\n"
        );
    }

    fn say(journal: &Journal, text: &str) {
        journal.say(&Line::new(Level::Info, "test", text));
    }

    #[test]
    fn a_folder_that_vanishes_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let folder = LogFolder::new(dir.path().join("logs"));
        let journal = Journal::open(&folder, Format::Text, false).unwrap();
        say(&journal, "one");
        // Windows keeps the name of an open file until it is closed, so it is moved away first.
        fs::rename(journal.path(), dir.path().join("moved.log")).unwrap();
        fs::remove_dir_all(folder.path()).unwrap();
        say(&journal, "two");
        assert!(fs::read_to_string(journal.path()).unwrap().ends_with("] two\n"));
    }

    #[test]
    fn a_place_that_can_not_be_written_to_is_not_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let folder = LogFolder::new(dir.path().join("logs"));
        let journal = Journal::open(&folder, Format::Text, false).unwrap();
        fs::rename(journal.path(), dir.path().join("moved.log")).unwrap();
        fs::remove_dir_all(folder.path()).unwrap();
        fs::write(folder.path(), "a file where the folder was").unwrap();
        say(&journal, "lost");
        say(&journal, "lost, too");
        fs::remove_file(folder.path()).unwrap();
        say(&journal, "written");
        let text = fs::read_to_string(journal.path()).unwrap();
        assert!(text.contains("WARNING: 2 lines before this one could not be written\n"), "{text}");
        assert!(text.ends_with("] written\n"), "{text}");
        assert!(!text.contains("lost"), "{text}");
    }

    /// A terminal that stands still until it is told to go on.
    struct Still(Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Still {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_terminal_that_stands_still_keeps_nobody_waiting() {
        let (go_on, still) = mpsc::channel();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let terminal = Terminal::start(Still(still, Arc::clone(&seen))).unwrap();
        for number in 0..WAITING_LINES + 10 {
            terminal.write(Lines { text: format!("{number}\n"), count: 1 });
        }
        terminal.flush(Duration::ZERO);
        drop(go_on);
        let text = loop {
            terminal.flush(Duration::from_secs(60));
            let text = String::from_utf8(seen.lock().unwrap().clone()).unwrap();
            if text.contains(" lines are not shown here") {
                break text;
            }
        };
        assert!(text.starts_with("0\n(10 lines are not shown here"), "{text}");
    }

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn a_terminal_that_has_gone_away_is_no_reason_to_stop() {
        let terminal = Terminal::start(Gone).unwrap();
        terminal.write(Lines { text: "one\n".into(), count: 1 });
        terminal.flush(Duration::from_secs(60));
        assert!(terminal.sender.send(Shown::Lines(Lines::default())).is_ok(), "it still listens");
    }
}
