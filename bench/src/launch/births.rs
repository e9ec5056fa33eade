//! Where children tell that they run: a FIFO into which each writes its pid.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// The longest that a birth may take.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(super) struct Births {
    path: PathBuf,
    told: Receiver<Birth>,
}

/// A child runs.
pub(super) struct Birth {
    pub(super) pid: u32,
    pub(super) at: Instant,
}

impl Births {
    pub(super) fn new(path: PathBuf) -> Result<Self> {
        let made = Command::new("mkfifo").arg(&path).status().context("cannot run mkfifo")?;
        ensure!(made.success(), "mkfifo failed");
        // Open for writing, too, so that it never ends.
        let fifo = OpenOptions::new().read(true).write(true).open(&path)?;
        let (sender, told) = mpsc::channel();
        thread::spawn(move || {
            while let Ok(birth) = read(&fifo) {
                if sender.send(birth).is_err() {
                    return;
                }
            }
        });
        Ok(Self { path, told })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the next child.
    pub(super) fn next(&self) -> Result<Birth> {
        self.told.recv_timeout(TIMEOUT).context("a child did not start in time")
    }

    /// Returns whether an unexpected child has reported.
    pub(super) fn is_another(&self) -> bool {
        self.told.try_recv().is_ok()
    }
}

fn read(mut fifo: &File) -> std::io::Result<Birth> {
    let mut pid = [0; 4];
    fifo.read_exact(&mut pid)?;
    Ok(Birth { pid: u32::from_ne_bytes(pid), at: Instant::now() })
}
