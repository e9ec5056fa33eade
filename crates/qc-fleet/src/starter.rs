//! A config to begin with. JSON has no comments, so keys that begin with `//` are some: before
//! each key stands what it is for, and then the key itself with two slashes before it and its
//! default or an example behind it. Whoever removes the slashes sets the key.

use serde_json::{Map, Value, json};

use crate::config::SECTION;
use crate::reference::{Group, Key, Kind, reference};

/// Returns a `MASTER_CONFIG.json` to begin with: an account to fill in, and our whole section as
/// comments.
pub fn template() -> String {
    let config = json!({
        "ACCOUNTS": {
            "EXAMPLE": {
                "account": 1_234_567,
                "server": "Broker-Demo",
                "terminal_path": null,
                "magic": 1001,
                "symbols": [],
                "enabled": false,
            },
        },
        "TRADING_SETTINGS": { "WATCHDOG_LIMIT": 2.5 },
        SECTION: section(),
    });
    format!("{config:#}\n")
}

/// Returns our section, to be pasted into a config: every key as a comment, with its default.
pub fn section_template() -> String {
    let text = format!("{:#}", json!({ SECTION: section() }));
    // The braces around it are those of the config.
    let lines: Vec<&str> = text.lines().collect();
    let inner = lines.get(1..lines.len() - 1).unwrap_or_default();
    format!("{}\n", inner.join("\n"))
}

fn section() -> Value {
    let groups = reference();
    let mut told = Vec::new();
    let mut section = Map::new();
    let help = "Keys that begin with // are comments. To set one, remove its slashes; what it then \
                has is its default or an example. `qc-launch check` says what is wrong.";
    section.insert("//".into(), help.into());
    if let Some(group) = groups.iter().find(|group| group.name == "ProcessManager") {
        section.extend(comments(group, &groups, &mut told));
    }
    Value::Object(section)
}

fn comments(group: &Group, groups: &[Group], told: &mut Vec<String>) -> Map<String, Value> {
    let mut entries = Map::new();
    for key in &group.keys {
        let name = match &key.kind {
            Kind::Group(name) | Kind::Groups(name) => name,
            Kind::Value(_) | Kind::OptionalGroup(_) => {
                entries.insert(format!("// {}", key.name), said_of(key).into());
                if let Some(value) = key.default.as_ref().or(key.example.as_ref()) {
                    entries.insert(format!("//{}", key.name), value.clone());
                }
                continue;
            }
        };
        let inner = groups.iter().find(|group| group.name == *name);
        let is_told = told.contains(name);
        let text = match inner {
            _ if is_told => "As in `defaults`.".into(),
            Some(inner) if key.description.is_empty() => inner.description.clone(),
            _ => said_of(key),
        };
        entries.insert(format!("// {}", key.name), text.into());
        if let Some(inner) = inner.filter(|_| !is_told) {
            told.push(name.clone());
            let inner = Value::Object(comments(inner, groups, told));
            let is_one = matches!(key.kind, Kind::Group(_));
            let inner = if is_one { inner } else { json!({ "//NAME": inner }) };
            entries.insert(key.name.clone(), inner);
        }
    }
    entries
}

fn said_of(key: &Key) -> String {
    match (&key.default, &key.example) {
        (Some(default), _) => format!("{} Default: {default}.", key.description),
        // The others stand below in full.
        (None, Some(example)) if matches!(key.kind, Kind::Groups(_)) => {
            format!("{} For example: {example}.", key.description)
        }
        (None, Some(_)) => format!("{} Below is an example.", key.description),
        (None, None) => key.description.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Fleet;

    const ACCOUNTS: &str = r#""ACCOUNTS": {"A": {"account": 1, "enabled": true}, "GL_3": {"account": 2, "enabled": true}},
        "TRADING_SETTINGS": {"WATCHDOG_LIMIT": 2.5}"#;

    fn fleet(text: &str) -> Fleet {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("MASTER_CONFIG.json");
        std::fs::write(&path, text).unwrap();
        let root = Path::new("/no/such/fleet");
        Fleet::load_for(root, &path, &|_| None).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    #[test]
    fn the_template_changes_nothing() {
        let with = fleet(&format!("{{{ACCOUNTS}, {}}}", section_template()));
        assert_eq!(with, fleet(&format!("{{{ACCOUNTS}}}")));
        assert!(fleet(&template()).components.iter().skip(1).all(|one| !one.enabled));
    }

    /// Removes the slashes before all keys that have a default.
    fn set_defaults(entries: &Value, group: &Group, groups: &[Group]) -> Value {
        let mut set = Map::new();
        for key in &group.keys {
            if let Some(default) = &key.default {
                assert_eq!(entries.get(format!("//{}", key.name)), Some(default), "{}", key.name);
                set.insert(key.name.clone(), default.clone());
            }
            if let (Kind::Group(name), Some(inner)) = (&key.kind, entries.get(&key.name)) {
                let group = groups.iter().find(|group| group.name == *name).unwrap();
                set.insert(key.name.clone(), set_defaults(inner, group, groups));
            }
        }
        Value::Object(set)
    }

    #[test]
    fn the_defaults_that_are_told_are_the_ones_that_hold() {
        let groups = reference();
        let manager = groups.iter().find(|group| group.name == "ProcessManager").unwrap();
        let set = set_defaults(&section(), manager, &groups);
        assert!(set.to_string().len() > 500, "{set}");
        let with = fleet(&format!("{{{ACCOUNTS}, \"PROCESS_MANAGER\": {set}}}"));
        assert_eq!(with, fleet(&format!("{{{ACCOUNTS}}}")), "{set:#}");
    }

    #[test]
    fn every_key_is_explained() {
        let text = section_template();
        for group in reference() {
            for key in group.keys {
                let explained = matches!(key.kind, Kind::Group(_)) || !key.description.is_empty();
                assert!(explained, "{}.{} is not explained", group.name, key.name);
                let is_ours =
                    !matches!(group.name.as_str(), "" | "Account" | "TradingSettings" | "Backoff");
                assert!(!is_ours || text.contains(&format!("\"// {}\"", key.name)), "{}", key.name);
            }
        }
    }
}
