//! The subcommands, apart from the one that supervises.

pub(crate) mod check;
pub(crate) mod control;
pub(crate) mod detach;
pub(crate) mod init;
mod last_words;
pub(crate) mod logs;
pub(crate) mod unlatch;
mod waiting;
