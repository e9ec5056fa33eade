//! Command lines as they may be shown: without the secrets that people put into them.

/// Words that announce a secret.
const SECRETS: [&str; 6] = ["password", "passwd", "pwd", "token", "secret", "apikey"];

/// Joins `args` for display; the value behind a word such as `--password` or `token=` is hidden.
pub fn shown_command(args: &[String]) -> String {
    let mut shown: Vec<String> = Vec::with_capacity(args.len());
    let mut hide_next = false;
    for word in args {
        let name_end = word.find(['=', ':']);
        let name = &word[..name_end.unwrap_or(word.len())];
        let plain: String =
            name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        let announces = SECRETS.iter().any(|secret| plain.ends_with(secret));
        shown.push(match name_end {
            _ if hide_next => "***".into(),
            Some(end) if announces => format!("{}***", &word[..=end]),
            _ if word.contains(char::is_whitespace) => format!("\"{word}\""),
            _ => word.clone(),
        });
        hide_next = announces && name_end.is_none() && word.starts_with(['-', '/']);
    }
    shown.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden() {
        let cases = [
            (
                vec!["python", "a.py", "--password", "x", "--limit", "2"],
                "python a.py --password *** --limit 2",
            ),
            (vec!["a", "--api-key=x", "TOKEN=y", "/pwd:z"], "a --api-key=*** TOKEN=*** /pwd:***"),
            (vec![r"C:\My Trades\python.exe", "a.py"], "\"C:\\My Trades\\python.exe\" a.py"),
            (vec!["python", "token_server.py"], "python token_server.py"),
        ];
        for (args, expected) in cases {
            let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
            assert_eq!(shown_command(&args), expected);
        }
    }
}
