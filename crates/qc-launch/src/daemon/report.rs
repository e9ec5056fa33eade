//! The output of qc-launch: its own log, notifications, metrics for Prometheus; and the upkeep of
//! all logs, which goes with it.

use std::io::{self, Write};
use std::mem;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use qc_cli::{Exit, Failure};
use qc_fleet::{Fleet, LogSettings, NotifySettings};
use qc_logs::{Journal, Level, Line, Lines, LogFolder, LogJanitor, Retention};
use qc_metrics::{LocalAddress, Metrics, Server};
use qc_notify::{BadAddress, Notification, Notifier};

use crate::daemon::up::Options;

/// How long the terminal may take to show the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// How long the last notices may take.
const LAST_NOTICES: Duration = Duration::from_secs(5);

/// How long notices may take that wait for a command or webhook which is no longer in the config.
const FORMER_NOTICES: Duration = Duration::from_secs(60);

/// Where everything that is told goes.
pub(crate) struct Report {
    journal: Journal,
    /// The journal's file, as the keeper knows it.
    journal_path: PathBuf,
    /// The lines since the last write.
    lines: Lines,
    opened: Vec<PathBuf>,
    closed: Vec<PathBuf>,
    folder: LogFolder,
    janitor: LogJanitor,
    notifier: Notifier,
    metrics: Metrics,
    server: Option<Server>,
    /// Where figures were to be served by the command line, whatever the config says.
    served_at: Option<LocalAddress>,
    applied: Applied,
}

/// The settings that are in force.
#[derive(Clone, PartialEq, Eq)]
struct Applied {
    logs: LogSettings,
    notify: NotifySettings,
    metrics: Option<SocketAddr>,
}

impl Applied {
    fn of(fleet: &Fleet) -> Self {
        let Fleet { logs, notify, metrics, .. } = fleet;
        Self { logs: logs.clone(), notify: notify.clone(), metrics: *metrics }
    }
}

impl Report {
    /// Begins to tell.
    ///
    /// # Errors
    /// If there can be no log, or the webhook's address is none. Figures that can't be served are
    /// only said: they keep no fleet from running.
    pub(crate) fn open(fleet: &Fleet, args: &Options) -> Result<Self, Failure> {
        let folder = LogFolder::new(&fleet.logs.folder);
        let unwritable = |error| {
            let hint =
                "see whether the folder of the logs may be written to and whether the disk is full";
            Failure::from_error(Exit::Failed, &error, hint)
        };
        let journal = Journal::open(&folder, args.log_format, true).map_err(unwritable)?;
        let telling = record(&journal, "log");
        let janitor = LogJanitor::start(folder.clone(), settings(&fleet.logs), telling)?;
        let journal_path = journal.path();
        janitor.changed(vec![journal_path.clone()], Vec::new());
        let notifier =
            notifier(&fleet.notify, record(&journal, "notify")).map_err(|error| bad(&error))?;
        let mut report = Self {
            journal,
            journal_path,
            lines: Lines::default(),
            opened: Vec::new(),
            closed: Vec::new(),
            folder,
            janitor,
            notifier,
            metrics: Metrics::new(),
            server: None,
            served_at: args.metrics,
            applied: Applied::of(fleet),
        };
        report.serve();
        Ok(report)
    }

    /// Says one line at once, and before it what was noted.
    pub(crate) fn log(&mut self, line: &Line<'_>) {
        self.note(line);
        self.write();
    }

    /// Notes a line, which is said by the next [`Report::write`].
    pub(crate) fn note(&mut self, line: &Line<'_>) {
        self.lines.add(&self.journal, line);
    }

    /// Says what was noted.
    pub(crate) fn write(&mut self) {
        if !self.lines.is_empty() {
            self.journal.log_all(mem::take(&mut self.lines));
            // It was removed, and is another one now.
            let path = self.journal.path();
            if path != self.journal_path {
                self.opened.push(path.clone());
                self.closed.push(mem::replace(&mut self.journal_path, path));
            }
        }
        if !self.opened.is_empty() || !self.closed.is_empty() {
            self.janitor.changed(mem::take(&mut self.opened), mem::take(&mut self.closed));
        }
    }

    /// Says that something is as it should be.
    pub(crate) fn info(&mut self, event: &str, text: &str) {
        self.log(&Line::new(Level::Info, event, text));
    }

    /// Says that something should be looked at.
    pub(crate) fn warn(&mut self, event: &str, text: &str) {
        self.log(&Line::new(Level::Warning, event, text));
    }

    /// Returns the sender of notifications.
    pub(crate) fn notifier(&self) -> &Notifier {
        &self.notifier
    }

    /// Where figures are noted.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The folder of the logs.
    pub(crate) fn folder(&self) -> &LogFolder {
        &self.folder
    }

    /// Notes that a child writes to this log from now on.
    pub(crate) fn log_opened(&mut self, path: &Path) {
        self.opened.push(path.into());
    }

    /// Notes that the child which wrote to this log has ended.
    pub(crate) fn log_closed(&mut self, path: PathBuf) {
        self.closed.push(path);
    }

    /// Sees whether [`Report::change`] can do what the config says now.
    ///
    /// # Errors
    /// If the webhook's address is none.
    pub(crate) fn check(fleet: &Fleet) -> Result<(), Failure> {
        notifier(&fleet.notify, |_| ()).map(drop).map_err(|error| bad(&error))
    }

    /// Does what the config says now; returns what has changed, one line each.
    pub(crate) fn change(&mut self, fleet: &Fleet) -> Vec<String> {
        let mut text = Vec::new();
        let before = std::mem::replace(&mut self.applied, Applied::of(fleet));
        let after = self.applied.clone();
        if before.logs != after.logs {
            self.janitor.change(settings(&after.logs));
            text.push("logs are kept by the new settings".into());
        }
        if before.logs.folder != after.logs.folder {
            let (now, then) = (self.folder.path().display(), after.logs.folder.display());
            text.push(format!(
                "logs still go to {now}; restart qc-launch to have them in {then} (the fleet runs on)"
            ));
        }
        if before.notify != after.notify
            && let Ok(notifier) = notifier(&after.notify, record(&self.journal, "notify"))
        {
            let former = std::mem::replace(&mut self.notifier, notifier);
            // Deliver the remaining notifications in the background.
            let finish = move || {
                former.finish(FORMER_NOTICES);
            };
            let _ = thread::Builder::new().name("former notices".into()).spawn(finish);
            text.push("notices are sent by the new settings".into());
        }
        if before.metrics != after.metrics {
            match self.served_at {
                Some(_) => text.push("--metrics was given, so the config's `metrics` waits".into()),
                None => text.push(self.serve()),
            }
        }
        text
    }

    /// Serves figures where they are wanted; says how that went.
    fn serve(&mut self) -> String {
        if let Some(former) = self.server.take() {
            // It may be answering a slow client.
            let _ = thread::Builder::new().name("former metrics".into()).spawn(|| drop(former));
        }
        let wanted = match (self.served_at, self.applied.metrics) {
            (Some(given), _) => Ok(Some(given)),
            (None, configured) => configured.map(LocalAddress::try_from).transpose(),
        };
        let address = match wanted {
            Ok(None) => return "metrics are not served any more".into(),
            Ok(Some(address)) => address,
            Err(error) => {
                let text = format!("metrics are not served: {error}");
                self.warn("metrics", &text);
                return text;
            }
        };
        match Server::start(address, self.metrics.clone()) {
            Ok(server) => {
                let text = format!("metrics are served at http://{}/metrics", server.address());
                self.info("metrics", &text);
                self.server = Some(server);
                text
            }
            Err(error) => {
                let text = format!("metrics are not served at {}: {error}", address.get());
                self.warn("metrics", &format!("{text}; name a free port with --metrics"));
                text
            }
        }
    }

    /// Waits, but not for long, until the terminal shows everything.
    pub(crate) fn flush(&mut self) {
        self.write();
        self.journal.flush(LAST_LINES);
    }

    /// Tells what is still to be told, in a limited time.
    pub(crate) fn finish(mut self) {
        self.write();
        let waiting = self.notifier.finish(LAST_NOTICES);
        if waiting > 0 {
            let text = format!("{waiting} notices were not delivered in time");
            self.journal.log(&Line::new(Level::Warning, "notify", &text));
        }
        drop(self.janitor);
        self.journal.flush(LAST_LINES);
    }
}

/// Tells people that this launcher was refused, where there is none yet that could.
pub(crate) fn notify_refusal(fleet: &Fleet, notification: Notification) {
    // If stderr is closed, the exit code still reports it.
    let say = |text: &str| drop(writeln!(io::stderr(), "qc-launch: {text}"));
    if let Ok(notifier) = notifier(&fleet.notify, say) {
        notifier.send(notification);
        notifier.finish(LAST_NOTICES);
    }
}

/// Returns what the config says about the logs, as their keeper takes it.
fn settings(config: &LogSettings) -> qc_logs::Settings {
    let retention = Retention {
        max_age: Some(config.keep_for),
        max_files: usize::try_from(config.keep_files).ok(),
        max_bytes: Some(config.total_bytes),
    };
    qc_logs::Settings { rotate_at: Some(config.rotate_bytes), retention }
}

fn notifier(
    settings: &NotifySettings,
    record: impl Fn(&str) + Send + Sync + 'static,
) -> Result<Notifier, BadAddress> {
    Notifier::new(&settings.into(), record)
}

fn bad(error: &BadAddress) -> Failure {
    Failure::new(Exit::Usage, error.to_string(), error.hint())
}

/// Writes the messages of other threads into the journal.
fn record(journal: &Journal, event: &'static str) -> impl Fn(&str) + Send + Sync + 'static {
    let journal = journal.clone();
    move |text| {
        let (level, text) = match text.strip_prefix("WARNING: ") {
            Some(text) => (Level::Warning, text),
            None => (Level::Info, text),
        };
        journal.log(&Line::new(level, event, text));
    }
}
