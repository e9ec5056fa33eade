//! The rows of the drill, in the order of the table in `docs/WINDOWS.md`, which names each.

mod access;
mod consoles;
mod files;
mod locks;
mod processes;
mod scripts;
mod spellings;

use super::outcome::Outcome;
use super::sandbox::Sandbox;

/// Tries one thing.
pub(crate) type Check = fn(&Sandbox) -> Outcome;

/// The rows of the drill.
pub(crate) const ROWS: [(&str, Check); 18] = [
    ("mandatory locks", locks::mandatory),
    ("late release", locks::late_release),
    ("Ctrl-Break", consoles::ctrl_break),
    ("Ctrl-C", consoles::ctrl_c),
    ("closing the window", consoles::closing),
    ("owner of a port", processes::port),
    ("replaced while read", files::replaced_while_read),
    ("deleted from outside", files::deleted_from_outside),
    ("names and long paths", files::names_and_long_paths),
    ("access lists", access::lists),
    ("protected processes", access::protected),
    ("links", access::links),
    ("spellings of a terminal", spellings::terminals),
    ("PowerShell", scripts::powershell),
    ("spared terminals", processes::terminals),
    ("one account, two folders", locks::machine),
    ("killed wrapper", locks::killed_wrapper),
    ("small fleet", processes::fleet),
];
