//! The end in words: what has stopped, what still runs, and what to do about it.

use std::io::{self, Write};

use qc_cli::visible;
use qc_fleet::{Outcome, Stopped, shown_name};

use super::{Ended, PlannedKept, Report};

impl Report {
    pub(crate) fn write_end(&self, output: &mut dyn Write) -> io::Result<()> {
        if !self.cleared.is_empty() {
            writeln!(output, "Cleared the records of {}.", self.cleared.join(", "))?;
        }
        if self.dry_run {
            return Ok(());
        }
        if self.results.is_empty() {
            self.write_told(output)?;
            if self.is_left() {
                self.write_left(output)?;
            }
        } else {
            self.write_counts(output)?;
        }
        for (text, command) in &self.moved_texts {
            writeln!(output, "STILL RUNNING: {}.", visible(text))?;
            writeln!(
                output,
                "Nothing of that was touched. To stop it, run `{}`.",
                visible(command)
            )?;
        }
        if !self.held_back.is_empty() {
            let names = self.held_back.join(", ");
            writeln!(
                output,
                "No start of the launcher starts {names}; `qc-launch start NAME` does, and `qc-launch unlatch` allows it."
            )?;
        }
        if let Some(latch) = &self.latch {
            writeln!(output, "EVERY START IS FORBIDDEN: {latch}")?;
            writeln!(output, "When trading may start again, run `qc-launch unlatch`.")?;
        }
        Ok(())
    }

    fn write_counts(&self, output: &mut dyn Write) -> io::Result<()> {
        let count = |wanted: fn(&Outcome) -> bool| {
            self.results.iter().filter(|one| wanted(&one.outcome)).count()
        };
        let killed = count(|outcome| *outcome == Outcome::Killed);
        let stopped = count(|outcome| *outcome == Outcome::Stopped);
        let by_itself =
            count(|outcome| matches!(outcome, Outcome::ByItself | Outcome::AlreadyGone));
        writeln!(output, "\n{stopped} ended gracefully, {killed} had to be killed.")?;
        if by_itself > 0 {
            writeln!(output, "{by_itself} ended by itself, before it was asked.")?;
        }
        self.write_told(output)?;
        for one in &self.lingering {
            writeln!(output, "WARNING: {}.", one.lingering_text())?;
        }
        if self.is_left() {
            return self.write_left(output);
        }
        let what = match self.is_all_stopped() {
            true => "All automation",
            false => "What was to be stopped",
        };
        let trades = match self.has_accounts {
            true => " Open trades were NOT closed; terminals run on.",
            false => "",
        };
        writeln!(output, "{what} has stopped.{trades}")
    }

    /// Writes which components an orchestrator that runs on does not start from now on.
    fn write_told(&self, output: &mut dyn Write) -> io::Result<()> {
        if !self.is_told || self.not_again.is_empty() {
            return Ok(());
        }
        let names = self.not_again.join(", ");
        for one in self.told.iter().filter(|one| one.folder.is_none()) {
            let (name, pid) = (&one.component, one.pid);
            writeln!(
                output,
                "{name} (PID {pid}) runs on and does not start {names} again until `qc-launch start` asks for it."
            )?;
        }
        Ok(())
    }

    fn write_left(&self, output: &mut dyn Write) -> io::Result<()> {
        writeln!(output, "STILL RUNNING:")?;
        for one in &self.results {
            match &one.outcome {
                Outcome::Denied(reason)
                | Outcome::Survived(reason)
                | Outcome::Left(reason)
                | Outcome::Kept(reason) => {
                    let name = shown_name(&one.component, one.helper.as_deref());
                    writeln!(output, "  {name} (PID {}): {reason}", one.pid)?;
                }
                Outcome::AlreadyGone | Outcome::ByItself | Outcome::Stopped | Outcome::Killed => {}
            }
        }
        for PlannedKept { target, reason } in self.untouchable.iter().chain(&self.kept) {
            writeln!(output, "  {} (PID {}): {reason}", target.component, target.pid)?;
        }
        let is_denied = |one: &Ended| matches!(one.outcome, Outcome::Denied(_));
        if self.interrupted {
            writeln!(output, "INTERRUPTED: run the command again to stop the rest.")
        } else if !self.loops.is_empty() {
            let starters: Vec<String> =
                self.loops.iter().filter_map(|one| Some(one.starter_pid?.to_string())).collect();
            let first = match starters.is_empty() {
                true => "what starts them again".into(),
                false => format!("what starts them again (PID {})", starters.join(", ")),
            };
            writeln!(output, "Stop {first} first, then run the command again.")
        } else if self.protects_elsewhere {
            writeln!(output, "Stop the brains that they protect first, then run the command again.")
        } else if self.results.iter().any(is_denied) {
            writeln!(output, "Run the command again as the user who started them, or elevated.")
        } else {
            writeln!(output, "Run the command again, or end them by hand.")
        }
    }
}

/// How one ended, in words.
pub(crate) fn how(stopped: &Stopped) -> String {
    let seconds = stopped.took.as_secs_f64();
    match &stopped.outcome {
        Outcome::AlreadyGone => "has ended".to_owned(),
        Outcome::ByItself => "ended by itself, before it was asked".to_owned(),
        Outcome::Stopped => format!("ended when asked, after {seconds:.1} s"),
        Outcome::Killed => match &stopped.unasked {
            Some(why) => format!("KILLED after {seconds:.1} s; it could not be asked: {why}"),
            None => format!("KILLED after {seconds:.1} s"),
        },
        Outcome::Denied(reason)
        | Outcome::Survived(reason)
        | Outcome::Left(reason)
        | Outcome::Kept(reason) => format!("STILL RUNNING: {reason}"),
    }
}
