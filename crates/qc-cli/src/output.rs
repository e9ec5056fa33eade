//! How facts are shown.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use qc_process::{visible, visible_json};
use serde::Serialize;

use crate::{ColorChoice, Failure};

/// How a text is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// All right: green.
    Good,
    /// To look at: yellow.
    Warn,
    /// Wrong: red.
    Bad,
}

/// One cell of a table.
#[derive(Debug, Clone)]
pub struct Text {
    text: String,
    tone: Tone,
}

impl Text {
    /// Makes a cell with a tone.
    pub fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: visible(&text.into()), tone }
    }

    /// Returns the text as it is shown.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns how many characters it has.
    pub fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl<T: Into<String>> From<T> for Text {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// Whether standard output gets colours.
pub fn uses_color(choice: ColorChoice) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            io::stdout().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        }
    }
}

/// Returns how many characters fit into a line of the terminal that standard output is, if it is
/// one and knows.
pub fn terminal_width() -> Option<usize> {
    let width = io::stdout().is_terminal().then(|| Table::new().width()).flatten();
    width.map(usize::from).filter(|&width| width > 0)
}

/// Lays out rows under a header; on a terminal no wider than that.
pub fn table(header: &[&str], rows: Vec<Vec<Text>>, color: ColorChoice) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.iter().copied());
    if terminal_width().is_some() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    let color = uses_color(color);
    if color {
        table.enforce_styling();
        // Without this, NO_COLOR would win over `--color always`.
        crossterm::style::force_color_output(true);
    }
    table.add_rows(rows.into_iter().map(|row| row.into_iter().map(|text| cell(text, color))));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn cell(text: Text, color: bool) -> Cell {
    let cell = Cell::new(text.text);
    match text.tone {
        _ if !color => cell,
        Tone::Plain => cell,
        Tone::Good => cell.fg(Color::Green),
        Tone::Warn => cell.fg(Color::Yellow),
        Tone::Bad => cell.fg(Color::Red),
    }
}

/// Prints one JSON object.
///
/// # Errors
/// If the output can't be written.
pub fn print_json(output: &mut dyn Write, value: &impl Serialize) -> Result<(), Failure> {
    let mut text = visible_json(serde_json::to_string_pretty(value).map_err(io::Error::from)?);
    text.push('\n');
    // Standard output writes line by line otherwise.
    output.write_all(text.as_bytes())?;
    Ok(())
}

/// Shows a time span by its two largest units: `3d 04h`, `2h 05m`, `7m 30s`, `12s`.
pub fn duration(span: Duration) -> String {
    let seconds = span.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes:02}m"),
        _ => format!("{days}d {hours:02}h"),
    }
}

/// Shows an amount of memory: `96.5 MiB`.
pub fn memory(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    format!("{mebibytes:.1} MiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans_show_two_units() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (450, "7m 30s"), (7500, "2h 05m"), (273_600, "3d 04h")]
        {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_text_can_not_steer_the_terminal() {
        let text = table(&["NAME"], vec![vec!["a\x1b[2J\nb é".into()]], ColorChoice::Never);
        assert_eq!(text, "NAME\na\\u{1b}[2J\\nb é");
    }

    #[test]
    fn a_table_has_no_trailing_spaces() {
        let text = table(
            &["NAME", "PID"],
            vec![vec!["BRAIN_ATLAS".into(), "1".into()]],
            ColorChoice::Never,
        );
        assert_eq!(text, "NAME         PID\nBRAIN_ATLAS  1");
    }
}
