//! Suspicious contents of the config that refuse nothing.

/// One warning about the config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigWarning {
    /// The finding, with the path of keys where it has one.
    pub text: String,
    /// The step that settles it.
    pub advice: String,
}

impl ConfigWarning {
    pub(crate) fn new(text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { text: text.into(), advice: advice.into() }
    }
}
