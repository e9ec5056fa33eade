//! Showing the list again and again in place, until the user has seen enough.

use std::collections::{HashMap, HashSet};
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::style::Print;
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode, size,
};
use crossterm::{cursor, execute, queue};
use qc_cli::{Exit, Failure, Text, Tone};
use qc_process::{OutputMode, on_hang_up, on_interrupt};

use qc_fleet::Row;

/// The screen at one moment: the lines, or the reason why there are none.
pub(crate) type Look<'a> = dyn FnMut(&mut Marks, &mut Vec<u8>) -> Result<(), Failure> + 'a;

/// Shows what `look` writes every `pause`, until `q`, Escape or Ctrl-C.
///
/// # Errors
/// If there is no terminal, or the first look fails; later ones show why and go on.
pub(crate) fn watch(pause: Duration, look: &mut Look<'_>) -> Result<Exit, Failure> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        let hint = "leave --watch out, and run the command as often as you like";
        return Err(Failure::new(Exit::Usage, "--watch needs a terminal", hint));
    }
    let mut marks = Marks::default();
    let mut text = Vec::new();
    look(&mut marks, &mut text)?;
    let screen = Screen::open()?;
    loop {
        screen.draw(&text, pause)?;
        let next = Instant::now() + pause;
        while let left @ 1.. = next.saturating_duration_since(Instant::now()).as_millis() {
            let left = Duration::from_millis(u64::try_from(left).unwrap_or(u64::MAX));
            if !event::poll(left)? {
                break;
            }
            match event::read()? {
                Event::Key(key) => {
                    if let Some(exit) = ends(&key) {
                        return Ok(exit);
                    }
                }
                Event::Resize(..) => screen.draw(&text, pause)?,
                _ => {}
            }
        }
        text.clear();
        if let Err(failure) = look(&mut marks, &mut text) {
            writeln!(text, "{}", failure.message())?;
        }
    }
}

fn ends(key: &KeyEvent) -> Option<Exit> {
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        _ if key.kind == KeyEventKind::Release => None,
        KeyCode::Char('c' | 'C') if is_control => Some(Exit::Interrupted),
        KeyCode::Char('q' | 'Q') | KeyCode::Esc => Some(Exit::Done),
        _ => None,
    }
}

/// The terminal while it is ours; given back as it was, however this ends.
struct Screen {
    /// Held while drawing, so that nothing is drawn after the terminal was given back.
    drawing: Arc<Mutex<()>>,
    /// How it was.
    mode: OutputMode,
}

impl Screen {
    fn open() -> Result<Self, Failure> {
        let mode = OutputMode::now();
        let screen = Self { drawing: Arc::default(), mode };
        let drawing = Arc::clone(&screen.drawing);
        // Ctrl-C is a key here; this is SIGTERM, and a console that closes.
        on_interrupt(move |_| {
            let _drawing = drawing.lock().unwrap_or_else(PoisonError::into_inner);
            give_back(mode);
            qc_process::end_program(Exit::Interrupted.code());
        })?;
        // Keys are read from it, for ever if need be.
        on_hang_up(|| qc_process::end_program(Exit::Interrupted.code()))?;
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, cursor::Hide)?;
        Ok(screen)
    }

    /// Draws over what is there, so that nothing flickers.
    fn draw(&self, text: &[u8], pause: Duration) -> io::Result<()> {
        let _drawing = self.drawing.lock().unwrap_or_else(PoisonError::into_inner);
        // A terminal that does not know its own height says 0.
        let height = size().map_or(0, |(_, height)| height);
        let now = qc_cli::local_time(&qc_fleet::rfc3339(std::time::SystemTime::now()));
        let text = String::from_utf8_lossy(text);
        let head = format!("{now}, every {} s; q ends", pause.as_secs_f64());
        let lines: Vec<&str> = [head.as_str(), ""].into_iter().chain(text.lines()).collect();
        let room = if height == 0 { lines.len() } else { usize::from(height) };
        let hidden = lines.len().saturating_sub(room);
        let shown = if hidden > 0 { room.saturating_sub(1) } else { lines.len() };
        let mut output = io::stdout().lock();
        queue!(output, cursor::MoveTo(0, 0))?;
        for (position, line) in lines[..shown].iter().enumerate() {
            if position > 0 {
                queue!(output, Print("\r\n"))?;
            }
            queue!(output, Print(line), Clear(ClearType::UntilNewLine))?;
        }
        if hidden > 0 {
            let more = format!("\r\n... {} more lines", hidden + 1);
            queue!(output, Print(more), Clear(ClearType::UntilNewLine))?;
        }
        queue!(output, Clear(ClearType::FromCursorDown))?;
        output.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back(self.mode);
    }
}

fn give_back(mode: OutputMode) {
    // Where the terminal is gone, there is nothing to give back.
    let _ = execute!(io::stdout(), LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
    mode.put_back();
}

/// The rows of the last look, to mark changes since.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// By name and first pid.
    before: Option<HashMap<(String, Option<u32>), String>>,
}

impl Marks {
    /// Returns the marks of `rows`: `+` for one that is new, `~` for one whose state, lock or
    /// processes are others than before; and, sorted, the names of those that are gone.
    pub(crate) fn compare(&mut self, rows: &[&Row]) -> (Vec<Text>, Vec<String>) {
        let key = |row: &Row| (row.component.clone(), row.pids.first().copied());
        let content = |row: &Row| {
            let lock = row.lock.as_ref().map(|lock| (lock.name.as_str(), lock.state));
            let (pids, wrappers, restarts) = (&row.pids, &row.wrapper_pids, row.restarts);
            format!("{:?} {lock:?} {pids:?} {wrappers:?} {restarts:?} {:?}", row.state, row.detail)
        };
        let now: HashMap<_, _> = rows.iter().map(|row| (key(row), content(row))).collect();
        let Some(before) = self.before.replace(now) else {
            return (rows.iter().map(|_| "".into()).collect(), Vec::new());
        };
        let mark = |row: &&Row| match before.get(&key(row)) {
            None => Text::new("+", Tone::Warn),
            Some(old) if *old != content(row) => Text::new("~", Tone::Warn),
            Some(_) => "".into(),
        };
        let marks = rows.iter().map(mark).collect();
        let here: HashSet<_> = rows.iter().map(|row| key(row)).collect();
        let is_gone = |one: &&(String, Option<u32>)| !here.contains(*one);
        let mut gone: Vec<String> = before
            .keys()
            .filter(is_gone)
            .map(|(name, pid)| match pid {
                Some(pid) => format!("{name} (PID {pid})"),
                None => name.clone(),
            })
            .collect();
        gone.sort();
        (marks, gone)
    }
}

#[cfg(test)]
mod tests {
    use qc_fleet::{Role, RowKind, State};

    use super::*;

    fn row(component: &str, pid: u32, memory_bytes: u64) -> Row {
        let row = Row::new(component, Role::Brain, State::Running, RowKind::Instance);
        Row { pids: vec![pid], memory_bytes: Some(memory_bytes), ..row }
    }

    #[test]
    fn what_changed_is_marked() {
        let mut marks = Marks::default();
        let shown = |marks: Vec<Text>| -> Vec<String> {
            marks.into_iter().map(|mark| mark.as_str().to_owned()).collect()
        };
        let (a, b) = (row("A", 1, 5), row("B", 2, 5));
        let (first, gone) = marks.compare(&[&a, &b]);
        assert_eq!((shown(first), gone), (vec!["".into(), "".into()], Vec::new()));

        let used_more = Row { memory_bytes: Some(6), ..a.clone() };
        let rogue = Row { state: State::Rogue, ..b.clone() };
        let (second, gone) = marks.compare(&[&used_more, &rogue]);
        assert_eq!((shown(second), gone), (vec!["".into(), "~".into()], Vec::new()));

        let restarted = row("A", 9, 5);
        let (third, gone) = marks.compare(&[&restarted, &rogue]);
        assert_eq!((shown(third), gone), (vec!["+".into(), "".into()], vec!["A (PID 1)".into()]));
    }

    #[test]
    fn q_escape_and_control_c_end_it() {
        let key = |code, modifiers| KeyEvent::new(code, modifiers);
        for (code, modifiers, expected) in [
            (KeyCode::Char('q'), KeyModifiers::NONE, Some(Exit::Done)),
            (KeyCode::Esc, KeyModifiers::NONE, Some(Exit::Done)),
            (KeyCode::Char('c'), KeyModifiers::CONTROL, Some(Exit::Interrupted)),
            (KeyCode::Char('c'), KeyModifiers::NONE, None),
            (KeyCode::Enter, KeyModifiers::NONE, None),
        ] {
            assert_eq!(ends(&key(code, modifiers)), expected, "{code:?}");
        }
    }
}
