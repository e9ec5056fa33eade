//! The outcome of a row.

use std::io;

use qc_cli::chain;
use qc_lock_core::LockError;
use qc_process::StopError;

/// The observation in a few words if the row passed.
pub(crate) type Outcome = Result<String, Miss>;

/// Why a row did not pass.
#[derive(Debug)]
pub(crate) enum Miss {
    /// It is not as it should be; says what was seen instead.
    Failed(String),
    /// It can't be tried here; says why.
    Skipped(String),
}

/// Something is not as it should be.
pub(crate) fn failed<T>(seen: impl Into<String>) -> Result<T, Miss> {
    Err(Miss::Failed(seen.into()))
}

/// Something can't be tried here.
pub(crate) fn skipped<T>(reason: impl Into<String>) -> Result<T, Miss> {
    Err(Miss::Skipped(reason.into()))
}

impl From<io::Error> for Miss {
    fn from(error: io::Error) -> Self {
        Self::Failed(chain(&error))
    }
}

impl From<LockError> for Miss {
    fn from(error: LockError) -> Self {
        Self::Failed(chain(&error))
    }
}

impl From<StopError> for Miss {
    fn from(error: StopError) -> Self {
        Self::Failed(chain(&error))
    }
}
