//! What qc-launch says: to the terminal and to its own log file. And where children's output goes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use chrono::Local;

/// The folder of the logs, in the fleet's folder.
const FOLDER: &str = "orchestrator_logs";

pub(crate) struct Log {
    folder: PathBuf,
    file: File,
}

impl Log {
    /// Starts `orchestrator_<timestamp>.log`.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let folder = root.join(FOLDER);
        fs::create_dir_all(&folder)?;
        let file = append(&folder, "orchestrator")?.0;
        Ok(Self { folder, file })
    }

    /// Says one line. A terminal that has gone away, or a full disk, does not stop supervision.
    pub(crate) fn say(&mut self, text: &str) {
        let line = format!("[{}] {text}\n", Local::now().format("%Y-%m-%d %H:%M:%S"));
        let _ = self.file.write_all(line.as_bytes());
        let mut terminal = io::stdout().lock();
        let _ = terminal.write_all(line.as_bytes());
        let _ = terminal.flush();
    }

    /// Returns the newest log of a component.
    pub(crate) fn latest(&self, name: &str) -> Option<PathBuf> {
        let prefix = format!("{name}_");
        let files = fs::read_dir(&self.folder).ok()?.flatten().map(|entry| entry.file_name());
        let named = files.filter(|file| {
            let time = file.to_str().and_then(|file| file.strip_prefix(&prefix));
            time.is_some_and(|time| time.starts_with(|c: char| c.is_ascii_digit()))
        });
        Some(self.folder.join(named.max()?))
    }

    /// Opens `<name>_<timestamp>.log` for a child's output.
    pub(crate) fn child(&self, name: &str) -> io::Result<(File, PathBuf)> {
        append(&self.folder, name)
    }
}

fn append(folder: &Path, name: &str) -> io::Result<(File, PathBuf)> {
    let path = folder.join(format!("{name}_{}.log", Local::now().format("%Y%m%d_%H%M%S")));
    Ok((OpenOptions::new().append(true).create(true).open(&path)?, path))
}
