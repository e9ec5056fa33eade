//! The processes that work for a component.

use super::groups;

#[test]
fn pythons_that_work_for_one_are_its_workers() {
    let cases: [(&str, &[&str], &[&str]); 9] = [
        (
            "started anew, and what they start",
            &[
                "10 1 stub: python BRAIN_A.py",
                "11 10 base: python BRAIN_A.py",
                "12 11 base: python -c x",
                "13 12 base: python -c y",
            ],
            &["10 11 + 12 13"],
        ),
        (
            "copies of it",
            &[
                "10 1 base: python BRAIN_A.py",
                "11 10 fork: python BRAIN_A.py",
                "12 11 fork: python BRAIN_A.py",
            ],
            &["10 + 11 12"],
        ),
        (
            "a copy whose parent has ended, which may be anything",
            &["10 1 base: python BRAIN_A.py", "11 1 fork: python BRAIN_A.py"],
            &["10", "11"],
        ),
        (
            "a copy of a shell, which runs the script",
            &["9 1 sh: sh", "10 9 fork: python BRAIN_A.py"],
            &["10"],
        ),
        (
            "another brain has its own",
            &[
                "10 1 base: python BRAIN_A.py",
                "11 10 base: python BRAIN_B.py",
                "12 11 base: python -c x",
            ],
            &["10", "11 + 12"],
        ),
        (
            "behind a shell or a terminal it is somebody else's",
            &[
                "10 1 base: python BRAIN_A.py",
                "11 10 sh: sh",
                "12 11 base: python -c x",
                r"13 10 terminal: C:\MT5\terminal64.exe",
                "14 13 base: python -c x",
            ],
            &["10"],
        ),
        (
            "what carries a terminal's name is none",
            &["10 1 base: python BRAIN_A.py", "11 10 terminal64.exe: python -c x"],
            &["10"],
        ),
        (
            "what a launcher starts is none",
            &["10 1 launch: qc-launch", "11 10 base: python -c x"],
            &["10"],
        ),
        (
            "a parent's pid that was used again",
            &["20 1 9 base: python BRAIN_A.py", "11 20 8 base: python -c x"],
            &["20"],
        ),
    ];
    for (what, lines, expected) in cases {
        assert_eq!(groups(lines), expected, "{what}");
    }
}
