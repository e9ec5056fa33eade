//! What paths, commands and names in texts mean.

use std::path::{Path, PathBuf};

use crate::config::{Entries, KeyPath, Meaning, Mistake, Written};
use crate::text::{Secret, Text};

/// What texts with paths and names mean.
#[derive(Clone, Copy)]
pub(super) struct Paths<'a> {
    pub(super) root: &'a Path,
    pub(super) meaning: Meaning<'a>,
}

impl<'a> Paths<'a> {
    /// Returns the same with names such as `{KEY}`.
    pub(super) fn with<'b>(self, placeholders: &'b [(&'b str, Option<&'b str>)]) -> Paths<'b>
    where
        'a: 'b,
    {
        Paths { meaning: Meaning { placeholders, ..self.meaning }, ..self }
    }

    pub(super) fn text(self, written: &Written, at: &KeyPath) -> Result<Text, Mistake> {
        let text = written.expand(at, self.meaning)?;
        if text.value().as_encoded_bytes().contains(&0) {
            return Err(Mistake::new(at.clone(), "a text for a program holds no zero character"));
        }
        Ok(text)
    }

    /// Returns a path, which may start in the fleet's folder.
    pub(super) fn path(self, written: &Written, at: &KeyPath) -> Result<Text, Mistake> {
        let text = self.text(written, at)?;
        if text.value().is_empty() {
            return Err(Mistake::new(at.clone(), "a path can't be empty"));
        }
        let shown = self.root.join(text.written()).display().to_string();
        Ok(Text::new(shown, self.root.join(text.path()), text.has_variables()))
    }

    pub(super) fn file(self, written: &Written, at: &KeyPath) -> Result<PathBuf, Mistake> {
        Ok(self.path(written, at)?.path().into())
    }

    /// Returns a program: a bare name is looked up on PATH.
    pub(super) fn program(self, written: &Written, at: &KeyPath) -> Result<Text, Mistake> {
        let text = self.text(written, at)?;
        let is_bare = text.path().components().count() == 1 && !text.path().has_root();
        if is_bare { Ok(text) } else { self.path(written, at) }
    }

    pub(super) fn words(self, words: &[Written], at: &KeyPath) -> Result<Vec<Text>, Mistake> {
        words.iter().enumerate().map(|(index, word)| self.text(word, &at.index(index))).collect()
    }

    pub(super) fn command(self, words: &[Written], at: &KeyPath) -> Result<Vec<Text>, Mistake> {
        let Some(program) = words.first() else {
            return Err(Mistake::new(at.clone(), "a command has at least a program"));
        };
        let mut command = self.words(words, at)?;
        command[0] = self.program(program, &at.index(0))?;
        // It is kept, and there may be many.
        command.shrink_to_fit();
        Ok(command)
    }

    pub(super) fn env(
        self,
        env: &Entries<Written>,
        at: &KeyPath,
    ) -> Result<Vec<(String, Secret)>, Mistake> {
        let variable = |(name, written): &(String, Written)| {
            let at = at.key(name);
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(Mistake::of_key(at, "this is no name of an environment variable"));
            }
            Ok((name.clone(), Secret::new(self.text(written, &at)?.value())))
        };
        env.0.iter().map(variable).collect()
    }
}
