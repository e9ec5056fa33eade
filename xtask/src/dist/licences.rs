//! The licence texts of all that is in the programs.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use anyhow::{Context, Result, ensure};

use super::crates::Crate;
use crate::release::Target;

/// Where Debian keeps the licence of the C library, which is linked into the programs for Linux.
const LGPL: &str = "/usr/share/common-licenses/LGPL-2.1";

const STD: &str = "\
The Rust standard library is copyright by The Rust Project Contributors and licensed under
MIT OR Apache-2.0 <https://github.com/rust-lang/rust>; both texts stand below.
";

const GLIBC: &str = "\
The programs contain the GNU C library (LGPL-2.1-or-later, <https://sourceware.org/glibc/>), copyright
by the Free Software Foundation, Inc. and others; its text stands below. The sources of the programs are
published, so that everybody can link them with a changed library: `cargo build --release`.
";

const MINGW: &str = "\
The programs contain the start-up code of mingw-w64 (public domain and ZPL-2.1, <https://www.mingw-w64.org>)
and of GCC (GPL-3.0-or-later WITH GCC-exception-3.1, which allows any use of programs that contain it).
";

/// Returns the page with all texts; each text once, with the crates it belongs to.
///
/// # Errors
/// If a crate has no licence text, and none of the same repository has one.
pub(crate) fn page(crates: &[Crate], target: Target) -> Result<String> {
    let mut page = String::from("# Licences\n\n");
    page.push_str("qc itself is under the MIT license, see LICENSE. ");
    page.push_str("Its programs contain what stands here.\n\n");
    page.push_str(STD);
    page.push('\n');
    page.push_str(match target {
        Target::Linux => GLIBC,
        Target::Windows => MINGW,
    });
    page.push_str("\n| crate | licence | sources |\n| --- | --- | --- |\n");
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in crates.iter().filter(|one| !one.is_own) {
        let name = format!("{} {}", one.name, one.version);
        let repository = one.repository.as_deref().unwrap_or("https://crates.io");
        writeln!(page, "| {name} | {} | <{repository}> |", one.license)?;
        for (file, text) in texts_of(one, crates)? {
            texts.entry(text).or_default().push(format!("{name} ({file})"));
        }
    }
    if target == Target::Linux {
        let text = fs::read_to_string(LGPL)
            .with_context(|| format!("the programs contain the C library; cannot read {LGPL}"))?;
        texts.entry(text).or_default().push("the GNU C library".into());
    }
    // The first crate of each text gives the order.
    let mut texts: Vec<_> = texts.into_iter().map(|(text, names)| (names, text)).collect();
    texts.sort();
    for (names, text) in texts {
        write!(page, "\n## {}\n\n```text\n{}\n```\n", names.join(", "), text.trim())?;
    }
    Ok(page)
}

/// Returns the licence files of a crate; where it has none, those of its repository.
fn texts_of(one: &Crate, crates: &[Crate]) -> Result<Vec<(String, String)>> {
    let own = files(one)?;
    if !own.is_empty() {
        return Ok(own);
    }
    for sibling in crates.iter().filter(|other| !other.is_own) {
        if sibling.repository.is_some() && sibling.repository == one.repository {
            let theirs = files(sibling)?;
            if !theirs.is_empty() {
                return Ok(theirs);
            }
        }
    }
    anyhow::bail!("{} {} has no licence text", one.name, one.version)
}

fn files(one: &Crate) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    let entries =
        fs::read_dir(&one.dir).with_context(|| format!("cannot read {}", one.dir.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let upper = name.to_uppercase();
        let is_licence = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"]
            .iter()
            .any(|word| upper.starts_with(word));
        if is_licence && entry.file_type()?.is_file() {
            let text = fs::read_to_string(entry.path())
                .with_context(|| format!("cannot read {}", entry.path().display()))?;
            ensure!(!text.trim().is_empty(), "{} is empty", entry.path().display());
            files.push((name, text.replace("\r\n", "\n")));
        }
    }
    files.sort();
    Ok(files)
}
