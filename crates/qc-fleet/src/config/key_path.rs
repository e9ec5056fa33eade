//! A place in the config: the keys that lead to it, and where in the text that is.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_path_to_error::Segment;

use super::SECTION;

/// The keys and positions that lead to a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct KeyPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// The part of an entry that is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Key,
    Value,
}

impl KeyPath {
    /// Returns the path one key further.
    pub(crate) fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.into()))
    }

    /// Returns the path of the element at `index`, from 0.
    pub(crate) fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    fn with(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }

    /// Returns the last key.
    pub(crate) fn last_key(&self) -> Option<&str> {
        match self.0.last()? {
            Step::Key(key) => Some(key),
            Step::Index(_) => None,
        }
    }

    /// Whether what stands here is never shown: the value of an environment variable, a webhook.
    pub(crate) fn is_secret(&self) -> bool {
        let keys: Vec<&str> = self
            .0
            .iter()
            .map(|step| match step {
                Step::Key(key) => key.as_str(),
                Step::Index(_) => "",
            })
            .collect();
        let is_ours = keys.first() == Some(&SECTION);
        // A component or an account may be called like that.
        let is_env =
            |pair: &[&str]| pair[1] == "env" && !matches!(pair[0], "components" | "scripts");
        is_ours && keys.windows(2).any(|pair| is_env(pair) || pair == ["notify", "webhook"])
    }

    /// Returns line and column, both from 1, of the place in `text`, which is valid JSON; as far
    /// as the path leads.
    pub(crate) fn locate(&self, text: &str, part: Part) -> (usize, usize) {
        let offset = self.offset(text, part).unwrap_or(0);
        let before = &text[..offset];
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        (line, before[start..].chars().count() + 1)
    }

    fn offset(&self, text: &str, part: Part) -> Option<usize> {
        let mut value: &RawValue = serde_json::from_str(text).ok()?;
        let place = |value: &RawValue| value.get().as_ptr() as usize - text.as_ptr() as usize;
        let mut found = place(value);
        for (number, step) in self.0.iter().enumerate() {
            let is_last = number + 1 == self.0.len();
            let Some(Children(children)) = serde_json::from_str(value.get()).ok() else { break };
            // The key of a child stands behind the value before it.
            let mut after = place(value) + 1;
            let mut next = None;
            for (position, (key, child)) in children.into_iter().enumerate() {
                let is_it = match step {
                    Step::Key(wanted) => key.as_deref() == Some(wanted),
                    Step::Index(wanted) => key.is_none() && position == *wanted,
                };
                if is_it {
                    next = Some(child);
                    break;
                }
                after = place(child) + child.get().len();
            }
            let Some(child) = next else { break };
            value = child;
            found = match part {
                Part::Key if is_last => after + text[after..].find('"')?,
                Part::Key | Part::Value => place(value),
            };
        }
        Some(found)
    }
}

impl From<&serde_path_to_error::Path> for KeyPath {
    fn from(path: &serde_path_to_error::Path) -> Self {
        let step = |segment: &Segment| match segment {
            Segment::Map { key } => Some(Step::Key(key.clone())),
            Segment::Seq { index } => Some(Step::Index(*index)),
            Segment::Enum { .. } | Segment::Unknown => None,
        };
        Self(path.iter().filter_map(step).collect())
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if number == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// The values of an object with their keys, or of an array.
struct Children<'a>(Vec<(Option<Cow<'a, str>>, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Children<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Children<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object or an array")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut children = Vec::new();
                while let Some((key, child)) = map.next_entry::<String, &RawValue>()? {
                    children.push((Some(Cow::Owned(key)), child));
                }
                Ok(Children(children))
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
                let mut children = Vec::new();
                while let Some(child) = seq.next_element::<&RawValue>()? {
                    children.push((None, child));
                }
                Ok(Children(children))
            }
        }
        deserializer.deserialize_any(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_its_line_and_column() {
        let text = "{\n  \"é\": 1, \"a\":\n    {\"x\": [10, {\"b\\u0041\" : true}]}}";
        let root = KeyPath::default();
        let a = root.key("a");
        let cases = [
            (root.clone(), Part::Value, (1, 1)),
            (root.key("é"), Part::Value, (2, 8)),
            (a.clone(), Part::Key, (2, 11)),
            (a.clone(), Part::Value, (3, 5)),
            (a.key("x").index(0), Part::Value, (3, 12)),
            (a.key("x").index(1).key("bA"), Part::Key, (3, 17)),
            (a.key("x").index(1).key("bA"), Part::Value, (3, 29)),
            // As far as it leads.
            (a.key("x").index(7), Part::Value, (3, 11)),
            (a.key("y").key("z"), Part::Key, (3, 5)),
        ];
        for (path, part, expected) in cases {
            assert_eq!(path.locate(text, part), expected, "{path} {part:?}");
        }
    }

    #[test]
    fn secrets_are_known_by_their_place() {
        let ours = KeyPath::default().key(SECTION);
        let component = ours.key("components").key("env");
        for (path, is_secret) in [
            (ours.key("defaults").key("env"), true),
            (ours.key("server").key("env").key("PIN"), true),
            (component.key("env").key("PIN"), true),
            (ours.key("notify").key("webhook"), true),
            (component.key("command").index(0), false),
            (ours.key("brains").key("scripts").key("env"), false),
            (KeyPath::default().key("ACCOUNTS").key("env"), false),
        ] {
            assert_eq!(path.is_secret(), is_secret, "{path}");
        }
    }

    #[test]
    fn a_path_is_shown_as_it_is_written_in_most_languages() {
        assert_eq!(KeyPath::default().key("a").key("b").index(2).to_string(), "a.b[2]");
    }
}
