//! A local channel between programs of one user: a Unix socket or a named pipe.

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use interprocess::local_socket::traits::{Listener as _, Stream as _, StreamCommon as _};
use interprocess::local_socket::{self, ListenerOptions};

use crate::imp;

/// Waits for programs of the same user that want to talk.
#[derive(Debug)]
pub struct LocalListener(local_socket::Listener);

/// One conversation.
#[derive(Debug)]
pub struct LocalStream(local_socket::Stream);

impl LocalListener {
    /// Opens the channel that belongs to the folder `dir`, for this user only. There must be only
    /// one program that does that, for example because it holds a lock there: what a dead one has
    /// left behind is taken over.
    ///
    /// On Unix it is the socket `control.sock` in `dir`; on Windows a named pipe, whose name comes
    /// from the folder's path.
    ///
    /// # Errors
    /// Whatever the system reports; `AddrInUse` or `PermissionDenied` if another program has it.
    pub fn open(dir: &Path) -> io::Result<Self> {
        imp::clear_left_over(dir)?;
        let place = imp::LocalPlace::of(dir)?;
        let options = ListenerOptions::new().name(place.name()?).reclaim_name(false);
        imp::for_this_user(options)?.create_sync().map(Self)
    }

    /// Waits for the next one who wants to talk.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub fn accept(&self) -> io::Result<LocalStream> {
        self.0.accept().map(LocalStream)
    }
}

impl LocalStream {
    /// Connects to the program that has opened the channel of `dir`.
    ///
    /// # Errors
    /// `NotFound` or `ConnectionRefused` if there is none, `PermissionDenied` if it is another user's.
    pub fn connect(dir: &Path) -> io::Result<Self> {
        let place = imp::LocalPlace::of(dir)?;
        local_socket::Stream::connect(place.name()?).map(Self)
    }

    /// Returns the PID of the program that serves this conversation; `None` where it can't be seen
    /// from here, as out of another container.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub fn peer(&self) -> io::Result<Option<u32>> {
        // The number's type differs between systems.
        let pid = self.0.peer_creds()?.pid().map(i64::from);
        Ok(pid.and_then(|pid| u32::try_from(pid).ok()).filter(|&pid| pid != 0))
    }

    /// Sets how long one read or write may take.
    ///
    /// # Errors
    /// `Unsupported` on Windows, where pipes have no such limit.
    pub fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.0.set_recv_timeout(Some(timeout))?;
        self.0.set_send_timeout(Some(timeout))
    }
}

impl Read for LocalStream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

impl Write for LocalStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;

    fn talk(dir: &Path) {
        let listener = LocalListener::open(dir).unwrap();
        let server = std::thread::spawn(move || {
            let mut stream = BufReader::new(listener.accept().unwrap());
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            stream.get_mut().write_all(format!("heard {line}").as_bytes()).unwrap();
            stream.get_mut().flush().unwrap();
        });
        let stream = LocalStream::connect(dir).unwrap();
        assert_eq!(stream.peer().unwrap(), Some(std::process::id()));
        let mut stream = BufReader::new(stream);
        stream.get_mut().write_all(b"hello\n").unwrap();
        let mut answer = String::new();
        stream.read_line(&mut answer).unwrap();
        assert_eq!(answer, "heard hello\n");
        server.join().unwrap();
    }

    #[test]
    fn one_asks_and_the_other_answers() {
        let dir = tempfile::tempdir().unwrap();
        assert!(LocalStream::connect(dir.path()).is_err(), "nobody is there");
        talk(dir.path());
        assert!(LocalStream::connect(dir.path()).is_err(), "nobody is there any more");
        // The first one's leftovers are in no one's way.
        talk(dir.path());
    }

    #[test]
    fn a_path_longer_than_a_socket_takes_is_fine() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a".repeat(60)).join("b".repeat(60));
        std::fs::create_dir_all(&deep).unwrap();
        talk(&deep);
    }

    // Windows refuses a second first instance of a pipe; Wine does not.
    #[cfg(unix)]
    #[test]
    fn the_channel_of_a_living_program_is_not_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let listener = LocalListener::open(dir.path()).unwrap();
        assert!(LocalListener::open(dir.path()).is_err());
        assert!(LocalStream::connect(dir.path()).is_ok());
        drop(listener);
        assert!(LocalListener::open(dir.path()).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn only_this_user_may_connect() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let _listener = LocalListener::open(dir.path()).unwrap();
        let socket = std::fs::metadata(dir.path().join("control.sock")).unwrap();
        assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    }
}
