//! The JSON Schema of the config, from the types that read it.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::{Value, json};

use crate::config::Config;

/// Returns the JSON Schema (draft 2020-12) of `MASTER_CONFIG.json`, as far as qc reads it.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Config>();
    RecursiveTransform(complete).transform(&mut schema);
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        let place = json!({
            "description": "Where this schema lies, for editors.",
            "type": "string",
        });
        properties.shift_insert(0, "$schema".into(), place);
        // The accounts are the trader's own; a comment among them would be an account.
        if let Some(Value::Object(accounts)) = properties.get_mut("ACCOUNTS") {
            accounts.remove("patternProperties");
        }
    }
    schema.to_value()
}

/// Allows comments in our section, and joins the lines of descriptions.
fn complete(schema: &mut Schema) {
    if schema.get("additionalProperties").is_some() {
        schema.insert("patternProperties".into(), json!({ "^//": true }));
    }
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::reference;
    use crate::template;

    fn is_valid(config: &Value) -> bool {
        jsonschema::validator_for(&schema()).unwrap().is_valid(config)
    }

    fn with_section(section: &Value) -> Value {
        json!({ "ACCOUNTS": { "A": { "account": 1, "enabled": true, "symbols": ["X"] } }, "PROCESS_MANAGER": section })
    }

    #[test]
    fn the_schema_is_one() {
        assert!(jsonschema::meta::is_valid(&schema()));
    }

    #[test]
    fn configs_that_are_read_are_valid() {
        let template: Value = serde_json::from_str(&template()).unwrap();
        let sections = [
            json!({}),
            json!({ "//": "x", "// a": 1, "max_restarts": 5, "brain_stagger_seconds": 0.5 }),
            json!({ "server": { "port": null, "ready": { "port": 8000 } }, "metrics": "127.0.0.1:1" }),
            json!({ "brains": { "scripts": { "//": "x", "A": "a.py" }, "restart": { "backoff": {} } } }),
            json!({ "components": { "// x": 1, "X": { "command": ["x"], "env": { "A": "${B}" } } } }),
            json!({ "defaults": { "restart": { "when": "on-failure", "window": "10m" } } }),
            json!({ "notify": { "webhook": "${W}", "events": ["crash"] }, "logs": { "keep_days": 1 } }),
        ];
        for section in sections {
            assert!(is_valid(&with_section(&section)), "{section}");
        }
        assert!(is_valid(&template));
        assert!(is_valid(&json!({ "$schema": "x", "NEWS": [1], "ACCOUNTS": {} })));
    }

    #[test]
    fn configs_that_are_refused_are_not() {
        for section in [
            json!([]),
            json!({ "max_restart": 5 }),
            json!({ "max_restarts": -1 }),
            json!({ "brain_stagger_seconds": "soon" }),
            json!({ "server": { "ready": { "port": 0 } } }),
            json!({ "brains": { "restart": { "when": "alway" } } }),
            json!({ "components": { "X": { "cmd": ["x"] } } }),
            json!({ "metrics": "0.0.0.0:9464" }),
            json!({ "logs": { "keep_files": 0 } }),
            json!({ "notify": { "events": ["crashed"] } }),
        ] {
            assert!(!is_valid(&with_section(&section)), "{section}");
        }
        for config in [json!({}), json!([]), json!({ "ACCOUNTS": { "A": {} } })] {
            assert!(!is_valid(&config), "{config}");
        }
        // Among accounts, a comment would be an account.
        assert!(!is_valid(&json!({ "ACCOUNTS": { "//": "x" } })));
    }

    /// Each example is a value that the schema allows.
    #[test]
    fn examples_and_defaults_are_valid() {
        let schema = schema();
        for group in reference() {
            let at = if group.name.is_empty() { &schema } else { &schema["$defs"][&group.name] };
            for key in group.keys {
                let mut property = at["properties"][&key.name].clone();
                property["$defs"] = schema["$defs"].clone();
                let validator = jsonschema::validator_for(&property).unwrap();
                for value in key.default.iter().chain(&key.example) {
                    assert!(validator.is_valid(value), "{}.{}: {value}", group.name, key.name);
                }
            }
        }
    }
}
