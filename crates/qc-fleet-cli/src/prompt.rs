//! Asking the user.

use std::io::{self, BufRead, IsTerminal, Write};

/// The user's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The word that was asked for.
    Yes,
    /// Something else.
    No,
    /// No answer: there is no terminal.
    Nobody,
}

/// Asks to type `YES`: with a prompt on a terminal, by reading one line where standard input is
/// something else.
///
/// # Errors
/// If standard input or the terminal can't be used.
pub fn confirm(question: &str) -> io::Result<Answer> {
    let input = io::stdin();
    let typed = if input.is_terminal() && io::stderr().is_terminal() {
        let prompt = dialoguer::Input::<String>::new().with_prompt(question).allow_empty(true);
        // Ctrl-C and Ctrl-D at the prompt are a no.
        match prompt.interact_text() {
            Ok(typed) => typed,
            Err(dialoguer::Error::IO(error)) if error.kind() == io::ErrorKind::Interrupted => {
                return Ok(Answer::No);
            }
            Err(dialoguer::Error::IO(error)) => return Err(error),
        }
    } else {
        let mut output = io::stderr().lock();
        write!(output, "{question}: ")?;
        output.flush()?;
        let mut line = String::new();
        let read = input.lock().read_line(&mut line)?;
        writeln!(output)?;
        if read == 0 {
            return Ok(Answer::Nobody);
        }
        line
    };
    Ok(if typed.trim() == "YES" { Answer::Yes } else { Answer::No })
}
