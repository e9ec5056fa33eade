//! The sections of man pages that come from the pages in `docs`, so that both say the same.

use std::fs;

use anyhow::{Context, Result};

/// The sections of a tool's man page, and the headings in `docs` that they come from.
const OF_TOOLS: [(&str, &str); 4] = [
    ("EXIT STATUS", "Exit codes"),
    ("ENVIRONMENT", "Environment"),
    ("FILES", "Files"),
    ("EXAMPLES", "Examples"),
];

/// The same for the man page of a subcommand.
const OF_COMMANDS: [(&str, &str); 1] = [("EXIT STATUS", "Exit codes")];

/// Returns the last sections of the man page of `name`: a tool, or a tool and its subcommand.
///
/// # Errors
/// If the page of the tool can't be read, or lacks a section.
pub(super) fn sections(name: &str, tools: &[&str]) -> Result<String> {
    let tool = tools.iter().find(|tool| is_of(name, tool)).context("it belongs to no tool")?;
    let path = crate::workspace().join(format!("docs/{tool}.md"));
    let page = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let wanted: &[_] = if name == *tool { &OF_TOOLS } else { &OF_COMMANDS };
    let mut manual = String::new();
    for (title, heading) in wanted {
        let text =
            section(&page, heading).with_context(|| format!("{tool}.md has no {heading}"))?;
        manual += &format!(".SH \"{title}\"\n{}", roff(text));
    }
    let others = tools.iter().filter(|tool| **tool != name);
    let others: Vec<String> = others.map(|tool| format!("\\fB{}\\fR(1)", escaped(tool))).collect();
    manual += &format!(".SH \"SEE ALSO\"\n{}\n", others.join(", "));
    Ok(manual)
}

fn is_of(name: &str, tool: &str) -> bool {
    name.strip_prefix(tool).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Returns the text under a heading, up to the next one of its level.
fn section<'a>(page: &'a str, heading: &str) -> Option<&'a str> {
    let (_, rest) = page.split_once(&format!("\n## {heading}\n"))?;
    rest.split("\n## ").next()
}

/// Converts the Markdown that the pages use.
fn roff(markdown: &str) -> String {
    let mut roff = String::new();
    let mut in_code = false;
    let mut rows = 0;
    for line in markdown.lines() {
        if line.starts_with("```") {
            in_code = !in_code;
            roff += if in_code { ".RS 4\n.EX\n" } else { ".EE\n.RE\n" };
        } else if in_code {
            roff += &format!("\\&{}\n", escaped(line));
        } else if let Some(row) = line.strip_prefix("| ") {
            rows += 1;
            // The first two are the header and the line below it.
            if rows > 2 {
                roff += &table_row(row);
            }
        } else if line.is_empty() {
            rows = 0;
            roff += ".PP\n";
        } else if let Some(title) = line.strip_prefix("### ") {
            roff += &format!(".SS \"{}\"\n", inline(title));
        } else if let Some(item) = line.strip_prefix("- ") {
            roff += &format!(".IP \\(bu 2\n{}\n", inline(item));
        } else {
            roff += &format!("\\&{}\n", inline(line.trim_start()));
        }
    }
    roff
}

/// Makes a row of a table an entry of a list.
fn table_row(row: &str) -> String {
    let mut cells = row.trim_end_matches('|').split(" | ").map(|cell| inline(cell.trim()));
    let term = cells.next().unwrap_or_default();
    let rest: Vec<String> = cells.filter(|cell| !cell.is_empty()).collect();
    format!(".TP\n{term}\n{}\n", rest.join(". "))
}

/// Converts code, emphasis and links within a line.
fn inline(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['`', '*', '[']) {
        let (before, from) = rest.split_at(at);
        let parts =
            [("`", "`"), ("**", "**"), ("*", "*"), ("[", "]")].iter().find_map(|(open, end)| {
                let (inner, after) = from.strip_prefix(open)?.split_once(end)?;
                Some((*open, inner, after))
            });
        shown += &escaped(before);
        let Some((open, inner, after)) = parts else {
            shown += &escaped(&from[..1]);
            rest = &from[1..];
            continue;
        };
        rest = after;
        if open == "[" {
            shown += &inline(inner);
            let link = rest.strip_prefix('(').and_then(|link| link.split_once(')'));
            rest = link.map_or(rest, |(_, after)| after);
        } else {
            shown += &format!("\\fB{}\\fR", escaped(&inner.replace("\\|", "|")));
        }
    }
    shown + &escaped(rest)
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_becomes_roff() {
        let markdown = "See `a-b` in [it](x.md#y):\n\n```console\n$ a \\n\n```\n\n\
            | code | meaning |\n| --- | --- |\n| 0 | Done. |\n- **one**";
        let expected = "\\&See \\fBa\\-b\\fR in it:\n.PP\n.RS 4\n.EX\n\\&$ a \\en\n.EE\n.RE\n.PP\n\
            .TP\n0\nDone.\n.IP \\(bu 2\n\\fBone\\fR\n";
        assert_eq!(roff(markdown), expected);
    }

    #[test]
    fn a_subcommand_belongs_to_its_tool() {
        assert!(is_of("qc-ps", "qc-ps"));
        assert!(is_of("qc-lock-run", "qc-lock"));
        assert!(!is_of("qc-lockrun", "qc-lock"));
    }
}
