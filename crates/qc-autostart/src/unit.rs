//! The systemd user unit.
//!
//! Source: <https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html>,
//! `systemd.kill`, `systemd.syntax`.

use crate::plan::{Facts, Unsuitable, one_line};

const KIND: &str = "unit";

/// Returns the unit.
///
/// Where the defaults would hurt a fleet: `KillMode=control-group` would ask brains and watchdogs
/// to stop at once, and kill a terminal that a brain has started; with `process` only the launcher
/// is asked, which stops the fleet in order, and a launcher that crashes leaves the fleet running
/// for the next one to adopt. `OOMPolicy=stop` would stop the whole fleet when one brain runs out
/// of memory. A start limit would leave the fleet without its launcher for good; but a launcher
/// that ended by itself, since all components were given up (1), the config is wrong (2) or the
/// fleet runs already (75), is not started again and again: only one that was killed or crashed.
pub(super) fn text(facts: &Facts) -> Result<String, Unsuitable> {
    let root = one_line(&facts.root, KIND)?;
    let mut words = vec![quote(one_line(&facts.program, KIND)?)];
    for arg in &facts.args {
        // In all words but the first, `$` begins a variable.
        words.push(quote(one_line(arg, KIND)?).replace('$', "$$"));
    }
    Ok(format!(
        "\
[Unit]
Description=The fleet in {}, started by qc-launch
StartLimitIntervalSec=0

[Service]
Type=exec
WorkingDirectory={}
ExecStart={}
Restart=on-failure
RestartSec=10
RestartPreventExitStatus=1 2 75
KillMode=process
TimeoutStopSec=5min
OOMPolicy=continue

[Install]
WantedBy=default.target
",
        percent(root),
        percent(root),
        words.join(" ")
    ))
}

fn percent(text: &str) -> String {
    text.replace('%', "%%")
}

/// Quotes a word of a command line.
fn quote(word: &str) -> String {
    let word = percent(word).replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{word}\"")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use qc_process::AtLogOn;

    use super::*;
    use crate::plan::tests::facts;

    #[test]
    fn paths_are_written_so_that_systemd_reads_them_back() {
        let text = text(&facts(AtLogOn::Systemd)).unwrap();
        for line in [
            "Description=The fleet in /home/trader/my fleet $1 100%%, started by qc-launch",
            "WorkingDirectory=/home/trader/my fleet $1 100%%",
            r#"ExecStart="/opt/qc tools/qc-launch" "--root" "/home/trader/my fleet $$1 100%%""#,
            "KillMode=process",
            "RestartPreventExitStatus=1 2 75",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert_eq!(quote(r#"a\"b"#), r#""a\\\"b""#);
    }

    #[test]
    fn systemd_finds_no_fault_with_it() {
        let dir = tempfile::Builder::new().prefix("my fleet 100% é $1").tempdir().unwrap();
        let program = dir.path().join("qc launch");
        let mut facts = facts(AtLogOn::Systemd);
        (facts.root, facts.program) = (dir.path().into(), program.clone());
        facts.args = vec!["--root".into(), dir.path().into(), "two words".into()];
        std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        let file = dir.path().join("qc-launch-x.service");
        std::fs::write(&file, text(&facts).unwrap()).unwrap();
        let mut verify = Command::new("systemd-analyze");
        verify.args(["--user", "verify", "--man=no"]).arg(&file);
        verify.env("XDG_RUNTIME_DIR", dir.path());
        match verify.output() {
            Err(error) => eprintln!("NOT TESTED here: the unit, because systemd-analyze: {error}"),
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{said}");
                assert!(!said.contains("qc-launch-x.service:"), "{said}");
            }
        }
    }
}
