//! A local channel between programs of one user: a Unix socket or a named pipe.

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use interprocess::local_socket::traits::{Listener as _, StreamCommon as _};
use interprocess::local_socket::{self, ListenerOptions};

use crate::imp;

/// Waits for programs of the same user that want to talk.
#[derive(Debug)]
pub struct LocalListener(local_socket::Listener);

/// One conversation.
#[derive(Debug)]
pub struct LocalStream {
    stream: local_socket::Stream,
    limit: imp::CallLimit,
}

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
        self.0.accept().map(LocalStream::new)
    }
}

impl LocalStream {
    fn new(stream: local_socket::Stream) -> Self {
        Self { stream, limit: imp::CallLimit::none() }
    }

    /// Connects to the program that has opened the channel of `dir`.
    ///
    /// # Errors
    /// `NotFound` or `ConnectionRefused` if there is none, `PermissionDenied` if it is another user's; on
    /// Windows an error after half a minute in which it has let no client in.
    pub fn connect(dir: &Path) -> io::Result<Self> {
        imp::LocalPlace::of(dir)?.connect().map(Self::new)
    }

    /// Returns the PID of the program that serves this conversation; `None` where it can't be seen
    /// from here, as out of another container.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub fn peer(&self) -> io::Result<Option<u32>> {
        // The number's type differs between systems.
        let pid = self.stream.peer_creds()?.pid().map(i64::from);
        Ok(pid.and_then(|pid| u32::try_from(pid).ok()).filter(|&pid| pid != 0))
    }

    /// Sets how long one read or write may take; one that takes longer fails with `TimedOut` or
    /// `WouldBlock`.
    ///
    /// # Errors
    /// Whatever the system reports.
    pub fn set_timeout(&mut self, timeout: Duration) -> io::Result<()> {
        self.limit.set(&self.stream, timeout)
    }
}

impl Read for LocalStream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.limit.keep(&self.stream, || (&self.stream).read(bytes))
    }
}

impl Write for LocalStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.limit.keep(&self.stream, || (&self.stream).write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.limit.keep(&self.stream, || (&self.stream).flush())
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
    fn one_that_does_not_answer_is_not_waited_for_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let listener = LocalListener::open(dir.path()).unwrap();
        let mut asks = LocalStream::connect(dir.path()).unwrap();
        let mut silent = listener.accept().unwrap();
        asks.set_timeout(Duration::from_millis(50)).unwrap();
        let error = asks.read(&mut [0; 8]).unwrap_err();
        let kinds = [io::ErrorKind::TimedOut, io::ErrorKind::WouldBlock];
        assert!(kinds.contains(&error.kind()), "{error:?}");
        // Nothing that comes in time is lost.
        silent.write_all(b"late").unwrap();
        silent.flush().unwrap();
        let mut answer = [0; 4];
        asks.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"late");
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
