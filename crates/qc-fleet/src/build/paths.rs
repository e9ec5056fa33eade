//! Paths, commands and names in texts of the config.

use std::path::{Path, PathBuf};

use qc_process::is_same_variable;

use crate::config::{ConfigIssue, Entries, KeyPath, Placeholders, RawText};
use crate::text::{Secret, Text};

/// The resolution of texts with paths and names.
#[derive(Clone, Copy)]
pub(super) struct Paths<'a> {
    pub(super) root: &'a Path,
    pub(super) placeholders: Placeholders<'a>,
}

impl<'a> Paths<'a> {
    /// Returns the same with names such as `{KEY}`.
    pub(super) fn with<'b>(self, placeholders: &'b [(&'b str, Option<&'b str>)]) -> Paths<'b>
    where
        'a: 'b,
    {
        Paths { placeholders: Placeholders { placeholders, ..self.placeholders }, ..self }
    }

    pub(super) fn text(self, written: &RawText, at: &KeyPath) -> Result<Text, ConfigIssue> {
        let text = written.expand(at, self.placeholders)?;
        if text.value().as_encoded_bytes().contains(&0) {
            return Err(ConfigIssue::new(
                at.clone(),
                "a text for a program holds no zero character",
            ));
        }
        Ok(text)
    }

    /// Returns a path, which may start in the fleet's folder.
    pub(super) fn path(self, written: &RawText, at: &KeyPath) -> Result<Text, ConfigIssue> {
        let text = self.text(written, at)?;
        if text.value().is_empty() {
            return Err(ConfigIssue::new(at.clone(), "a path can't be empty"));
        }
        check_path(text.written(), at)?;
        let shown = self.root.join(text.written()).display().to_string();
        Ok(Text::new(shown, self.root.join(text.path()), text.has_variables()))
    }

    pub(super) fn file(self, written: &RawText, at: &KeyPath) -> Result<PathBuf, ConfigIssue> {
        Ok(self.path(written, at)?.path().into())
    }

    /// Returns a program: a bare name is looked up on PATH.
    pub(super) fn program(self, written: &RawText, at: &KeyPath) -> Result<Text, ConfigIssue> {
        let text = self.text(written, at)?;
        check_path(text.written(), at)?;
        let is_bare = text.path().components().count() == 1 && !text.path().has_root();
        if is_bare { Ok(text) } else { self.path(written, at) }
    }

    pub(super) fn words(self, words: &[RawText], at: &KeyPath) -> Result<Vec<Text>, ConfigIssue> {
        let word = |(index, word): (usize, &RawText)| {
            let at = at.index(index);
            if has_drive(&word.0) {
                check_path(&word.0, &at)?;
            }
            self.text(word, &at)
        };
        words.iter().enumerate().map(word).collect()
    }

    pub(super) fn command(self, words: &[RawText], at: &KeyPath) -> Result<Vec<Text>, ConfigIssue> {
        let Some(program) = words.first() else {
            return Err(ConfigIssue::new(at.clone(), "a command has at least a program"));
        };
        let mut command = self.words(words, at)?;
        command[0] = self.program(program, &at.index(0))?;
        // It is kept, and there may be many.
        command.shrink_to_fit();
        Ok(command)
    }

    pub(super) fn env(
        self,
        env: &Entries<RawText>,
        at: &KeyPath,
    ) -> Result<Vec<(String, Secret)>, ConfigIssue> {
        let variable = |(position, (name, written)): (usize, &(String, RawText))| {
            let at = at.key(name);
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(ConfigIssue::of_key(
                    at,
                    "this is not a valid name of an environment variable",
                ));
            }
            let before = env.0[..position].iter();
            let is_same = |(other, _): &&(String, RawText)| same_variable(other, name);
            if let Some((other, _)) = before.rev().find(is_same) {
                let message = format!("`{other}` and `{name}` are one environment variable here");
                return Err(ConfigIssue::of_key(at, message));
            }
            if has_drive(&written.0) {
                check_path(&written.0, &at)?;
            }
            Ok((name.clone(), Secret::new(self.text(written, &at)?.value())))
        };
        env.0.iter().enumerate().map(variable).collect()
    }
}

/// Whether two names are those of one environment variable on this system.
pub(super) fn same_variable(one: &str, other: &str) -> bool {
    is_same_variable(one.as_ref(), other.as_ref())
}

/// Whether a text begins as an absolute path of Windows does, with a character of its own or a
/// control character after the colon.
fn has_drive(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|letter| letter.is_ascii_alphabetic())
        && letters.next() == Some(':')
        && letters.next().is_some_and(|next| next == '\\' || next == '/' || next.is_control())
}

/// Refuses control characters in a path: in JSON, `"C:\temp\new"` has a tab and a line feed.
pub(super) fn check_path(path: &str, at: &KeyPath) -> Result<(), ConfigIssue> {
    let Some(found) = path.chars().find(|letter| letter.is_control()) else { return Ok(()) };
    let found = match found {
        '\t' => "a tab, which JSON writes as `\\t`".to_owned(),
        '\n' => "a line feed, which JSON writes as `\\n`".to_owned(),
        '\r' => "a carriage return, which JSON writes as `\\r`".to_owned(),
        '\u{8}' => "a backspace, which JSON writes as `\\b`".to_owned(),
        '\u{c}' => "a form feed, which JSON writes as `\\f`".to_owned(),
        other => format!("the control character U+{:04X}", u32::from(other)),
    };
    let cure = match at.is_secret() {
        true => "write `\\\\` or `/` for each `\\`".to_owned(),
        false => format!("write {}", cured(path)),
    };
    Err(ConfigIssue::new(at.clone(), format!("this path has {found}; {cure}")))
}

/// Returns the path that was probably meant, in the two ways in which JSON can have it.
fn cured(path: &str) -> String {
    let mut meant = String::new();
    for letter in path.chars() {
        match letter {
            '\t' => meant.push_str("\\t"),
            '\n' => meant.push_str("\\n"),
            '\r' => meant.push_str("\\r"),
            '\u{8}' => meant.push_str("\\b"),
            '\u{c}' => meant.push_str("\\f"),
            other if other.is_control() => {}
            other => meant.push(other),
        }
    }
    format!("`\"{}\"` or `\"{}\"`", meant.replace('\\', "\\\\"), meant.replace('\\', "/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &str, at: &KeyPath) -> String {
        check_path(path, at).expect_err(path).message
    }

    #[test]
    fn control_characters_in_a_path_are_refused_with_the_cure() {
        let at = KeyPath::default().key("terminal_path");
        for (path, message) in [
            (
                "C:\temp\new",
                r#"this path has a tab, which JSON writes as `\t`; write `"C:\\temp\\new"` or `"C:/temp/new"`"#,
            ),
            (
                "C:\robots\\MT5",
                r#"this path has a carriage return, which JSON writes as `\r`; write `"C:\\robots\\MT5"` or `"C:/robots/MT5"`"#,
            ),
            (
                "C:\u{8}in\u{c}x",
                r#"this path has a backspace, which JSON writes as `\b`; write `"C:\\bin\\fx"` or `"C:/bin/fx"`"#,
            ),
            ("a\u{7f}", r#"this path has the control character U+007F; write `"a"` or `"a"`"#),
        ] {
            assert_eq!(refused(path, &at), message);
        }
        for path in ["", "C:\\MT5\\Atlas", "/opt/é x", "C:/temp/new"] {
            assert_eq!(check_path(path, &at), Ok(()), "{path}");
        }
    }

    #[test]
    fn a_secret_is_not_shown_by_its_cure() {
        let at = KeyPath::default().key(crate::config::SECTION).key("defaults").key("env").key("X");
        let message = refused("C:\thunter2", &at);
        assert!(!message.contains("hunter2"), "{message}");
    }

    #[test]
    fn only_texts_that_begin_with_a_drive_are_taken_for_paths() {
        for text in ["C:\temp", "c:\nnew", "D:\\x", "d:/x"] {
            assert!(has_drive(text), "{text:?}");
        }
        for text in ["", "C:", "C:x", "line\nline", "key:\tvalue", "1:\t"] {
            assert!(!has_drive(text), "{text:?}");
        }
    }
}
