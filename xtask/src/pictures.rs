//! Pictures of the four tools for the pages: what they print in a real run on a sample fleet, as
//! SVG. Nothing of the machine where they were made is in them.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anstyle_svg::Term;
use anyhow::{Context, Result, ensure};
use qc_process::{Ended, Process, identity_of};
use qc_tests::{ACCOUNTS, Finished, Program, SampleFleet, Tools};

use crate::demo;

const TOOLS: [&str; 4] = ["qc-lock", "qc-ps", "qc-shutdown", "qc-launch"];

/// The placeholders of the fleet's folder, of one in it, and of this machine.
const FOLDER: &str = r"C:\fleet";
const LOGS: [&str; 2] = ["orchestrator_logs/", r"orchestrator_logs\"];
const HOST: &str = "TRADER-PC";

/// How many of the sample accounts the fleet has: more would only make the pictures longer.
const FEW: usize = 3;

/// Plays the story, and writes the pictures anew; with `check`, compares them instead.
pub(crate) fn run(bin_dir: Option<PathBuf>, check: bool) -> Result<()> {
    let bin_dir = bin_dir.map_or_else(demo::build, Ok)?;
    let fleet = SampleFleet::new(Tools::built(bin_dir), &ACCOUNTS[..FEW]);
    let root = fleet.root().to_str().context("the folder's name is no text")?.to_owned();
    let host = &qc_process::here().name;
    for (tool, screen) in TOOLS.into_iter().zip(play(&fleet)?) {
        let path = picture(tool);
        let drawn = Term::new().render_svg(&neutral(&screen.0, &root, host));
        if check {
            let kept = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let differing = difference(&kept, &drawn);
            ensure!(
                differing.is_empty(),
                "{} is not what {tool} prints now; run `cargo xtask pictures`:\n{}",
                path.display(),
                differing.join("\n")
            );
            println!("{} shows what {tool} prints", path.display());
        } else {
            fs::create_dir_all(path.parent().context("a picture lies in a folder")?)?;
            fs::write(&path, drawn)?;
            println!("wrote {}", path.display());
        }
    }
    Ok(())
}

/// Returns the lines that only one of two pictures has. Numbers and the order of lines are left
/// out, because PIDs, times and the order of exits differ between runs.
fn difference(one: &str, other: &str) -> Vec<String> {
    let [one, other] = [one, other].map(without_numbers);
    let removed = one.difference(&other).map(|line| format!("- {line}"));
    let added = other.difference(&one).map(|line| format!("+ {line}"));
    removed.chain(added).collect()
}

/// Returns the lines of a picture with one digit for each number and one space for each gap.
fn without_numbers(picture: &str) -> BTreeSet<String> {
    let line = |line: &str| {
        let mut shown = String::new();
        for character in line.chars() {
            let character = if character.is_ascii_digit() { '0' } else { character };
            if !("0 ".contains(character) && shown.ends_with(character)) {
                shown.push(character);
            }
        }
        shown.trim().to_owned()
    };
    picture.lines().filter(|line| !line.trim().is_empty()).map(line).collect()
}

fn picture(tool: &str) -> PathBuf {
    crate::workspace().join("docs").join("pictures").join(format!("{tool}.svg"))
}

/// The contents of a terminal: commands and their output.
#[derive(Default)]
struct Screen(String);

impl Screen {
    fn show(&mut self, command: &str, printed: &str) {
        let gap = if self.0.is_empty() { "" } else { "\n" };
        let printed = printed.trim_end();
        self.0 += &format!("{gap}\x1b[1m> {command}\x1b[0m\n{printed}\n");
    }

    fn add(&mut self, command: &str, finished: &Finished, code: i32) -> Result<()> {
        ensure!(finished.code == code, "`{command}` ended with {finished:?}");
        self.show(command, &format!("{}{}", finished.stdout, finished.stderr));
        Ok(())
    }
}

/// Returns what the tools show, in the order of [`TOOLS`].
fn play(fleet: &SampleFleet) -> Result<[Screen; 4]> {
    let [mut lock, mut ps, mut shutdown, mut launch] = std::array::from_fn(|_| Screen::default());
    let colored =
        |tool: &str, args: &[&str]| fleet.run(tool, &[args, &["--color", "always"]].concat());

    launch.add("qc-launch check", &colored("qc-launch", &["check"]), 0)?;
    let mut orchestrator = fleet.launch(&[], |_| ());
    orchestrator.wait_for("started BRAIN_CASTOR");
    crash(fleet, "BRAIN_CASTOR", &mut orchestrator)?;

    let python = fleet.python();
    let python = python.to_str().context("the folder's name is no text")?;
    let account = fleet.account(ACCOUNTS[0].1).to_string();
    let words = ["run", "BRAIN_ATLAS_COPY", "--account", &account, "--", python, "BRAIN_ATLAS.py"];
    let typed =
        format!("qc-lock run BRAIN_ATLAS_COPY --account {account} -- python BRAIN_ATLAS.py");
    lock.add(&typed, &fleet.run("qc-lock", &words), 75)?;
    lock.add("qc-lock list", &colored("qc-lock", &["list"]), 0)?;
    let words = ["history", "--name", "BRAIN_CASTOR"];
    lock.add("qc-lock history --name BRAIN_CASTOR", &fleet.run("qc-lock", &words), 0)?;

    ps.add("qc-ps", &colored("qc-ps", &[]), 0)?;
    let mut copy = Program::start(&fleet.python(), &["BRAIN_ATLAS.py"], fleet.root(), &[], |_| ());
    copy.wait_for("ready");
    ps.add("qc-ps --role brain", &colored("qc-ps", &["--role", "brain"]), 0)?;
    ps.add("qc-ps --check", &fleet.run("qc-ps", &["--check"]), 3)?;

    shutdown.add("qc-shutdown --yes", &fleet.run("qc-shutdown", &["--yes"]), 0)?;
    let (ended, lines) = orchestrator.finish();
    ensure!(ended == Ended::Code(0), "qc-launch ended with {ended}");
    launch.show("qc-launch", &lines.join("\n"));
    Ok([lock, ps, shutdown, launch])
}

/// Kills a component, and waits until it was started again.
fn crash(fleet: &SampleFleet, name: &str, orchestrator: &mut Program) -> Result<()> {
    let pid = fleet.locks().status(&name.parse()?)?.and_then(|lock| lock.pid);
    let process = Process::open(&identity_of(pid.context("it is not locked")?)?)?;
    process.context("it has ended")?.kill()?;
    orchestrator.wait_for(&format!("started {name}"));
    Ok(())
}

/// Puts [`FOLDER`] and [`HOST`] in the place of this machine's; columns stay below each other.
fn neutral(text: &str, root: &str, host: &str) -> String {
    let mut in_table = false;
    let mut shown = String::new();
    for line in text.replace(root, FOLDER).replace(LOGS[0], LOGS[1]).lines() {
        in_table = line.contains("  HOST  ") || (in_table && !line.is_empty());
        let mut line = with_backslashes(line);
        if in_table {
            for (word, neutral) in [("HOST", "HOST"), (host, HOST)] {
                let width = |host: &str| host.chars().count().max("HOST".len());
                let cell = format!("  {word:<0$}  ", width(host));
                line = line.replacen(&cell, &format!("  {neutral:<0$}  ", width(HOST)), 1);
            }
        }
        shown += &with_word(&line, host, HOST);
        shown.push('\n');
    }
    shown
}

/// Goes on behind [`FOLDER`] as Windows would.
fn with_backslashes(line: &str) -> String {
    let mut parts = line.split(FOLDER);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_whitespace() || "\"'`,;:)".contains(c));
        let (path, rest) = part.split_at(end.unwrap_or(part.len()));
        shown += FOLDER;
        shown += &path.replace('/', r"\");
        shown += rest;
    }
    shown
}

/// Replaces a word where it stands alone.
fn with_word(line: &str, word: &str, other: &str) -> String {
    let mut shown = String::new();
    let mut rest = line;
    while let Some(at) = find_word(rest, word) {
        shown += &rest[..at];
        shown += other;
        rest = &rest[at + word.len()..];
    }
    shown + rest
}

fn find_word(text: &str, word: &str) -> Option<usize> {
    let is_part = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let stands_alone = |&at: &usize| {
        !text[..at].ends_with(is_part) && !text[at + word.len()..].starts_with(is_part)
    };
    text.match_indices(word).map(|(at, _)| at).find(stands_alone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pictures_are_there_and_show_nothing_of_this_machine() {
        let host = &qc_process::here().name;
        for tool in TOOLS {
            let text = fs::read_to_string(picture(tool))
                .unwrap_or_else(|error| panic!("{tool}: {error}; run `cargo xtask pictures`"));
            assert!(text.starts_with("<svg"), "{tool}");
            let parsed = roxmltree::Document::parse(&text).unwrap();
            let shown: String = parsed.descendants().filter_map(|node| node.text()).collect();
            assert!(shown.contains(tool), "{tool}: {shown}");
            for place in ["/tmp/", "/home/", "/root/", r"\Temp\"] {
                assert!(!text.contains(place), "{tool} shows {place}");
            }
            assert_eq!(find_word(&shown, host), None, "{tool} shows {host}: {shown}");
        }
    }

    #[test]
    fn the_pages_show_the_pictures() {
        let own = TOOLS.map(|tool| (format!("docs/{tool}.md"), "pictures", tool));
        let front = ("README.md".to_owned(), "docs/pictures", "qc-ps");
        for (page, folder, expected) in own.into_iter().chain([front]) {
            let text = fs::read_to_string(crate::workspace().join(&page)).unwrap();
            let is_shown = |tool: &&str| text.contains(&format!("({folder}/{tool}.svg)"));
            let shown: Vec<&str> = TOOLS.into_iter().filter(is_shown).collect();
            assert_eq!(shown, [expected], "{page}");
        }
    }

    #[test]
    fn pictures_that_differ_in_numbers_and_order_show_the_same() {
        let one = "<t>A ended (PID 12), after 0.1 s</t>\n<t>B   ended</t>\n";
        let other = "<t>B ended</t>\n<t>A ended (PID 3456), after 10.25 s</t>\n";
        assert!(difference(one, other).is_empty());
        assert_eq!(difference(one, "<t>B ended</t>\n<t>A has ended</t>").len(), 2);
    }

    #[test]
    fn folder_and_host_are_replaced_and_columns_stay() {
        let text = "wrote /tmp/qc fleet x/logs/a.log, on vm; vmstat is no host\n\
                    \n\
                    NAME  HOST  PROGRAM\n\
                    A     vm    a.py\n\
                    \n\
                    held by PID 1 (host vm)\n";
        let expected = "wrote C:\\fleet\\logs\\a.log, on TRADER-PC; vmstat is no host\n\
                        \n\
                        NAME  HOST       PROGRAM\n\
                        A     TRADER-PC  a.py\n\
                        \n\
                        held by PID 1 (host TRADER-PC)\n";
        assert_eq!(neutral(text, "/tmp/qc fleet x", "vm"), expected);
        let long = "NAME  HOST                  PROGRAM\nA     a-very-long-one-0123  a.py\n";
        let expected = "NAME  HOST       PROGRAM\nA     TRADER-PC  a.py\n";
        assert_eq!(neutral(long, "/tmp/x", "a-very-long-one-0123"), expected);
    }
}
