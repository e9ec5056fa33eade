//! Whether each dependency is used, comes from where all come from, and is under a licence that
//! `deny.toml` allows. What is known to be broken in one, only a database in the net can tell.
//! Built for Linux only, as a Windows program under Wine could not run the cargo of Debian.

use std::collections::BTreeSet;
use std::fs;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// The systems that programs are built for, as in `deny.toml`.
const TARGETS: [&str; 3] =
    ["x86_64-unknown-linux-gnu", "x86_64-pc-windows-gnu", "x86_64-pc-windows-msvc"];

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    source: Option<String>,
    license: Option<String>,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    rename: Option<String>,
    req: String,
    path: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    src_path: PathBuf,
}

/// Returns all packages that something of ours is built of, ours among them.
fn packages() -> Vec<Package> {
    let mut cargo = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    cargo.args(["metadata", "--format-version", "1", "--locked"]);
    for target in TARGETS {
        cargo.args(["--filter-platform", target]);
    }
    let output = cargo.current_dir(crate::workspace()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice::<Metadata>(&output.stdout).unwrap().packages
}

/// Returns the code below a folder, without comments.
fn code(dir: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // A folder with its own manifest is another package.
            if !path.join("Cargo.toml").exists() && path.file_name() != Some("target".as_ref()) {
                all += &code(&path);
            }
        } else if path.extension() == Some("rs".as_ref()) {
            all += &code_of(&path);
        }
    }
    all
}

fn code_of(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Whether code names a crate.
fn names(code: &str, name: &str) -> bool {
    let name = name.replace('-', "_");
    let is_part = |one: char| one.is_alphanumeric() || one == '_';
    code.match_indices(&name).any(|(start, _)| {
        let before = code[..start].chars().next_back();
        let after = code[start + name.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// Returns the values of a key in `deny.toml`: what stands in quotes in each of its lists or lines.
fn denied(key: &str) -> Vec<String> {
    let text = fs::read_to_string(crate::workspace().join("deny.toml")).unwrap();
    let mut values = Vec::new();
    for (start, found) in text.match_indices(&format!("{key} = ")) {
        let value = &text[start + found.len()..];
        let end = if value.starts_with('[') { value.find(']') } else { value.find([',', '\n']) };
        values.extend(value[..end.unwrap()].split('"').skip(1).step_by(2).map(str::to_owned));
    }
    values
}

/// Whether a licence in the words of SPDX can be kept with these licences.
fn allows(allowed: &[String], license: &str) -> bool {
    // Before there was SPDX, a slash stood for "or".
    let spaced = license.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let kept = any(allowed, &mut words);
    assert!(words.next().is_none(), "`{license}` is no licence");
    kept
}

/// Reads up to a closing parenthesis or the end.
fn any<'a>(allowed: &[String], words: &mut Peekable<impl Iterator<Item = &'a str>>) -> bool {
    let mut kept = all(allowed, words);
    while words.next_if_eq(&"OR").is_some() {
        // Both sides have to be read.
        kept |= all(allowed, words);
    }
    kept
}

/// Reads up to an "OR", too.
fn all<'a>(allowed: &[String], words: &mut Peekable<impl Iterator<Item = &'a str>>) -> bool {
    let mut kept = true;
    loop {
        kept &= match words.next().expect("a licence goes on") {
            "(" => {
                let inner = any(allowed, words);
                assert_eq!(words.next(), Some(")"));
                inner
            }
            name => match words.next_if_eq(&"WITH").and_then(|_| words.next()) {
                Some(exception) => allowed.contains(&format!("{name} WITH {exception}")),
                None => allowed.iter().any(|one| one == name),
            },
        };
        if words.next_if_eq(&"AND").is_none() {
            return kept;
        }
    }
}

#[test]
fn each_dependency_is_used_allowed_and_from_the_registry() {
    let packages = packages();
    let (allowed, banned) = (denied("allow"), denied("crate"));
    assert!(allowed.len() > 5 && banned.len() > 1, "{allowed:?} {banned:?}");
    let mut own = 0;
    let mut wrong = BTreeSet::new();
    for package in &packages {
        let name = &package.name;
        if banned.contains(name) {
            wrong.insert(format!("{name} is denied"));
        }
        let license = package.license.as_deref().unwrap_or("none");
        if !allows(&allowed, license) {
            wrong.insert(format!("{name} is under {license}"));
        }
        if let Some(source) = &package.source {
            if source != REGISTRY {
                wrong.insert(format!("{name} comes from {source}"));
            }
            continue;
        }
        own += 1;
        let dir = package.manifest_path.parent().unwrap();
        let mut sources = code(dir);
        // The build script of the tools lies elsewhere.
        for target in &package.targets {
            sources += &code_of(&target.src_path);
        }
        for dependency in &package.dependencies {
            let known_as = dependency.rename.as_ref().unwrap_or(&dependency.name);
            if !names(&sources, known_as) {
                wrong.insert(format!("{name} does not use {known_as}"));
            }
            if dependency.req == "*" && dependency.path.is_none() {
                wrong.insert(format!("{name} takes any version of {known_as}"));
            }
        }
    }
    assert!(own > 10 && packages.len() > 100, "{own} of {}", packages.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The most crates that `qc-lock` is built of, its own and those that only run while it is built among
/// them. One `qc-lock` runs for each program that is started under a lock, so it stays small: a
/// command line, the locks, times, tables, and nothing of the fleet.
const MOST_OF_QC_LOCK: usize = 55;

#[test]
fn qc_lock_is_built_of_little_and_knows_no_fleet() {
    let mut cargo = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    cargo.args(["tree", "--locked", "--package", "qc-lock", "--target", TARGETS[0]]);
    cargo.args(["--edges", "normal", "--prefix", "none", "--format", "{p}", "--no-dedupe"]);
    let output = cargo.current_dir(crate::workspace()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let crates: BTreeSet<&str> =
        text.lines().map(|line| line.split(" (").next().unwrap()).collect();
    let name = |one: &&str| one.split(' ').next().unwrap().to_owned();
    let names: BTreeSet<String> = crates.iter().map(name).collect();
    assert!(names.contains("qc-lock-core"), "{text}");
    for unneeded in ["qc-fleet", "qc-control", "regex", "schemars", "dialoguer", "interprocess"] {
        assert!(!names.contains(unneeded), "qc-lock needs {unneeded}");
    }
    let count = crates.len();
    assert!(count <= MOST_OF_QC_LOCK, "qc-lock is built of {count} crates: {crates:#?}");
}

#[test]
fn licences_are_read_as_spdx_means_them() {
    let allowed = ["MIT".to_owned(), "ISC".to_owned(), "A WITH B".to_owned()];
    for (license, kept) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("ISC AND (GPL-3.0 OR MIT)", true),
        ("GPL-3.0 OR ISC AND MIT", true),
        ("(ISC OR MIT) AND GPL-3.0", false),
        ("A WITH B", true),
        ("MIT WITH B", false),
    ] {
        assert_eq!(allows(&allowed, license), kept, "{license}");
    }
}

#[test]
fn a_crate_is_named_by_a_whole_word() {
    assert!(names("use serde_json::Value;", "serde-json"));
    assert!(!names("use serde_json::Value;", "serde"));
    assert!(!names("the_serde", "serde"));
}
