//! The keys of the config, one after the other, as the schema describes them.

use serde_json::{Map, Value};

use crate::schema;

/// One object of the config.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Its name in the schema; that of the whole file is empty.
    pub name: String,
    /// Its purpose.
    pub description: String,
    /// Its keys.
    pub keys: Vec<Key>,
}

/// One key of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// The key.
    pub name: String,
    /// Its purpose.
    pub description: String,
    /// Its type.
    pub kind: Kind,
    /// The default.
    pub default: Option<Value>,
    /// An example.
    pub example: Option<Value>,
    /// Whether it must be there.
    pub is_required: bool,
}

/// The type of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A value, described by a word or two.
    Value(String),
    /// An object with the keys of the group of this name, which may be left out.
    Group(String),
    /// The same, where an empty object is not the same as none.
    OptionalGroup(String),
    /// An object whose keys the user chooses, each with the keys of the group of this name.
    Groups(String),
}

/// Returns all groups: the whole file, and then each where a key first leads to it.
pub fn reference() -> Vec<Group> {
    let schema = schema();
    let mut groups = vec![group("", &schema)];
    let mut position = 0;
    while position < groups.len() {
        let next: Vec<String> = groups[position]
            .keys
            .iter()
            .filter_map(|key| match &key.kind {
                Kind::Group(name) | Kind::OptionalGroup(name) | Kind::Groups(name) => {
                    Some(name.clone())
                }
                Kind::Value(_) => None,
            })
            .collect();
        for name in next {
            if groups.iter().all(|group| group.name != name) {
                groups.push(group(&name, &schema["$defs"][&name]));
            }
        }
        position += 1;
    }
    groups
}

fn group(name: &str, schema: &Value) -> Group {
    let none = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&none);
    let required = |key: &str| {
        schema["required"].as_array().is_some_and(|keys| keys.iter().any(|it| it == key))
    };
    let keys = properties.iter().map(|(key, property)| Key {
        name: key.clone(),
        description: text(property, "description"),
        kind: kind(property),
        default: property.get("default").filter(|default| !default.is_null()).cloned(),
        example: property["examples"].get(0).cloned(),
        is_required: required(key),
    });
    Group { name: name.into(), description: text(schema, "description"), keys: keys.collect() }
}

fn kind(property: &Value) -> Kind {
    if let Some(name) = referred(property) {
        return Kind::Group(name);
    }
    if let Some(name) = property["anyOf"].get(0).and_then(referred) {
        return Kind::OptionalGroup(name);
    }
    if let Some(name) = referred(&property["additionalProperties"]) {
        return Kind::Groups(name);
    }
    Kind::Value(word(property))
}

fn referred(schema: &Value) -> Option<String> {
    schema["$ref"].as_str()?.strip_prefix("#/$defs/").map(str::to_owned)
}

/// Describes a value by a word or two.
fn word(schema: &Value) -> String {
    if let Some(title) = schema["title"].as_str() {
        return title.into();
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> =
            words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
        return words.join(", ");
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let words: Vec<String> = choices
            .iter()
            .filter_map(|choice| choice["const"].as_str())
            .map(|word| format!("`{word}`"))
            .collect();
        return words.join(", ");
    }
    let first = schema["type"].as_str().or_else(|| schema["type"].get(0)?.as_str());
    match first {
        Some("string") => "text".into(),
        Some("integer") => "whole number".into(),
        Some("boolean") => "`true`, `false`".into(),
        Some("array") => format!("list of {}", word(&schema["items"])),
        Some("object") => format!("object of {}", word(&schema["additionalProperties"])),
        Some(other) => other.into(),
        None => "any".into(),
    }
}

fn text(schema: &Value, key: &str) -> String {
    schema[key].as_str().unwrap_or_default().into()
}
