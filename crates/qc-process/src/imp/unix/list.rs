//! The process list, from `/proc`.
//!
//! Read here and not through `sysinfo` because it is asked for little of many processes: the
//! command line of each, and four more files of those few that are wanted (`docs/BENCHMARKS.md`).

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, Dir, Mode, OFlags, openat, readlinkat_raw};

use super::stat::Stat;
use crate::{Identity, Listing, ProcessInfo, here};

/// No command line is that long.
const FAR_BEHIND: u64 = 1 << 40;

/// Reads the command line of every process, and all of those that `wanted` accepts.
pub(crate) fn scan(wanted: &dyn Fn(&[String]) -> bool) -> io::Result<Listing> {
    let mut reader = Reader::new()?;
    let mut listing = Listing { hides_others: true, ..Listing::default() };
    let mut dir = Dir::read_from(&reader.proc)?;
    while let Some(entry) = dir.read() {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().ok().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // Process 1 is there as long as the system, in every PID namespace.
        listing.hides_others &= pid != 1;
        match reader.command_line(pid) {
            Ok((file, args)) if wanted(&args) => {
                listing.processes.extend(reader.process(pid, args, &file));
            }
            Ok(_) => {}
            Err(error) if is_gone(&error) => {}
            Err(_) => listing.unreadable += 1,
        }
    }
    Ok(listing)
}

/// Describes the processes with these pids; those that have ended or are hidden are left out.
pub(crate) fn describe(pids: &[u32]) -> io::Result<Vec<ProcessInfo>> {
    if pids.is_empty() {
        return Ok(Vec::new());
    }
    let mut reader = Reader::new()?;
    let described = pids.iter().filter_map(|&pid| {
        let (file, args) = reader.command_line(pid).ok()?;
        reader.process(pid, args, &file)
    });
    Ok(described.collect())
}

/// The end of a process between two calls.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

/// Reads files of processes, into one buffer.
struct Reader {
    proc: File,
    /// When this boot began, by the wall clock of now.
    boot: SystemTime,
    path: String,
    bytes: Vec<u8>,
}

impl Reader {
    fn new() -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let proc = File::from(openat(CWD, "/proc", flags, Mode::empty())?);
        let up = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let up = Duration::try_from(up).unwrap_or_default();
        let boot = SystemTime::now().checked_sub(up).unwrap_or(SystemTime::UNIX_EPOCH);
        Ok(Self { proc, boot, path: String::new(), bytes: Vec::with_capacity(4096) })
    }

    /// Returns the program and its arguments, and the file they were read from.
    fn command_line(&mut self, pid: u32) -> io::Result<(File, Vec<String>)> {
        let file = self.read(pid, "cmdline")?;
        let bytes = self.bytes.strip_suffix(&[0]).unwrap_or(&self.bytes);
        let words = bytes.split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into());
        Ok((file, if self.bytes.is_empty() { Vec::new() } else { words.collect() }))
    }

    /// Reads the rest of a process whose command line `file` stands for; `None` if it has ended.
    fn process(&mut self, pid: u32, args: Vec<String>, file: &File) -> Option<ProcessInfo> {
        drop(self.read(pid, "stat").ok()?);
        let stat = Stat::parse(&self.bytes)?;
        let (exe, current_dir) = (self.link(pid, "exe"), self.link(pid, "cwd"));
        // An open file belongs to one process for good, and says so when that is gone: as long as
        // it does not, nobody else has had the number. Far behind its end there is nothing to copy.
        let still_there = file.read_at(&mut [0], FAR_BEHIND).is_ok();
        if stat.has_ended() || !still_there {
            return None;
        }
        let per_second = rustix::param::clock_ticks_per_second();
        let time = |ticks: u64| {
            Duration::from_secs(ticks / per_second)
                + Duration::from_secs(1) * u32::try_from(ticks % per_second).unwrap_or(0)
                    / u32::try_from(per_second).unwrap_or(100)
        };
        let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
        Some(ProcessInfo {
            identity: Identity { pid, started: stat.started, boot_id: here().boot_id.clone() },
            parent: Some(stat.parent).filter(|&parent| parent > 0),
            name: stat.name,
            args,
            exe,
            current_dir,
            is_stub: false,
            since: self.boot + time(stat.started),
            cpu_time: time(stat.cpu_ticks),
            memory_bytes: stat.resident_pages * page,
        })
    }

    /// Reads a whole file of a process into the buffer.
    fn read(&mut self, pid: u32, name: &str) -> io::Result<File> {
        self.name(pid, name);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let mut file = File::from(openat(&self.proc, &*self.path, flags, Mode::empty())?);
        self.bytes.clear();
        // Almost always one call: what is shorter than the room for it was read to its end.
        self.bytes.resize(self.bytes.capacity(), 0);
        let read = file.read(&mut self.bytes)?;
        let is_full = read == self.bytes.len();
        self.bytes.truncate(read);
        if is_full {
            file.read_to_end(&mut self.bytes)?;
        }
        Ok(file)
    }

    fn link(&mut self, pid: u32, name: &str) -> Option<PathBuf> {
        self.name(pid, name);
        self.bytes.resize(self.bytes.capacity(), 0);
        let length = readlinkat_raw(&self.proc, &*self.path, &mut self.bytes[..]).ok()?;
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
