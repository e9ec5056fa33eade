//! `qc-lock list --machine`: who holds an account or a terminal, in whatever folder.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use qc_cli::{Exit, Failure, Text, print_json, table, warn_text};
use qc_lock_core::{LOCK_FOLDER, LockDir, LockEntry, UNUSABLE_GUARD};
use qc_process::{
    MachineHolder, machine_guards, machine_is_partly_hidden, machine_openers, machine_taker,
    machine_unusable, visible,
};

use crate::answer::{Guard, OfMachine, OpenIn};
use crate::cli::Cli;

/// Said where this program does not see all guards.
const PARTLY_HIDDEN: &str = "this program is in namespaces of its own, as in a container: it sees \
     holders outside only where it shares their network or /dev/shm";

/// One guard that is held, as it is shown.
struct Row {
    /// The resource, as the record in the holder's folder names it; else only its kind.
    what: String,
    holder: Option<MachineHolder>,
    /// The process that has taken it and has ended since.
    taker: Option<MachineHolder>,
    /// The processes that have it open, where no living one claims to hold it.
    open_in: Vec<(u32, String)>,
}

pub(crate) fn list(cli: &Cli, output: &mut dyn Write) -> Result<Exit, Failure> {
    let guards = machine_guards()?;
    let nameless: Vec<&str> =
        guards.iter().filter(|(_, holder)| holder.is_none()).map(|(guard, _)| &**guard).collect();
    let mut openers: HashMap<&str, Vec<(u32, String)>> =
        nameless.iter().copied().zip(machine_openers(&nameless)).collect();
    let row = |(guard, holder): &(String, Option<MachineHolder>)| {
        let open_in = openers.remove(&**guard).unwrap_or_default();
        // It has ended, and what it has started has inherited the guard.
        let taker = holder.is_none().then(|| machine_taker(guard)).flatten();
        let what = what_is(guard, holder.as_ref().or(taker.as_ref()));
        Row { what, holder: holder.clone(), taker, open_in }
    };
    let rows: Vec<Row> = guards.iter().map(row).collect();
    let (is_hidden, unusable) = (machine_is_partly_hidden(), machine_unusable());
    for path in &unusable {
        warn_text(&format!("{} {UNUSABLE_GUARD}; remove it", visible(&path.to_string_lossy())));
    }
    if cli.shared.json {
        let unusable = unusable.iter().map(|path| path.to_string_lossy().into_owned());
        let answer = OfMachine {
            version: 1,
            machine: rows.iter().map(Row::to_json).collect(),
            partly_hidden: is_hidden,
            unusable: unusable.collect(),
        };
        print_json(output, &answer)?;
    } else if rows.is_empty() && is_hidden {
        writeln!(output, "No account and no terminal is locked, as far as can be seen from here.")?;
    } else if rows.is_empty() {
        writeln!(output, "No account and no terminal is locked on this machine.")?;
    } else {
        let header = ["NAME", "PID", "WHAT", "FOLDER"];
        let cells = rows.iter().map(Row::cells).collect();
        writeln!(output, "{}", table(&header, cells, cli.shared.color))?;
    }
    if is_hidden && !cli.shared.json {
        warn_text(PARTLY_HIDDEN);
    }
    Ok(Exit::Done)
}

impl Row {
    fn cells(&self) -> Vec<Text> {
        let holder = self.holder.as_ref();
        let text = |text: Option<&str>| Text::from(text.unwrap_or("-"));
        let left = self.open_in.iter().map(|(pid, program)| format!("{pid} ({program})"));
        let left = left.collect::<Vec<_>>().join(", ");
        let left = Some(left).filter(|left| !left.is_empty());
        let pid = holder.map(|holder| holder.pid.to_string()).or(left);
        let taker = self.taker.as_ref();
        let ended = taker.map(|taker| format!("{} (ended)", taker.name));
        vec![
            text(holder.map(|holder| &*holder.name).or(ended.as_deref())),
            text(pid.as_deref()),
            Text::from(&*self.what),
            text(holder.or(taker).and_then(|one| one.folder.as_deref())),
        ]
    }

    fn to_json(&self) -> Guard<'_> {
        let holder = self.holder.as_ref();
        let left = self.open_in.iter();
        Guard {
            open_in: left.map(|(pid, program)| OpenIn { pid: *pid, program }).collect(),
            name: holder.map(|holder| &*holder.name),
            pid: holder.map(|holder| holder.pid),
            what: &self.what,
            folder: holder.and_then(|holder| holder.folder.as_deref()),
        }
    }
}

/// Returns what a guard protects. Its name is a hash, so the record in the holder's folder is asked; if
/// that can't be read, only the kind is known.
fn what_is(guard: &str, holder: Option<&MachineHolder>) -> String {
    let kind = guard.split('@').next().unwrap_or(guard);
    let folder = holder.and_then(|holder| holder.folder.as_deref()).map(Path::new);
    let locks = folder
        .filter(|folder| folder.is_absolute())
        .and_then(|folder| LockDir::new(folder.join(LOCK_FOLDER)).list().ok());
    let listed = |lock: LockEntry| lock.resource_of(guard).map(str::to_owned);
    locks.into_iter().flatten().find_map(listed).unwrap_or_else(|| kind.to_owned())
}
