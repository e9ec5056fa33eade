//! Texts of the config that are shown otherwise than they are used.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::Path;

use serde::{Serialize, Serializer};

/// A text in which `${VAR}` stands for an environment variable: shown as it is written in the
/// config, used as it is meant. What stands in the environment may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Text {
    value: Box<OsStr>,
    /// How it is shown, where that is not as it is used.
    written: Option<Box<str>>,
    has_variables: bool,
}

impl Text {
    pub(crate) fn new(
        written: impl Into<String>,
        value: impl Into<OsString>,
        has_variables: bool,
    ) -> Self {
        let (written, value) = (written.into(), value.into());
        let written = Some(written).filter(|written| value != **written);
        Self {
            value: value.into_boxed_os_str(),
            written: written.map(String::into_boxed_str),
            has_variables,
        }
    }

    /// Makes a text that is shown as it is used.
    pub(crate) fn plain(value: impl Into<OsString>) -> Self {
        let value = value.into();
        Self::new(value.to_string_lossy().into_owned(), value, false)
    }

    /// Returns the text as the config writes it, with paths made absolute.
    pub fn written(&self) -> &str {
        // A text that is used as it is written can be shown.
        self.written.as_deref().or(self.value.to_str()).unwrap_or_default()
    }

    /// Whether it names environment variables, so that what it stands for is not to be shown.
    pub fn has_variables(&self) -> bool {
        self.has_variables
    }

    /// Whether `word` may be what it stands for: a process that was started with other variables
    /// than are set here has another one.
    pub(crate) fn may_be(&self, word: &str) -> bool {
        self.has_variables || *self.value == *OsStr::new(word)
    }

    /// Returns what it stands for. Not to be shown.
    pub fn value(&self) -> &OsStr {
        &self.value
    }

    /// Returns what it stands for, as a path. Not to be shown.
    pub fn path(&self) -> &Path {
        Path::new(&self.value)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.written())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.written(), f)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.written())
    }
}

/// A text that is never shown: the value of a variable for a child, the address of a webhook.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(OsString);

impl Secret {
    pub(crate) fn new(value: impl Into<OsString>) -> Self {
        Self(value.into())
    }

    /// Returns what is to be kept from logs, records, output and notifications.
    pub fn reveal(&self) -> &OsStr {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_text_stands_for_is_not_shown() {
        let text = Text::new("--key=${KEY}", "--key=hunter2", true);
        let secret = Secret::new("hunter2");
        let shown = format!(
            "{text} {text:?} {} {secret:?} {}",
            serde_json::to_string(&text).unwrap(),
            serde_json::to_string(&secret).unwrap(),
        );
        assert!(!shown.contains("hunter2"), "{shown}");
        assert_eq!((text.value(), secret.reveal()), ("--key=hunter2".as_ref(), "hunter2".as_ref()));
    }
}
