//! The repository's statements about itself are true: its pages, its words, its dependencies, and
//! what the released programs are built of.

#![forbid(unsafe_code)]

// Each dependency is used, from the registry, and under a licence that `deny.toml` allows.
#[cfg(target_os = "linux")]
mod dependencies;
// `docs/TROUBLESHOOTING.md` explains each error text.
mod errors;
// Links lead somewhere, examples are understood, lines are short.
mod pages;
// The released programs are built without some parts; batch files set only some variables.
mod released;
// Code for one system stands in `qc-process/src/imp` only.
mod systems;
// `docs/WINDOWS.md` lists each test that cannot run under Wine.
mod untested;
// Comments, pages and scripts are written in plain words.
mod words;

use std::path::Path;

/// Returns the folder of the workspace.
fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the workspace")
}
