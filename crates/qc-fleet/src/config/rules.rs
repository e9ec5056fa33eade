//! How components are supervised, as the config says it: a key left out is decided one level up.

mod beat;

use std::path::PathBuf;
use std::time::Duration;

use qc_supervise::{
    Probe, Readiness, RestartDelay, RestartPolicy, RestartWhen, Settings, WhenUnguarded,
};
use schemars::JsonSchema;
use serde::Deserialize;

pub(crate) use self::beat::HeartbeatConfig;
use super::issue::ConfigIssue;
use super::key_path::KeyPath;
use super::object::Object;
use super::signal_name::SignalName;
use super::template::RawText;
use super::value::{ConfigDuration, Port};

/// When a component that has ended is restarted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Restart {
    /// The exits after which it is restarted: `always`, `on-failure` (not after exit code 0),
    /// `never`.
    #[schemars(extend("default" = "always"))]
    when: Option<When>,
    /// How many restarts are allowed within `window`; at the next exit the component is given up.
    #[schemars(extend("default" = 5))]
    max_restarts: Option<u32>,
    /// The time in which restarts are counted; 0 counts all since it last ran stably.
    #[schemars(extend("default" = 0))]
    window: Option<ConfigDuration>,
    /// The first restart comes at once, each further one no sooner than this after the one before.
    /// Not beside `backoff`.
    #[schemars(extend("default" = 60))]
    cooldown: Option<ConfigDuration>,
    /// A random delay instead, whose bound doubles with each restart. Not beside `cooldown`.
    #[schemars(extend("examples" = [{ "initial": "1s", "cap": "60s" }]))]
    backoff: Option<Object<Backoff>>,
    /// How long a component must run for its restarts to be forgotten.
    #[schemars(extend("default" = "10m"))]
    stable_after: Option<ConfigDuration>,
    /// Exit codes after which it is never restarted. 75: its lock is held.
    #[schemars(extend("default" = [75]))]
    never_after: Option<Vec<i32>>,
}

/// A random delay before restarts, whose bound doubles with each.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Backoff {
    /// The bound for the first restart.
    #[schemars(extend("default" = "1s"))]
    initial: Option<ConfigDuration>,
    /// The bound never grows beyond this.
    #[schemars(extend("default" = "60s"))]
    cap: Option<ConfigDuration>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
enum When {
    Always,
    OnFailure,
    Never,
}

/// When a component counts as ready, so that what depends on it may start: one of `delay`, `port`,
/// `file`, `lock`, `log`. Without any, as soon as it runs; the server, after
/// `server_settle_seconds`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Ready {
    /// It has run this long.
    #[schemars(extend("examples" = ["5s"]))]
    delay: Option<ConfigDuration>,
    /// It accepts connections at this port of 127.0.0.1.
    #[schemars(extend("examples" = [8000]))]
    port: Option<Port>,
    /// It has created or rewritten this file. A relative path starts in the fleet's folder.
    #[schemars(extend("examples" = ["state/ready"]))]
    file: Option<RawText>,
    /// It holds its own lock.
    #[schemars(extend("examples" = [true]))]
    lock: Option<bool>,
    /// It has printed a line that this regular expression matches.
    #[schemars(extend("examples" = ["^connected to "]))]
    log: Option<String>,
    /// The time to become ready; after it the start has failed.
    #[schemars(extend("default" = "60s"))]
    timeout: Option<ConfigDuration>,
}

/// How a component is stopped, and when.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Stop {
    /// The time to end after it was asked, before it is killed.
    #[schemars(extend("default" = "10s"))]
    timeout: Option<ConfigDuration>,
    /// The Unix signal that asks it: `SIGINT`, `SIGTERM`, `SIGQUIT`, `SIGHUP`, `SIGUSR1`,
    /// `SIGUSR2`. Without it, what the program understands: SIGINT for a Python that has no handler
    /// for SIGTERM, else SIGTERM. Without effect on Windows, where every program gets Ctrl-C.
    #[schemars(extend("examples" = ["SIGTERM"]))]
    pub(crate) signal: Option<SignalName>,
    /// The treatment of a brain whose watchdog was given up: `stop` it, or `keep` it. A brain whose
    /// watchdog is stopped on purpose is always stopped with it. A brain whose watchdog crashes or is
    /// restarted alone runs on, and nothing guards it until the new watchdog runs.
    #[schemars(extend("default" = "stop"))]
    without_watchdog: Option<Unguarded>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Unguarded {
    Stop,
    Keep,
}

/// Makes absolute paths of texts.
pub(crate) type Resolve<'a> = &'a dyn Fn(&RawText, &KeyPath) -> Result<PathBuf, ConfigIssue>;

/// All rules of one level.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) start_seconds: Option<Duration>,
    pub(crate) restart: &'a Restart,
    pub(crate) ready: &'a Ready,
    pub(crate) heartbeat: &'a HeartbeatConfig,
    pub(crate) stop: &'a Stop,
}

impl Rules<'_> {
    /// Lets this level, which stands at `at`, decide what it says something about.
    pub(crate) fn apply(
        self,
        settings: &mut Settings,
        at: &KeyPath,
        resolve: Resolve<'_>,
    ) -> Result<(), ConfigIssue> {
        self.restart.apply(&mut settings.restart, &at.key("restart"))?;
        self.ready.apply(&mut settings.ready, &at.key("ready"), resolve)?;
        self.heartbeat.apply(&mut settings.heartbeat, &at.key("heartbeat"), resolve)?;
        self.stop.apply(settings);
        if let Some(start_seconds) = self.start_seconds {
            settings.start_seconds = start_seconds;
        }
        Ok(())
    }
}

impl Restart {
    fn apply(&self, policy: &mut RestartPolicy, at: &KeyPath) -> Result<(), ConfigIssue> {
        if let Some(when) = self.when {
            policy.when = match when {
                When::Always => RestartWhen::Always,
                When::OnFailure => RestartWhen::OnFailure,
                When::Never => RestartWhen::Never,
            };
        }
        if let Some(max) = self.max_restarts {
            policy.max_restarts = max;
        }
        if let Some(ConfigDuration(window)) = self.window {
            policy.window = Some(window).filter(|window| !window.is_zero());
        }
        match (self.cooldown, &self.backoff) {
            (Some(_), Some(_)) => {
                let message = "a restart has either a `cooldown` or a `backoff`";
                return Err(ConfigIssue::of_key(at.key("backoff"), message));
            }
            (Some(ConfigDuration(cooldown)), None) => {
                policy.delay = RestartDelay::Cooldown(cooldown)
            }
            (None, Some(Object(backoff))) => policy.delay = backoff.delay(&at.key("backoff"))?,
            (None, None) => {}
        }
        if let Some(ConfigDuration(stable_after)) = self.stable_after {
            policy.stable_after = stable_after;
        }
        if let Some(codes) = &self.never_after {
            policy.never_after.clone_from(codes);
        }
        Ok(())
    }
}

impl Backoff {
    fn delay(&self, at: &KeyPath) -> Result<RestartDelay, ConfigIssue> {
        let initial = self.initial.map_or(Duration::from_secs(1), |span| span.0);
        let cap = self.cap.map_or(Duration::from_secs(60), |span| span.0);
        if cap < initial {
            let message = "the `cap` is less than the `initial` wait";
            return Err(ConfigIssue::new(
                if self.cap.is_some() { at.key("cap") } else { at.key("initial") },
                message,
            ));
        }
        Ok(RestartDelay::Backoff { initial, cap })
    }
}

impl Ready {
    /// Whether this level says by what readiness shows.
    pub(crate) fn has_probe(&self) -> bool {
        self.delay.is_some()
            || self.port.is_some()
            || self.file.is_some()
            || self.lock == Some(true)
            || self.log.is_some()
    }

    fn apply(
        &self,
        readiness: &mut Readiness,
        at: &KeyPath,
        resolve: Resolve<'_>,
    ) -> Result<(), ConfigIssue> {
        let mut probes: Vec<(&str, Probe)> = Vec::new();
        if let Some(ConfigDuration(delay)) = self.delay {
            let probe = if delay.is_zero() { Probe::Started } else { Probe::Delay(delay) };
            probes.push(("delay", probe));
        }
        probes.extend(self.port.map(|Port(port)| ("port", Probe::Port(port))));
        if let Some(file) = &self.file {
            probes.push(("file", Probe::File(resolve(file, &at.key("file"))?)));
        }
        if self.lock == Some(true) {
            probes.push(("lock", Probe::Lock));
        }
        if let Some(log) = &self.log {
            check_pattern(log, &at.key("log"))?;
            probes.push(("log", Probe::Log(log.clone())));
        }
        if let [(first, _), (second, _), ..] = &probes[..] {
            let message =
                format!("only one readiness check is allowed, and `{first}` is given as well");
            return Err(ConfigIssue::of_key(at.key(second), message));
        }
        if let Some((_, probe)) = probes.pop() {
            readiness.probe = probe;
        }
        if let Some(ConfigDuration(timeout)) = self.timeout {
            if timeout.is_zero() {
                return Err(ConfigIssue::new(at.key("timeout"), "in no time nothing gets ready"));
            }
            readiness.timeout = timeout;
        }
        Ok(())
    }
}

fn check_pattern(pattern: &str, at: &KeyPath) -> Result<(), ConfigIssue> {
    let Err(error) = regex::Regex::new(pattern) else { return Ok(()) };
    // The error draws a picture, and says on its last line what it shows.
    let text = error.to_string();
    let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
    Err(ConfigIssue::new(at.clone(), format!("this is not a valid regular expression: {reason}")))
}

impl Stop {
    fn apply(&self, settings: &mut Settings) {
        if let Some(ConfigDuration(timeout)) = self.timeout {
            settings.stop_timeout = timeout;
        }
        if let Some(unguarded) = self.without_watchdog {
            settings.when_unguarded = match unguarded {
                Unguarded::Stop => WhenUnguarded::Stop,
                Unguarded::Keep => WhenUnguarded::Keep,
            };
        }
    }
}
