//! `cargo xtask dist`: the archives that users get, and what describes them.

mod archive;
mod bill;
mod crates;
mod licences;
mod manifests;
mod manual;
mod pages;
mod programs;
mod trial;
mod twice;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use archive::File;
use hmac_sha256::Hash;

use crate::release::{self, Target};
pub(crate) use trial::day;

/// The programs that users get.
pub(crate) const TOOLS: [&str; 5] = ["qc-lock", "qc-ps", "qc-shutdown", "qc-launch", "qc"];

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The arguments of `cargo xtask dist`.
#[derive(Debug, clap::Args)]
pub(crate) struct DistArgs {
    /// Build only for these systems
    #[arg(long, value_enum, value_name = "SYSTEM", default_values = ["linux", "windows"])]
    target: Vec<Target>,
    /// Where the archives will be published, for the manifests of scoop and winget
    ///
    /// Without it they name this machine: `python -m http.server` in target/dist then serves a try.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8000")]
    url: String,
    /// Afterwards install each archive into a fresh folder, and for Windows a fresh Wine prefix, and
    /// play a day of a user there
    #[arg(long = "try")]
    try_out: bool,
    /// Afterwards build the archives of the last commit once more, in another folder, and see that
    /// they are the same
    #[arg(long)]
    twice: bool,
}

/// Builds the archives into `target/dist`.
///
/// # Errors
/// If something can't be built or is not fit to be given to users.
pub(crate) fn run(args: &DistArgs) -> Result<()> {
    ensure!(cfg!(target_os = "linux"), "the archives, also those for Windows, are built on Debian");
    let dist = crate::workspace().join("target/dist");
    fs::create_dir_all(&dist).with_context(|| format!("cannot make {}", dist.display()))?;
    for target in &args.target {
        let archive = build(*target, args, &dist)?;
        if args.try_out {
            trial::run(*target, &archive)?;
        }
    }
    write(&dist, &[File::new("SHA256SUMS", sums(&archives_in(&dist)?))])?;
    println!("{} lists the archives", dist.join("SHA256SUMS").display());
    if args.twice {
        twice::run(args, &dist)?;
    }
    Ok(())
}

/// Builds the archive for one system; returns its path.
fn build(target: Target, args: &DistArgs, dist: &Path) -> Result<PathBuf> {
    let mut selection = Vec::new();
    for tool in TOOLS {
        selection.extend(["--package", tool, "--bin", tool]);
    }
    let programs = programs::read(&release::build_for(target, &selection)?, target)?;
    println!("{}", target.triple());
    for program in &programs {
        show_size(&program.path, program.bytes.len());
    }
    let files = contents(programs, target)?;
    let folder = format!("qc-{VERSION}-{}", target.triple());
    let (archive, bytes) = match target {
        Target::Linux => (format!("{folder}.tar.gz"), archive::tar_gz(&files, &folder)?),
        Target::Windows => (format!("{folder}.zip"), archive::zip(&files, &folder)?),
    };
    show_size(&archive, bytes.len());
    let mut described = Vec::new();
    if target == Target::Windows {
        let package = manifests::Package {
            version: VERSION,
            folder: &folder,
            url: &format!("{}/{archive}", args.url.trim_end_matches('/')),
            sha256: &sha256(&bytes),
        };
        described.push(File::new("scoop/qc.json", pretty(&manifests::scoop(&package))?));
        described.extend(manifests::winget(&package));
    }
    let path = dist.join(&archive);
    described.push(File::new(archive, bytes));
    write(dist, &described)?;
    Ok(path)
}

/// Returns all that is in the archive for `target`: `programs`, and what belongs to them.
fn contents(programs: Vec<File>, target: Target) -> Result<Vec<File>> {
    let crates = crates::crates(&TOOLS, target)?;
    let mut files = programs;
    files.extend(pages::completions(&commands()));
    files.extend(pages::man(&commands())?);
    files.extend(scripts(target)?);
    for page in ["README.md", "CHANGELOG.md", "LICENSE"] {
        files.push(File::new(page, fs::read(crate::workspace().join(page))?));
    }
    files.extend(folder("docs", |_| true)?);
    files.extend(folder("docs/pictures", |_| true)?);
    files.push(File::new("LICENSES.md", licences::page(&crates, target)?));
    files.push(File::new("qc.cdx.json", pretty(&bill::cyclonedx(VERSION, &crates))?));
    files.push(File::new("examples/MASTER_CONFIG.json", qc_fleet::template()));
    files.push(File::new("examples/MASTER_CONFIG.schema.json", pretty(&qc_fleet::schema())?));
    files.push(File::new("SHA256SUMS", sums(&files)));
    Ok(files)
}

/// Returns the command lines of the tools.
pub(crate) fn commands() -> [clap::Command; TOOLS.len()] {
    [
        qc_lock::command(),
        qc_ps::command(),
        qc_shutdown::command(),
        qc_launch::command(),
        qc::command(),
    ]
}

/// Returns the scripts that `target` can run, and the installers.
fn scripts(target: Target) -> Result<Vec<File>> {
    let wanted = |name: &str| match target {
        Target::Linux => name.ends_with(".py"),
        Target::Windows => name.ends_with(".py") || name.ends_with(".bat") || is_powershell(name),
    };
    let mut files = folder("scripts", |name| !name.starts_with("install.") && wanted(name))?;
    for file in folder("scripts", |name| name.starts_with("install."))? {
        let name = file.path.trim_start_matches("scripts/").to_owned();
        if target == Target::Windows || !is_powershell(&name) {
            files.push(File::new(name, file.bytes));
        }
    }
    Ok(files)
}

fn is_powershell(name: &str) -> bool {
    name.ends_with(".ps1")
}

/// Returns the files of a folder of the workspace whose names are `wanted`. What `cmd` and
/// PowerShell read gets their line ends, however it was checked out.
fn folder(name: &str, wanted: impl Fn(&str) -> bool) -> Result<Vec<File>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(crate::workspace().join(name))? {
        let entry = entry?;
        let file = entry.file_name().to_string_lossy().into_owned();
        if !entry.file_type()?.is_file() || !wanted(&file) {
            continue;
        }
        let mut bytes = fs::read(entry.path())?;
        if file.ends_with(".bat") || is_powershell(&file) {
            bytes = String::from_utf8(bytes)?.replace("\r\n", "\n").replace('\n', "\r\n").into();
        }
        files.push(File::new(format!("{name}/{file}"), bytes));
    }
    Ok(files)
}

/// Returns the archives of this version in `dist`.
fn archives_in(dist: &Path) -> Result<Vec<File>> {
    let mut archives = Vec::new();
    for target in [Target::Linux, Target::Windows] {
        for extension in ["tar.gz", "zip"] {
            let name = format!("qc-{VERSION}-{}.{extension}", target.triple());
            if dist.join(&name).is_file() {
                archives.push(File::new(&*name, fs::read(dist.join(&name))?));
            }
        }
    }
    Ok(archives)
}

/// Returns the checksums of `files`, as `sha256sum --check` reads them.
fn sums(files: &[File]) -> String {
    let mut lines: Vec<_> = files
        .iter()
        .map(|file| (&file.path, format!("{}  {}\n", sha256(&file.bytes), file.path)))
        .collect();
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

fn sha256(bytes: &[u8]) -> String {
    Hash::hash(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn pretty(value: &serde_json::Value) -> Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

fn write(dir: &Path, files: &[File]) -> Result<()> {
    for file in files {
        let path = dir.join(&file.path);
        let parent = path.parent().context("a file lies in a folder")?;
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&path, &file.bytes))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn show_size(name: &str, bytes: usize) {
    println!("  {name:50} {:>8} KiB", bytes.div_ceil(1024));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where archives are built; a Windows program under Wine could not run the cargo of Debian.
    #[cfg(target_os = "linux")]
    #[test]
    fn an_archive_has_all_that_a_user_needs() {
        let files = contents(vec![File::new("bin/qc-ps", "program")], Target::Linux).unwrap();
        for wanted in [
            "install.sh",
            "scripts/process_lock.py",
            "completions/qc-launch.bash",
            "man/qc-lock-run.1",
            "docs/CONFIG.md",
            "docs/pictures/qc-ps.svg",
            "examples/MASTER_CONFIG.json",
            "LICENSES.md",
            "qc.cdx.json",
        ] {
            assert!(files.iter().any(|file| file.path == wanted), "{wanted} is missing");
        }
        let list = String::from_utf8(files.last().unwrap().bytes.clone()).unwrap();
        assert_eq!(list.lines().count(), files.len() - 1);
    }

    #[test]
    fn what_the_system_of_windows_reads_has_its_line_ends() {
        for file in scripts(Target::Windows).unwrap() {
            let text = String::from_utf8(file.bytes).unwrap();
            let expected = file.path.ends_with(".bat") || is_powershell(&file.path);
            assert_eq!(text.contains("\r\n"), expected, "{}", file.path);
        }
    }

    #[test]
    fn checksums_are_those_of_the_standard() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sums(&[File::new("a", "")]), format!("{empty}  a\n"));
    }
}
