//! Guards of the machine: an abstract socket, and a locked file in `/dev/shm`.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat, lstat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, socket_with};

/// The separator in an object's name.
pub(crate) const MACHINE_PART: char = '/';

/// How long the text of a name may be: an address has 108 bytes, the first one of an abstract socket
/// is zero, and what comes next is ours.
pub(crate) const MACHINE_TEXT: super::super::Measure =
    super::super::Measure { most: 107 - LEAD.len(), length: |text| text.len() };

pub(super) const LEAD: &str = "qc2/";
pub(super) const FOLDER: &str = "/dev/shm";

/// The descriptors that carry a guard. Who inherits one of them holds it, too.
#[derive(Debug)]
pub(crate) struct MachineLegs {
    /// Sockets that get the names of the holder as soon as it is known; they are there before it, so
    /// that it can inherit them. They are closed before the legs, here and by the kernel, which closes
    /// lower numbers first: the next holder finds no name of this one.
    names: Vec<OwnedFd>,
    legs: Vec<OwnedFd>,
}

/// The result of taking one leg.
enum Leg {
    Taken(OwnedFd),
    Held,
    /// There is no such thing here.
    Missing,
}

impl MachineLegs {
    pub(crate) fn take(guard: &str) -> io::Result<Option<Self>> {
        let names = [new_socket(), new_socket()].into_iter().flatten().collect();
        let mut legs = Vec::new();
        for take in [take_socket, take_file] {
            match take(guard)? {
                Leg::Taken(leg) => legs.push(leg),
                Leg::Held => return Ok(None),
                Leg::Missing => {}
            }
        }
        Ok(Some(Self { names, legs }))
    }

    pub(crate) fn holds(&self) -> bool {
        !self.legs.is_empty()
    }

    /// Gives the names; a socket that has one keeps it.
    pub(crate) fn name(&self, texts: &[String]) {
        for (socket, text) in self.names.iter().zip(texts) {
            if let Ok(address) = address(text) {
                // Nothing depends on it.
                let _ = bind(socket, &address);
            }
        }
    }

    /// Returns what a child inherits.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        self.legs.iter().chain(&self.names).map(AsRawFd::as_raw_fd)
    }
}

fn new_socket() -> Result<OwnedFd, Errno> {
    socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
}

fn address(text: &str) -> Result<SocketAddrUnix, Errno> {
    SocketAddrUnix::new_abstract_name(format!("{LEAD}{text}").as_bytes())
}

/// The socket: its address is the lock. It never listens, so there are no connections.
fn take_socket(guard: &str) -> io::Result<Leg> {
    let socket = match new_socket() {
        Ok(socket) => socket,
        Err(Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT | Errno::PERM | Errno::ACCESS) => {
            return Ok(Leg::Missing);
        }
        Err(error) => return Err(error.into()),
    };
    match bind(&socket, &address(guard)?) {
        Ok(()) => Ok(Leg::Taken(socket)),
        Err(Errno::ADDRINUSE) => Ok(Leg::Held),
        Err(Errno::PERM | Errno::ACCESS) => Ok(Leg::Missing),
        Err(error) => Err(error.into()),
    }
}

/// The file: it is there for those whom a network namespace keeps from seeing the socket. It is never
/// deleted; whoever deletes it all the same is noticed.
fn take_file(guard: &str) -> io::Result<Leg> {
    let path = format!("{FOLDER}/qc2.{guard}");
    loop {
        let (file, can_write) = match open_file(&path) {
            Ok(Some(opened)) => opened,
            Ok(None) => continue,
            Err(
                Errno::NOENT
                | Errno::NOTDIR
                | Errno::ACCESS
                | Errno::PERM
                | Errno::ROFS
                | Errno::NOSPC
                | Errno::DQUOT
                | Errno::LOOP
                | Errno::NXIO
                | Errno::ISDIR,
            ) => return Ok(Leg::Missing),
            Err(error) => return Err(error.into()),
        };
        let found = fstat(&file)?;
        if !rustix::fs::FileType::from_raw_mode(found.st_mode).is_file() {
            return Ok(Leg::Missing);
        }
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(Leg::Held),
            Err(error) => return Err(error.into()),
        }
        match lock_first_byte(&file, can_write) {
            Ok(()) => {}
            Err(error) => match error.raw_os_error() {
                Some(libc::EAGAIN | libc::EACCES) => return Ok(Leg::Held),
                Some(libc::EINVAL | libc::ENOSYS) => {}
                _ => return Err(error),
            },
        }
        match lstat(&path) {
            Ok(there) if (there.st_dev, there.st_ino) == (found.st_dev, found.st_ino) => {
                return Ok(Leg::Taken(file));
            }
            // Deleted between opening and locking it.
            Ok(_) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Opens the file and says whether it can be written; `None` if it was created meanwhile.
///
/// Another user's file in a sticky folder must not be opened with the wish to make it
/// (`fs.protected_regular`).
fn open_file(path: &str) -> Result<Option<(OwnedFd, bool)>, Errno> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let open = |more: OFlags| rustix::fs::open(path, flags | more, Mode::from_raw_mode(0o666));
    match open(OFlags::RDWR) {
        Ok(file) => return Ok(Some((file, true))),
        Err(Errno::ACCESS | Errno::PERM | Errno::ROFS) => {
            return Ok(Some((open(OFlags::RDONLY)?, false)));
        }
        Err(Errno::NOENT) => {}
        Err(error) => return Err(error),
    }
    match open(OFlags::RDWR | OFlags::CREATE | OFlags::EXCL) {
        Ok(file) => {
            // For every user, whatever the umask. Where that is refused, it is this user's alone.
            let _ = rustix::fs::fchmod(&file, Mode::from_raw_mode(0o666));
            Ok(Some((file, true)))
        }
        Err(Errno::EXIST) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The lock that programs of Windows take through Wine collides with this one. It belongs to the open
/// file, as the other one does.
fn lock_first_byte(file: &OwnedFd, can_write: bool) -> io::Result<()> {
    // SAFETY: all zeroes is a valid value; what matters is set below.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = if can_write { libc::F_WRLCK } else { libc::F_RDLCK } as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_len = 1;
    // SAFETY: the descriptor is open, and `lock` is a live local.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &lock) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Returns the names of all objects of ours, without what they begin with.
pub(crate) fn machine_names() -> io::Result<Vec<String>> {
    // In as many parts as the system makes of it.
    let text = std::fs::read("/proc/net/unix")?;
    let text = String::from_utf8_lossy(&text);
    let name = |line: &str| line.split_once(&format!(" @{LEAD}")).map(|(_, name)| name.to_owned());
    Ok(text.lines().filter_map(name).collect())
}

/// Returns a folder as names of objects have it.
pub(crate) fn folder_text(folder: &Path) -> String {
    folder.to_string_lossy().into_owned()
}

/// Returns the file of a guard, which says who has it open.
pub(crate) fn machine_file(guard: &str) -> Option<PathBuf> {
    Some(PathBuf::from(format!("{FOLDER}/qc2.{guard}")))
}

/// Removes what a guard has left behind that is not needed again.
pub(crate) fn forget_machine_guard(guard: &str) {
    let _ = std::fs::remove_file(format!("{FOLDER}/qc2.{guard}"));
}

/// The inode of the PID namespace that is there from the start (`PROC_PID_INIT_INO` of Linux).
const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Whether this is a container of Docker or Podman. Virtual machines can be made of the same images.
pub(crate) fn is_container() -> bool {
    super::pid_namespace() != Some(FIRST_PID_NAMESPACE)
        && ["/.dockerenv", "/run/.containerenv"].iter().any(|file| Path::new(file).exists())
}
