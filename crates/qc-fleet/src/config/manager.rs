//! `PROCESS_MANAGER`, our own section: a key that is not known here is a mistake.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::object::{Entries, Object};
use super::output::{Logs, Notify};
use super::rules::{HeartbeatConfig, Ready, Restart, Rules, Stop};
use super::template::RawText;
use super::value::{ConfigDuration, LocalAddress, Port};

/// How the fleet is started, supervised and stopped. Every key may be left out. In paths, commands,
/// arguments, `env` and `webhook`, `${VAR}` stands for an environment variable and `$${` for `${`;
/// `%`, `$` and `$$` mean themselves. Keys that begin with `//` are comments. A time span is a
/// number of seconds or a text such as
/// `500ms`, `30s`, `5m`; at most a day.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ProcessManager")]
pub(crate) struct Manager {
    /// The Python that runs the scripts: a path, which may start in the fleet's folder, or a name
    /// on PATH. Without it, the Python of `.venv312_gpu`, then of `.venv`, then the one on PATH.
    #[schemars(extend("examples" = [".venv312_gpu/Scripts/python.exe"]))]
    pub(crate) interpreter: Option<RawText>,
    /// The name under which qc-launch locks, so that a fleet has one supervisor.
    #[schemars(extend("default" = "MASTER_LAUNCH"))]
    pub(crate) orchestrator: Option<String>,
    /// How long the server gets before the watchdogs start: a short form of `server.ready.delay`.
    #[schemars(extend("default" = 5))]
    pub(crate) server_settle_seconds: Option<ConfigDuration>,
    /// The pause between the starts of two watchdogs.
    #[schemars(extend("default" = 1))]
    pub(crate) watchdog_stagger_seconds: Option<ConfigDuration>,
    /// The pause between the starts of two brains, whose logins at the terminal collide.
    #[schemars(extend("default" = 3))]
    pub(crate) brain_stagger_seconds: Option<ConfigDuration>,
    /// A short form of `defaults.start_seconds`.
    #[schemars(extend("default" = 1))]
    pub(crate) start_seconds: Option<ConfigDuration>,
    /// A short form of `defaults.stop.timeout`.
    #[schemars(extend("default" = 10))]
    pub(crate) stop_timeout_seconds: Option<ConfigDuration>,
    /// A short form of `defaults.restart.max_restarts`.
    #[schemars(extend("default" = 5))]
    pub(crate) max_restarts: Option<u32>,
    /// A short form of `defaults.restart.cooldown`.
    #[schemars(extend("default" = 60))]
    pub(crate) restart_cooldown_seconds: Option<ConfigDuration>,
    /// The settings of every component, unless the key of its kind or `components` say otherwise.
    pub(crate) defaults: Object<Defaults>,
    /// The server, which starts first and stops last.
    pub(crate) server: Object<Server>,
    /// The watchdogs, one for each account.
    pub(crate) watchdogs: Object<Watchdogs>,
    /// The brains, one for each account.
    pub(crate) brains: Object<Brains>,
    /// Single components by name, such as `BRAIN_ATLAS`: these settings override all others. A
    /// name that is none of the others, with a `command` or `script`, is a component of its own.
    #[schemars(extend("examples" = [{ "BRIDGE": { "command": ["bin/bridge.exe", "--quiet"], "ready": { "port": 9000 } }, "BRAIN_ATLAS": { "depends_on": ["WATCHDOG_ATLAS", "BRIDGE"] } }]))]
    pub(crate) components: Entries<Object<One>>,
    /// The retention of the components' output.
    pub(crate) logs: Object<Logs>,
    /// The recipients of notifications.
    pub(crate) notify: Object<Notify>,
    /// The address of the metrics for Prometheus, such as `127.0.0.1:9464`. Without it, none are
    /// served.
    #[schemars(extend("examples" = ["127.0.0.1:9464"]))]
    pub(crate) metrics: Option<LocalAddress>,
    /// Whether accounts may share a terminal, as with `--allow-shared-terminal`. None of them locks
    /// such a terminal.
    #[schemars(extend("default" = false))]
    pub(crate) allow_shared_terminal: bool,
}

/// The settings of every component.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Defaults {
    /// Environment variables by name. Their values are never shown.
    #[schemars(extend("examples" = [{ "API_KEY": "${API_KEY}" }]))]
    pub(crate) env: Entries<RawText>,
    /// How long it must stay up for its start to have succeeded. Only the command that asked for
    /// the start waits for that, and a brain for its watchdog's.
    #[schemars(extend("default" = 1))]
    start_seconds: Option<ConfigDuration>,
    restart: Object<Restart>,
    ready: Object<Ready>,
    heartbeat: Object<HeartbeatConfig>,
    stop: Object<Stop>,
}

/// The server.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Server {
    /// Whether the fleet has a server.
    #[schemars(extend("default" = true))]
    pub(crate) enabled: Option<bool>,
    /// Its name, which is also the name of its lock.
    #[schemars(extend("default" = "quantum_server"))]
    pub(crate) name: Option<String>,
    /// Its script. A relative path starts in the fleet's folder.
    #[schemars(extend("default" = "quantum_server.py"))]
    pub(crate) script: Option<RawText>,
    /// The script's arguments.
    #[schemars(extend("default" = []))]
    pub(crate) args: Option<Vec<RawText>>,
    /// The port it listens at, which must be free before it starts; null for none.
    #[serde(deserialize_with = "nullable")]
    #[schemars(extend("default" = 8000))]
    pub(crate) port: Option<Option<Port>>,
    /// Its working folder. Without it, the fleet's folder.
    #[schemars(extend("examples" = ["."]))]
    pub(crate) cwd: Option<RawText>,
    /// Environment variables by name. Their values are never shown.
    #[schemars(extend("examples" = [{ "API_KEY": "${API_KEY}" }]))]
    pub(crate) env: Entries<RawText>,
    /// How long it must stay up for its start to have succeeded. Only the command that asked for
    /// the start waits for that, and a brain for its watchdog's.
    #[schemars(extend("default" = 1))]
    start_seconds: Option<ConfigDuration>,
    restart: Object<Restart>,
    ready: Object<Ready>,
    heartbeat: Object<HeartbeatConfig>,
    stop: Object<Stop>,
}

/// The watchdogs. In `script` and `args`, `{KEY}` stands for the key of the account, `{ACCOUNT}`
/// for its number, and `{LIMIT}` for WATCHDOG_LIMIT.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Watchdogs {
    /// Their script. A relative path starts in the fleet's folder.
    #[schemars(extend("default" = "STOPLOSS_WATCHDOG_V2.py"))]
    pub(crate) script: Option<RawText>,
    /// The scripts of single accounts, by the account's key.
    #[schemars(extend("default" = {}))]
    pub(crate) scripts: Entries<RawText>,
    /// The script's arguments. If the config has no WATCHDOG_LIMIT, the default has no `--limit`.
    #[schemars(extend("default" = ["--account", "{KEY}", "--limit", "{LIMIT}"]))]
    pub(crate) args: Option<Vec<RawText>>,
    /// Their working folder. Without it, the fleet's folder.
    #[schemars(extend("examples" = ["."]))]
    pub(crate) cwd: Option<RawText>,
    /// Environment variables by name. Their values are never shown.
    #[schemars(extend("examples" = [{ "API_KEY": "${API_KEY}" }]))]
    pub(crate) env: Entries<RawText>,
    /// How long it must stay up for its start to have succeeded. Only the command that asked for
    /// the start waits for that, and a brain for its watchdog's.
    #[schemars(extend("default" = 1))]
    start_seconds: Option<ConfigDuration>,
    restart: Object<Restart>,
    ready: Object<Ready>,
    heartbeat: Object<HeartbeatConfig>,
    stop: Object<Stop>,
}

/// The brains. In `script` and `args`, `{KEY}` stands for the key of the account, `{ACCOUNT}` for
/// its number, and `{LIMIT}` for WATCHDOG_LIMIT. A brain is named after its script, if that is its
/// own and begins with `BRAIN_`, else `BRAIN_` and the key.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Brains {
    /// Their script. A relative path starts in the fleet's folder.
    #[schemars(extend("default" = "BRAIN_{KEY}.py"))]
    pub(crate) script: Option<RawText>,
    /// The scripts of single accounts, by the account's key.
    #[schemars(extend("default" = { "GL_3": "BRAIN_GETLEVERAGED.py" }))]
    pub(crate) scripts: Entries<RawText>,
    /// The script's arguments.
    #[schemars(extend("default" = []))]
    pub(crate) args: Option<Vec<RawText>>,
    /// Their working folder. Without it, the fleet's folder.
    #[schemars(extend("examples" = ["."]))]
    pub(crate) cwd: Option<RawText>,
    /// Environment variables by name. Their values are never shown.
    #[schemars(extend("examples" = [{ "API_KEY": "${API_KEY}" }]))]
    pub(crate) env: Entries<RawText>,
    /// How long it must stay up for its start to have succeeded. Only the command that asked for
    /// the start waits for that, and a brain for its watchdog's.
    #[schemars(extend("default" = 1))]
    start_seconds: Option<ConfigDuration>,
    restart: Object<Restart>,
    ready: Object<Ready>,
    heartbeat: Object<HeartbeatConfig>,
    stop: Object<Stop>,
}

/// One component: changes to one of the fleet, or one of its own.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Component")]
pub(crate) struct One {
    /// Whether it runs.
    #[schemars(extend("default" = true))]
    pub(crate) enabled: Option<bool>,
    /// The program and its arguments: a path, which may start in the fleet's folder, or a name on
    /// PATH. Not beside `script`.
    #[schemars(extend("examples" = [["bin/bridge.exe", "--quiet"]]))]
    pub(crate) command: Option<Vec<RawText>>,
    /// A script for the interpreter. A relative path starts in the fleet's folder.
    #[schemars(extend("examples" = ["report.py"]))]
    pub(crate) script: Option<RawText>,
    /// The script's arguments.
    #[schemars(extend("examples" = [["--daily"]]))]
    pub(crate) args: Option<Vec<RawText>>,
    /// Its working folder. Without it, the fleet's folder.
    #[schemars(extend("examples" = ["."]))]
    pub(crate) cwd: Option<RawText>,
    /// Environment variables by name. Their values are never shown.
    #[schemars(extend("examples" = [{ "API_KEY": "${API_KEY}" }]))]
    pub(crate) env: Entries<RawText>,
    /// The names of the components that must be ready before it starts. Without it: for a
    /// watchdog the server, for a brain its watchdog, for all others none.
    #[schemars(extend("examples" = [["quantum_server"]]))]
    pub(crate) depends_on: Option<Vec<String>>,
    /// The port it listens at, which must be free before it starts; null for none.
    #[serde(deserialize_with = "nullable")]
    #[schemars(extend("examples" = [9000]))]
    pub(crate) port: Option<Option<Port>>,
    /// The key of the account that it works for. Only for a component of its own.
    #[schemars(extend("examples" = ["ATLAS"]))]
    pub(crate) account: Option<String>,
    /// The folder of the terminal that it uses. Only for a component of its own.
    #[schemars(extend("examples" = ["C:/MT5/Atlas"]))]
    pub(crate) terminal: Option<RawText>,
    /// Whether it only reads its account, and runs beside the brain. Without this, a component with
    /// an account trades it, and no brain can run there. Only for a component of its own.
    #[schemars(extend("default" = false))]
    pub(crate) shared_account: bool,
    /// How long it must stay up for its start to have succeeded. Only the command that asked for
    /// the start waits for that, and a brain for its watchdog's.
    #[schemars(extend("default" = 1))]
    pub(crate) start_seconds: Option<ConfigDuration>,
    /// Whether its script keeps a PID record of its own in `.locks` under the component's name,
    /// such as `.locks/BRIDGE.lock`. The component is still locked, and qc writes no record there.
    #[schemars(extend("default" = false))]
    pub(crate) own_record: bool,
    pub(crate) restart: Object<Restart>,
    pub(crate) ready: Object<Ready>,
    pub(crate) heartbeat: Object<HeartbeatConfig>,
    pub(crate) stop: Object<Stop>,
}

/// Reads a value that may be null, where a missing one is something else.
fn nullable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Port>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// The rules of one level.
pub(crate) trait HasRules {
    fn rules(&self) -> Rules<'_>;
}

macro_rules! has_rules {
    ($($level:ty),+) => {$(
        impl HasRules for $level {
            fn rules(&self) -> Rules<'_> {
                Rules {
                    start_seconds: self.start_seconds.map(|span| span.0),
                    restart: &self.restart.0,
                    ready: &self.ready.0,
                    heartbeat: &self.heartbeat.0,
                    stop: &self.stop.0,
                }
            }
        }
    )+};
}

has_rules!(Defaults, Server, Watchdogs, Brains, One);
