//! Names of locks.

use std::fmt;
use std::str::FromStr;

/// The name of a lock: 1 to 64 letters, digits and `._-`, and no device name of Windows, so that
/// it is a file name everywhere. Names that differ only in case mean the same lock.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LockName(String);

/// Why a text is no lock name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is empty.
    #[error("a lock name can't be empty")]
    Empty,
    /// It is too long.
    #[error("a lock name has at most 64 characters, this one has {0}")]
    Long(usize),
    /// It holds something else than letters, digits and `._-`.
    #[error("a lock name has letters, digits, `.`, `_` and `-` only, not {0:?}")]
    Character(char),
    /// It starts or ends with a dot.
    #[error("a lock name neither starts nor ends with a dot")]
    Dot,
    /// Windows takes it for a device.
    #[error("`{0}` is the name of a Windows device")]
    Device(String),
}

impl LockName {
    /// Returns the name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the form that tells locks apart.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// Returns the role that the name speaks of: its prefix where that is `BRAIN` or `WATCHDOG`,
    /// else the whole name; in lower case.
    pub fn role(&self) -> String {
        let key = self.key();
        let prefix = key.split_once('_').map(|(prefix, _)| prefix);
        match prefix {
            Some(role @ ("brain" | "watchdog")) => role.to_owned(),
            _ => key,
        }
    }
}

impl FromStr for LockName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if let Some(other) =
            text.chars().find(|&c| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-'))
        {
            return Err(NameError::Character(other));
        }
        if text.len() > 64 {
            return Err(NameError::Long(text.len()));
        }
        if text.starts_with('.') || text.ends_with('.') {
            return Err(NameError::Dot);
        }
        // Windows takes `con.anything` for the device, too.
        let stem = text.split('.').next().unwrap_or(text).to_ascii_lowercase();
        let numbered = |device: &str| {
            stem.strip_prefix(device)
                .is_some_and(|rest| rest.len() == 1 && rest.as_bytes()[0].is_ascii_digit())
        };
        if matches!(stem.as_str(), "con" | "prn" | "aux" | "nul")
            || numbered("com")
            || numbered("lpt")
        {
            return Err(NameError::Device(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for LockName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_file_names_everywhere() {
        for good in [
            "BRAIN_ATLAS",
            "a",
            "quantum_server",
            "x.y-z_1",
            "CONSOLE",
            "com",
            "com10",
            &"x".repeat(64),
        ] {
            assert!(good.parse::<LockName>().is_ok(), "{good}");
        }
        let bad = [
            "", "../x", "a/b", r"a\b", "CON", "con.txt", "nul", "LPT1", "a b", "é", "a:b", ".",
            "..", ".x", "x.",
        ];
        for bad in bad {
            assert!(bad.parse::<LockName>().is_err(), "{bad}");
        }
        assert_eq!("x".repeat(65).parse::<LockName>(), Err(NameError::Long(65)));
    }

    #[test]
    fn the_role_is_the_prefix_of_brains_and_watchdogs() {
        for (name, role) in [
            ("BRAIN_ATLAS", "brain"),
            ("Watchdog_GL_3", "watchdog"),
            ("quantum_server", "quantum_server"),
            ("MASTER_LAUNCH", "master_launch"),
            ("BRAIN", "brain"),
        ] {
            assert_eq!(name.parse::<LockName>().unwrap().role(), role);
        }
    }

    proptest::proptest! {
        #[test]
        fn a_name_is_one_plain_file_name(text: String) {
            if let Ok(name) = text.parse::<LockName>() {
                let path = std::path::Path::new(name.as_str());
                proptest::prop_assert_eq!(path.components().count(), 1);
                proptest::prop_assert!(name.as_str().is_ascii() && name.as_str().len() <= 64);
            }
        }
    }
}
