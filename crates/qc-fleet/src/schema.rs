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
