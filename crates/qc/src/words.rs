//! The subcommands of `qc`, and the tool behind each.

/// A subcommand.
#[derive(Debug)]
pub(crate) struct Word {
    /// Its name, and other names for it.
    pub(crate) names: &'static [&'static str],
    /// The tool that does it.
    pub(crate) tool: &'static str,
    /// The tool's subcommand, where it has any.
    pub(crate) subcommand: Option<&'static str>,
    /// What it is for.
    pub(crate) about: &'static str,
}

/// The subcommand that two tools do, see `call.rs`.
pub(crate) const STOP: &str = "stop";

const fn launch(names: &'static [&'static str], about: &'static str) -> Word {
    Word { names, tool: "qc-launch", subcommand: Some(names[0]), about }
}

const fn tool(names: &'static [&'static str], tool: &'static str, about: &'static str) -> Word {
    Word { names, tool, subcommand: None, about }
}

/// All but [`STOP`], in the order of the help.
pub(crate) const WORDS: [Word; 15] = [
    tool(&["ps", "ls", "list"], "qc-ps", "Show what runs, and what should run and does not"),
    launch(&["up"], "Start the fleet and keep it running; --detach returns when it is ready"),
    tool(
        &["down", "shutdown"],
        "qc-shutdown",
        "Stop the fleet in order, and what else belongs to it",
    ),
    launch(&["start"], "Start components that were stopped or given up"),
    launch(&["restart"], "Stop components and start them again"),
    launch(&["reload"], "Read the config again, and do what has changed"),
    launch(&["status"], "Show the components of the launcher that runs"),
    launch(&["logs"], "Print the log of a component"),
    launch(&["check"], "Look for all that is in the way of a start"),
    launch(&["init"], "Write a config to begin with"),
    launch(&["unlatch"], "Allow starts again that `down --latch` has forbidden"),
    launch(&["autostart"], "Start the fleet at log-on"),
    launch(&["drill"], "Test this machine with a temporary fleet"),
    launch(&["schema"], "Print the JSON Schema of the config"),
    tool(&["lock"], "qc-lock", "Take, list and clear locks: `qc lock run NAME -- COMMAND`"),
];

/// Returns the subcommand of this name.
pub(crate) fn word(name: &str) -> Option<&'static Word> {
    WORDS.iter().find(|word| word.names.contains(&name))
}
