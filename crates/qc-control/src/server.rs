//! The server, on threads of its own: a slow or hostile client keeps no other client waiting.

use std::io::{self, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use qc_process::{LocalListener, LocalStream};

use crate::protocol::{Answered, Asked};
use crate::{Answer, Refusal, Request, VERSION, line};

/// The most bytes of one request.
const LIMIT: u64 = 64 * 1024;

/// How long a client may take for a line, or for reading one.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How many clients are served at the same time; further ones are told to come again.
const CLIENTS: usize = 32;

/// How many more are let in to say something urgent: a stop must not wait for those who watch.
const RESERVED: usize = 8;

/// How long such a client may take to say it.
const URGENT_TIMEOUT: Duration = Duration::from_secs(2);

/// A thread that only passes lines on needs no large stack.
const STACK: usize = 256 * 1024;

/// Answers one request; called on the thread of the client.
pub type Handler = dyn Fn(Request) -> Answer + Send + Sync;

/// Serves clients as long as the program runs.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Starts to serve the clients of the `qc-launch` whose locks are in `lock_dir`.
    ///
    /// # Errors
    /// If the channel can't be opened.
    pub fn start(lock_dir: &Path, handler: Arc<Handler>) -> io::Result<Self> {
        let listener = LocalListener::open(lock_dir)?;
        let clients = Arc::new(AtomicUsize::new(0));
        spawn("control", move || {
            loop {
                match listener.accept() {
                    Ok(stream) => admit(stream, &handler, &clients),
                    // Too many open files, for example: there will be fewer.
                    Err(_) => thread::sleep(Duration::from_millis(100)),
                }
            }
        })?;
        Ok(Self)
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.into()).stack_size(STACK).spawn(run).map(drop)
}

/// Counts a client as long as it is there.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn admit(mut stream: LocalStream, handler: &Arc<Handler>, clients: &Arc<AtomicUsize>) {
    let place = Place(Arc::clone(clients));
    let others = clients.fetch_add(1, Ordering::Relaxed);
    let is_urgent = others >= CLIENTS;
    // Without the limit, a silent client keeps its place until it goes.
    let _ = stream.set_timeout(if is_urgent { URGENT_TIMEOUT } else { TIMEOUT });
    if others >= CLIENTS + RESERVED {
        // A client that does not read it gets no answer.
        let _ = line::write(&mut stream, &busy());
        return;
    }
    let handler = Arc::clone(handler);
    // Without a thread the client gets no answer.
    let _ = spawn("client", move || {
        let _place = place;
        // A client that breaks off has got what it wanted.
        let _ = serve(stream, &*handler, is_urgent);
    });
}

/// Answers one client; one that was let in only for something urgent gets nothing else.
fn serve(stream: LocalStream, handler: &Handler, is_urgent: bool) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let answered = match line::read::<Asked>(&mut stream, LIMIT) {
            Ok(None) => return Ok(()),
            Ok(Some(asked)) if is_urgent && !may_be_urgent(&asked.request) => {
                return line::write(stream.get_mut(), &busy());
            }
            Ok(Some(asked)) if asked.version == VERSION => {
                Answered { version: VERSION, answer: handler(asked.request) }
            }
            Ok(Some(_)) => refused("this version is not spoken here", "use the same version", true),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let answer =
                    refused(&format!("no request: {error}"), "send one as documented", true);
                return line::write(stream.get_mut(), &answer);
            }
            Err(error) => return Err(error),
        };
        line::write(stream.get_mut(), &answered)?;
    }
}

/// Whether it is a stop, or the question that comes before one.
fn may_be_urgent(request: &Request) -> bool {
    match request {
        Request::Stop { .. } | Request::Withhold { .. } | Request::Status => true,
        Request::Wait { .. }
        | Request::Start { .. }
        | Request::Restart { .. }
        | Request::Reload => false,
    }
}

fn busy() -> Answered {
    Answered { version: VERSION, answer: Answer::Refused(Refusal::busy()) }
}

fn refused(message: &str, hint: &str, is_usage: bool) -> Answered {
    let refusal = Refusal { message: message.into(), hint: hint.into(), is_usage, is_busy: false };
    Answered { version: VERSION, answer: Answer::Refused(refusal) }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, Write};

    use super::*;
    use crate::{Client, ControlError, Status};

    fn start(dir: &Path) -> Server {
        let handler = |request| match request {
            Request::Status => Answer::Done(Status { pid: 7, ..Status::default() }),
            other => Answer::Refused(Refusal {
                message: format!("{other:?}"),
                hint: "none".into(),
                is_usage: false,
                is_busy: false,
            }),
        };
        Server::start(dir, Arc::new(handler)).unwrap()
    }

    #[test]
    fn requests_are_answered_one_after_the_other() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Client::connect(dir.path(), None), Err(ControlError::NotRunning)));
        start(dir.path());
        let mut client = Client::connect(dir.path(), None).unwrap();
        for _ in 0..3 {
            assert_eq!(client.ask(&Request::Status).unwrap().pid, 7);
            let refused = client.ask(&Request::Reload).unwrap_err();
            assert_eq!(refused.to_string(), "Reload");
        }
    }

    #[test]
    fn a_busy_channel_says_what_is_waited_for() {
        static TOLD: AtomicUsize = AtomicUsize::new(0);
        let dir = tempfile::tempdir().unwrap();
        start(dir.path());
        let silent: Vec<LocalStream> =
            (0..CLIENTS).map(|_| LocalStream::connect(dir.path()).unwrap()).collect();
        let client = Client::connect(dir.path(), None).unwrap();
        let mut client = client.on_wait(|_, why| {
            assert_eq!(why, "too many clients at once");
            TOLD.fetch_add(1, Ordering::Relaxed);
        });
        let refused = client.ask(&Request::Reload).unwrap_err();
        assert_eq!(refused.to_string(), "too many clients at once");
        assert_eq!(TOLD.load(Ordering::Relaxed), 1, "once");
        drop(silent);
    }

    #[test]
    fn another_program_than_the_launcher_is_not_talked_to() {
        let dir = tempfile::tempdir().unwrap();
        start(dir.path());
        let own = std::process::id();
        assert!(Client::connect(dir.path(), Some(own)).is_ok());
        let stranger = Client::connect(dir.path(), Some(own + 1)).unwrap_err();
        let text = format!(
            "another program (PID {own}) answers in place of the running qc-launch (PID {})",
            own + 1
        );
        assert_eq!(stranger.to_string(), text);
    }

    #[test]
    fn nonsense_is_answered_and_keeps_nobody_from_asking() {
        let dir = tempfile::tempdir().unwrap();
        start(dir.path());
        for nonsense in ["nonsense\n", "{\"version\":2,\"request\":\"status\"}\n", "{}\n"] {
            let mut stream = BufReader::new(LocalStream::connect(dir.path()).unwrap());
            stream.get_mut().write_all(nonsense.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_line(&mut answer).unwrap();
            assert!(answer.contains("refused"), "{nonsense}: {answer}");
        }
        // They say nothing, and stay.
        let silent: Vec<LocalStream> =
            (0..10).map(|_| LocalStream::connect(dir.path()).unwrap()).collect();
        assert_eq!(
            Client::connect(dir.path(), None).unwrap().ask(&Request::Status).unwrap().pid,
            7
        );
        drop(silent);
    }

    #[test]
    fn a_stop_has_a_place_however_many_watch() {
        let dir = tempfile::tempdir().unwrap();
        start(dir.path());
        // They say nothing, and stay.
        let silent: Vec<LocalStream> =
            (0..CLIENTS).map(|_| LocalStream::connect(dir.path()).unwrap()).collect();
        let mut client = Client::connect(dir.path(), None).unwrap();
        assert_eq!(client.ask(&Request::Status).unwrap().pid, 7);
        let stopped = client.ask(&Request::Stop { names: Vec::new() }).unwrap_err();
        assert!(stopped.to_string().starts_with("Stop"), "{stopped}");
        // Anything else is told to come again, and is taken as soon as one has gone.
        let waiting = std::thread::spawn({
            let dir = dir.path().to_path_buf();
            move || {
                Client::connect(&dir, None).unwrap().ask(&Request::Reload).unwrap_err().to_string()
            }
        });
        drop(silent);
        assert_eq!(waiting.join().unwrap(), "Reload");
    }

    #[test]
    fn one_that_is_sent_away_unheard_is_told_that_it_is_busy_and_not_that_it_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        start(dir.path());
        let silent: Vec<LocalStream> = (0..CLIENTS + 3 * RESERVED)
            .map(|_| LocalStream::connect(dir.path()).unwrap())
            .collect();
        let refused = Client::connect(dir.path(), None).unwrap().ask(&Request::Reload);
        assert_eq!(refused.unwrap_err().to_string(), "too many clients at once");
        drop(silent);
    }
}
