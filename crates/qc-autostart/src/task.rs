//! The Task Scheduler's XML.
//!
//! Source: <https://learn.microsoft.com/windows/win32/taskschd/task-scheduler-schema>

use std::ffi::OsString;

use crate::plan::{Facts, Unsuitable, one_line};

const KIND: &str = "task";

/// Returns the task.
///
/// Where the defaults would hurt a fleet: a task is ended after three days and when the machine
/// runs on battery, and has a priority below normal, which all it starts inherits.
pub(super) fn text(facts: &Facts, name: &str) -> Result<String, Unsuitable> {
    let text = |value: &std::ffi::OsStr| one_line(value, KIND).map(escape);
    let user = text(facts.user.as_ref())?;
    let root = text(facts.root.as_ref())?;
    let program = text(facts.program.as_ref())?;
    let args = text(arguments(&facts.args)?.as_ref())?;
    let name = escape(name);
    Ok(format!(
        r#"<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>Starts the fleet in {root} with qc-launch.</Description>
    <URI>\{name}</URI>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Enabled>true</Enabled>
      <UserId>{user}</UserId>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{user}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <AllowHardTerminate>false</AllowHardTerminate>
    <StartWhenAvailable>false</StartWhenAvailable>
    <RunOnlyIfNetworkAvailable>false</RunOnlyIfNetworkAvailable>
    <IdleSettings>
      <StopOnIdleEnd>false</StopOnIdleEnd>
      <RestartOnIdle>false</RestartOnIdle>
    </IdleSettings>
    <AllowStartOnDemand>true</AllowStartOnDemand>
    <Enabled>true</Enabled>
    <Hidden>false</Hidden>
    <RunOnlyIfIdle>false</RunOnlyIfIdle>
    <WakeToRun>false</WakeToRun>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>5</Priority>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>10</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{program}</Command>
      <Arguments>{args}</Arguments>
      <WorkingDirectory>{root}</WorkingDirectory>
    </Exec>
  </Actions>
</Task>
"#
    ))
}

/// Returns the text in UTF-16 with a byte order mark and Windows line ends, as the Task Scheduler
/// exports it itself.
pub(super) fn bytes(text: &str) -> Vec<u8> {
    let text = text.replace('\n', "\r\n");
    std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// Joins arguments so that a Windows program splits them again.
fn arguments(args: &[OsString]) -> Result<String, Unsuitable> {
    let quoted: Result<Vec<String>, Unsuitable> =
        args.iter().map(|arg| one_line(arg, KIND).map(quote)).collect();
    Ok(quoted?.join(" "))
}

/// Quotes one argument: backslashes count double before a quote, and nowhere else.
///
/// Source: <https://learn.microsoft.com/cpp/c-language/parsing-c-command-line-arguments>
fn quote(arg: &str) -> String {
    if !arg.is_empty() && !arg.contains([' ', '\t', '"']) {
        return arg.into();
    }
    let mut quoted = String::from('"');
    let mut backslashes = 0;
    for c in arg.chars() {
        match c {
            '\\' => backslashes += 1,
            '"' => {
                quoted.push_str(&"\\".repeat(backslashes + 1));
                backslashes = 0;
            }
            _ => backslashes = 0,
        }
        quoted.push(c);
    }
    quoted + &"\\".repeat(backslashes) + "\""
}

#[cfg(test)]
mod tests {
    use qc_process::AtLogOn;

    use super::*;
    use crate::plan::tests::facts;

    #[test]
    fn a_parser_reads_back_what_was_meant() {
        let text = text(&facts(AtLogOn::TaskScheduler), "qc-launch-x").unwrap();
        let document = roxmltree::Document::parse(&text).unwrap();
        let root = document.root_element();
        let space = "http://schemas.microsoft.com/windows/2004/02/mit/task";
        assert_eq!((root.tag_name().name(), root.tag_name().namespace()), ("Task", Some(space)));
        assert_eq!(root.attribute("version"), Some("1.2"));
        for (path, expected) in [
            (
                "RegistrationInfo/Description",
                r"Starts the fleet in C:\Trading & Co\Flotte é with qc-launch.",
            ),
            ("RegistrationInfo/URI", r"\qc-launch-x"),
            ("Triggers/LogonTrigger/Enabled", "true"),
            ("Triggers/LogonTrigger/UserId", r"PC\Jörg & Co"),
            ("Principals/Principal/UserId", r"PC\Jörg & Co"),
            ("Principals/Principal/LogonType", "InteractiveToken"),
            ("Principals/Principal/RunLevel", "LeastPrivilege"),
            ("Settings/MultipleInstancesPolicy", "IgnoreNew"),
            ("Settings/DisallowStartIfOnBatteries", "false"),
            ("Settings/StopIfGoingOnBatteries", "false"),
            ("Settings/Hidden", "false"),
            ("Settings/ExecutionTimeLimit", "PT0S"),
            ("Settings/Priority", "5"),
            ("Settings/RestartOnFailure/Interval", "PT1M"),
            ("Actions/Exec/Command", r"C:\qc tools\qc-launch.exe"),
            ("Actions/Exec/Arguments", r#"--root "C:\Trading & Co\Flotte é""#),
            ("Actions/Exec/WorkingDirectory", r"C:\Trading & Co\Flotte é"),
        ] {
            let found = path.split('/').fold(root, |node, name| {
                let child = node.children().find(|child| child.has_tag_name((space, name)));
                child.unwrap_or_else(|| panic!("no {name} of {path}"))
            });
            assert_eq!(found.text(), Some(expected), "{path}");
        }
    }

    #[test]
    fn the_file_is_utf_16_with_a_mark() {
        let bytes = bytes("a\né");
        assert_eq!(bytes, [0xff, 0xfe, b'a', 0, b'\r', 0, b'\n', 0, 0xe9, 0]);
    }

    #[test]
    fn arguments_are_quoted_as_windows_splits_them() {
        for (arg, quoted) in [
            ("plain", "plain"),
            ("", r#""""#),
            ("two words", r#""two words""#),
            (r"C:\a b\", r#""C:\a b\\""#),
            (r"C:\ab\", r"C:\ab\"),
            (r#"say "x""#, r#""say \"x\"""#),
            (r#"a\"b"#, r#""a\\\"b""#),
        ] {
            assert_eq!(quote(arg), quoted, "{arg}");
        }
    }
}
