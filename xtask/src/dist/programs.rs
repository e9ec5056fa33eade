//! The programs, and whether they are fit to be given to users.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::TOOLS;
use super::archive::File;
use crate::release::Target;

/// The libraries that every Windows has since version 10.
const SYSTEM: [&str; 19] = [
    "advapi32.dll",
    "bcrypt.dll",
    "bcryptprimitives.dll",
    "combase.dll",
    "iphlpapi.dll",
    "kernel32.dll",
    "mpr.dll",
    "msvcrt.dll",
    "netapi32.dll",
    "ntdll.dll",
    "ole32.dll",
    "oleaut32.dll",
    "pdh.dll",
    "powrprof.dll",
    "psapi.dll",
    "shell32.dll",
    "user32.dll",
    "userenv.dll",
    "ws2_32.dll",
];

/// Reads the programs for `target` from `dir`.
///
/// # Errors
/// If one is missing, needs libraries that not every system has, on Linux has a fixed address, or on
/// Windows has no version, icon and manifest.
pub(crate) fn read(dir: &Path, target: Target) -> Result<Vec<File>> {
    let suffix = if target == Target::Windows { ".exe" } else { "" };
    let mut programs = Vec::new();
    for tool in TOOLS {
        let path = dir.join(format!("{tool}{suffix}"));
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        match target {
            Target::Windows => {
                check_resources(tool, &bytes)?;
                check_imports(tool, &path)?;
            }
            Target::Linux => {
                let what = "needs libraries of the system, or is loaded at one address";
                ensure!(is_static_pie(&bytes), "{tool} {what}");
            }
        }
        programs.push(File::new(format!("bin/{tool}{suffix}"), bytes));
    }
    Ok(programs)
}

/// Whether a 64-bit program needs no loader, can lie at any address, and has tables that become
/// read-only.
///
/// Source: <https://refspecs.linuxfoundation.org/elf/elf.pdf>
fn is_static_pie(program: &[u8]) -> bool {
    const DYNAMIC: usize = 3;
    const INTERPRETER: usize = 3;
    const READ_ONLY: usize = 0x6474_e552;
    let number = |at: usize, length: usize| -> Option<usize> {
        let bytes = program.get(at..at.checked_add(length)?)?;
        Some(bytes.iter().rev().fold(0, |value, &byte| value << 8 | usize::from(byte)))
    };
    let header = || Some((number(16, 2)?, number(32, 8)?, number(54, 2)?, number(56, 2)?));
    let Some((kind, table, size, count)) = header() else { return false };
    let segments: Vec<usize> =
        (0..count).filter_map(|index| number(table + index * size, 4)).collect();
    program.starts_with(b"\x7fELF")
        && kind == DYNAMIC
        && !segments.contains(&INTERPRETER)
        && segments.contains(&READ_ONLY)
}

/// Looks for what the build script of the tools embeds.
fn check_resources(tool: &str, program: &[u8]) -> Result<()> {
    let holds = |bytes: &[u8]| program.windows(bytes.len()).any(|part| part == bytes);
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let icon = [40_u32, 16, 32].map(u32::to_le_bytes).concat();
    ensure!(
        holds(&utf16("ProductVersion"))
            && holds(&utf16(&format!("{tool}.exe")))
            && holds(&icon)
            && [&b"longPathAware"[..], b"asInvoker", b"activeCodePage"].into_iter().all(holds),
        "{tool}.exe has no version, no icon or no manifest; see the warnings of its build script"
    );
    Ok(())
}

fn check_imports(tool: &str, path: &Path) -> Result<()> {
    let objdump = if cfg!(windows) { "objdump" } else { "x86_64-w64-mingw32-objdump" };
    let output = Command::new(objdump)
        .arg("-p")
        .arg(path)
        .output()
        .with_context(|| format!("cannot run {objdump}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let libraries: Vec<&str> =
        text.lines().filter_map(|line| line.trim().strip_prefix("DLL Name: ")).collect();
    ensure!(output.status.success() && !libraries.is_empty(), "{objdump} does not read {tool}.exe");
    for library in libraries {
        let name = library.to_lowercase();
        if !SYSTEM.contains(&name.as_str()) && !name.starts_with("api-ms-win-core-") {
            bail!("{tool}.exe needs {library}, which not every Windows has");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_a_loader_and_what_is_no_program_are_no_static_pie() {
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(!is_static_pie(&own));
        assert!(!is_static_pie(b"\x7fELF"));
        assert!(!is_static_pie(b""));
    }
}
