//! Command lines as they may be shown: without the secrets that people put into them.

/// Words that announce a secret wherever they stand in an option's or a variable's name.
const SECRETS: [&str; 11] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
    "authorization",
];

/// Words that announce a secret at the end of such a name.
const SECRET_ENDS: [&str; 2] = ["pass", "auth"];

/// The replacement of a secret.
const HIDDEN: &str = "***";

/// Joins `args` for display. Hidden are the values behind a name such as `--password` or `token=`,
/// also inside of a shell's command, the user's part of `https://user:password@host`, and what
/// follows `Authorization:` or `Bearer`. In doubt more is hidden than had to be.
pub fn shown_command(args: &[String]) -> String {
    let mut shown: Vec<String> = Vec::with_capacity(args.len());
    let mut hide_next = false;
    for word in args {
        let text = if hide_next && !is_scheme(word) {
            hide_next = false;
            HIDDEN.into()
        } else if let Some(text) = hidden_value(word).filter(|_| !word.contains("://")) {
            // The value may hold blanks and quotes, so it is all that follows in this word.
            hide_next = text == *word;
            text
        } else {
            let (text, announced) = hide_inside(word);
            hide_next = announced || hide_next;
            text
        };
        shown.push(if text.contains(char::is_whitespace) { format!("\"{text}\"") } else { text });
    }
    shown.join(" ")
}

/// For `name=value` and `name:value` whose name announces a secret, the same with the value
/// hidden; an empty value stays, and the next word is it.
fn hidden_value(word: &str) -> Option<String> {
    let end = word.find(['=', ':'])?;
    // The folders of a path announce nothing.
    let name = word[..end].rsplit(['/', '\\']).next().unwrap_or_default();
    let is_name = !name.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '\''));
    (is_name && announces(name)).then(|| {
        let value = word[end + 1..].trim();
        if value.is_empty() || is_scheme(value) {
            word.to_owned()
        } else {
            format!("{}{HIDDEN}", &word[..=end])
        }
    })
}

/// Hides secrets among the parts of one argument: a shell's command, a URL, a header. Says whether
/// the last part announces one.
fn hide_inside(word: &str) -> (String, bool) {
    let mut shown = String::with_capacity(word.len());
    let mut hide_next = false;
    let mut rest = word;
    while !rest.is_empty() {
        let is_gap = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '&' | '?' | ';' | ',');
        let gap = rest.find(|c| !is_gap(c)).unwrap_or(rest.len());
        shown.push_str(&rest[..gap]);
        // A quoted value goes as far as its quote.
        let quote = rest[..gap].chars().next_back().filter(|c| matches!(c, '"' | '\''));
        rest = &rest[gap..];
        if let Some(after) = rest.strip_prefix([':', '=']).filter(|_| hide_next) {
            shown.push_str(&rest[..1]);
            rest = after;
            continue;
        }
        let end = match quote.filter(|_| hide_next) {
            Some(quote) => rest.find(quote),
            None => rest.find(is_gap),
        };
        let (part, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        if part.is_empty() {
            continue;
        }
        if hide_next && !is_scheme(part) {
            shown.push_str(HIDDEN);
            hide_next = false;
        } else if let Some(hidden) = hidden_value(part).filter(|_| !part.contains("://")) {
            hide_next = hidden == part;
            shown.push_str(&hidden);
        } else {
            shown.push_str(&without_user(part));
            // `"password": "x"`: the name of a value in JSON stands in quotes.
            let is_key = quote.is_some()
                && rest.get(1..).is_some_and(|rest| rest.trim_start().starts_with(':'));
            let announced = option(part).is_some_and(announces) || (is_key && announces(part));
            hide_next = announced || is_scheme(part);
        }
    }
    (shown, hide_next)
}

/// Returns the option that a word is, without a path behind it: `-I/usr/include` is `-I`. `/pwd` is one,
/// as programs for Windows write it, and `/pwd/x` is a path.
fn option(word: &str) -> Option<&str> {
    let separator = |text: &str| text.find(['/', '\\']);
    match word.strip_prefix('/') {
        Some(name) => separator(name).is_none().then_some(name),
        None => word.starts_with('-').then(|| &word[..separator(word).unwrap_or(word.len())]),
    }
}

/// Whether a name announces a secret.
fn announces(name: &str) -> bool {
    let plain: String =
        name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    SECRETS.iter().any(|secret| plain.contains(secret))
        || SECRET_ENDS.iter().any(|secret| plain.ends_with(secret))
}

/// Whether a word says what kind of secret follows.
fn is_scheme(word: &str) -> bool {
    word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("basic")
}

/// Hides what a URL says of the user: a password, or a token in the name's place.
fn without_user(part: &str) -> String {
    let Some((scheme, rest)) = part.split_once("://") else { return part.to_owned() };
    let host_end = rest.find(['/', '#']).unwrap_or(rest.len());
    match rest[..host_end].rfind('@') {
        Some(at) => {
            let user = rest[..at].split_once(':').map(|(user, _)| format!("{user}:"));
            format!("{scheme}://{}{HIDDEN}{}", user.unwrap_or_default(), &rest[at..])
        }
        None => part.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden() {
        let cases = [
            (
                vec!["python", "a.py", "--password", "x y", "--limit", "2"],
                "python a.py --password *** --limit 2",
            ),
            (vec!["a", "--api-key=x", "TOKEN=y", "/pwd:z"], "a --api-key=*** TOKEN=*** /pwd:***"),
            (
                vec!["a", "--mt5-password-live", "x", "--pass", "y"],
                "a --mt5-password-live *** --pass ***",
            ),
            (vec!["a", "password=", "x", "b"], "a password= *** b"),
            (vec!["a", "--password=my long secret"], "a --password=***"),
            (vec![r"C:\My Trades\python.exe", "a.py"], "\"C:\\My Trades\\python.exe\" a.py"),
            (vec!["python", "token_server.py", "-u"], "python token_server.py -u"),
            (vec!["python", "BRAIN_A.py", "--account", "A"], "python BRAIN_A.py --account A"),
            (vec!["a", "https://me:pw@host:80/x"], "a https://me:***@host:80/x"),
            (vec!["a", "--url=https://me:p@w@host"], "a --url=https://me:***@host"),
            (vec!["a", "https://tok@host/x"], "a https://***@host/x"),
            (vec!["a", "http://host/?token=abc&x=1"], "a http://host/?token=***&x=1"),
            (vec!["a", "http://host/a@b"], "a http://host/a@b"),
            (vec!["a", "-H", "Authorization: Bearer abc"], "a -H Authorization:***"),
            (vec!["a", "Authorization:", "Bearer", "abc", "d"], "a Authorization: Bearer *** d"),
            (
                vec!["sh", "-c", "x --password 'a b' --token=c d"],
                "sh -c \"x --password '***' --token=*** d\"",
            ),
            (vec!["sh", "-c", "curl -u x http://a:b@c"], "sh -c \"curl -u x http://a:***@c\""),
            (
                vec!["python", "/home/x/pwdtools/run.py", "--account", "ATLAS"],
                "python /home/x/pwdtools/run.py --account ATLAS",
            ),
            (vec!["python", r"C:\token\run.py", "A"], r"python C:\token\run.py A"),
            (vec!["python", r"\\server\secret\run.py", "A"], r"python \\server\secret\run.py A"),
            (vec!["cc", "-I/opt/tokens/include", "a.c"], "cc -I/opt/tokens/include a.c"),
            (vec!["sh", "-c", "/opt/secret/run A"], "sh -c \"/opt/secret/run A\""),
            (
                vec!["a", "/opt/token/x.conf=1", "dir/secret=1"],
                "a /opt/token/x.conf=1 dir/secret=***",
            ),
            (vec!["a", "/pwd", "x", "/pwd:y", "--pwd", "z"], "a /pwd *** /pwd:*** --pwd ***"),
            (vec!["a", r#"{"password": "a b", "x": 1}"#], r#"a "{"password": "***", "x": 1}""#),
        ];
        for (args, expected) in cases {
            let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
            assert_eq!(shown_command(&args), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_secret_is_shown(
            secret in "[a-z0-9]{8,20}",
            form in proptest::sample::select(vec![
                "--password|@", "--password=@", "-x|--secret|@|y", "TOKEN=@", "https://u:@@h/", "sh|-c|x --token @ y",
                "Authorization: Bearer @", "-H|authorization:@", "a;token=@;b", "api_key: @", "{'token':'@'}",
            ]),
        ) {
            let args: Vec<String> =
                form.split('|').map(|word| word.replacen('@', &secret, 1)).collect();
            proptest::prop_assert!(!shown_command(&args).contains(&secret), "{}", shown_command(&args));
        }

        #[test]
        fn nothing_makes_showing_panic(args: Vec<String>, odd in "[-=:/@?&\"' a-zé]{0,40}") {
            shown_command(&args);
            shown_command(&[odd]);
        }
    }
}
