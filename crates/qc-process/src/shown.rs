//! Text and paths as they may be printed. Names come from files, command lines and other users.

use std::path::Path;

/// Returns `text` with every character that would end the line, steer the terminal or reverse the
/// direction of reading as an escape.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Returns JSON as it may be printed: what JSON allows in a text and a terminal acts on is escaped, as
/// `\u009b`. It means the same.
pub fn visible_json(json: String) -> String {
    // A line end stands between two values.
    let is_raw = |c: char| is_hidden(c) && c != '\n';
    if !json.contains(is_raw) {
        return json;
    }
    let escape = |c: char| match is_raw(c) {
        true => format!("\\u{:04x}", u32::from(c)),
        false => c.to_string(),
    };
    json.chars().map(escape).collect()
}

/// Returns `path` as [`visible`] text.
pub fn shown(path: &Path) -> String {
    visible(&path.to_string_lossy())
}

fn is_hidden(c: char) -> bool {
    c.is_control() || turns_direction(c)
}

/// Whether `c` is a bidirectional control, with which `gpj.exe` reads as `exe.jpg`, or a line separator.
fn turns_direction(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_cannot_steer_the_terminal_and_means_the_same() {
        for (text, expected) in [
            ("{\n  \"a\": \"\\n é €\"\n}", "{\n  \"a\": \"\\n é €\"\n}"),
            ("[\"\u{9b}31m\u{85}\"]", r#"["\u009b31m\u0085"]"#),
            ("[\"\u{202e}gpj.exe\u{7f}\"]", r#"["\u202egpj.exe\u007f"]"#),
        ] {
            assert_eq!(visible_json(text.into()), expected);
        }
    }

    #[test]
    fn a_text_is_one_line_and_cannot_steer_the_terminal() {
        for (text, expected) in [
            ("a b é €", "a b é €"),
            ("a\nb\r\t", "a\\nb\\r\\t"),
            ("\x1b[2J\x07", "\\u{1b}[2J\\u{7}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{202e}gpj.exe", "\\u{202e}gpj.exe"),
        ] {
            assert_eq!(visible(text), expected);
            assert_eq!(shown(Path::new(text)), expected);
            assert_eq!(visible(expected), expected, "an escape is not escaped again");
        }
    }
}
