//! The parts of `MASTER_CONFIG.json` that qc reads. Keys it does not know are the trader's own
//! and are left alone, except in `PROCESS_MANAGER`, which is ours.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qc_process::file::read_limited;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::ConfigError;
use crate::encoding::decode;

/// The largest file that is read.
const LIMIT: u64 = 16 * 1024 * 1024;

#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    #[serde(rename = "ACCOUNTS")]
    pub(crate) accounts: Accounts,
    #[serde(rename = "TRADING_SETTINGS", default)]
    pub(crate) trading: Object<Trading>,
    #[serde(rename = "PROCESS_MANAGER", default)]
    pub(crate) manager: Object<Manager>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Trading {
    #[serde(rename = "WATCHDOG_LIMIT")]
    pub(crate) watchdog_limit: Option<serde_json::Number>,
}

/// One account; `server`, `magic` and `symbols` are the scripts' own.
#[derive(Debug, Deserialize)]
pub(crate) struct AccountConfig {
    pub(crate) account: AccountNumber,
    #[serde(default)]
    pub(crate) terminal_path: Option<String>,
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
}

fn yes() -> bool {
    true
}

/// Our own section: a key that is not known here is a mistake.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manager {
    pub(crate) interpreter: Option<PathBuf>,
    server_settle_seconds: Option<Seconds>,
    watchdog_stagger_seconds: Option<Seconds>,
    brain_stagger_seconds: Option<Seconds>,
    stop_timeout_seconds: Option<Seconds>,
    max_restarts: Option<u32>,
    restart_cooldown_seconds: Option<Seconds>,
}

/// The pace of starting, stopping and restarting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long the server gets before the watchdogs start.
    pub server_settle: Duration,
    /// The pause between two watchdogs.
    pub watchdog_stagger: Duration,
    /// The pause between two brains, whose logins at the terminal collide.
    pub brain_stagger: Duration,
    /// How long a process that was asked to stop gets before it is killed.
    pub stop_timeout: Duration,
    /// How often a component is restarted before it is given up.
    pub max_restarts: u32,
    /// The shortest time between two restarts of a component.
    pub restart_cooldown: Duration,
}

impl Manager {
    pub(crate) fn timing(&self) -> Timing {
        let seconds = |given: &Option<Seconds>, default| {
            given.as_ref().map_or(Duration::from_secs(default), |s| s.0)
        };
        Timing {
            server_settle: seconds(&self.server_settle_seconds, 5),
            watchdog_stagger: seconds(&self.watchdog_stagger_seconds, 1),
            brain_stagger: seconds(&self.brain_stagger_seconds, 3),
            stop_timeout: seconds(&self.stop_timeout_seconds, 10),
            max_restarts: self.max_restarts.unwrap_or(5),
            restart_cooldown: seconds(&self.restart_cooldown_seconds, 60),
        }
    }
}

/// An account number, in JSON a whole number.
#[derive(Debug)]
pub(crate) struct AccountNumber(pub(crate) u64);

impl<'de> Deserialize<'de> for AccountNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;
        impl Visitor<'_> for Digits {
            type Value = AccountNumber;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an account number, digits without quotes")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<AccountNumber, E> {
                Ok(AccountNumber(number))
            }
        }
        deserializer.deserialize_u64(Digits)
    }
}

/// A JSON object, where serde would take an array of the values, too.
#[derive(Debug, Default)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsMap<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for AsMap<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Object<T>, M::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(AsMap(PhantomData))
    }
}

/// A time span, in JSON a number of seconds from 0 to a day.
#[derive(Debug)]
struct Seconds(Duration);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        if (0.0..=86_400.0).contains(&seconds) {
            Ok(Self(Duration::from_secs_f64(seconds)))
        } else {
            Err(D::Error::custom(format!("{seconds} is not a number of seconds from 0 to 86400")))
        }
    }
}

/// The accounts in the order of the file.
#[derive(Debug)]
pub(crate) struct Accounts(pub(crate) Vec<(String, Object<AccountConfig>)>);

impl<'de> Deserialize<'de> for Accounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Accounts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of accounts")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Accounts, M::Error> {
                let mut accounts = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    accounts.push(entry);
                }
                Ok(Accounts(accounts))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// Reads and checks the file at `path`.
pub(crate) fn read(path: &Path) -> Result<Config, ConfigError> {
    // Unlike a record, the trader's own file may be a link.
    let bytes = fs::canonicalize(path)
        .and_then(|path| read_limited(&path, LIMIT))
        .map_err(|source| ConfigError::Read { path: path.into(), source })?;
    if bytes.len() as u64 > LIMIT {
        return Err(ConfigError::Large { path: path.into(), limit: LIMIT });
    }
    let text = decode(&bytes).ok_or_else(|| ConfigError::Encoding { path: path.into() })?;
    if text.trim().is_empty() {
        return Err(ConfigError::Empty { path: path.into() });
    }
    parse(&text).map_err(|(error, key)| ConfigError::Content {
        path: path.into(),
        line: error.line(),
        column: error.column(),
        key,
        message: without_position(&error),
    })
}

fn parse(text: &str) -> Result<Config, (serde_json::Error, String)> {
    // Which of two equal keys counts is anybody's guess, so a file that has them is refused.
    let mut reader = serde_json::Deserializer::from_str(text);
    UniqueKeys
        .deserialize(&mut reader)
        .and_then(|()| reader.end())
        .map_err(|error| (error, String::new()))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut reader).map(|Object(config)| config).map_err(|error| {
        let key = error.path().to_string();
        (error.into_inner(), key)
    })
}

fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((message, _)) => message.to_owned(),
        None => text,
    }
}

/// Walks through any JSON and fails at the second of two equal keys of one object.
struct UniqueKeys;

impl<'de> DeserializeSeed<'de> for UniqueKeys {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueKeys {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if seen.contains(&key) {
                return Err(M::Error::custom(format!("the key `{key}` stands here twice")));
            }
            seen.insert(key);
            map.next_value_seed(UniqueKeys)?;
        }
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut sequence: S) -> Result<(), S::Error> {
        while sequence.next_element_seed(UniqueKeys)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("MASTER_CONFIG.json");
        std::fs::write(&path, text).unwrap();
        let text = read(&path).expect_err("accepted").to_string();
        text.replace(&path.display().to_string(), "FILE")
    }

    #[test]
    fn mistakes_are_named_with_line_column_and_path() {
        let cases = [
            ("", "FILE is empty"),
            ("{", "FILE:1:1: EOF while parsing an object"),
            ("[]", "FILE:1:0: invalid type: sequence, expected an object"),
            ("{}", "FILE:1:2: missing field `ACCOUNTS`"),
            (
                r#"{"ACCOUNTS": []}"#,
                "FILE:1:13: invalid type: sequence, expected an object of accounts (at ACCOUNTS)",
            ),
            (
                r#"{"ACCOUNTS": {"A": [5]}}"#,
                "FILE:1:19: invalid type: sequence, expected an object (at ACCOUNTS.A)",
            ),
            (
                "{\"ACCOUNTS\": {\"A\":\n {\"account\": \"12\"}}}",
                "FILE:2:17: invalid type: string \"12\", expected an account number, digits without quotes \
                 (at ACCOUNTS.A.account)",
            ),
            (
                r#"{"ACCOUNTS": {"A": {"account": 1}, "A": {"account": 2}}}"#,
                "FILE:1:38: the key `A` stands here twice",
            ),
            (
                r#"{"ACCOUNTS": {}, "PROCESS_MANAGER": {"max_restart": 1}}"#,
                "FILE:1:50: unknown field `max_restart`, expected one of `interpreter`, `server_settle_seconds`, \
                 `watchdog_stagger_seconds`, `brain_stagger_seconds`, `stop_timeout_seconds`, `max_restarts`, \
                 `restart_cooldown_seconds` (at PROCESS_MANAGER.max_restart)",
            ),
            (
                r#"{"ACCOUNTS": {}, "PROCESS_MANAGER": {"max_restarts": -1}}"#,
                "FILE:1:55: invalid value: integer `-1`, expected u32 (at PROCESS_MANAGER.max_restarts)",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(refusal(text), expected, "{text}");
        }
    }

    #[test]
    fn a_file_far_too_large_is_refused_unread() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("MASTER_CONFIG.json");
        std::fs::File::create(&path).unwrap().set_len(100 << 20).unwrap();
        assert!(matches!(read(&path), Err(ConfigError::Large { .. })));
    }

    #[test]
    fn unknown_keys_of_the_trader_are_left_alone() {
        let text = r#"{"$schema": "x", "NEWS": [1], "ACCOUNTS": {"A": {"account": 1, "symbols": ["X"], "extra": {}}}}"#;
        let config = parse(text).unwrap();
        assert!(config.accounts.0[0].1.0.enabled);
    }

    #[test]
    fn the_pace_can_be_set() {
        let text = r#"{"ACCOUNTS": {}, "PROCESS_MANAGER": {"brain_stagger_seconds": 0.5, "max_restarts": 1}}"#;
        let timing = parse(text).unwrap().manager.0.timing();
        assert_eq!((timing.brain_stagger, timing.max_restarts), (Duration::from_millis(500), 1));
        assert_eq!(timing.restart_cooldown, Duration::from_secs(60));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_reading_panic(text: String) {
            let _ = parse(&text);
        }

        #[test]
        fn no_cut_of_a_config_makes_reading_panic(cut in 0..200_usize, byte in 0..128_u8) {
            let text = r#"{"ACCOUNTS": {"A": {"account": 1, "terminal_path": "C:\\MT5", "enabled": true}},
                "TRADING_SETTINGS": {"WATCHDOG_LIMIT": 2.5}, "PROCESS_MANAGER": {"max_restarts": 5}}"#;
            let mut bytes = text.as_bytes().to_vec();
            bytes.truncate(cut);
            bytes.push(byte);
            let _ = parse(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn what_is_decoded_as_utf16_is_what_was_encoded(text: String) {
            let text = format!("{{{text}");
            let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            proptest::prop_assert_eq!(decode(&[&[0xff, 0xfe], &bytes[..]].concat()), Some(text));
        }
    }
}
