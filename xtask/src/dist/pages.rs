//! Completions and man pages, from the command lines that the tools themselves parse.

use anyhow::Result;
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use super::archive::File;
use super::manual;

/// Returns the completions of each tool for each shell.
pub(crate) fn completions(commands: &[Command]) -> Vec<File> {
    let mut files = Vec::new();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell] {
        for command in commands {
            let name = command.get_name().to_owned();
            let mut command =
                if name == "qc" { qc::command_with(commands) } else { command.clone() };
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut command, &name, &mut text);
            let file = clap_complete::Generator::file_name(&shell, &name);
            files.push(File::new(format!("completions/{file}"), text));
        }
    }
    files
}

/// Returns the man pages of each tool and each of its commands, with sections from `docs`.
///
/// # Errors
/// If a page can't be written.
pub(crate) fn man(commands: &[Command]) -> Result<Vec<File>> {
    let mut files = Vec::new();
    let tools: Vec<&str> = commands.iter().map(Command::get_name).collect();
    for command in commands {
        let mut command = command.clone().disable_help_subcommand(true);
        command.build();
        pages(&command, &tools, &mut files)?;
    }
    Ok(files)
}

fn pages(command: &Command, tools: &[&str], files: &mut Vec<File>) -> Result<()> {
    // The words of `qc` are the other tools.
    let own = command.get_subcommands().filter(|_| command.get_name() != "qc");
    for inner in own.filter(|inner| !inner.is_hide_set()) {
        pages(inner, tools, files)?;
    }
    let man = Man::new(command.clone()).source(format!("qc {}", super::VERSION)).manual("qc");
    let mut text = Vec::new();
    man.render(&mut text)?;
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    text.extend(manual::sections(name, tools)?.into_bytes());
    files.push(File::new(format!("man/{}", man.get_filename()), text));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_has_completions_for_four_shells_and_each_command_a_man_page() {
        let commands = super::super::commands();
        let completions = completions(&commands);
        assert_eq!(completions.len(), 4 * commands.len());
        let man = man(&commands).unwrap();
        for command in &commands {
            let mut built = command.clone().disable_help_subcommand(true);
            built.build();
            if built.get_name() == "qc" {
                continue;
            }
            let names = built.get_subcommands().filter(|one| !one.is_hide_set());
            for name in names.map(|one| format!("{}-{}", built.get_name(), one.get_name())) {
                let path = format!("man/{name}.1");
                assert!(man.iter().any(|page| page.path == path), "{path} is missing");
            }
        }
        for section in ["EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES", "SEE ALSO"] {
            for command in &commands {
                let path = format!("man/{}.1", command.get_name());
                let page = man.iter().find(|page| page.path == path).expect("it was made");
                let text = String::from_utf8_lossy(&page.bytes);
                assert!(text.contains(&format!(".SH \"{section}\"\n")), "{path}: {section}");
            }
        }
        let of_qc = completions.iter().find(|file| file.path == "completions/qc.bash");
        let of_qc = String::from_utf8_lossy(&of_qc.expect("it was made").bytes).into_owned();
        for word in ["--allow-stopped", "--keep-watchdogs", "--detach", "release-left"] {
            assert!(of_qc.contains(word), "the completions of qc lack {word}");
        }
        for file in completions.iter().chain(&man) {
            assert!(!file.bytes.is_empty(), "{} is empty", file.path);
        }
    }
}
