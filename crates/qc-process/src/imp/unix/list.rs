//! The process list, from `/proc`.
//!
//! Read here and not through `sysinfo` because it is asked for little of many processes: the
//! command line of each, and four more files of those few that are wanted (`docs/BENCHMARKS.md`).

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt::Write;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, Dir, Mode, OFlags, openat, readlinkat_raw};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process_group};

use super::stat::Stat;
use crate::list::Wanted;
use crate::{Identity, Listing, ProcessInfo, here, in_parts};

/// How many processes are read one after the other before another processor is worth it.
const READ_AT_ONCE: usize = 64;

/// No command line is that long.
const FAR_BEHIND: u64 = 1 << 40;

/// Reads the command line of every process, and all of those that `wanted` accepts.
pub(crate) fn scan(wanted: &Wanted<'_>) -> io::Result<Listing> {
    let system = Proc::open()?;
    let pids = system.pids()?;
    let parts = in_parts(&pids, READ_AT_ONCE, |pids| {
        let mut reader = Reader::new(&system);
        let mut part = Listing::default();
        for &pid in pids {
            match reader.command_line(pid) {
                Ok((file, args)) if wanted(&args) => {
                    part.processes.extend(reader.process(pid, args, &file));
                }
                Ok(_) => {}
                Err(error) if is_gone(&error) => {}
                Err(_) => part.unreadable += 1,
            }
        }
        part
    });
    // Process 1 is there as long as the system, in every PID namespace.
    let mut listing = Listing { hides_others: !pids.contains(&1), ..Listing::default() };
    for part in parts {
        listing.processes.extend(part.processes);
        listing.unreadable += part.unreadable;
    }
    Ok(listing)
}

/// Describes the processes with these pids; those that have ended or are hidden are left out.
pub(crate) fn describe(pids: &[u32]) -> io::Result<Vec<ProcessInfo>> {
    if pids.is_empty() {
        return Ok(Vec::new());
    }
    let system = Proc::open()?;
    let mut reader = Reader::new(&system);
    let described = pids.iter().filter_map(|&pid| {
        let (file, args) = reader.command_line(pid).ok()?;
        reader.process(pid, args, &file)
    });
    Ok(described.collect())
}

/// Whether anybody is in the process group that this one has begun.
pub(crate) fn may_have_left(ended: u32) -> bool {
    let group = i32::try_from(ended).ok().and_then(Pid::from_raw);
    group.is_some_and(|group| test_kill_process_group(group) != Err(Errno::SRCH))
}

/// Describes what is in the process groups that these have begun.
pub(crate) fn left_by(ended: &[Identity]) -> io::Result<Vec<(usize, ProcessInfo)>> {
    let begun: HashMap<u32, usize> = ended.iter().map(|one| one.pid).zip(0..).collect();
    let system = Proc::open()?;
    let mut reader = Reader::new(&system);
    let mut left: Vec<(usize, ProcessInfo)> = Vec::new();
    for pid in system.pids()? {
        let group = reader.group(pid);
        let Some(&position) = group.and_then(|group| begun.get(&group)) else { continue };
        let Ok((file, args)) = reader.command_line(pid) else { continue };
        left.extend(reader.process(pid, args, &file).map(|process| (position, process)));
    }
    // As long as anybody is in a group its number is given to nobody else; so one that has it has
    // begun a group of its own.
    let is_living = |pid: u32| left.iter().any(|(_, one)| one.identity.pid == pid);
    let living: Vec<bool> = ended.iter().map(|one| is_living(one.pid)).collect();
    left.retain(|(position, _)| !living[*position]);
    Ok(left)
}

/// The end of a process between two calls.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
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

    fn pids(&self) -> io::Result<Vec<u32>> {
        let mut pids = Vec::new();
        let mut dir = Dir::read_from(&self.dir)?;
        while let Some(entry) = dir.read() {
            pids.extend(entry?.file_name().to_str().ok().and_then(|name| name.parse::<u32>().ok()));
        }
        Ok(pids)
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
        let words = bytes.split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into());
        Ok((file, if self.bytes.is_empty() { Vec::new() } else { words.collect() }))
    }

    /// Returns the number of its process group; `None` if it has ended.
    fn group(&mut self, pid: u32) -> Option<u32> {
        drop(self.read(pid, "stat").ok()?);
        Some(Stat::parse(&self.bytes)?.group)
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
            is_fork: stat.is_fork(),
            name: stat.name,
            args,
            exe,
            current_dir,
            is_stub: false,
            since: self.system.boot + time(stat.started),
            cpu_time: time(stat.cpu_ticks),
            memory_bytes: stat.resident_pages * page,
        })
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
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use super::*;
    use crate::{Process, identity_of};

    #[test]
    fn what_is_left_is_found_by_its_group_unless_somebody_has_begun_one_of_that_number() {
        let mut command = Command::new("setsid");
        command.args(["sh", "-c", "sleep 100 > /dev/null & echo $!; read line"]);
        let mut leader =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("no setsid");
        let mut line = String::new();
        BufReader::new(leader.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let sleeper = identity_of(line.trim().parse().unwrap()).unwrap();
        let nobody = Identity { pid: u32::MAX, ..sleeper.clone() };
        let ended = [nobody, identity_of(leader.id()).unwrap()];
        assert!(left_by(&ended).unwrap().is_empty(), "the leader lives");
        assert!(may_have_left(leader.id()) && !may_have_left(ended[0].pid));

        drop(leader.stdin.take());
        leader.wait().unwrap();
        assert!(may_have_left(leader.id()), "the sleeper is left");
        let left = left_by(&ended).unwrap();
        Process::open(&sleeper).unwrap().expect("it has ended").kill().unwrap();
        let found: Vec<_> = left.iter().map(|(position, one)| (*position, &one.identity)).collect();
        assert_eq!(found, [(1, &sleeper)]);
    }
}
