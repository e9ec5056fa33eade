//! `qc-lock list --machine`: who holds an account or a terminal, in whatever folder.

use std::io::Write;
use std::path::Path;

use qc_cli::{Exit, Failure, Text, print_json, table};
use qc_lock_core::{LOCK_FOLDER, LockDir, LockEntry};
use qc_process::{MachineHolder, machine_guards};
use serde_json::{Value, json};

use crate::cli::Cli;

/// One guard that is held, as it is shown.
struct Row {
    /// What is held, as the record in the holder's folder says; else only its kind.
    what: String,
    holder: Option<MachineHolder>,
}

pub(crate) fn list(cli: &Cli, output: &mut dyn Write) -> Result<Exit, Failure> {
    let guards = machine_guards()?;
    let rows: Vec<Row> = guards
        .into_iter()
        .map(|(guard, holder)| Row { what: what_is(&guard, holder.as_ref()), holder })
        .collect();
    if cli.shared.json {
        let holders: Vec<Value> = rows.iter().map(Row::to_json).collect();
        print_json(output, &json!({ "version": 1, "machine": holders }))?;
    } else if rows.is_empty() {
        writeln!(output, "No account and no terminal is locked on this machine.")?;
    } else {
        let header = ["NAME", "PID", "WHAT", "FOLDER"];
        let cells = rows.iter().map(Row::cells).collect();
        writeln!(output, "{}", table(&header, cells, cli.shared.color))?;
    }
    Ok(Exit::Done)
}

impl Row {
    fn cells(&self) -> Vec<Text> {
        let holder = self.holder.as_ref();
        let text = |text: Option<&str>| Text::from(text.unwrap_or("-"));
        let pid = holder.map(|holder| holder.pid.to_string());
        vec![
            text(holder.map(|holder| &*holder.name)),
            text(pid.as_deref()),
            Text::from(&*self.what),
            text(holder.and_then(|holder| holder.folder.as_deref())),
        ]
    }

    fn to_json(&self) -> Value {
        let holder = self.holder.as_ref();
        json!({
            "name": holder.map(|holder| &holder.name),
            "pid": holder.map(|holder| holder.pid),
            "what": self.what,
            "folder": holder.and_then(|holder| holder.folder.as_ref()),
        })
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
