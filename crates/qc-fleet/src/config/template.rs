//! Texts as the config writes them, and what they stand for.

use std::borrow::Cow;
use std::ffi::OsString;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

use super::issue::ConfigIssue;
use super::key_path::KeyPath;
use crate::text::Text;

/// Looks up an environment variable.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// A text in which `${VAR}` stands for an environment variable, and `$${` for `${`.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct RawText(pub(crate) String);

impl JsonSchema for RawText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

/// The values of the names in a text.
#[derive(Clone, Copy)]
pub(crate) struct Placeholders<'a> {
    pub(crate) variables: Variables<'a>,
    /// Names in braces without a dollar, such as `{KEY}`; `None` where it stands for nothing.
    pub(crate) placeholders: &'a [(&'a str, Option<&'a str>)],
}

impl RawText {
    /// Puts in what the names stand for. `at` is the place of the text.
    pub(crate) fn expand(
        &self,
        at: &KeyPath,
        placeholders: Placeholders<'_>,
    ) -> Result<Text, ConfigIssue> {
        let mut shown = String::new();
        let mut value = OsString::new();
        let mut has_variables = false;
        let mut rest = self.0.as_str();
        while let Some(start) = rest.find(['$', '{']) {
            let (before, from) = rest.split_at(start);
            shown.push_str(before);
            value.push(before);
            let taken = if from.starts_with("$${") {
                value.push("${");
                "$${".len()
            } else if let Some(name) = from.strip_prefix("${") {
                let Some((name, _)) = name.split_once('}') else {
                    let message = "`${` has no `}`; write `$${` for `${` itself";
                    return Err(ConfigIssue::new(at.clone(), message));
                };
                value.push(variable(name, at, placeholders.variables)?);
                has_variables = true;
                "${}".len() + name.len()
            } else if let Some((name, meant)) = placeholder(from, placeholders.placeholders) {
                let Some(meant) = meant else {
                    let message =
                        format!("`{{{name}}}` stands for nothing: the config has no such value");
                    return Err(ConfigIssue::new(at.clone(), message));
                };
                shown.push_str(meant);
                value.push(meant);
                rest = &from["{}".len() + name.len()..];
                continue;
            } else {
                value.push(&from[..1]);
                1
            };
            shown.push_str(&from[..taken]);
            rest = &from[taken..];
        }
        shown.push_str(rest);
        value.push(rest);
        Ok(Text::new(shown, value, has_variables))
    }
}

fn variable(name: &str, at: &KeyPath, variables: Variables<'_>) -> Result<OsString, ConfigIssue> {
    if name.is_empty() || name.contains(['=', '$', '{']) {
        return Err(ConfigIssue::new(
            at.clone(),
            format!("`${{{name}}}` names no environment variable"),
        ));
    }
    variables(name).ok_or_else(|| {
        let message = format!("the environment variable `{name}` is not set");
        ConfigIssue::new(at.clone(), message)
    })
}

/// Returns the placeholder that `text` starts with.
fn placeholder<'a>(
    text: &str,
    known: &'a [(&'a str, Option<&'a str>)],
) -> Option<&'a (&'a str, Option<&'a str>)> {
    let (name, _) = text.strip_prefix('{')?.split_once('}')?;
    known.iter().find(|(one, _)| *one == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> Result<(String, String), String> {
        let variables = |name: &str| match name {
            "PASS" => Some("hunter2".into()),
            "BRACES" => Some("${PASS}{KEY}".into()),
            _ => None,
        };
        let placeholders = [("KEY", Some("ATLAS")), ("LIMIT", None)];
        let placeholders = Placeholders { variables: &variables, placeholders: &placeholders };
        let text = RawText(text.into()).expand(&KeyPath::default(), placeholders);
        let text = text.map_err(|issue| issue.message)?;
        Ok((text.written().into(), text.value().to_str().unwrap().into()))
    }

    #[test]
    fn names_are_replaced_once_and_only_placeholders_are_shown() {
        for (text, shown, value) in [
            ("", "", ""),
            ("a ${PASS} b", "a ${PASS} b", "a hunter2 b"),
            ("{KEY}_${PASS}", "ATLAS_${PASS}", "ATLAS_hunter2"),
            ("$${PASS} $5 {x} {", "$${PASS} $5 {x} {", "${PASS} $5 {x} {"),
            ("${BRACES}", "${BRACES}", "${PASS}{KEY}"),
            ("$$ é${PASS}é", "$$ é${PASS}é", "$$ éhunter2é"),
        ] {
            assert_eq!(expand(text), Ok((shown.into(), value.into())), "{text}");
        }
    }

    #[test]
    fn what_stands_for_nothing_is_named() {
        for (text, message) in [
            ("${NO}", "the environment variable `NO` is not set"),
            ("a ${PASS", "`${` has no `}`; write `$${` for `${` itself"),
            ("${}", "`${}` names no environment variable"),
            ("{LIMIT}", "`{LIMIT}` stands for nothing: the config has no such value"),
        ] {
            assert_eq!(expand(text), Err(message.into()), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_expanding_panic(text in "[${}A-Zé]{0,12}") {
            let _ = expand(&text);
        }
    }
}
