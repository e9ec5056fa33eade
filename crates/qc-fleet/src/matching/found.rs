//! The component that a process is.

use std::path::PathBuf;

use crate::Role;

/// A process that runs a fleet's script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The component's name.
    pub component: String,
    /// Its role.
    pub role: Role,
    /// The key of its account.
    pub account_key: Option<String>,
    /// Where its script lies.
    pub place: Place,
    /// The folder of its script, or of its config; `None` if the process does not let us see it.
    pub folder: Option<PathBuf>,
    /// Whether several components run this script and its arguments fit none of them, or a title may
    /// only read like it.
    pub is_vague: bool,
    /// Whether only its script's name says which component it is: the config starts that one, if it
    /// knows it, with another command.
    pub is_by_name: bool,
}

/// Where a script lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In this fleet's folder; also if the process does not let us see where.
    Fleet,
    /// In another folder.
    Foreign,
    /// In a folder that the process has left and that can't be told: it may be this fleet's.
    Unknown,
}
