//! Reading the command line, and refusing it the way everything is refused: one line and a hint.

use std::env;
use std::ffi::OsString;

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Command, Parser};

use crate::{Exit, Failure, visible};

/// Reads this program's command line. An environment variable that is set to nothing counts as
/// not set.
///
/// # Errors
/// What is wrong with it, with exit code 2. Help and version are printed here; then the failure
/// says nothing more.
pub fn parse<C: Parser>() -> Result<C, Failure> {
    parse_with(C::command(), |matches| C::from_arg_matches(&matches))
}

/// Does the same for a command line that is made of a table.
///
/// # Errors
/// As [`parse`].
pub fn parse_command(command: Command) -> Result<ArgMatches, Failure> {
    parse_with(command, Ok)
}

fn parse_with<T>(
    command: Command,
    read: impl FnOnce(ArgMatches) -> Result<T, clap::Error>,
) -> Result<T, Failure> {
    let command = command.mut_args(without_empty_variable);
    let matches = command.clone().try_get_matches_from(env::args_os());
    matches.and_then(read).map_err(|error| refusal(&asked_command(command, env::args_os()), &error))
}

/// Returns the tool and the subcommands that `words` name, as far as they can be understood.
fn asked_command(command: Command, words: impl IntoIterator<Item = OsString>) -> String {
    let mut name = command.get_name().to_owned();
    let matches = command.ignore_errors(true).try_get_matches_from(words);
    let mut matches = matches.as_ref().ok();
    while let Some((subcommand, inner)) = matches.and_then(ArgMatches::subcommand) {
        name.push(' ');
        name.push_str(subcommand);
        matches = Some(inner);
    }
    name
}

fn without_empty_variable(arg: Arg) -> Arg {
    let value = arg.get_env().and_then(env::var_os);
    if value.is_some_and(|value| value.is_empty()) { arg.env(Resettable::Reset) } else { arg }
}

fn refusal(name: &str, error: &clap::Error) -> Failure {
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // A reader that has gone away misses nothing.
            let _ = error.print();
            Failure::silent(if error.use_stderr() { Exit::Usage } else { Exit::Done })
        }
        _ => {
            let (message, tips) = taken_apart(&error.render().to_string());
            Failure::new(Exit::Usage, message, format!("{tips}see `{name} --help`"))
        }
    }
}

/// Takes clap's text apart: what is wrong, as one line, and the tips, each followed by `; `.
fn taken_apart(text: &str) -> (String, String) {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let ends = ["\n\n  tip: ", "\n\nUsage: ", "\n\nFor more information"];
    let end = ends.iter().filter_map(|end| text.find(end)).min().unwrap_or(text.len());
    let (message, rest) = text.split_at(end);
    let words: Vec<&str> = message.split_whitespace().collect();
    let tips = rest.lines().filter_map(|line| line.strip_prefix("  tip: "));
    (visible(&words.join(" ")), tips.map(|tip| format!("{}; ", visible(tip))).collect())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[derive(Debug, Parser)]
    #[command(name = "qc-test", version)]
    struct Cli {
        #[arg(long, value_parser = ["red", "green"])]
        color: Option<String>,
        #[arg(long)]
        place: String,
        #[arg(env = "QC_TEST_UNSET")]
        unset: Option<String>,
    }

    fn refused(words: &[&str]) -> (String, String) {
        let words = ["qc-test"].iter().chain(words);
        taken_apart(&Cli::command().try_get_matches_from(words).unwrap_err().render().to_string())
    }

    #[test]
    fn a_wrong_command_line_is_one_line_and_tips() {
        let cases: [(&[&str], &str, &str); 4] = [
            (&[], "the following required arguments were not provided: --place <PLACE>", ""),
            (
                &["--place", "x", "--color", "reed"],
                "invalid value 'reed' for '--color <COLOR>' [possible values: red, green]",
                "a similar value exists: 'red'; ",
            ),
            (
                &["--plaice", "x"],
                "unexpected argument '--plaice' found",
                "a similar argument exists: '--place'; ",
            ),
            (
                &["--color", "no\n\nred"],
                "invalid value 'no red' for '--color <COLOR>' [possible values: red, green]",
                "",
            ),
        ];
        for (words, message, tips) in cases {
            assert_eq!(refused(words), (message.into(), tips.into()), "{words:?}");
        }
    }

    #[derive(Debug, Parser)]
    #[command(name = "qc-test")]
    struct Tool {
        #[arg(long, global = true)]
        root: Option<String>,
        #[arg(long, num_args = 1..)]
        accounts: Vec<String>,
        #[command(subcommand)]
        command: Option<Sub>,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Sub {
        Logs {
            name: String,
            #[arg(long)]
            lines: Option<u32>,
        },
        #[command(subcommand)]
        Autostart(Deeper),
    }

    #[derive(Debug, clap::Subcommand)]
    enum Deeper {
        Enable,
    }

    #[test]
    fn a_mistake_after_a_subcommand_names_its_help() {
        for (words, expected) in [
            ("--bad", "qc-test"),
            ("--bad logs", "qc-test"),
            ("lgos", "qc-test"),
            ("logs", "qc-test logs"),
            ("logs --bad", "qc-test logs"),
            ("logs X --lines many", "qc-test logs"),
            ("logs X Y", "qc-test logs"),
            ("--root logs --bad", "qc-test"),
            ("--root logs logs --bad", "qc-test logs"),
            ("autostart --bad", "qc-test autostart"),
            ("autostart enable --bad", "qc-test autostart enable"),
        ] {
            let words = || ["qc-test"].into_iter().chain(words.split(' ')).map(OsString::from);
            assert!(Tool::command().try_get_matches_from(words()).is_err(), "{expected}");
            assert_eq!(
                asked_command(Tool::command(), words()),
                expected,
                "{:?}",
                words().collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn a_variable_that_is_not_set_stays_where_it_is() {
        let command = Cli::command().mut_args(without_empty_variable);
        let names: Vec<_> = command.get_arguments().filter_map(Arg::get_env).collect();
        assert_eq!(names, ["QC_TEST_UNSET"]);
    }
}
