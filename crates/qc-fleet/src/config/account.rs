//! The trader's own part of the config, as far as qc reads it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::account_id::AccountId;
use super::manager::Manager;
use super::object::{Entries, Object};
use super::warning::ConfigWarning;

/// The fleet of one machine: which accounts are traded, and how their programs are kept running.
/// Keys that qc does not know are the trader's own, except in PROCESS_MANAGER.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(title = "MASTER_CONFIG.json")]
pub(crate) struct Config {
    /// The accounts by their keys, such as `ATLAS`. A key is part of file names: letters, digits,
    /// `.`, `_` and `-`.
    #[serde(rename = "ACCOUNTS")]
    pub(crate) accounts: Entries<Object<AccountConfig>>,
    /// Settings of the scripts.
    #[serde(rename = "TRADING_SETTINGS", default)]
    pub(crate) trading: Object<Trading>,
    /// How the programs are started, supervised and stopped.
    #[serde(rename = "PROCESS_MANAGER", default)]
    pub(crate) manager: Object<Manager>,
    /// Suspicious keys, found before the config was read.
    #[serde(skip)]
    pub(crate) warnings: Vec<ConfigWarning>,
}

/// Settings of the scripts.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "TradingSettings")]
pub(crate) struct Trading {
    /// The limit that watchdogs are started with, as `--limit`.
    #[serde(rename = "WATCHDOG_LIMIT")]
    #[schemars(with = "Option<f64>")]
    pub(crate) watchdog_limit: Option<serde_json::Number>,
}

/// One account. `symbols` and other keys are the scripts' own.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Account")]
pub(crate) struct AccountConfig {
    /// The account: its number, or the name that the broker gives it, such as `"DU880015639"`.
    /// `1234567`, `"01234567"` and `1234567.0` are one account. `null`, 0 and an empty text are
    /// none: then only the name is locked, and `qc-launch check` warns of it.
    pub(crate) account: AccountId,
    /// The folder of its trading terminal, or the terminal's program. A relative path starts in the
    /// fleet's folder. No two enabled accounts may have the same.
    #[serde(default)]
    pub(crate) terminal_path: Option<String>,
    /// The number that marks its orders. No two enabled accounts may have the same.
    #[serde(default)]
    pub(crate) magic: Option<serde_json::Value>,
    /// The broker's server, which the scripts log in to. One number is one account on all servers;
    /// a number that is two accounts, at two brokers, is written `"account": "NUMBER@BROKER"`.
    #[serde(default)]
    pub(crate) server: Option<serde_json::Value>,
    /// Whether it is traded. An account without this key is not traded, and `qc-launch check` warns
    /// of it.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub(crate) enabled: Option<bool>,
    /// Whether it is traded on paper: its programs run beside those that trade the same number, in
    /// any folder, and find `QC_PAPER=1` in their environment. They must not place orders.
    #[serde(default)]
    pub(crate) paper: bool,
}
