//! The roles that a child of the drill plays. Each reports ready, and ends when asked, when the
//! drill's folder is gone, and after a minute at the latest.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use qc_cli::{Exit, Failure};
use qc_lock_core::{Account, LockDir, LockName, ParsedRecord, Request};
use qc_process::{own_identity, press_ctrl_break};

use super::child::READY;

/// The longest that a part stays.
const LIFETIME: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(20);

/// The command line of a child of the drill.
#[derive(Debug, clap::Args)]
pub struct ChildArgs {
    /// Stay as long as FILE is there
    #[arg(long = "while", value_name = "FILE")]
    stay: PathBuf,
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, clap::Subcommand)]
enum Role {
    /// Do nothing
    Sleep,
    /// Hold a lock, and perhaps an account
    Hold { dir: PathBuf, name: LockName, account: Option<Account> },
    /// Lock all bytes of a file
    Lock { file: PathBuf },
    /// Have a record open for some milliseconds, and read it at the end
    Read { file: PathBuf, millis: u64 },
    /// Listen at a free port of this machine
    Listen,
    /// Write a file when asked to stop
    CleanUp { file: PathBuf },
    /// Press Ctrl-Break at the own console, and write a file when that is heard
    Break { file: PathBuf },
}

/// Plays a part to its end.
pub fn run_child(args: &ChildArgs, output: &mut dyn Write) -> Result<Exit, Failure> {
    let stay = || stay_for(&args.stay);
    match &args.role {
        Role::Sleep => {
            ready(output, "")?;
            stay();
        }
        Role::Hold { dir, name, account } => {
            let request = Request::new(name.clone());
            let request = match account {
                Some(account) => request.account(account.clone()),
                None => request,
            };
            let lock = LockDir::new(dir).acquire(&request)?;
            ready(output, "")?;
            stay();
            lock.release()?;
        }
        Role::Lock { file } => {
            let file = File::options().read(true).write(true).open(file)?;
            file.try_lock().map_err(io::Error::from)?;
            ready(output, "")?;
            stay();
        }
        Role::Read { file, millis } => {
            let mut file = File::open(file)?;
            ready(output, "")?;
            thread::sleep(Duration::from_millis(*millis));
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            let is_whole = matches!(ParsedRecord::from_bytes(&bytes), ParsedRecord::Record(_));
            return Ok(if is_whole { Exit::Done } else { Exit::Found });
        }
        Role::Listen => {
            let socket = TcpListener::bind(("127.0.0.1", 0))?;
            ready(output, &socket.local_addr()?.port().to_string())?;
            stay();
        }
        Role::CleanUp { file } => {
            let asked = requests()?;
            ready(output, "")?;
            return clean_up(&asked, file, &args.stay);
        }
        Role::Break { file } => {
            let asked = requests()?;
            ready(output, "")?;
            press_ctrl_break()?;
            return clean_up(&asked, file, &args.stay);
        }
    }
    Ok(Exit::Done)
}

fn ready(output: &mut dyn Write, word: &str) -> io::Result<()> {
    let own = own_identity();
    writeln!(output, "{READY} {} {} {word}", own.pid, own.started)?;
    output.flush()
}

fn stay_for(file: &Path) {
    let deadline = Instant::now() + LIFETIME;
    while file.exists() && Instant::now() < deadline {
        thread::sleep(PAUSE);
    }
}

/// Requests to stop, as they come in.
fn requests() -> io::Result<Receiver<()>> {
    let (sender, receiver) = mpsc::channel();
    qc_process::on_interrupt(move |_| {
        // The receiver is ending.
        let _ = sender.send(());
    })?;
    Ok(receiver)
}

/// Writes the file once it is asked to stop.
fn clean_up(asked: &Receiver<()>, file: &Path, stay: &Path) -> Result<Exit, Failure> {
    let deadline = Instant::now() + LIFETIME;
    while stay.exists() && Instant::now() < deadline {
        if asked.recv_timeout(PAUSE).is_ok() {
            fs::write(file, "cleaned up")?;
            return Ok(Exit::Done);
        }
    }
    Ok(Exit::TimedOut)
}
