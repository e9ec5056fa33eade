//! What a command line of `qc` means: a tool and its words.

use std::ffi::OsString;

use clap::ArgMatches;
use qc_cli::LocationArgs;

use crate::cli::{HELP, NAMES, REST, YES};
use crate::words::{self, STOP};

/// A tool and the words that it is called with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) tool: &'static str,
    pub(crate) words: Vec<OsString>,
}

/// Returns the tool behind a subcommand and its words. `has_launcher` tells whether a launcher runs
/// in the fleet's folder, which only `stop` asks.
pub(crate) fn call<E>(
    subcommand: &str,
    matches: &ArgMatches,
    location: &LocationArgs,
    has_launcher: impl FnOnce() -> Result<bool, E>,
) -> Result<Call, E> {
    let place = location.words();
    let named = |id: &str| matches.get_many::<String>(id).into_iter().flatten().cloned();
    match subcommand {
        STOP => {
            let names: Vec<OsString> = named(NAMES).map(OsString::from).collect();
            let yes = matches.get_flag(YES).then(|| OsString::from("--yes"));
            Ok(if names.is_empty() {
                Call { tool: "qc-shutdown", words: [place, yes.into_iter().collect()].concat() }
            } else if has_launcher()? {
                // It does not ask for components.
                Call { tool: "qc-launch", words: [place, vec![STOP.into()], names].concat() }
            } else {
                let words = [place, yes.into_iter().collect(), vec!["--name".into()], names];
                Call { tool: "qc-shutdown", words: words.concat() }
            })
        }
        HELP => {
            let mut words: Vec<String> = named(REST).collect();
            let first = (!words.is_empty()).then(|| words.remove(0));
            Ok(help(first.as_deref(), words))
        }
        other => {
            let rest = matches.get_many::<OsString>(REST).into_iter().flatten().cloned();
            Ok(of_word(other, place, rest.collect()))
        }
    }
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
    use std::convert::Infallible;

    use clap::FromArgMatches;

    use super::*;

    /// Returns the tool and the words that a line stands for, as one line.
    fn means(line: &str, has_launcher: bool) -> String {
        let matches = crate::command().try_get_matches_from(line.split(' ')).unwrap();
        let mut location = LocationArgs::from_arg_matches(&matches).unwrap();
        // The variables of this machine are none of the test's business.
        location.lock_dir = None;
        let (subcommand, inner) = matches.subcommand().unwrap();
        let call = call::<Infallible>(subcommand, inner, &location, || Ok(has_launcher)).unwrap();
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
        ] {
            assert_eq!(means(line, has_launcher), expected, "{line}");
        }
    }
}
