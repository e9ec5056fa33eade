use std::path::Path;

use crate::Fleet;
use crate::check::tests::{SECTION, enabled, facts, fleet, found};
use crate::check::{Subject, Verdict, check, worst};

#[test]
fn what_two_enabled_accounts_share_is_named() {
    use Subject::{Accounts, Magic, Terminals};
    use Verdict::Error;
    let cases = [
        (
            r#""A": {"account": 1, "enabled": true}, "B": {"account": 1, "enabled": true}, "C": {"account": 1, "enabled": true}"#,
            vec![(Error, Accounts, "A, B and C have one account number, 1")],
        ),
        (r#""A": {"account": 1, "enabled": true}, "B": {"account": 1, "enabled": false}"#, vec![]),
        (
            r#""A": {"account": 1, "enabled": true, "magic": 7}, "B": {"account": 2, "enabled": true, "magic": "7 "}"#,
            vec![(Error, Magic, "A and B have one magic number, 7")],
        ),
        (
            r#""A": {"account": 1, "enabled": true, "terminal_path": "C:\\MT5\\Atlas\\terminal64.exe"},
               "B": {"account": 2, "enabled": true, "terminal_path": "c:/mt5//ATLAS/"}"#,
            vec![(Error, Terminals, "A and B have one terminal, c:/mt5/atlas")],
        ),
        (
            r#""A": {"account": 1, "enabled": true, "magic": 7, "terminal_path": "/mt5"},
               "B": {"account": 1, "enabled": true, "magic": 7, "terminal_path": "/mt5", "paper": true}"#,
            vec![],
        ),
        (
            r#""A": {"account": 1, "enabled": true, "paper": true}, "B": {"account": "01", "enabled": true, "paper": true}"#,
            vec![(Error, Accounts, "A and B have one account number, 1")],
        ),
        (
            r#""A": {"account": "1", "enabled": true}, "B": {"account": "1@ICM", "enabled": true}"#,
            vec![],
        ),
        (
            r#""A": {"account": 1, "enabled": true, "terminal_path": null}, "B": {"account": 2, "enabled": true, "terminal_path": " "}"#,
            vec![],
        ),
    ];
    for (accounts, expected) in cases {
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(verdict, subject, text)| (verdict, subject, text.into()))
            .collect();
        assert_eq!(found(&fleet(accounts, SECTION), &facts()), expected, "{accounts}");
    }
}

#[test]
fn a_link_to_a_terminal_is_that_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let (terminal, link) = (dir.path().join("Atlas"), dir.path().join("Other"));
    std::fs::create_dir(&terminal).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(&terminal, &link).unwrap();
    #[cfg(windows)]
    std::fs::write(&link, "").unwrap();
    #[cfg(windows)]
    let link = dir.path().join("x").join("..").join("ATLAS");
    let quoted = |path: &Path| format!("{:?}", path.to_str().unwrap());
    let accounts = format!(
        r#""A": {{"account": 1, "enabled": true, "terminal_path": {}}}, "B": {{"account": 2, "enabled": true, "terminal_path": {}}}"#,
        quoted(&terminal),
        quoted(&link.join("terminal64.exe"))
    );
    let found = found(&fleet(&accounts, SECTION), &facts());
    assert!(matches!(&found[..], [(Verdict::Error, Subject::Terminals, _)]), "{found:?}");
}

#[test]
fn a_relative_terminal_starts_in_the_folder_of_the_fleet() {
    let root = tempfile::tempdir().unwrap();
    let terminal = root.path().join("MT5");
    std::fs::create_dir(&terminal).unwrap();
    let config = root.path().join("MASTER_CONFIG.json");
    let text = r#"{"ACCOUNTS": {"A": {"account": 1, "enabled": true, "terminal_path": "MT5"}}}"#;
    std::fs::write(&config, text).unwrap();
    let fleet = Fleet::load(&config).unwrap();
    let expected = qc_lock_core::Terminal::new(terminal.to_str().unwrap());
    assert_eq!(fleet.component("BRAIN_A").unwrap().terminal, Some(expected));
}

#[test]
fn terminals_that_may_be_shared_are_locked_by_nobody() {
    let accounts = r#""A": {"account": 1, "enabled": true, "terminal_path": "/mt5"}, "B": {"account": 2, "enabled": true, "terminal_path": "/MT5/"},
        "C": {"account": 3, "enabled": true, "terminal_path": "/other"}"#;
    let fleet = fleet(accounts, SECTION);
    let mut components = enabled(&fleet);
    crate::share_terminals(&mut components);
    let locked: Vec<&str> = components
        .iter()
        .filter(|one| one.terminal.is_some())
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(locked, ["WATCHDOG_C", "BRAIN_C"]);
    assert_eq!(worst(&check(&fleet, &components, &facts())), Verdict::Ok);
}

#[test]
fn accounts_that_are_more_than_their_number_are_listed() {
    let fleet = fleet(
        r#""A": {"account": "1@ICM", "enabled": true}, "B": {"account": 1, "enabled": true, "paper": true}"#,
        SECTION,
    );
    let checks = check(&fleet, &enabled(&fleet), &facts());
    assert_eq!(worst(&checks), Verdict::Ok, "{checks:#?}");
    for text in [
        "A is number 1 at ICM, another account than 1",
        "B is traded on paper, also beside another folder that trades its number",
    ] {
        assert!(checks.iter().any(|check| check.text == text), "{checks:#?}");
    }
}

#[test]
fn what_takes_the_place_of_a_brain_is_told_how_to_only_read() {
    let fleet = fleet(
        r#""A": {"account": 1, "enabled": true}"#,
        &format!(r#"{SECTION}, "components": {{"NEWS": {{"command": ["x"], "account": "A"}}}}"#),
    );
    let checks = check(&fleet, &enabled(&fleet), &facts());
    let advice = checks.iter().find(|check| check.verdict == Verdict::Error).unwrap();
    assert!(advice.advice.contains("if NEWS only reads, write `\"shared_account\": true`"));
}
