//! The scripts for PowerShell.

use std::fs;
use std::io;

use crate::child::run;
use crate::outcome::{Outcome, failed, skipped};
use crate::sandbox::Sandbox;

/// The scripts as they were when this program was built.
const SCRIPTS: [(&str, &str); 2] = [
    ("check_processes.ps1", include_str!("../../../../scripts/check_processes.ps1")),
    ("install.ps1", include_str!("../../../../scripts/install.ps1")),
];

/// Says what is wrong with each script in the current folder, and then by which version.
const PARSE: &str = "$ErrorActionPreference = 'Stop'; foreach ($file in Get-ChildItem -Filter *.ps1) { \
    $tokens = $null; $errors = $null; \
    [void][System.Management.Automation.Language.Parser]::ParseFile($file.FullName, [ref]$tokens, [ref]$errors); \
    foreach ($one in $errors) { 'wrong: ' + $file.Name + ':' + $one.Extent.StartLineNumber + ' ' + $one.Message } }; \
    'parsed by ' + $PSVersionTable.PSVersion";

/// Windows PowerShell, and the one of today, read the scripts without errors.
pub(crate) fn powershell(sandbox: &Sandbox) -> Outcome {
    let folder = sandbox.folder("scripts")?;
    for (name, text) in SCRIPTS {
        fs::write(folder.join(name), text)?;
    }
    let mut versions = Vec::new();
    for program in ["powershell", "pwsh"] {
        let args = ["-NoProfile", "-NonInteractive", "-Command", PARSE];
        let (ended, lines) = match run(program, &args, &folder) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
                ) =>
            {
                continue;
            }
            result => result?,
        };
        if let Some(wrong) = lines.iter().find(|line| line.starts_with("wrong: ")) {
            return failed(format!("{program}: {wrong}"));
        }
        match lines.iter().find_map(|line| line.strip_prefix("parsed by ")) {
            Some(version) => versions.push(format!("{program} {version}")),
            None => {
                let said = lines.first().map_or("nothing", String::as_str);
                return failed(format!("{program} parsed nothing: it said {said} ({ended})"));
            }
        }
    }
    let names = SCRIPTS.map(|(name, _)| name).join(" and ");
    match versions[..] {
        [] => skipped("not installed, or not for this user to run"),
        _ => Ok(format!("{names} are parsed without errors by {}", versions.join(" and "))),
    }
}
