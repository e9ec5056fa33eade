//! Which crates are in the programs: from `cargo metadata`, for one target, without what only tests
//! and builds use.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::release::Target;

/// A crate that is in the programs.
#[derive(Debug, Clone)]
pub(crate) struct Crate {
    /// How cargo names it.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// Its purpose.
    pub(crate) description: Option<String>,
    /// Its licence, as an SPDX expression.
    pub(crate) license: String,
    /// Where its sources are.
    pub(crate) repository: Option<String>,
    /// The folder of its sources on this machine.
    pub(crate) dir: PathBuf,
    /// Whether it is ours.
    pub(crate) is_own: bool,
    /// The SHA-256 of its package, in hexadecimal; ours have none.
    pub(crate) checksum: Option<String>,
    /// The crates it uses, by `id`.
    pub(crate) uses: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    description: Option<String>,
    license: Option<String>,
    repository: Option<String>,
    manifest_path: PathBuf,
    source: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Use>,
}

#[derive(Deserialize)]
struct Use {
    pkg: String,
    dep_kinds: Vec<UseKind>,
}

#[derive(Deserialize)]
struct UseKind {
    kind: Option<String>,
}

/// Returns the crates in `tools` for `target`, sorted by name and version.
///
/// # Errors
/// If cargo fails, or a crate does not say its licence.
pub(crate) fn crates(tools: &[&str], target: Target) -> Result<Vec<Crate>> {
    let output = Command::new(crate::cargo())
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform"])
        .arg(target.triple())
        .current_dir(crate::workspace())
        .output()
        .context("cannot run cargo")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    let uses: BTreeMap<&str, Vec<&str>> =
        metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), used(node))).collect();
    let packages: BTreeMap<&str, &Package> =
        metadata.packages.iter().map(|package| (package.id.as_str(), package)).collect();
    let checksums = checksums(&fs::read_to_string(crate::workspace().join("Cargo.lock"))?);

    let is_tool =
        |package: &&&Package| package.source.is_none() && tools.contains(&package.name.as_str());
    let mut open: Vec<&str> =
        packages.values().filter(is_tool).map(|package| package.id.as_str()).collect();
    ensure!(open.len() == tools.len(), "cargo does not know all of {tools:?}");
    let mut found = BTreeSet::new();
    while let Some(id) = open.pop() {
        if found.insert(id) {
            open.extend(uses.get(id).into_iter().flatten());
        }
    }
    let mut crates = Vec::new();
    for id in found {
        let package = packages.get(id).with_context(|| format!("cargo does not describe {id}"))?;
        let key = (package.name.clone(), package.version.clone());
        let license = package.license.as_deref().with_context(|| format!("{id}: no licence"))?;
        crates.push(Crate {
            id: id.to_owned(),
            name: package.name.clone(),
            version: package.version.clone(),
            description: package.description.clone(),
            // Before there was SPDX, a slash stood for "or".
            license: license.replace('/', " OR "),
            repository: package.repository.clone(),
            dir: package.manifest_path.parent().context("a manifest lies in a folder")?.into(),
            is_own: package.source.is_none(),
            checksum: checksums.get(&key).cloned(),
            uses: uses.get(id).into_iter().flatten().map(|id| id.to_string()).collect(),
        });
    }
    crates.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
    Ok(crates)
}

/// Returns the crates that a crate uses when it runs.
fn used(node: &Node) -> Vec<&str> {
    let when_run = |one: &&Use| one.dep_kinds.iter().any(|kind| kind.kind.is_none());
    node.deps.iter().filter(when_run).map(|one| one.pkg.as_str()).collect()
}

/// Reads the checksums of packages, by name and version, from Cargo.lock.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let value = |block: &str, key: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""));
        line.map(|line| line.trim_end_matches('"').to_owned())
    };
    let of = |block: &str| {
        Some(((value(block, "name")?, value(block, "version")?), value(block, "checksum")?))
    };
    lock.split("[[package]]").filter_map(of).collect()
}
