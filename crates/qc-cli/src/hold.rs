//! Running a command while holding a lock.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use qc_call::{CHAIN, starts_another};
use qc_lock_core::{
    Account, AccountError, AccountUse, Lock, LockDir, LockError, LockName, PAPER_VARIABLE, Request,
    StartError, Terminal, has_old_module, parse_duration, run_held, run_unlocked,
};
use qc_process::file;
use qc_process::{Output, Spawn};

use crate::exit::chain;
use crate::{Exit, Failure, shown, visible, warn};

/// Run a command while holding a lock
///
/// The lock is the command's: it is held until the command ends, and a request to stop is passed
/// on to it. The exit code is the command's own; 75 (or CODE) if the lock is held, 126 and 127 if
/// the command can't be run or is not found.
#[derive(Debug, clap::Args)]
pub struct HoldArgs {
    /// Wait for the lock, up to DURATION if one is given
    ///
    /// A number and a unit: `500ms`, `30s`, `5m`. Without this flag, a held lock fails at once.
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "365d", value_parser = parse_duration)]
    pub wait: Option<Duration>,
    /// Exit code to use if the lock is held
    #[arg(short = 'E', long, value_name = "CODE", default_value_t = 75, value_parser = clap::value_parser!(i32).range(0..=255))]
    pub conflict_exit_code: i32,
    /// Account that the command trades; no other command may trade it
    ///
    /// `0123`, `123.0` and `123` are one account. `0`, `None`, `null`, `nan` and an empty text are
    /// none: that is said, and only the name is locked.
    #[arg(long, value_name = "NUMBER", value_parser = parse_account)]
    pub account: Option<AccountArg>,
    /// Terminal that the command uses; no other command that trades may use it
    #[arg(long, value_name = "PATH", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub terminal: Option<String>,
    /// The command only reads the account and the terminal, beside whoever trades there
    #[arg(long, conflicts_with = "paper")]
    pub shared_account: bool,
    /// The command trades on paper, beside whoever trades the account; it gets QC_PAPER=1
    #[arg(long)]
    pub paper: bool,
    /// File name to put into the record, instead of the command's
    #[arg(long, value_name = "NAME", hide = true)]
    pub program: Option<String>,
    /// Write no record: the command keeps one of its own under this name
    #[arg(long, hide = true)]
    pub own_record: bool,
    /// Append the command's output to FILE, and print `started PID TIME` once it runs
    #[arg(long, value_name = "FILE", hide = true)]
    pub output: Option<PathBuf>,
    /// Name of the lock, such as BRAIN_ATLAS
    pub name: LockName,
    /// Command to run and its arguments, after `--`
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// The value of `--account`.
#[derive(Debug, Clone)]
pub enum AccountArg {
    /// An account.
    Account(Account),
    /// A text that stands for a missing account.
    Missing(String),
}

impl HoldArgs {
    fn account_use(&self) -> AccountUse {
        match (self.shared_account, self.paper) {
            (true, _) => AccountUse::Shares,
            (_, true) => AccountUse::Paper,
            _ => AccountUse::Trades,
        }
    }
}

fn parse_account(text: &str) -> Result<AccountArg, AccountError> {
    let missing = || AccountArg::Missing(text.to_owned());
    Ok(Account::parse(text)?.map_or_else(missing, AccountArg::Account))
}

/// Takes the lock, runs the command, gives the lock back; the exit code is the command's.
///
/// # Errors
/// If the lock is held or can't be taken, or the command can't be run.
pub fn hold(args: &HoldArgs, locks: &LockDir) -> Result<Exit, Failure> {
    let Some((program, rest)) = args.command.split_first() else {
        return Err(Failure::new(Exit::Usage, "no command was given", "name it after `--`"));
    };
    let file = Path::new(program).file_name().unwrap_or(program).to_string_lossy();
    let mut request =
        Request::new(args.name.clone()).program(args.program.as_deref().unwrap_or(&file));
    match &args.account {
        Some(AccountArg::Account(account)) => request = request.account(account.clone()),
        Some(AccountArg::Missing(text)) => {
            let text = visible(text);
            let warning = format!("`{text}` is not an account, so no lock on an account is taken");
            // Only said; the command runs under the lock of its name.
            let _ = writeln!(io::stderr(), "WARNING: {warning}");
        }
        None => {}
    }
    if let Some(terminal) = &args.terminal {
        request = request.terminal(Terminal::new(terminal));
    }
    request = request.account_use(args.account_use());
    if args.own_record {
        request = request.without_record();
    }
    let mut request = request.wait(args.wait.unwrap_or_default());
    if let Some(record) = locks.handed_down(starts_another) {
        request = request.handed_down(record);
    }
    let refusal = |error| {
        let refused = matches!(error, LockError::Held { .. } | LockError::Latched { .. });
        let failure = Failure::from(error);
        if refused { failure.with_exit(Exit::Code(args.conflict_exit_code)) } else { failure }
    };
    // With nothing to take, it is the command of a wrapper whose lock this is, and the command's with it.
    let lock = match request.to_take().is_empty() {
        true => None,
        false => Some(locks.acquire_for_child(&request).map_err(refusal)?),
    };
    let log = args.output.as_deref().map(open_output).transpose()?;
    let spawn = Spawn {
        env: args.paper.then(|| (PAPER_VARIABLE.into(), Some("1".into()))).into_iter().collect(),
        output: log.as_ref().map_or(Output::Inherit, Output::File),
        end_with_parent: true,
        chain: Some(CHAIN),
        ..Spawn::new(program.clone(), rest.to_vec())
    };
    let started = |lock: &Lock| {
        for reclaimed in lock.reclaimed() {
            // Only said; the history has it, too.
            let _ = writeln!(io::stderr(), "reclaimed lock {} {reclaimed}", args.name);
        }
        if let Some(error) = lock.history_error() {
            warn(error);
        }
        if lock.is_of_folder_only() {
            // Only said; a program that may use neither still runs under the lock of its folder.
            let _ = writeln!(io::stderr(), "WARNING: {}", qc_lock_core::FOLDER_ONLY);
        }
        if log.is_some() {
            // Where the supervisor has gone away, the command runs on under its lock.
            let identity = lock.record().identity();
            let _ = writeln!(io::stdout(), "started {} {}", identity.pid, identity.started);
        }
    };
    let ended = match lock {
        Some(lock) => run_held(lock, spawn, started),
        None => run_unlocked(spawn).map_err(StartError::Spawn),
    };
    let ended = ended.map_err(|error| {
        let error = match error {
            StartError::Lock(error) => return refusal(error),
            StartError::GuardDeleted => {
                return Failure::from_error(Exit::Failed, &error, "run the command again");
            }
            StartError::Spawn(error) => error,
        };
        let exit = match error.kind() {
            io::ErrorKind::NotFound => Exit::NotFound,
            // The system's error for a file that is not a program.
            _ if error.raw_os_error().is_some() => Exit::NotRunnable,
            io::ErrorKind::InvalidInput => Exit::NotRunnable,
            _ => Exit::Failed,
        };
        let program = visible(&program.to_string_lossy());
        let message = format!("cannot run `{program}`: {}", chain(&error));
        Failure::new(
            exit,
            message,
            "see whether the command exists and may be run; the lock is free again",
        )
    })?;
    if ended.code() != 0
        && let Some(folder) = folder_of_old_module(rest, locks)
    {
        // Only said; the command's own code is the answer.
        let _ = writeln!(
            io::stderr(),
            "hint: process_lock.py in {} is the original module, which refuses a script that `run` \
             has locked for already; replace it with the process_lock.py of this suite, or run the \
             script without `run`",
            shown(&folder)
        );
    }
    Ok(Exit::Code(ended.code()))
}

/// Returns where the original module is that the command's script imports: beside the script, or in
/// the fleet's folder.
fn folder_of_old_module(args: &[OsString], locks: &LockDir) -> Option<PathBuf> {
    let scripts = args.iter().map(Path::new).filter(|path| path.is_file());
    let beside =
        scripts.filter_map(|path| std::path::absolute(path).ok()?.parent().map(Path::to_owned));
    let root = locks.path().parent().map(Path::to_owned);
    beside.chain(root).find(|folder| has_old_module(folder))
}

/// Opens the file for the command's output. Where it can't be written to, the command runs all the
/// same: a full disk must not keep a watchdog from its work.
fn open_output(path: &Path) -> io::Result<File> {
    file::open_output(path).or_else(|error| {
        let path = shown(path);
        // stderr is closed; ignore.
        let _ = writeln!(io::stderr(), "WARNING: its output is lost, as {path}: {error}");
        file::open_nowhere()
    })
}
