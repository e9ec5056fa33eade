//! What a command line of `qc` means: a tool and its words.

use std::ffi::OsString;

use clap::{ArgMatches, FromArgMatches};
use qc_cli::{Failure, LocationArgs};
use qc_fleet_cli::SelectionArgs;

use crate::cli::{HELP, REST, YES, wrong};
use crate::words::{self, STOP};

/// A tool and the words that it is called with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) tool: &'static str,
    pub(crate) words: Vec<OsString>,
}

/// Returns the tool behind a subcommand and its words. `has_launcher` tells whether a launcher runs
/// in the fleet's folder, which only `stop` asks.
///
/// # Errors
/// Those of `has_launcher`.
pub(crate) fn call(
    subcommand: &str,
    matches: &ArgMatches,
    location: &LocationArgs,
    has_launcher: impl FnOnce() -> Result<bool, Failure>,
) -> Result<Call, Failure> {
    let place = location.words();
    match subcommand {
        STOP => {
            let selection = SelectionArgs::from_arg_matches(matches).map_err(wrong)?;
            let yes = matches.get_flag(YES);
            let is_asked = !selection.is_empty() && has_launcher()?;
            Ok(stop(&selection, yes, place, is_asked))
        }
        HELP => {
            let words = matches.get_many::<String>(REST);
            let mut words: Vec<String> = words.into_iter().flatten().cloned().collect();
            let first = (!words.is_empty()).then(|| words.remove(0));
            Ok(help(first.as_deref(), words))
        }
        other => {
            let rest = matches.get_many::<OsString>(REST).into_iter().flatten().cloned();
            Ok(of_word(other, place, rest.collect()))
        }
    }
}

/// Returns the call that stops what is selected: asks the launcher, or does without one.
fn stop(selection: &SelectionArgs, yes: bool, place: Vec<OsString>, is_asked: bool) -> Call {
    let flag = |flag: &str, values: Vec<OsString>| match values[..] {
        [] => Vec::new(),
        _ => [vec![flag.into()], values].concat(),
    };
    let roles = selection.role.iter().map(|role| role.as_str().into()).collect();
    let accounts = selection.account.iter().map(OsString::from).collect();
    let narrowed = [flag("--account", accounts), flag("--role", roles)].concat();
    let names: Vec<OsString> = selection.names.iter().map(OsString::from).collect();
    if is_asked {
        // It does not ask for components.
        return Call {
            tool: "qc-launch",
            words: [place, vec![STOP.into()], names, narrowed].concat(),
        };
    }
    let names = if selection.names_all() { Vec::new() } else { flag("--name", names) };
    let yes = if yes { vec!["--yes".into()] } else { Vec::new() };
    Call { tool: "qc-shutdown", words: [place, yes, names, narrowed].concat() }
}

/// Returns the call of the tool behind a word that [`words::WORDS`] has.
fn of_word(word: &str, place: Vec<OsString>, rest: Vec<OsString>) -> Call {
    let word = words::word(word).expect("the command line has no other subcommands");
    let subcommand = word.subcommand.map(OsString::from).into_iter().collect();
    Call { tool: word.tool, words: [place, subcommand, rest].concat() }
}

/// Returns the call that shows help: the tool's own, or that of `qc`.
fn help(word: Option<&str>, deeper: Vec<String>) -> Call {
    let deeper: Vec<OsString> = deeper.into_iter().map(OsString::from).collect();
    let help = |words: Vec<OsString>| [words, vec!["--help".into()]].concat();
    match word {
        Some(known) if words::word(known).is_some() => of_word(known, Vec::new(), help(deeper)),
        Some(other) => Call { tool: "qc", words: help(vec![other.into()]) },
        None => Call { tool: "qc", words: help(Vec::new()) },
    }
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;

    /// Returns the tool and the words that a line stands for, as one line.
    fn means(line: &str, has_launcher: bool) -> String {
        let matches = crate::command().try_get_matches_from(line.split(' ')).unwrap();
        let mut location = LocationArgs::from_arg_matches(&matches).unwrap();
        // The variables of this machine are none of the test's business.
        location.lock_dir = None;
        let (subcommand, inner) = matches.subcommand().unwrap();
        let call = call(subcommand, inner, &location, || Ok(has_launcher)).unwrap();
        let words: Vec<_> = call.words.iter().map(|word| word.to_string_lossy()).collect();
        format!("{} {}", call.tool, words.join(" ")).trim_end().to_owned()
    }

    #[test]
    fn each_word_is_the_one_of_its_tool() {
        for (line, expected) in [
            ("qc ps", "qc-ps"),
            ("qc ls --check", "qc-ps --check"),
            ("qc list --help", "qc-ps --help"),
            ("qc up --detach", "qc-launch up --detach"),
            ("qc --root f up", "qc-launch --root f up"),
            ("qc up --root f", "qc-launch --root f up"),
            ("qc restart BRAIN_A BRAIN_B", "qc-launch restart BRAIN_A BRAIN_B"),
            ("qc logs -f BRAIN_A", "qc-launch logs -f BRAIN_A"),
            ("qc down --dry-run", "qc-shutdown --dry-run"),
            ("qc shutdown --account A B", "qc-shutdown --account A B"),
            ("qc lock run X -- cmd --root f -- -x", "qc-lock run X -- cmd --root f -- -x"),
            ("qc lock list --machine", "qc-lock list --machine"),
            ("qc help", "qc --help"),
            ("qc help list", "qc-ps --help"),
            ("qc help lock run", "qc-lock run --help"),
            ("qc help stop", "qc stop --help"),
        ] {
            assert_eq!(means(line, true), expected, "{line}");
        }
    }

    #[test]
    fn a_stop_needs_no_launcher() {
        for (line, has_launcher, expected) in [
            ("qc stop", true, "qc-shutdown"),
            ("qc stop -y", false, "qc-shutdown --yes"),
            ("qc stop A B --yes", true, "qc-launch stop A B"),
            ("qc stop A B --yes", false, "qc-shutdown --yes --name A B"),
            ("qc --root f stop A", false, "qc-shutdown --root f --name A"),
            ("qc stop A --root f", true, "qc-launch --root f stop A"),
            ("qc stop --account A --role brain", true, "qc-launch stop --account A --role brain"),
            ("qc stop --account A", false, "qc-shutdown --account A"),
            ("qc stop all", true, "qc-launch stop all"),
            ("qc stop all -y", false, "qc-shutdown --yes"),
        ] {
            assert_eq!(means(line, has_launcher), expected, "{line}");
        }
    }
}
