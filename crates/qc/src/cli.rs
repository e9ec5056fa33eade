//! The command line.

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, Args, Command};
use qc_cli::{Exit, Failure, LocationArgs};
use qc_fleet_cli::SelectionArgs;

use crate::words::{STOP, WORDS, Word};

/// The argument that takes all words behind a subcommand.
pub(crate) const REST: &str = "words";

/// The flag of `stop` that keeps it from asking.
pub(crate) const YES: &str = "yes";

/// The subcommand that shows the help of another one.
pub(crate) const HELP: &str = "help";

/// The examples that `--help` opens with.
const EXAMPLES: &str = "\
Examples:
  qc up --detach
  qc ps
  qc down";

/// What the program is for; the arguments bring a text of their own.
const ABOUT: &str = "One word for the tools: see, start and stop the fleet, take locks";

/// The end of the help.
const END: &str = "\
Each subcommand takes the flags of the tool behind it: qc-ps, qc-lock, qc-shutdown or qc-launch; \
`qc help ps` shows those of `qc ps`.";

/// Returns the failure for words that were read without one before.
pub(crate) fn wrong(error: clap::Error) -> Failure {
    Failure::new(Exit::Usage, error.to_string(), "see `qc --help`")
}

/// Returns the command line of `qc`.
pub(crate) fn command() -> Command {
    let command = Command::new("qc")
        .version(env!("CARGO_PKG_VERSION"))
        .before_long_help(EXAMPLES)
        .after_help(END)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true);
    let mut command = LocationArgs::augment_args(command).about(ABOUT);
    for word in &WORDS {
        command = command.subcommand(handed_on(word));
        if word.names.contains(&"down") {
            command = command.subcommand(stop());
        }
    }
    let of = Arg::new(REST).value_name("SUBCOMMAND").num_args(0..);
    command.subcommand(Command::new(HELP).about("Show the help of a subcommand").arg(of))
}

/// A subcommand whose words all go to the tool behind it.
fn handed_on(word: &Word) -> Command {
    let rest = Arg::new(REST)
        .num_args(0..)
        .trailing_var_arg(true)
        .allow_hyphen_values(true)
        .value_parser(ValueParser::os_string())
        .hide(true);
    Command::new(word.names[0])
        .visible_aliases(word.names[1..].iter().copied())
        .about(word.about)
        .disable_help_flag(true)
        .arg(rest)
}

fn stop() -> Command {
    let yes = Arg::new(YES).short('y').long(YES).action(ArgAction::SetTrue).help("Do not ask");
    SelectionArgs::augment_args(Command::new(STOP).arg(yes))
        .about("Stop components in order, or the whole fleet, whether a launcher runs or not")
}
