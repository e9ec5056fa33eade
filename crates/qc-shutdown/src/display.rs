//! The output while processes are being stopped: a line for each that has ended, and on a terminal
//! one for each that is waited for.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use qc_fleet::{Progress, Role, Target};
use qc_process::Identity;

use crate::report::{heading, how};

/// How many of those that are waited for have a line.
const LINES: usize = 15;

/// How often the time on the lines is written anew.
const TICK: Duration = Duration::from_millis(100);

pub(crate) struct Display<'a> {
    /// None where only the end counts.
    output: Option<&'a mut dyn Write>,
    /// The stage whose heading was written last.
    stage: Option<Role>,
    /// On a terminal.
    bars: Option<Bars>,
}

struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    waiting: Vec<(Identity, ProgressBar)>,
}

impl<'a> Display<'a> {
    pub(crate) fn new(output: Option<&'a mut dyn Write>, count: usize) -> Self {
        let is_seen =
            output.is_some() && std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        Self { output, stage: None, bars: is_seen.then(|| Bars::new(count)) }
    }

    pub(crate) fn show(&mut self, progress: &Progress<'_>) {
        let line = match progress {
            Progress::Stage(role, _) => {
                let is_new = self.stage.replace(*role) != Some(*role);
                is_new.then(|| format!("Stopping {} ...", heading(*role)))
            }
            Progress::Done(stopped) => {
                let target = &stopped.target;
                let how = how(stopped);
                Some(format!("  {} (PID {}): {how}", target.shown_name(), target.identity.pid))
            }
            Progress::Waiting => return self.flush(),
        };
        if let Some(line) = line {
            self.print_line(&line);
        }
        let Some(bars) = &mut self.bars else { return };
        match progress {
            Progress::Stage(_, targets) => bars.wait_for(targets),
            Progress::Done(stopped) => bars.ended(&stopped.target.identity),
            Progress::Waiting => {}
        }
    }

    /// Writes a line, which is seen at once only between the bars. Where the reader has gone away,
    /// stopping goes on all the same.
    fn print_line(&mut self, line: &str) {
        let Some(output) = &mut self.output else { return };
        match &self.bars {
            Some(bars) => bars.all.suspend(|| {
                let _ = writeln!(output, "{line}").and_then(|()| output.flush());
            }),
            None => {
                let _ = writeln!(output, "{line}");
            }
        }
    }

    /// Lets everything be seen that was said.
    fn flush(&mut self) {
        if let Some(output) = &mut self.output {
            let _ = output.flush();
        }
    }
}

impl Bars {
    fn new(count: usize) -> Self {
        let all = MultiProgress::new();
        let total = all.add(ProgressBar::new(count as u64));
        let style = ProgressStyle::with_template("[{bar:30}] {pos} of {len} have ended");
        total.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { all, total, waiting: Vec::new() }
    }

    fn wait_for(&mut self, targets: &[&Target]) {
        self.waiting.drain(..).for_each(|(_, bar)| bar.finish_and_clear());
        for target in targets.iter().take(LINES) {
            let bar = self.all.insert_before(&self.total, ProgressBar::new_spinner());
            let limit = target.timeout.as_secs_f64();
            let template = format!("  {{spinner}} {{msg}} {{elapsed}} of {limit:.0}s");
            let style = ProgressStyle::with_template(&template);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.set_message(format!("{} (PID {})", target.component, target.identity.pid));
            bar.enable_steady_tick(TICK);
            self.waiting.push((target.identity.clone(), bar));
        }
        // Nothing has ended yet that would show it.
        self.total.tick();
    }

    fn ended(&mut self, identity: &Identity) {
        self.total.inc(1);
        if let Some(position) = self.waiting.iter().position(|(one, _)| one == identity) {
            self.waiting.remove(position).1.finish_and_clear();
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.waiting.drain(..).for_each(|(_, bar)| bar.finish_and_clear());
        self.total.finish_and_clear();
    }
}
