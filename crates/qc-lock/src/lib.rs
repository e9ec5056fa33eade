//! `qc-lock`: named single-instance locks on the command line.

#![forbid(unsafe_code)]

mod answer;
mod cli;
mod machine;
mod release_left;

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use answer::{ClearedLocks, Entries, KeptOpen, List, Status};
use cli::{Cli, Command, HistoryArgs};
use qc_cli::{
    ColorChoice, Exit, Failure, Text, Tone, hold, local_time, parse, print_json, run_tool, table,
    visible, visible_json, warn,
};
use qc_lock_core::{
    Cleared, Entry, Event, LockDir, LockEntry, LockState, Opener, openers_text, release_advice,
};

/// The pause between two looks at a history that is followed.
const LOOK: Duration = Duration::from_millis(200);

/// Runs the program.
pub fn main() -> ! {
    run_tool("qc-lock", |output| run(&parse()?, output))
}

/// Returns the command line that the program takes, for completions and man pages.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

fn run(cli: &Cli, output: &mut dyn Write) -> Result<Exit, Failure> {
    let location = cli.shared.location.resolve()?;
    let locks = location.locks()?;
    let json = cli.shared.json;
    match &cli.command {
        Some(Command::Run(args)) => hold(args, &locks),
        Some(Command::Status { name }) => {
            let entry = locks.status(name)?;
            let entry = locks.with_openers(entry.into_iter().collect()).pop();
            // The record may have been removed.
            let open_in = match &entry {
                Some(entry) => entry.open_in.clone(),
                None => locks.openers_of_lock(name, None),
            };
            if json {
                print_json(
                    output,
                    &Status {
                        version: 1,
                        name: name.as_str(),
                        lock: entry.as_ref(),
                        open_in: &open_in,
                    },
                )?;
            } else {
                match &entry {
                    Some(entry) => writeln!(
                        output,
                        "{}",
                        lock_table(std::slice::from_ref(entry), cli.shared.color)
                    )?,
                    None if open_in.is_empty() => writeln!(output, "{name} is not locked.")?,
                    None => {}
                }
                write_kept_open(name.as_str(), &open_in, output)?;
            }
            Ok(Exit::Done)
        }
        Some(Command::ReleaseLeft(args)) => release_left::run(args, &cli.shared),
        Some(Command::History(args)) => history(&locks, args, json, output),
        Some(Command::List { machine: true }) => machine::list(cli, output),
        Some(Command::List { machine: false }) => list(&locks, cli, output),
        Some(Command::ClearStale) => cleared(locks.clear_stale()?, "stale", json, output),
        Some(Command::ClearAll) => cleared(locks.clear_all()?, "all", json, output),
        None if cli.old.clear_stale => cleared(locks.clear_stale()?, "stale", json, output),
        None if cli.old.clear_all => cleared(locks.clear_all()?, "all", json, output),
        None if cli.old.list => list(&locks, cli, output),
        None => Err(Failure::new(Exit::Usage, "no command was given", "see `qc-lock --help`")),
    }
}

fn list(locks: &LockDir, cli: &Cli, output: &mut dyn Write) -> Result<Exit, Failure> {
    let entries = locks.with_openers(locks.list()?);
    let unrecorded = locks.openers_without_record(&entries);
    if cli.shared.json {
        let kept_open = unrecorded.iter().map(|(name, open_in)| KeptOpen { name, open_in });
        print_json(output, &List { version: 1, locks: &entries, kept_open: kept_open.collect() })?;
        return Ok(Exit::Done);
    }
    if entries.is_empty() {
        writeln!(output, "No active locks.")?;
    } else {
        writeln!(output, "{}", lock_table(&entries, cli.shared.color))?;
    }
    let left = entries.iter().map(|entry| (&entry.name, &entry.open_in));
    for (name, openers) in left.chain(unrecorded.iter().map(|(name, openers)| (name, openers))) {
        write_kept_open(name, openers, output)?;
    }
    Ok(Exit::Done)
}

/// Says who keeps a lock open whose holder has ended, and which command helps.
fn write_kept_open(name: &str, open_in: &[Opener], output: &mut dyn Write) -> io::Result<()> {
    if open_in.is_empty() {
        return Ok(());
    }
    let (openers, advice) = (openers_text(open_in), release_advice(name, None, open_in));
    writeln!(output, "{} is kept open by {openers}; {advice}.", visible(name))
}

fn lock_table(entries: &[LockEntry], color: ColorChoice) -> String {
    let text = |value: &Option<String>| Text::from(value.as_deref().unwrap_or("-"));
    let row = |entry: &LockEntry| {
        let tone = match entry.state {
            LockState::Held => Tone::Good,
            LockState::Legacy | LockState::Foreign => Tone::Warn,
            LockState::Stale | LockState::Corrupt => Tone::Bad,
        };
        vec![
            Text::from(&*entry.name),
            Text::new(entry.state.as_str(), tone),
            Text::from(entry.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string())),
            text(&entry.account),
            Text::from(entry.since.as_deref().map_or_else(|| "-".to_owned(), local_time)),
            text(&entry.host),
            text(&entry.program),
        ]
    };
    let header = ["NAME", "STATE", "PID", "ACCOUNT", "SINCE", "HOST", "PROGRAM"];
    table(&header, entries.iter().map(row).collect(), color)
}

fn cleared(
    result: Cleared,
    what: &str,
    json: bool,
    output: &mut dyn Write,
) -> Result<Exit, Failure> {
    if json {
        let (cleared, kept) = (&result.cleared, &result.kept);
        print_json(output, &ClearedLocks { version: 1, cleared, kept })?;
    } else {
        write_cleared(&result, what, output)?;
    }
    if let Some(error) = &result.history_error {
        warn(error);
    }
    result.failed.into_iter().next().map_or(Ok(Exit::Done), |error| Err(error.into()))
}

fn write_cleared(result: &Cleared, what: &str, output: &mut dyn Write) -> Result<(), Failure> {
    for entry in &result.cleared {
        let pid = entry.pid.map(|pid| format!(", PID {pid}")).unwrap_or_default();
        writeln!(output, "Cleared {} ({}{pid})", visible(&entry.name), entry.state.as_str())?;
    }
    for entry in &result.kept {
        let pid = entry.pid.map(|pid| format!(" by PID {pid}")).unwrap_or_default();
        writeln!(output, "Kept {} ({}{pid})", visible(&entry.name), entry.state.as_str())?;
    }
    let what = if what == "stale" { "stale locks" } else { "locks" };
    writeln!(output, "Cleared {} {what}, kept {}.", result.cleared.len(), result.kept.len())?;
    Ok(())
}

fn history(
    locks: &LockDir,
    args: &HistoryArgs,
    json: bool,
    output: &mut dyn Write,
) -> Result<Exit, Failure> {
    let from = args.since.and_then(|since| {
        chrono::Local::now().checked_sub_signed(chrono::TimeDelta::from_std(since).ok()?)
    });
    let wanted = |entry: &&Entry| {
        let recent = from.is_none_or(|from| entry.at().is_none_or(|at| at >= from));
        recent
            && args.name.as_ref().is_none_or(|name| entry.name.eq_ignore_ascii_case(name.as_str()))
    };
    if args.follow {
        return follow(locks, wanted, json, output);
    }
    let history = locks.history()?;
    let entries: Vec<&Entry> = history.entries.iter().filter(wanted).collect();
    if json {
        print_json(output, &Entries { version: 1, entries, unreadable: history.unreadable })?;
        return Ok(Exit::Done);
    }
    for entry in &entries {
        show(entry, output)?;
    }
    if entries.is_empty() {
        writeln!(output, "No history.")?;
    }
    if history.unreadable > 0 {
        writeln!(output, "{} lines could not be read.", history.unreadable)?;
    }
    Ok(Exit::Done)
}

/// Shows what is `wanted` of the history, and goes on with what is added.
fn follow(
    locks: &LockDir,
    wanted: impl Fn(&&Entry) -> bool,
    json: bool,
    output: &mut dyn Write,
) -> Result<Exit, Failure> {
    let mut tail = locks.history_tail();
    loop {
        let added = tail.read()?;
        for entry in added.entries.iter().filter(&wanted) {
            if json {
                let line = serde_json::to_string(entry).map_err(io::Error::from)?;
                writeln!(output, "{}", visible_json(line))?;
            } else {
                show(entry, output)?;
            }
        }
        output.flush()?;
        thread::sleep(LOOK);
    }
}

fn show(entry: &Entry, output: &mut dyn Write) -> io::Result<()> {
    let event =
        serde_json::to_value(entry.event).ok().and_then(|word| word.as_str().map(str::to_owned));
    let event = event.filter(|_| entry.event != Event::Unknown).unwrap_or_else(|| "?".into());
    write!(output, "{}  {event:<10}  {}", local_time(&entry.time), visible(&entry.name))?;
    if let Some(pid) = entry.pid {
        write!(output, "  PID {pid}")?;
    }
    if let Some(detail) = &entry.detail {
        write!(output, "  {}", visible(detail))?;
    }
    if let (Some(by), Some(pid)) = (&entry.by, entry.by_pid) {
        write!(output, "  [{} {pid}]", visible(by))?;
    }
    writeln!(output)
}
