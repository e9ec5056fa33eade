//! Keys that look like one that qc acts on. `"enable": false` would be ignored, and the account
//! traded.

use serde_json::{Map, Value};

use super::SECTION;
use super::issue::ConfigIssue;
use super::key_path::KeyPath;
use super::warning::ConfigWarning;

/// The keys of one object that may be misspelt.
struct Known {
    /// Without these, qc acts differently: a key near one that is absent is an error.
    acted_on: &'static [&'static str],
    /// A key near one of these is a warning.
    read_by_scripts: &'static [&'static str],
}

const TOP: Known = Known { acted_on: &["ACCOUNTS", TRADING, SECTION], read_by_scripts: &[] };
const ACCOUNT: Known = Known {
    acted_on: &["enabled", "account", "terminal_path", "paper"],
    read_by_scripts: &["symbols", "magic", "server"],
};
const SETTINGS: Known = Known { acted_on: &[LIMIT], read_by_scripts: &[] };

const TRADING: &str = "TRADING_SETTINGS";
const LIMIT: &str = "WATCHDOG_LIMIT";

/// Looks for misspelt keys at the top, in each account, and in the settings of the scripts; returns
/// the warnings. The keys in `ACCOUNTS` themselves are names.
pub(super) fn check(config: &Value) -> Result<Vec<ConfigWarning>, ConfigIssue> {
    let Some(top) = config.as_object() else { return Ok(Vec::new()) };
    let root = KeyPath::default();
    let mut warnings = Vec::new();
    check_object(top, &TOP, &root, &mut warnings)?;
    for (key, account) in top.get("ACCOUNTS").and_then(Value::as_object).into_iter().flatten() {
        if let Some(account) = account.as_object() {
            check_object(account, &ACCOUNT, &root.key("ACCOUNTS").key(key), &mut warnings)?;
        }
    }
    let settings = top.get(TRADING).and_then(Value::as_object);
    if let Some(settings) = settings {
        check_object(settings, &SETTINGS, &root.key(TRADING), &mut warnings)?;
    }
    if !settings.is_some_and(|settings| settings.contains_key(LIMIT)) {
        check_limit_at_top(top, &mut warnings)?;
    }
    Ok(warnings)
}

fn check_object(
    object: &Map<String, Value>,
    known: &Known,
    at: &KeyPath,
    warnings: &mut Vec<ConfigWarning>,
) -> Result<(), ConfigIssue> {
    for key in object.keys().filter(|key| !is_meant(key, object)) {
        let near = |names: &[&'static str]| {
            let absent = names.iter().filter(|name| !object.contains_key(**name));
            absent.copied().find(|name| is_near(key, name))
        };
        if let Some(name) = near(known.acted_on) {
            return Err(ConfigIssue::of_key(at.key(key), unread(key, name)));
        }
        if let Some(name) = near(known.read_by_scripts) {
            warnings.push(ConfigWarning::new(
                format!("key {}: did you mean `{name}`?", at.key(key)),
                format!("rename the key, or put `\"//{key}\": \"\"` beside it"),
            ));
        }
    }
    Ok(())
}

/// The limit stands in the settings of the scripts; qc does not look for it at the top.
fn check_limit_at_top(
    top: &Map<String, Value>,
    warnings: &mut Vec<ConfigWarning>,
) -> Result<(), ConfigIssue> {
    let wanted = format!("{TRADING}.{LIMIT}");
    for key in top.keys().filter(|key| !is_meant(key, top)) {
        if key == LIMIT {
            warnings.push(ConfigWarning::new(
                "WATCHDOG_LIMIT stands at the top, so watchdogs start without `--limit`",
                format!("move it to {wanted}"),
            ));
        } else if is_near(key, LIMIT) {
            return Err(ConfigIssue::of_key(KeyPath::default().key(key), unread(key, &wanted)));
        }
    }
    Ok(())
}

fn unread(key: &str, name: &str) -> String {
    format!(
        "`{key}` is not read; did you mean `{name}`? If it is a key of your own, put `\"//{key}\": \"\"` beside it"
    )
}

/// Whether a key is a comment, or a comment beside it says that it is meant.
fn is_meant(key: &str, object: &Map<String, Value>) -> bool {
    key.starts_with("//") || object.contains_key(&format!("//{key}"))
}

/// Whether `key` was probably meant to be `name`: it differs in case, by one edit, or, from names
/// of six letters on, by two. Two neighbours exchanged are one edit.
fn is_near(key: &str, name: &str) -> bool {
    if key == name {
        return false;
    }
    let edits = if name.chars().count() < 6 { 1 } else { 2 };
    strsim::damerau_levenshtein(&key.to_lowercase(), &name.to_lowercase()) <= edits
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Returns the place and message of the refusal, or the warnings.
    fn found(config: &Value) -> Result<Vec<String>, String> {
        match check(config) {
            Ok(warnings) => Ok(warnings.into_iter().map(|it| it.text).collect()),
            Err(issue) => Err(format!("{}: {}", issue.at, issue.message)),
        }
    }

    fn account(account: &Value) -> Value {
        json!({ "ACCOUNTS": { "A": account } })
    }

    #[test]
    fn a_misspelt_key_that_qc_acts_on_is_an_error() {
        for (key, name) in [
            ("enable", "enabled"),
            ("Enabled", "enabled"),
            ("ENABLED", "enabled"),
            ("enabeld", "enabled"),
            ("enabled ", "enabled"),
            ("\u{200b}enabled", "enabled"),
            ("enbld", "enabled"),
            ("isEnabled", "enabled"),
            ("terminal_pth", "terminal_path"),
            ("terminalPath", "terminal_path"),
            ("terminal-path", "terminal_path"),
            ("Terminal_Path", "terminal_path"),
        ] {
            let refused = found(&account(&json!({ "account": 1, key: false }))).expect_err(key);
            let expected = format!("ACCOUNTS.A.{key}: `{key}` is not read; did you mean `{name}`?");
            assert!(refused.starts_with(&expected), "{refused}");
        }
        for key in ["acount", "Account", "accont", "accounts"] {
            let refused = found(&account(&json!({ key: 1, "enabled": true }))).expect_err(key);
            assert!(refused.contains("did you mean `account`?"), "{refused}");
        }
        for (config, name) in [
            (json!({ "ACCOUNT": {} }), "ACCOUNTS"),
            (json!({ "Accounts": {} }), "ACCOUNTS"),
            (json!({ "ACCOUNTS": {}, "PROCESS_MANGER": {} }), "PROCESS_MANAGER"),
            (json!({ "ACCOUNTS": {}, "process_manager": {} }), "PROCESS_MANAGER"),
            (json!({ "ACCOUNTS": {}, "TRADING_SETTING": {} }), "TRADING_SETTINGS"),
            (json!({ "TRADING_SETTINGS": { "watchdog_limit": 1 } }), "WATCHDOG_LIMIT"),
            (json!({ "TRADING_SETTINGS": { "WATCHDOG_LIMITS": 1 } }), "WATCHDOG_LIMIT"),
            (json!({ "WATCHDOG_LIMT": 1 }), "TRADING_SETTINGS.WATCHDOG_LIMIT"),
        ] {
            let refused = found(&config).expect_err(name);
            assert!(refused.contains(&format!("did you mean `{name}`?")), "{refused}");
        }
    }

    #[test]
    fn a_misspelt_key_of_the_scripts_is_a_warning() {
        for (key, name) in
            [("symbol", "symbols"), ("Magic", "magic"), ("magci", "magic"), ("sever", "server")]
        {
            let config = account(&json!({ "account": 1, "enabled": true, key: 1 }));
            assert_eq!(
                found(&config),
                Ok(vec![format!("key ACCOUNTS.A.{key}: did you mean `{name}`?")])
            );
        }
        let misplaced = json!({ "ACCOUNTS": {}, "WATCHDOG_LIMIT": 1 });
        assert!(matches!(found(&misplaced), Ok(warnings) if warnings.len() == 1));
    }

    #[test]
    fn comments_names_and_keys_beside_the_right_one_are_left_alone() {
        for config in [
            account(&json!({ "account": 1, "enabled": true, "//enable": false, "risk": 1 })),
            account(&json!({ "account": 1, "enable": false, "//enable": "of my own" })),
            account(&json!({ "account": 1, "enabled": true, "Enabled": false, "amount": 5 })),
            account(&json!({ "account": 1, "disabled": true, "magi": 1, "magic": 2, "srv": 1 })),
            account(&json!({ "account": 1, "risk": { "enable": true }, "list": ["enable"] })),
            json!({ "ACCOUNTS": { "ACCOUNT": {}, "ENABLED": {}, "enable": {}, "ACCOUNTS": {}, "MAGIC": {} } }),
            json!({ "ACCOUNTS": {}, "NEWS": {}, "//PROCESS_MANGER": {}, "SETTINGS": { "enable": 1 } }),
            json!({ "TRADING_SETTINGS": { "WATCHDOG_LIMIT": 1, "WATCHDOG_LIMIT_2": 1 }, "watchdog_limit": 1 }),
            json!([]),
            json!({ "ACCOUNTS": [1], "TRADING_SETTINGS": 5 }),
            account(&json!(5)),
        ] {
            assert_eq!(found(&config), Ok(vec![]), "{config}");
        }
    }

    proptest::proptest! {
        #[test]
        fn one_edit_of_a_key_is_always_found(name in "enabled|account|terminal_path|magic", at in 0..5_usize, edit in 0..4_u8, letter in "[a-z_]") {
            let mut letters: Vec<char> = name.chars().collect();
            match edit {
                0 => { letters.remove(at); }
                1 => letters.insert(at, letter.chars().next().unwrap()),
                2 => letters[at] = letter.chars().next().unwrap(),
                _ => letters.swap(at, (at + 1) % 5),
            }
            let key: String = letters.iter().collect();
            // The ends of the first five letters are no neighbours.
            if key != name && !(edit == 3 && at == 4) {
                proptest::prop_assert!(is_near(&key, &name), "{} {}", key, name);
            }
        }
    }
}
