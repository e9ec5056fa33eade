//! `qc-launch autostart`: finds the facts, shows the plan or performs it.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clap::{Args, ValueEnum};
use qc_cli::{Exit, Failure, LocationArgs, shown};
use qc_fleet::Fleet;

use crate::plan::{Facts, Plan, Unsuitable, plan};

/// The command line of `autostart`.
#[derive(Debug, Args)]
pub struct AutostartArgs {
    /// The action
    action: Action,
    /// Show the file that would be written and the commands that would be run, and do nothing
    #[arg(long)]
    print: bool,
    /// Further arguments for qc-launch, besides --root, after `--`
    #[arg(last = true, value_name = "ARGUMENT")]
    args: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Action {
    /// Start the fleet at each log-on of this user; nothing is started now
    Enable,
    /// No longer start it at log-on; nothing is stopped now
    Disable,
    /// Tell whether it starts at log-on
    Status,
}

/// Sets up, undoes or shows how the fleet starts at log-on.
///
/// # Errors
/// If the file can't be written, or the system's tool fails; says what to do by hand.
pub fn autostart(
    args: &AutostartArgs,
    location: &LocationArgs,
    fleet: &Fleet,
    output: &mut dyn Write,
) -> Result<Exit, Failure> {
    let plan = plan(&facts(args, location, fleet)?)
        .map_err(|error: Unsuitable| Failure::from_error(Exit::Usage, &error, error.hint()))?;
    match (args.action, args.print) {
        (Action::Enable, true) => print_enable(&plan, output)?,
        (Action::Enable, false) => enable(&plan, output)?,
        (Action::Disable, true) => print_disable(&plan, output)?,
        (Action::Disable, false) => disable(&plan, output)?,
        (Action::Status, true) => writeln!(output, "run   {}", line(&plan.ask))?,
        (Action::Status, false) => status(&plan, output)?,
    }
    Ok(Exit::Done)
}

fn facts(args: &AutostartArgs, location: &LocationArgs, fleet: &Fleet) -> Result<Facts, Failure> {
    let mut words: Vec<OsString> = vec!["--root".into(), fleet.root.clone().into()];
    for (flag, path) in [("--config", &location.config), ("--lock-dir", &location.lock_dir)] {
        if let Some(path) = path {
            words.extend([flag.into(), std::path::absolute(path)?.into()]);
        }
    }
    words.extend(args.args.iter().cloned());
    let name = &qc_process::here().user;
    // Without a domain, the system takes the user of this machine.
    let user = match env::var("USERDOMAIN") {
        Ok(domain) if !domain.is_empty() => format!("{domain}\\{name}"),
        Ok(_) | Err(_) => name.clone(),
    };
    let home = |variable, rest: &str| {
        let path = PathBuf::from(env::var_os(variable)?);
        path.is_absolute().then(|| path.join(rest))
    };
    let config = home("XDG_CONFIG_HOME", "").or_else(|| home("HOME", ".config"));
    Ok(Facts {
        system: qc_process::AT_LOG_ON,
        root: fleet.root.clone(),
        program: env::current_exe()?,
        args: words,
        user,
        units: config.unwrap_or_default().join("systemd/user"),
    })
}

fn enable(plan: &Plan, output: &mut dyn Write) -> Result<(), Failure> {
    write(&plan.file, &plan.bytes).map_err(|error| {
        let message = format!("cannot write {}: {error}", shown(&plan.file));
        let hint = "see whether the folder may be written to; --print shows what belongs there";
        Failure::new(Exit::Failed, message, hint)
    })?;
    writeln!(output, "wrote {}", shown(&plan.file))?;
    run_all(&plan.enable, output)?;
    writeln!(output, "The fleet starts at log-on; nothing was started now.")?;
    writeln!(output, "Note: {}.", plan.note)?;
    Ok(())
}

fn disable(plan: &Plan, output: &mut dyn Write) -> Result<(), Failure> {
    if !plan.file.exists() && !is_enabled(plan)? {
        writeln!(output, "The fleet does not start at log-on; nothing was changed.")?;
        return Ok(());
    }
    run_all(&plan.disable, output)?;
    match fs::remove_file(&plan.file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let message = format!("cannot remove {}: {error}", shown(&plan.file));
            return Err(Failure::new(Exit::Failed, message, "remove the file by hand"));
        }
        Ok(()) | Err(_) => writeln!(output, "removed {}", shown(&plan.file))?,
    }
    run_all(&plan.afterwards, output)?;
    writeln!(output, "The fleet no longer starts at log-on; nothing was stopped now.")?;
    Ok(())
}

fn status(plan: &Plan, output: &mut dyn Write) -> Result<(), Failure> {
    let answer = if is_enabled(plan)? { "starts" } else { "does not start" };
    writeln!(output, "The fleet {answer} at log-on.")?;
    writeln!(output, "name: {}", plan.name)?;
    let missing = if plan.file.exists() { "" } else { " (does not exist)" };
    writeln!(output, "file: {}{missing}", shown(&plan.file))?;
    Ok(())
}

fn print_enable(plan: &Plan, output: &mut dyn Write) -> Result<(), Failure> {
    writeln!(output, "write {}", shown(&plan.file))?;
    for command in &plan.enable {
        writeln!(output, "run   {}", line(command))?;
    }
    write!(output, "\n{}", plan.text)?;
    Ok(())
}

fn print_disable(plan: &Plan, output: &mut dyn Write) -> Result<(), Failure> {
    for command in &plan.disable {
        writeln!(output, "run    {}", line(command))?;
    }
    writeln!(output, "remove {}", shown(&plan.file))?;
    for command in &plan.afterwards {
        writeln!(output, "run    {}", line(command))?;
    }
    Ok(())
}

/// Writes beside the file first: a disk that is full must not leave half a unit.
fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut fresh = file.as_os_str().to_owned();
    fresh.push(".new");
    fs::write(&fresh, bytes)?;
    qc_process::file::replace(Path::new(&fresh), file)
}

fn run_all(commands: &[Vec<OsString>], output: &mut dyn Write) -> Result<(), Failure> {
    for command in commands {
        let shown = line(command);
        let by_hand = format!("run `{shown}` by hand, and see what it says");
        let done = run(command).map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot run `{shown}`: {error}"), by_hand.clone())
        })?;
        if !done.status.success() {
            let said = said(&done);
            let message = format!("`{shown}` ended with {}{said}", done.status);
            return Err(Failure::new(Exit::Failed, message, by_hand));
        }
        writeln!(output, "ran   {shown}")?;
    }
    Ok(())
}

fn is_enabled(plan: &Plan) -> Result<bool, Failure> {
    let done = run(&plan.ask).map_err(|error| {
        let shown = line(&plan.ask);
        Failure::new(
            Exit::Failed,
            format!("cannot run `{shown}`: {error}"),
            "see whether it exists",
        )
    })?;
    Ok(done.status.success())
}

fn run(words: &[OsString]) -> io::Result<Output> {
    let (program, args) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    Command::new(program).args(args).output()
}

/// Returns the first line of what a failed command has printed.
fn said(done: &Output) -> String {
    let text = [&done.stderr[..], &done.stdout[..]].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    line.map(|line| format!(": {}", qc_cli::visible(line))).unwrap_or_default()
}

/// Shows a command as it could be typed.
fn line(words: &[OsString]) -> String {
    let shown = words.iter().map(|word| {
        let word = word.display().to_string();
        if word.contains(' ') { format!("\"{word}\"") } else { word }
    });
    shown.collect::<Vec<String>>().join(" ")
}
