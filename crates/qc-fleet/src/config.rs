//! Reading `MASTER_CONFIG.json`. Keys that qc does not know are the trader's own and are left
//! alone, except in `PROCESS_MANAGER`, which is ours.

mod account;
mod account_id;
mod issue;
mod key_path;
mod manager;
mod near_key;
mod object;
mod output;
mod rules;
mod signal_name;
mod template;
mod timing;
mod value;
mod warning;

use std::path::Path;

use qc_process::file::read_limited_following;
use serde::de::DeserializeSeed;
use serde_json::Value;

use self::object::{Object, UniqueKeys};
use crate::ConfigError;
use crate::encoding::decode;

pub(crate) use self::account::{AccountConfig, Config};
pub(crate) use self::issue::{ConfigIssue, suggest, suggest_among};
pub(crate) use self::key_path::KeyPath;
pub(crate) use self::manager::{Brains, HasRules, Manager, One, Server, Watchdogs};
pub(crate) use self::object::Entries;
pub use self::output::{LogSettings, NotifyEvent, NotifySettings};
pub(crate) use self::signal_name::SignalName;
pub use self::template::Variables;
pub(crate) use self::template::{Placeholders, RawText};
pub use self::timing::Timing;
pub(crate) use self::value::{ConfigDuration, Port};
pub use self::warning::ConfigWarning;

/// The largest file that is read.
const LIMIT: u64 = 16 * 1024 * 1024;

/// Our own section.
pub(crate) const SECTION: &str = "PROCESS_MANAGER";

/// Reads the file at `path` and makes something of it; mistakes in it are told with their place.
pub(crate) fn read<T>(
    path: &Path,
    make: impl FnOnce(Config) -> Result<T, ConfigIssue>,
) -> Result<T, ConfigError> {
    // Unlike a record, the trader's own file may be a link.
    let bytes = read_limited_following(path, LIMIT)
        .map_err(|source| ConfigError::Read { path: path.into(), source })?;
    from_bytes(path, &bytes, make)
}

/// Reads what the file at `path` holds.
pub(crate) fn from_bytes<T>(
    path: &Path,
    bytes: &[u8],
    make: impl FnOnce(Config) -> Result<T, ConfigIssue>,
) -> Result<T, ConfigError> {
    if bytes.len() as u64 > LIMIT {
        return Err(ConfigError::Large { path: path.into(), limit: LIMIT });
    }
    let text = decode(bytes).ok_or_else(|| ConfigError::Encoding { path: path.into() })?;
    if text.trim().is_empty() {
        return Err(ConfigError::Empty { path: path.into() });
    }
    read_text(path, &text, make)
}

/// Does the same with a text that stands for the file at `path`.
pub(crate) fn read_text<T>(
    path: &Path,
    text: &str,
    make: impl FnOnce(Config) -> Result<T, ConfigIssue>,
) -> Result<T, ConfigError> {
    parse(text)
        .and_then(|value| Ok(make(config(value)?)?))
        .map_err(|error| error.in_file(path, text))
}

/// Why a text is no config.
#[derive(Debug)]
enum ParseError {
    /// It is no JSON.
    Syntax(serde_json::Error),
    /// It says something that can't be.
    ConfigIssue(ConfigIssue),
}

impl From<ConfigIssue> for ParseError {
    fn from(issue: ConfigIssue) -> Self {
        Self::ConfigIssue(issue)
    }
}

impl ParseError {
    fn in_file(self, path: &Path, text: &str) -> ConfigError {
        let (line, column, key, message) = match self {
            Self::Syntax(error) => {
                (error.line(), error.column(), String::new(), issue::of_syntax(&error))
            }
            Self::ConfigIssue(ConfigIssue { at, part, message }) => {
                let (line, column) = at.locate(text, part);
                (line, column, at.to_string(), message)
            }
        };
        ConfigError::Content { path: path.into(), line, column, key, message }
    }
}

fn parse(text: &str) -> Result<Value, ParseError> {
    let mut reader = serde_json::Deserializer::from_str(text);
    UniqueKeys
        .deserialize(&mut reader)
        .and_then(|()| reader.end())
        .and_then(|()| serde_json::from_str(text))
        .map_err(ParseError::Syntax)
}

fn config(mut value: Value) -> Result<Config, ConfigIssue> {
    if let Some(section) = value.get_mut(SECTION) {
        remove_comments(section);
    }
    let warnings = near_key::check(&value)?;
    let config: Object<Config> = serde_path_to_error::deserialize(value)?;
    Ok(Config { warnings, ..config.0 })
}

/// In our section, keys that begin with `//` are comments.
fn remove_comments(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            entries.retain(|key, _| !key.starts_with("//"));
            entries.values_mut().for_each(remove_comments);
        }
        Value::Array(values) => values.iter_mut().for_each(remove_comments),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests;
