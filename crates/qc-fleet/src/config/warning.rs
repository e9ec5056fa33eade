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
    /// Warns of an account without `enabled`.
    pub(crate) fn lacks_enabled(key: &str) -> Self {
        Self {
            text: format!("account {key} has no `enabled`, so it is not traded"),
            advice: "set `\"enabled\": true` to trade it, or false to silence this".into(),
        }
    }
}
