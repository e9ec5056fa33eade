//! Which error texts the tools can print, read from their sources, so that `docs/TROUBLESHOOTING.md`
//! can be held to explain each.

/// The placeholder of a value in a text.
const VALUE: char = '…';

/// Where a message begins in the sources.
const STARTS: [&str; 8] = [
    "#[error(",
    "Failure::new(",
    "refused(",
    "refusal(",
    "Check::error(",
    "Check::warning(",
    "ConfigWarning::new(",
    "message: ",
];

/// Further ones, in files about what is wrong with a fleet.
const FINDINGS: [&str; 2] = ["let text =", "let mut text ="];

/// The calls whose text is the second argument.
const SECOND: [&str; 3] = ["Failure::new(", "Check::error(", "Check::warning("];

/// Returns the texts of the errors in a source file, with `…` for each value. What stands in its
/// tests is left out.
pub(crate) fn texts(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let mut texts = Vec::new();
    let names = |name: &str| {
        source.match_indices(name).any(|(at, _)| !source[..at].ends_with(char::is_alphanumeric))
    };
    let is_of_findings = names("Check::") || names("FindingKind::");
    let more = FINDINGS.into_iter().filter(|_| is_of_findings);
    for start in STARTS.into_iter().chain(more) {
        for (position, _) in source.match_indices(start) {
            let rest = &source[position + start.len()..];
            let argument = if SECOND.contains(&start) { after_comma(rest) } else { rest };
            texts.extend(literal(argument).or_else(|| named(argument, &source[..position])));
        }
    }
    // A text that consists of values only is worded elsewhere.
    texts.retain(|text| text.chars().any(char::is_alphabetic) || text.contains(':'));
    texts.sort();
    texts.dedup();
    texts
}

/// Returns what follows the first argument.
fn after_comma(rest: &str) -> &str {
    rest.split_once(',').map_or("", |(_, rest)| rest)
}

/// Reads a text, or the text of a `format!`, at the start of `rest`.
pub(crate) fn literal(rest: &str) -> Option<String> {
    let rest = rest.trim_start();
    let inner = rest.strip_prefix("format!(").or_else(|| rest.strip_prefix("String::from("));
    let rest = inner.unwrap_or(rest).trim_start();
    let mut characters = rest.strip_prefix('"')?.chars().peekable();
    let mut text = String::new();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => match characters.next()? {
                '\n' => while characters.next_if(|next| next.is_whitespace()).is_some() {},
                'n' => text.push(' '),
                other => text.push(other),
            },
            '{' if characters.next_if_eq(&'{').is_some() => text.push('{'),
            '}' if characters.next_if_eq(&'}').is_some() => text.push('}'),
            '{' => {
                while characters.next()? != '}' {}
                if !text.ends_with(VALUE) {
                    text.push(VALUE);
                }
            }
            other => text.push(other),
        }
    }
    Some(text.trim_end_matches(' ').to_owned())
}

/// Reads the text of a variable, from the nearest place before where it was given one.
fn named(argument: &str, before: &str) -> Option<String> {
    let name: String = argument
        .trim_start()
        .chars()
        .take_while(|one| one.is_alphanumeric() || *one == '_')
        .collect();
    if name.is_empty() {
        return None;
    }
    ["let ", "let mut "].iter().find_map(|word| {
        let start = format!("{word}{name} =");
        let position = before.rfind(&start)?;
        literal(&before[position + start.len()..])
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn sources(dir: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|one| one == "rs")
                && path.file_name().is_some_and(|name| name != "tests.rs")
            {
                found.push(fs::read_to_string(path).unwrap().replace("\r\n", "\n"));
            }
        }
    }

    #[test]
    fn each_error_text_is_explained() {
        let crates = crate::workspace().join("crates");
        let mut files = Vec::new();
        for entry in fs::read_dir(crates).unwrap() {
            sources(&entry.unwrap().path().join("src"), &mut files);
        }
        let page = crate::workspace().join("docs/TROUBLESHOOTING.md");
        let page = fs::read_to_string(page).unwrap().replace("\r\n", "\n");
        let lines: Vec<&str> = page.lines().filter(|line| !line.is_empty()).collect();
        let is_explained = |text: &String| {
            let heading = format!("### {text}");
            lines.windows(2).any(|pair| pair[0] == heading && !pair[1].starts_with('#'))
        };
        let mut texts: Vec<String> = files.iter().flat_map(|file| super::texts(file)).collect();
        texts.sort();
        texts.dedup();
        assert!(texts.len() > 40, "only {} texts were found", texts.len());
        let missing: Vec<String> =
            texts.iter().filter(|text| !is_explained(text)).cloned().collect();
        assert!(
            missing.is_empty(),
            "docs/TROUBLESHOOTING.md has no explained heading for:\n### {}",
            missing.join("\n### ")
        );
        // Nor does it explain what no tool says. Findings and what scripts say come after the rest,
        // as their texts are put together in ways that are not followed here.
        let tools = page.split("## What `qc-ps` says").next().unwrap();
        let headings = tools.lines().filter_map(|line| line.strip_prefix("### "));
        let unsaid: Vec<&str> =
            headings.filter(|heading| !texts.iter().any(|text| text == heading)).collect();
        assert!(unsaid.is_empty(), "no tool says:\n### {}", unsaid.join("\n### "));
    }

    #[test]
    fn texts_are_found_however_they_are_given() {
        let source = r#"
            #[error("cannot open {}: {reason}", path.display())]
            Failure::new(Exit::Usage, "no command \
                was given", "hint")
            let message = format!("there is no `{key}`{}", more);
            Err(Failure::new(exit, message, hint))
            #[cfg(test)]
            #[error("in a test")]
        "#;
        let expected = ["cannot open …: …", "no command was given", "there is no `…`…"];
        assert_eq!(texts(source), expected);
    }
}
