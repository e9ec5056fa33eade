//! Markdown with lines of at most [`WIDTH`] characters, so that a change of a page can be read as a
//! diff. Tables, code and headings are left unchanged.

/// The longest line of prose.
pub const WIDTH: usize = 100;

/// Returns `page` with its paragraphs wrapped.
pub fn wrapped(page: &str) -> String {
    let mut wrapped = String::with_capacity(page.len());
    let mut paragraph = String::new();
    let mut in_code = false;
    for line in page.lines() {
        in_code ^= line.starts_with("```");
        if !in_code && is_prose(line) && !line.trim().is_empty() {
            if !paragraph.is_empty() {
                paragraph.push(' ');
            }
            paragraph += line.trim();
            continue;
        }
        wrap(&paragraph, &mut wrapped);
        paragraph.clear();
        wrapped += line;
        wrapped.push('\n');
    }
    wrap(&paragraph, &mut wrapped);
    wrapped
}

/// Whether a line outside of code may be wrapped.
pub fn is_prose(line: &str) -> bool {
    !["|", "#", "<!--", "![", "```", "    "].iter().any(|start| line.starts_with(start))
}

fn wrap(paragraph: &str, wrapped: &mut String) {
    if paragraph.is_empty() {
        return;
    }
    let mut width = 0;
    for word in words(paragraph) {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > WIDTH {
            wrapped.push('\n');
            width = 0;
        } else if width > 0 {
            wrapped.push(' ');
            width += 1;
        }
        *wrapped += word;
        width += length;
    }
    wrapped.push('\n');
}

/// Splits a line at its spaces, apart from those in code.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    line.split(move |character| {
        in_code ^= character == '`';
        character == ' ' && !in_code
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_wrapped_and_the_rest_is_not() {
        let long = "word ".repeat(30);
        let line = long.trim_end();
        let page = format!("# {line}\n\n{line}\n\n| {line} |\n```\n{line}\n```\n");
        let first = "word ".repeat(20);
        let second = "word ".repeat(10);
        let prose = format!("{}\n{}", first.trim_end(), second.trim_end());
        let expected = page.replace(&format!("\n\n{line}\n\n"), &format!("\n\n{prose}\n\n"));
        assert_eq!(wrapped(&page), expected);
    }

    #[test]
    fn code_is_not_broken() {
        let line = format!("{} `a b`", "x".repeat(WIDTH - 3));
        assert_eq!(wrapped(&line), format!("{}\n`a b`\n", "x".repeat(WIDTH - 3)));
    }
}
