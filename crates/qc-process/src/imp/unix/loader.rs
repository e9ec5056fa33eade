//! The dynamic loader as a program: `ld-linux-x86-64.so.2 /usr/bin/python3 x.py` runs `/usr/bin/python3 x.py`
//! in its own process.

/// Options of the loader that take the next word.
///
/// Source: <https://man7.org/linux/man-pages/man8/ld.so.8.html>
const WITH_VALUE: [&str; 7] = [
    "--argv0",
    "--audit",
    "--glibc-hwcaps-mask",
    "--glibc-hwcaps-prepend",
    "--inhibit-rpath",
    "--library-path",
    "--preload",
];

/// Removes a loader and its options before the program that it runs.
pub(super) fn without_loader(words: &mut Vec<String>) {
    if !words.first().is_some_and(|program| is_loader(program)) {
        return;
    }
    let mut at = 1;
    while let Some(word) = words.get(at).filter(|word| word.starts_with("--")) {
        at += if WITH_VALUE.contains(&word.as_str()) { 2 } else { 1 };
    }
    if at < words.len() {
        words.drain(..at);
    }
}

/// `ld-linux-x86-64.so.2`, `ld-2.31.so`, `ld.so`, `ld64.so.2`, `ld-musl-x86_64.so.1`.
fn is_loader(program: &str) -> bool {
    let file = program.rsplit('/').next().unwrap_or(program);
    let Some((name, version)) = file.split_once(".so") else { return false };
    let has_version = version.chars().all(|c| c.is_ascii_digit() || c == '.');
    // The version of an old one stands before `.so`.
    let is_named = matches!(name, "ld" | "ld64") || name.starts_with("ld-");
    is_named && has_version
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loader_gives_way_to_what_it_runs() {
        for (line, expected) in [
            ("/lib64/ld-linux-x86-64.so.2 /usr/bin/python3 x.py", "/usr/bin/python3 x.py"),
            ("ld-2.31.so --library-path /x --inhibit-cache python3 -u x.py", "python3 -u x.py"),
            ("/lib/ld-musl-x86_64.so.1 --preload a.so python3 x.py", "python3 x.py"),
            ("ld.so --argv0 brain python3 x.py", "python3 x.py"),
            ("ld64.so.2 python3", "python3"),
            ("/lib64/ld-linux-x86-64.so.2", "/lib64/ld-linux-x86-64.so.2"),
            ("ld.so --list", "ld.so --list"),
            ("ld -o x.so a.o", "ld -o x.so a.o"),
            ("ldd python3", "ldd python3"),
            ("/opt/ld-tool.sock x", "/opt/ld-tool.sock x"),
            ("python3 x.py", "python3 x.py"),
            ("", ""),
        ] {
            let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            without_loader(&mut words);
            assert_eq!(words.join(" "), expected);
        }
        without_loader(&mut Vec::new());
    }
}
