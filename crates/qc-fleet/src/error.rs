//! Why a config can't be used.

use std::io;
use std::path::PathBuf;

/// Why `MASTER_CONFIG.json` can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It can't be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// It is far larger than a config can be.
    #[error("{} is larger than {} MiB, so it can't be a fleet's config", path.display(), limit >> 20)]
    Large {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// It holds nothing.
    #[error("{} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It is no text.
    #[error("{} is neither UTF-8 nor UTF-16 text", path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
    },
    /// It is no JSON, or says something that can't be.
    #[error("{}:{line}:{column}: {message}{}", path.display(), at(key))]
    Content {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// The path of keys to the mistake, empty at the top.
        key: String,
        /// The reason.
        message: String,
    },
    /// It lies in no folder.
    #[error("{} lies in no folder", path.display())]
    NoFolder {
        /// The file.
        path: PathBuf,
    },
}

impl ConfigError {
    /// Returns the step to suggest after `hint:`.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } => "see whether the file may be read, or name another with --config",
            Self::Large { .. } | Self::Empty { .. } => {
                "restore the file from a backup, or name another with --config"
            }
            Self::Encoding { .. } => "save the file as UTF-8",
            Self::Content { .. } => "correct the file there; nothing was started or stopped",
            Self::NoFolder { .. } => "name the config by its file",
        }
    }
}

fn at(key: &str) -> String {
    if key.is_empty() || key == "." { String::new() } else { format!(" (at {key})") }
}
