use std::path::Path;

use super::*;
use crate::tests::process;

#[test]
fn what_a_launcher_starts_continues_it_and_what_a_python_starts_does_not() {
    let root = Path::new("/");
    let cases: [(&str, &str, Continues); 9] = [
        ("cmd.exe /c run.bat", "python BRAIN_A.py", Continues::Yes),
        ("cmd.exe /c run.bat", "cmd /c inner.bat", Continues::Yes),
        ("cmd.exe /c run.bat", "bot.exe", Continues::AsTheLast),
        ("uv run BRAIN_A.py", "python BRAIN_A.py", Continues::Yes),
        ("python run.py BRAIN_A.py", "python BRAIN_A.py", Continues::Yes),
        ("python run.py BRAIN_A.py", "python helper.py", Continues::No),
        ("python BRAIN_A.py", "python BRAIN_A.py", Continues::No),
        ("python BRAIN_A.py", "cmd /c log.bat", Continues::No),
        ("bot.exe", "helper.exe", Continues::No),
    ];
    for (parent, child, expected) in cases {
        let [parent, child] = [(10, 1, parent), (11, 10, child)]
            .map(|(pid, above, line)| process(root, pid, above, line));
        assert_eq!(continues(&parent, &child), expected, "{parent:?} {child:?}");
    }
}

#[test]
fn a_stub_launches_the_interpreter_with_the_same_arguments() {
    let root = Path::new("/");
    let mut stub = process(root, 10, 1, "v/python BRAIN_A.py x");
    (stub.is_stub, stub.exe) = (true, Some("stub".into()));
    for (line, expected) in [
        ("v/python BRAIN_A.py x", Continues::Yes),
        ("v/python BRAIN_A.py y", Continues::No),
        ("v/python helper.py x", Continues::No),
    ] {
        let mut child = process(root, 11, 10, line);
        child.exe = Some("base".into());
        assert_eq!(continues(&stub, &child), expected, "{line}");
    }
    assert!(may_launch(&stub, UNPACKING * 2));
}
