//! Named single-instance locks.
//!
//! A lock is held exactly as long as operating-system file locks on its *guards* are held by a
//! living process; nothing has to be cleaned up after a crash. A *record* beside them says who
//! holds the lock, for people and for old scripts, and a *history* keeps what happened. The
//! protocol, precise enough for another implementation, is in `docs/LOCK_PROTOCOL.md`.
//!
//! ```
//! use qc_lock_core::{LockDir, LockError, Request};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join(".locks");
//! let locks = LockDir::new(path);
//! let request = Request::new("BRAIN_ATLAS".parse()?).account("1234567".parse()?);
//! let lock = locks.acquire(&request)?;
//!
//! // A second one is refused, whoever asks, and told by whom.
//! let Err(LockError::Held { holder, .. }) = locks.acquire(&request) else { panic!("two brains") };
//! assert_eq!(holder.pid, Some(std::process::id()));
//!
//! lock.release()?;
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod account;
mod account_use;
mod clear;
mod dir;
mod duration;
mod error;
mod guard;
mod history;
mod host_name;
mod judge;
mod latch;
mod list;
mod lock;
mod name;
mod openers;
mod record;
mod request;
mod resource;
mod root;
mod run;
mod store;
mod tail;
mod time;

pub use account::{Account, AccountError, same_account};
pub use account_use::{AccountUse, sharing_hint};
pub use clear::Cleared;
pub use dir::LockDir;
pub use duration::parse_duration;
pub use error::LockError;
pub use history::{Entry, Event, History};
pub use judge::Holder;
pub use latch::Latch;
pub use list::{LockEntry, LockEvidence, LockState};
pub use lock::{Lock, LockForChild, Reclaimed, StartError};
pub use name::{LockName, NameError};
pub use openers::{Opener, openers_text, release_advice};
pub use record::{ParsedRecord, Record};
pub use request::Request;
pub use resource::{Resource, Terminal};
pub use root::{CONFIG_FILE, find_root, has_old_module};
pub use run::{run_held, run_unlocked};
pub use tail::HistoryTail;
pub use time::local_time;

/// The folder of the locks, in that of the fleet.
pub const LOCK_FOLDER: &str = ".locks";

/// The warning where [`Lock::is_of_folder_only`].
pub const FOLDER_ONLY: &str = qc_process::FOLDER_ONLY;

/// The warning about a thing that stands where a guard of the machine should have its file.
pub const UNUSABLE_GUARD: &str = "is not a file that this program can lock, so another network namespace does not see \
     who holds what it stands for";

/// The environment variable that tells a program that it trades on paper: it is `1` then.
pub const PAPER_VARIABLE: &str = "QC_PAPER";

/// The environment variable that tells a child which lock is held for it.
pub const TOKEN_VARIABLE: &str = "QC_LOCK_TOKEN";
