//! Why a lock could not be taken, released or looked at.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use qc_process::{MACHINE_HOLDER_HINT, SHUTDOWN_HINT, visible};

use crate::latch::WAY_OUT;
use crate::{Holder, Latch, LockName, Resource, release_advice, sharing_hint};

/// Why an operation on locks failed.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error(
        "lock `{name}` is held by {holder}{}{}",
        collision(name, resource, holder),
        release(name, resource, holder)
    )]
    Held {
        /// The lock that was asked for.
        name: LockName,
        /// The resource that both need.
        resource: Resource,
        /// The holder.
        holder: Box<Holder>,
        /// Whether the holder's record comes from another machine or container.
        foreign: bool,
    },
    /// Every start is forbidden, or those of this name or account.
    #[error("lock `{name}` is not given, because {}", latch.sentence())]
    Latched {
        /// The lock that was asked for.
        name: String,
        /// Why, and who said so.
        latch: Box<Latch>,
    },
    /// The latch can't be set or removed.
    #[error("cannot access latch {}", path.display())]
    Latch {
        /// The latch.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The lock directory can't be used.
    #[error("cannot use lock directory {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A guard can't be opened or locked.
    #[error("cannot lock guard {}", path.display())]
    Guard {
        /// The guard.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A record can't be read, written or removed.
    #[error("cannot access record {}", path.display())]
    Record {
        /// The record.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The system does not tell when this process was started, so that it could not be told from
    /// another with its pid.
    #[error("cannot tell when this process was started")]
    Identity {
        /// The system's error.
        source: io::Error,
    },
    /// The history can't be read or written.
    #[error("cannot access history {}", path.display())]
    History {
        /// The history.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl LockError {
    /// Returns the step to suggest after `hint:`.
    pub fn hint(&self) -> Cow<'static, str> {
        let hint = self.plain_hint();
        match self {
            Self::Held { name, resource, holder, foreign: false } if resource.is_traders() => {
                let names = [Some(name.as_str()), holder.name.as_deref()];
                match sharing_hint(names.into_iter().flatten()) {
                    Some(sharing) => format!("{}; {sharing}", hint.trim_end_matches('.')).into(),
                    None => hint.into(),
                }
            }
            Self::Latched { latch, .. } => latch.way_out().into(),
            _ => hint.into(),
        }
    }

    fn plain_hint(&self) -> &'static str {
        match self {
            Self::Held { foreign: true, .. } => {
                "stop it on that machine or in that container; if it is certain that nothing runs there, `qc-lock clear-all` removes the record"
            }
            Self::Held { holder, .. } => match (&holder.elsewhere, holder.pid) {
                // Without its taker's name, it may live where this program does not see it.
                (Some(_), None) if holder.name.is_none() => MACHINE_HOLDER_HINT,
                (_, None) if !holder.open_in.is_empty() => OPENER_HINT,
                (None, _) => SHUTDOWN_HINT,
                (Some(_), Some(_)) => {
                    "stop it with qc-shutdown in that folder, or disable the account in one of the two configs"
                }
                (Some(_), None) => MACHINE_HOLDER_HINT,
            },
            Self::Latched { .. } => WAY_OUT,
            Self::Latch { .. } => {
                "see who may write there and whether it is a file; while it is there, nothing starts"
            }
            Self::Directory { source, .. } | Self::Guard { source, .. }
                if qc_process::is_out_of_room(source) =>
            {
                "close files, or raise the limit for open files"
            }
            // Not another directory: a lock there keeps no one out here.
            Self::Directory { .. } | Self::Guard { .. } => {
                "let all who share the locks write there, or run the command as the user who may"
            }
            Self::Identity { .. } => {
                "see whether /proc is there, and whether the process has too many open files"
            }
            Self::Record { .. } | Self::History { .. } => {
                "see whether it is a file, who may write there, and whether the disk is full"
            }
        }
    }
}

/// The advice before a program is ended that keeps a lock open.
const OPENER_HINT: &str =
    "see with `qc-ps --tree` what it is; it may be a helper that an ended program has left behind";

/// Names the command that helps where processes without a record keep a lock open. Without the lock's
/// name there is none.
fn release(name: &LockName, resource: &Resource, holder: &Holder) -> String {
    if holder.pid.is_some() || holder.open_in.is_empty() {
        return String::new();
    }
    let own = (*resource == Resource::name(name)).then_some(name.as_str());
    let advice =
        |name: &str, folder| format!("; {}", release_advice(name, folder, &holder.open_in));
    match (&holder.elsewhere, holder.name.as_deref()) {
        (None, Some(their_name)) => advice(their_name, None),
        (None, None) => own.map_or_else(String::new, |name| advice(name, None)),
        (Some(Some(folder)), Some(their_name)) => advice(their_name, Some(folder)),
        (Some(_), _) => String::new(),
    }
}

/// Says what collides, where that is not the name itself.
fn collision(name: &LockName, resource: &Resource, holder: &Holder) -> String {
    if holder.elsewhere.is_some() {
        return format!("; both need `{}` on this machine", visible(resource.as_str()));
    }
    let same_lock =
        holder.name.as_ref().is_some_and(|holder| holder.eq_ignore_ascii_case(name.as_str()));
    if same_lock || *resource == Resource::name(name) {
        String::new()
    } else {
        format!("; both need `{}`", visible(resource.as_str()))
    }
}
