//! A mistake in the config, before its place in the file is known.

use super::key_path::{KeyPath, Part};

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigIssue {
    pub(crate) at: KeyPath,
    /// Whether the key is meant or its value.
    pub(crate) part: Part,
    pub(crate) message: String,
}

impl ConfigIssue {
    /// Makes a mistake about the value at a place.
    pub(crate) fn new(at: KeyPath, message: impl Into<String>) -> Self {
        Self { at, part: Part::Value, message: message.into() }
    }

    /// Returns the same about the key.
    pub(crate) fn in_key(self) -> Self {
        Self { part: Part::Key, ..self }
    }

    /// Makes a mistake about the key at a place.
    pub(crate) fn of_key(at: KeyPath, message: impl Into<String>) -> Self {
        Self::new(at, message).in_key()
    }
}

impl From<serde_path_to_error::Error<serde_json::Error>> for ConfigIssue {
    fn from(error: serde_path_to_error::Error<serde_json::Error>) -> Self {
        let at = KeyPath::from(error.path());
        if at.is_secret() {
            let wanted = match at.last_key() {
                Some("env") => "an object of texts in quotes",
                _ => "a text in quotes",
            };
            return Self::new(at, format!("this must be {wanted}; its value is not shown"));
        }
        let message = with_range(without_position(error.inner()));
        let Some((kind, known)) = unknown(&message) else { return Self::new(at, message) };
        match (kind, at.last_key()) {
            ("field", Some(key)) => {
                let message = format!("unknown key `{key}`{}", suggest(key, &known));
                Self::of_key(at, message)
            }
            _ => {
                let given = message.split('`').nth(1).unwrap_or_default();
                let message = format!("`{given}` is not known here{}", suggest(given, &known));
                Self::new(at, message)
            }
        }
    }
}

/// Says which numbers are allowed, where serde names only its own type.
fn with_range(message: String) -> String {
    let ranges = [
        ("u32", format!("from 0 to {}", u32::MAX)),
        ("u64", format!("from 0 to {}", u64::MAX)),
        ("i32", format!("from {} to {}", i32::MIN, i32::MAX)),
    ];
    let range = ranges.iter().find_map(|(kind, range)| {
        Some((message.strip_suffix(kind)?.strip_suffix("expected ")?, range))
    });
    match range {
        Some((said, range)) => format!("{said}expected a whole number {range}"),
        None => message,
    }
}

/// Takes apart what serde says of a field or variant that it doesn't know: the kind, and the ones
/// that it knows.
fn unknown(message: &str) -> Option<(&str, Vec<&str>)> {
    let (kind, rest) = message.strip_prefix("unknown ")?.split_once(' ')?;
    let (_, known) = rest.rsplit_once("`, expected ")?;
    // The names stand between backticks.
    Some((kind, known.split('`').skip(1).step_by(2).collect()))
}

/// Returns the message about a text that is no JSON, with the cure where a path of Windows is the
/// likely cause.
pub(crate) fn of_syntax(error: &serde_json::Error) -> String {
    let message = without_position(error);
    if message.contains("escape") {
        format!("{message}; in a path, write `\\\\` or `/` for each `\\`, as in `\"C:\\\\MT5\"`")
    } else {
        message
    }
}

fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((message, _)) => message.to_owned(),
        None => text,
    }
}

/// Names the nearest of `known` to `given`, or all of them.
pub(crate) fn suggest(given: &str, known: &[&str]) -> String {
    suggest_among(given, known, known)
}

/// Does the same; where none of `known` is near, only `listed` are named.
pub(crate) fn suggest_among(given: &str, known: &[&str], listed: &[&str]) -> String {
    match nearest(given, known) {
        Some(near) => format!(", did you mean `{near}`?"),
        None if listed.is_empty() => String::new(),
        None => format!("; known here: {}", listed.join(", ")),
    }
}

/// Returns the one of `known` that `given` was probably meant to be.
fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    /// Below this, two words have nothing to do with each other.
    const LIKE: f64 = 0.6;
    let given = given.to_lowercase();
    let likeness = |one: &str| strsim::normalized_damerau_levenshtein(&given, &one.to_lowercase());
    let near = known.iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)))?;
    (likeness(near) >= LIKE).then_some(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested() {
        let known = ["max_restarts", "cooldown", "never_after"];
        assert_eq!(suggest("max_restart", &known), ", did you mean `max_restarts`?");
        assert_eq!(suggest("Cool_Down", &known), ", did you mean `cooldown`?");
        assert_eq!(suggest("x", &known), "; known here: max_restarts, cooldown, never_after");
        assert_eq!(suggest("x", &[]), "");
    }

    #[test]
    fn a_number_that_does_not_fit_is_told_the_range() {
        for (said, expected) in [
            (
                "integer `-1`, expected u32",
                "integer `-1`, expected a whole number from 0 to 4294967295",
            ),
            (
                "string \"x\", expected i32",
                "string \"x\", expected a whole number from -2147483648 to 2147483647",
            ),
            ("null, expected a string", "null, expected a string"),
            ("nothing of u32", "nothing of u32"),
        ] {
            assert_eq!(with_range(said.into()), expected);
        }
    }

    #[test]
    fn what_serde_says_of_the_unknown_is_understood() {
        assert_eq!(
            unknown("unknown field `a`, expected one of `b`, `c`"),
            Some(("field", vec!["b", "c"]))
        );
        assert_eq!(
            unknown("unknown variant `a`, expected `b` or `c`"),
            Some(("variant", vec!["b", "c"]))
        );
        assert_eq!(unknown("invalid type: null, expected a string"), None);
    }
}
