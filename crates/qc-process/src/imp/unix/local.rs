//! The Unix socket of a folder.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use interprocess::local_socket::traits::Stream as _;
use interprocess::local_socket::{GenericFilePath, ListenerOptions, Name, Stream, ToFsName};
use interprocess::os::unix::local_socket::ListenerOptionsExt;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

const FILE: &str = "control.sock";

/// An address of a socket has room for 107 bytes, less than many a path has. So the folder is
/// opened, and named by its descriptor.
pub(crate) struct LocalPlace {
    path: PathBuf,
    _dir: File,
}

impl LocalPlace {
    pub(crate) fn of(dir: &Path) -> io::Result<Self> {
        let dir = File::open(dir)?;
        let path = Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(FILE);
        Ok(Self { path, _dir: dir })
    }

    pub(crate) fn name(&self) -> io::Result<Name<'_>> {
        self.path.as_path().to_fs_name::<GenericFilePath>()
    }

    pub(crate) fn connect(&self) -> io::Result<Stream> {
        Stream::connect(self.name()?)
    }
}

/// How long a call may take: the socket keeps that itself.
#[derive(Debug)]
pub(crate) struct CallLimit;

impl CallLimit {
    pub(crate) fn none() -> Self {
        Self
    }

    pub(crate) fn set(&mut self, stream: &Stream, limit: Duration) -> io::Result<()> {
        stream.set_recv_timeout(Some(limit))?;
        stream.set_send_timeout(Some(limit))
    }

    pub(crate) fn keep<T>(
        &self,
        _stream: &Stream,
        call: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        call()
    }
}

/// Removes the socket of a program that has ended.
pub(crate) fn clear_left_over(dir: &Path) -> io::Result<()> {
    let path = dir.join(FILE);
    match fs::symlink_metadata(&path) {
        Ok(found) if found.file_type().is_socket() && is_served(dir)? => {
            let text = format!("a living program serves {}", path.display());
            Err(io::Error::new(io::ErrorKind::AddrInUse, text))
        }
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("{} exists and is not a socket", path.display()),
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether a living program waits at the socket: only then does a connection get anywhere. One that
/// has as many waiting as it takes is alive, too, and not waited for.
fn is_served(dir: &Path) -> io::Result<bool> {
    let place = LocalPlace::of(dir)?;
    let address = SocketAddrUnix::new(&place.path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match connect(&socket, &address) {
        Ok(()) | Err(Errno::AGAIN | Errno::INPROGRESS) => Ok(true),
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Set before the socket is bound, so that there is no moment in which others could connect.
pub(crate) fn for_this_user(options: ListenerOptions<'_>) -> io::Result<ListenerOptions<'_>> {
    Ok(options.mode(0o600))
}
