//! A program that looks into every file as soon as it is there, as virus scanners do.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

/// How long it mostly keeps a file open.
const LOOK: Duration = Duration::from_millis(300);

/// The pause between two looks at the folder.
const PAUSE: Duration = Duration::from_millis(3);

/// Opens every new or changed file in a folder and its `.guards` for a while, until it is dropped: on Windows without sharing, so that no other process can open, replace or remove the file meanwhile.
/// Elsewhere an open file blocks nothing. What it can't open it tries again.
pub struct Scanner {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    ends: AtomicBool,
    again: AtomicBool,
    opened: AtomicUsize,
}

/// One version of a file.
type Version = (PathBuf, u64, SystemTime);

impl Scanner {
    /// Starts one that keeps each file open for 300 ms.
    pub fn of(folder: &Path) -> Self {
        Self::looking(folder, LOOK)
    }

    /// Starts one that keeps each file open for as long as `look`.
    pub fn looking(folder: &Path, look: Duration) -> Self {
        let shared = Arc::new(Shared::default());
        let (theirs, folder) = (Arc::clone(&shared), folder.to_owned());
        let thread = thread::spawn(move || theirs.scan(&[folder.join(".guards"), folder], look));
        Self { shared, thread: Some(thread) }
    }

    /// Makes it look into everything once more, as at the start of a scan of the whole disk.
    pub fn start_over(&self) {
        self.shared.again.store(true, Ordering::Relaxed);
    }

    /// Returns how many files it has opened so far.
    pub fn opened(&self) -> usize {
        self.shared.opened.load(Ordering::Relaxed)
    }
}

impl Drop for Scanner {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of it has been printed, and its test asks how many files it has opened.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn scan(&self, folders: &[PathBuf], look: Duration) {
        let mut seen: HashSet<Version> = HashSet::new();
        let mut open: Vec<(Instant, File)> = Vec::new();
        while !self.ends.load(Ordering::Relaxed) {
            open.retain(|(since, _)| since.elapsed() < look);
            if self.again.swap(false, Ordering::Relaxed) {
                seen.clear();
            }
            for version in folders.iter().flat_map(|folder| versions(folder)) {
                if !seen.contains(&version)
                    && let Ok(file) = open_alone(&version.0)
                {
                    open.push((Instant::now(), file));
                    seen.insert(version);
                    self.opened.fetch_add(1, Ordering::Relaxed);
                }
            }
            thread::sleep(PAUSE);
        }
    }
}

/// Returns the files in a folder as they are now; none if it is not there.
fn versions(folder: &Path) -> Vec<Version> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let version = |entry: fs::DirEntry| {
        let found = entry.metadata().ok().filter(fs::Metadata::is_file)?;
        Some((entry.path(), found.len(), found.modified().ok()?))
    };
    entries.filter_map(version).collect()
}

#[cfg(windows)]
fn open_alone(path: &Path) -> io::Result<File> {
    use std::os::windows::fs::OpenOptionsExt;

    OpenOptions::new().read(true).share_mode(0).open(path)
}

#[cfg(unix)]
fn open_alone(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}
