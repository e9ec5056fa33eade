//! The rules that hold for any input: for each reader of foreign files, one function that reads
//! bytes and panics if a rule is broken. The fuzz targets call it with invented bytes, the tests
//! with the seeds and with those of `proptest`.

#![forbid(unsafe_code)]

mod command;
mod config;
mod history;
mod record;

pub use command::any_command;
pub use config::any_config;
pub use history::any_history;
pub use record::any_record;

/// A reader: its name, which is that of its fuzz target and of the folder of its seeds, and the
/// function.
pub type Reader = (&'static str, fn(&[u8]));

/// Every reader.
pub const READERS: [Reader; 4] = [
    ("command", any_command),
    ("config", any_config),
    ("history", any_history),
    ("record", any_record),
];
