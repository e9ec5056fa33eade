//! The terminal, which may stand still because the user selects text in it.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use super::Lines;

/// How many lines wait for a terminal that stands still; further ones are in the file only.
const WAITING_LINES: usize = 10_000;

/// The terminal, written to by a thread that may stand still.
#[derive(Debug, Clone)]
pub(super) struct Terminal {
    sender: Sender<Shown>,
    counts: Arc<Counts>,
}

/// Counts of lines.
#[derive(Debug, Default)]
struct Counts {
    /// The number of lines that wait to be shown.
    waiting: AtomicUsize,
    /// The number of lines that found no room.
    missed: AtomicUsize,
}

#[derive(Debug)]
enum Shown {
    Lines(Lines),
    /// Answered when all before it was written.
    Flush(Sender<()>),
}

impl Terminal {
    pub(super) fn start(output: impl Write + Send + 'static) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        let builder = thread::Builder::new().name("terminal".into()).stack_size(64 * 1024);
        builder.spawn(move || show(&receiver, output, &counted))?;
        Ok(Self { sender, counts })
    }

    pub(super) fn write(&self, lines: Lines) {
        let count = lines.count;
        let waiting = self.counts.waiting.fetch_add(count, Ordering::Relaxed);
        let is_sent =
            waiting + count <= WAITING_LINES && self.sender.send(Shown::Lines(lines)).is_ok();
        if !is_sent {
            self.counts.waiting.fetch_sub(count, Ordering::Relaxed);
            self.counts.missed.fetch_add(count, Ordering::Relaxed);
        }
    }

    pub(super) fn flush(&self, limit: Duration) {
        let (sender, done) = mpsc::channel();
        if self.sender.send(Shown::Flush(sender)).is_ok() {
            // A terminal that stands still must not keep the program from ending.
            let _ = done.recv_timeout(limit);
        }
    }
}

fn show(waiting: &Receiver<Shown>, mut output: impl Write, counts: &Counts) {
    for shown in waiting {
        match shown {
            Shown::Lines(lines) => {
                // A terminal that has gone away is no reason to stop; the file has it all.
                let _ = output.write_all(lines.text.as_bytes());
                counts.waiting.fetch_sub(lines.count, Ordering::Relaxed);
            }
            Shown::Flush(done) => drop(done.send(())),
        }
        let gone = counts.missed.swap(0, Ordering::Relaxed);
        if gone > 0 {
            let _ = writeln!(output, "({gone} lines are not shown here; see the log)");
        }
        let _ = output.flush();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A terminal that stands still until it is told to go on.
    struct Still(Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Still {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_terminal_that_stands_still_keeps_nobody_waiting() {
        let (go_on, still) = mpsc::channel();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let terminal = Terminal::start(Still(still, Arc::clone(&seen))).unwrap();
        for number in 0..WAITING_LINES + 10 {
            terminal.write(Lines { text: format!("{number}\n"), count: 1 });
        }
        terminal.flush(Duration::ZERO);
        drop(go_on);
        let text = loop {
            terminal.flush(Duration::from_secs(60));
            let text = String::from_utf8(seen.lock().unwrap().clone()).unwrap();
            if text.contains(" lines are not shown here") {
                break text;
            }
        };
        assert!(text.starts_with("0\n(10 lines are not shown here"), "{text}");
    }

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn a_terminal_that_has_gone_away_is_no_reason_to_stop() {
        let terminal = Terminal::start(Gone).unwrap();
        terminal.write(Lines { text: "one\n".into(), count: 1 });
        terminal.flush(Duration::from_secs(60));
        assert!(terminal.sender.send(Shown::Lines(Lines::default())).is_ok(), "it still listens");
    }
}
