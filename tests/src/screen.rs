//! A terminal that a test plays: what is typed goes in, what is shown comes out.
//!
//! `script` makes it, of this system or, under Wine, of the one below: Wine gives its programs a
//! console where they run at a terminal, and runs programs of that system by their path. What
//! passes in and out goes through a socket, the one thing that both sides have.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::Tools;

/// The longest that anything may take here; slow machines and Wine included.
const TIMEOUT: Duration = Duration::from_secs(60);

const BASH: &str = if cfg!(windows) { r"Z:\usr\bin\bash" } else { "bash" };

/// The script that starts a Windows program from below, with the environment of this one.
const WINE_RUN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../xtask/windows-lab/wine-run.sh");

/// How the terminal is set: keys are Wine's business, which handles that only when a program reads.
const SETTINGS: &str = if cfg!(windows) {
    "stty cols 100 rows 20 -icanon -icrnl -echo"
} else {
    "stty cols 100 rows 20"
};

/// The text that Wine's console adds to each part that it passes on.
const FLICKER: &str = "\x1b[?25h\x1b[?25l";

/// A terminal of 100 columns and 20 lines.
pub struct Screen {
    script: Child,
    stream: TcpStream,
    seen: String,
}

impl Screen {
    /// Whether there is what makes a terminal; not on a real Windows.
    pub fn can_be_played() -> bool {
        !cfg!(windows) || Path::new(BASH).exists()
    }

    /// Runs a tool in `dir`, as `stand-in at-terminal` does. `words` are its arguments as a shell
    /// reads them.
    ///
    /// # Panics
    /// If there is no `bash` or `script`.
    pub fn start(tools: &Tools, tool: &str, words: &str, dir: &Path) -> Self {
        let (stand_in, tool) = (tools.stand_in(), tools.tool(tool));
        let run = format!("'{}' at-terminal '{}' {words}", stand_in.display(), tool.display());
        let wine = if cfg!(windows) { format!("bash '{WINE_RUN}' ") } else { String::new() };
        // Under Wine, Ctrl-C is never a key: the terminal makes a signal of it for all that run there,
        // which the shell would die of.
        Self::run(&format!("exec env NO_COLOR=1 {wine}{run}"), dir)
    }

    /// Runs a command of the shell in `dir`.
    ///
    /// # Panics
    /// If there is no `bash` or `script`.
    pub fn run(command: &str, dir: &Path) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("cannot listen");
        let port = listener.local_addr().expect("it has an address").port();
        let file = format!("terminal-{port}.sh");
        let text = format!(
            "exec 3<>/dev/tcp/127.0.0.1/{port}\n\
             read -r command <<'END'\n{SETTINGS}; {command}\nEND\n\
             exec script --quiet --command \"$command\" /dev/null <&3 >&3 2>&3 3>&-\n"
        );
        fs::write(dir.join(&file), text).expect("cannot write");
        let mut bash = Command::new(BASH);
        bash.arg(file).current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null());
        let script = bash.spawn().unwrap_or_else(|error| panic!("cannot start {BASH}: {error}"));
        let (sender, accepted) = mpsc::channel();
        // It ends with the tests if there is no connection.
        thread::spawn(move || sender.send(listener.accept()));
        let accepted = accepted.recv_timeout(TIMEOUT).expect("no terminal was made in time");
        let (stream, _) = accepted.expect("cannot accept");
        stream.set_read_timeout(Some(TIMEOUT)).expect("reading can be limited");
        Self { script, stream, seen: String::new() }
    }

    /// Waits until `text` is shown; returns what was shown since the last time.
    ///
    /// # Panics
    /// If it is not shown in time.
    pub fn wait_for(&mut self, text: &str) -> String {
        let mut bytes = [0; 4096];
        loop {
            if let Some(at) = self.seen.find(text) {
                return self.seen.drain(..at + text.len()).collect();
            }
            let count = match self.stream.read(&mut bytes) {
                // A signal ends a read that is limited in time, whatever its handler says.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    panic!("no `{}`: {error}; seen: {:?}", text.escape_debug(), self.seen)
                }
                Ok(count) => count,
            };
            assert!(count > 0, "ended without `{}`; seen: {:?}", text.escape_debug(), self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
            if cfg!(windows) {
                self.seen = self.seen.replace(FLICKER, "");
            }
        }
    }

    /// Types `keys`.
    pub fn type_in(&mut self, keys: &str) {
        self.stream.write_all(keys.as_bytes()).expect("cannot type");
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Its terminal closes with it, which ends what runs there. From Wine it can't be killed, but
        // ends as soon as it shows something that is not read.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}
