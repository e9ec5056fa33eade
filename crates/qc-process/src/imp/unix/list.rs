//! The process list, from `/proc`.
//!
//! Read here and not through `sysinfo` because it is asked for little of many processes: the
//! command line of each, and four more files of those few that are wanted (`docs/BENCHMARKS.md`).

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fmt::Write;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, Dir, Mode, OFlags, openat, readlinkat_raw};

use super::loader::without_loader;
use super::stat::Stat;
use crate::list::Sought;
use crate::{Identity, Listing, ProcessInfo, here, par_chunks};

/// How many processes are read one after the other before another processor is worth it.
const READ_AT_ONCE: usize = 64;

/// Reads the command line of every process that is not in `seen`, and everything else of those that are
/// sought. A command line can be read or not; the name of the program makes no difference here.
///
/// Adds what it reads to `seen`, but not what has ended meanwhile. Returns `None` if there is nothing
/// that is not in `seen`.
pub(crate) fn scan(sought: &Sought<'_>, seen: &mut HashSet<u32>) -> io::Result<Option<Listing>> {
    let system = Proc::open()?;
    let mut pids = pids_in(&system)?;
    // Process 1 is there as long as the system, in every PID namespace.
    let hides_others = !pids.contains(&1);
    pids.retain(|pid| !seen.contains(pid));
    if pids.is_empty() {
        return Ok(None);
    }
    let parts = par_chunks(&pids, READ_AT_ONCE, |pids| {
        let mut reader = Reader::new(&system);
        let mut part = (Listing::default(), Vec::new());
        for &pid in pids {
            let read = match reader.command_line(pid) {
                // Of all others only the command line is read.
                Ok((_, args)) if !(sought.args)(&args) => Ok(true),
                Ok((file, args)) => {
                    // One that has ended and was not awaited has no arguments, and keeps its number.
                    let is_empty = args.is_empty();
                    reader.process(pid, args, &file).map(|process| {
                        let is_there = is_empty || process.is_some();
                        part.0.processes.extend(process);
                        is_there
                    })
                }
                Err(error) => Err(error),
            };
            match read {
                Ok(false) => {}
                Err(error) if is_gone(&error) => {}
                Ok(true) => part.1.push(pid),
                Err(_) => {
                    part.0.unreadable += 1;
                    part.1.push(pid);
                }
            }
        }
        part
    });
    let mut listing = Listing { hides_others, ..Listing::default() };
    for (part, read) in parts {
        listing.processes.extend(part.processes);
        listing.unreadable += part.unreadable;
        seen.extend(read);
    }
    Ok(Some(listing))
}

/// Returns the pids of all processes.
pub(crate) fn pids() -> io::Result<Vec<u32>> {
    pids_in(&Proc::open()?)
}

fn pids_in(system: &Proc) -> io::Result<Vec<u32>> {
    let mut pids: Vec<u32> = Vec::new();
    let mut dir = Dir::read_from(&system.dir)?;
    while let Some(entry) = dir.read() {
        pids.extend(entry?.file_name().to_str().ok().and_then(|name| name.parse::<u32>().ok()));
    }
    Ok(pids)
}

/// Describes the processes with these pids. Those that have ended or are hidden are left out; those
/// that this program lacks the means to read are counted.
pub(crate) fn describe(pids: &[u32]) -> io::Result<Listing> {
    let mut listing = Listing::default();
    if pids.is_empty() {
        return Ok(listing);
    }
    let system = Proc::open()?;
    let mut reader = Reader::new(&system);
    for &pid in pids {
        let described = reader.command_line(pid);
        match described.and_then(|(file, args)| reader.process(pid, args, &file)) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            described => listing.add(described),
        }
    }
    Ok(listing)
}

impl Listing {
    /// Adds a process that was read, or counts one that could not be.
    fn add(&mut self, read: io::Result<Option<ProcessInfo>>) {
        match read {
            Ok(process) => self.processes.extend(process),
            Err(error) if is_gone(&error) => {}
            Err(_) => self.unreadable += 1,
        }
    }
}

/// The end of a process between two calls.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

/// Whether what was read so far is that of the process whose command line `file` stands for. An open
/// file belongs to one process for good, and says so when that is gone: as long as it does not, no
/// other process has had the number. One that ends loses its command line before it loses its folder,
/// and is then still there without both until its parent asks for its exit code.
fn is_still_there(file: &File, args: &[String]) -> bool {
    match file.read_at(&mut [0], 0) {
        Ok(read) => read > 0 || args.is_empty(),
        Err(_) => false,
    }
}

/// The folder with all processes.
struct Proc {
    dir: File,
    /// When this boot began, by the wall clock of now.
    boot: SystemTime,
}

impl Proc {
    fn open() -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = File::from(openat(CWD, "/proc", flags, Mode::empty())?);
        let up = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let up = Duration::try_from(up).unwrap_or_default();
        let boot = SystemTime::now().checked_sub(up).unwrap_or(SystemTime::UNIX_EPOCH);
        Ok(Self { dir, boot })
    }
}

/// Reads files of processes, into one buffer.
struct Reader<'a> {
    system: &'a Proc,
    path: String,
    bytes: Vec<u8>,
}

impl<'a> Reader<'a> {
    fn new(system: &'a Proc) -> Self {
        Self { system, path: String::new(), bytes: Vec::with_capacity(4096) }
    }

    /// Returns the program and its arguments, and the file they were read from.
    fn command_line(&mut self, pid: u32) -> io::Result<(File, Vec<String>)> {
        let file = self.read(pid, "cmdline")?;
        let bytes = self.bytes.strip_suffix(&[0]).unwrap_or(&self.bytes);
        if self.bytes.is_empty() {
            return Ok((file, Vec::new()));
        }
        let words = bytes.split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into());
        let mut words = words.collect();
        without_loader(&mut words);
        Ok((file, words))
    }

    /// Reads the rest of a process whose command line `file` stands for; `None` if it has ended.
    fn process(
        &mut self,
        pid: u32,
        args: Vec<String>,
        file: &File,
    ) -> io::Result<Option<ProcessInfo>> {
        drop(self.read(pid, "stat")?);
        let Some(stat) = Stat::parse(&self.bytes) else { return Ok(None) };
        let (exe, current_dir) = (self.link(pid, "exe"), self.link(pid, "cwd"));
        if stat.has_ended() || !is_still_there(file, &args) {
            return Ok(None);
        }
        let per_second = rustix::param::clock_ticks_per_second();
        let time = |ticks: u64| {
            Duration::from_secs(ticks / per_second)
                + Duration::from_secs(1) * u32::try_from(ticks % per_second).unwrap_or(0)
                    / u32::try_from(per_second).unwrap_or(100)
        };
        let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
        Ok(Some(ProcessInfo {
            identity: Identity { pid, started: stat.started, boot_id: here().boot_id.clone() },
            parent: Some(stat.parent).filter(|&parent| parent > 0),
            is_fork: stat.is_fork(),
            session: Some(stat.session),
            name: stat.name,
            args,
            exe,
            current_dir,
            is_stub: false,
            since: self.system.boot + time(stat.started),
            cpu_time: time(stat.cpu_ticks),
            memory_bytes: stat.resident_pages * page,
        }))
    }

    /// Reads a whole file of a process into the buffer.
    fn read(&mut self, pid: u32, name: &str) -> io::Result<File> {
        self.name(pid, name);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let mut file = File::from(openat(&self.system.dir, &*self.path, flags, Mode::empty())?);
        super::read_whole(&mut file, &mut self.bytes)?;
        Ok(file)
    }

    fn link(&mut self, pid: u32, name: &str) -> Option<PathBuf> {
        self.name(pid, name);
        self.bytes.resize(self.bytes.capacity(), 0);
        let length = readlinkat_raw(&self.system.dir, &*self.path, &mut self.bytes[..]).ok()?;
        let target = &self.bytes[..length];
        let path = target.strip_suffix(b" (deleted)").unwrap_or(target);
        Some(OsStr::from_bytes(path).into())
    }

    fn name(&mut self, pid: u32, name: &str) {
        self.path.clear();
        // Writing to a string never fails.
        let _ = write!(self.path, "{pid}/{name}");
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn one_that_ends_while_it_is_read_is_not_listed_without_its_folder() {
        let system = Proc::open().unwrap();
        let mut reader = Reader::new(&system);
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let (file, args) = loop {
            let (file, args) = reader.command_line(child.id()).unwrap();
            if args.first().is_some_and(|first| first == "sleep") {
                break (file, args);
            }
        };
        let read = reader.process(child.id(), args.clone(), &file).unwrap();
        assert!(read.is_some_and(|process| process.current_dir.is_some()));
        assert!(is_still_there(&file, &args));
        child.kill().unwrap();
        // It has ended once it has no folder any more, and is nobody's to clean up but ours.
        while reader.link(child.id(), "cwd").is_some() {
            std::thread::yield_now();
        }
        assert!(!is_still_there(&file, &args));
        child.wait().unwrap();
        assert!(!is_still_there(&file, &args));
    }
}
