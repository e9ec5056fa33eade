use super::*;

fn found(component: String, role: Role, account_key: Option<String>, place: Place) -> Match {
    Match { component, role, account_key, place, folder: None, is_vague: false, is_by_name: false }
}

fn fleet(root: &Path) -> Fleet {
    let config = root.join("MASTER_CONFIG.json");
    std::fs::write(
            &config,
            r#"{"ACCOUNTS": {"ATLAS": {"account": 1, "enabled": true}, "GL_3": {"account": 2, "enabled": true}}}"#,
        )
        .unwrap();
    Fleet::load(&config).unwrap()
}

fn process(args: &[&str], dir: Option<&Path>) -> ProcessInfo {
    let args = args.iter().map(|&word| word.to_owned()).collect();
    let found = ProcessInfo::new(qc_process::own_identity().clone(), args);
    ProcessInfo { current_dir: dir.map(Path::to_path_buf), ..found }
}

#[test]
fn processes_are_matched_with_components_and_folders() {
    let root = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let fleet = fleet(root.path());
    let (here, there) = (Some(root.path()), Some(other.path()));
    let absolute = root.path().join("BRAIN_ATLAS.py");
    let absolute = absolute.to_str().unwrap();
    let brain = |place| found("BRAIN_ATLAS".into(), Role::Brain, Some("ATLAS".into()), place);
    let gl = found("BRAIN_GETLEVERAGED".into(), Role::Brain, Some("GL_3".into()), Place::Fleet);
    let watchdog = |key: &str| {
        found(format!("WATCHDOG_{key}"), Role::Watchdog, Some(key.into()), Place::Fleet)
    };
    let gone = found("BRAIN_GONE".into(), Role::Brain, Some("GONE".into()), Place::Fleet);
    let gone = Match { is_by_name: true, ..gone };
    let cases = [
        (process(&["python", "BRAIN_ATLAS.py"], here), Some(brain(Place::Fleet))),
        (process(&["python", "brain_atlas.py"], here), Some(brain(Place::Fleet))),
        (process(&["python", "BRAIN_ATLAS.py"], None), Some(brain(Place::Fleet))),
        (process(&["python", "BRAIN_ATLAS.py"], there), Some(brain(Place::Foreign))),
        (process(&["python", absolute], there), Some(brain(Place::Fleet))),
        (process(&["python", "BRAIN_GETLEVERAGED.py"], here), Some(gl)),
        (process(&["python", "BRAIN_GONE.py"], here), Some(gone)),
        (
            process(&["python", "STOPLOSS_WATCHDOG_V2.py", "--account", "atlas"], here),
            Some(watchdog("ATLAS")),
        ),
        (
            process(&["python", "STOPLOSS_WATCHDOG_V2.py", "--account=GL_3"], here),
            Some(watchdog("GL_3")),
        ),
        (process(&["python", "other.py", "BRAIN_ATLAS.py"], here), None),
        (process(&["qc-launch", "hold", "--name", "BRAIN_ATLAS"], here), None),
        (
            process(&["qc-launch.exe"], here),
            Some(found("MASTER_LAUNCH".into(), Role::Orchestrator, None, Place::Fleet)),
        ),
        (
            process(&["qc-launch", "--root", other.path().to_str().unwrap()], here),
            Some(found("MASTER_LAUNCH".into(), Role::Orchestrator, None, Place::Foreign)),
        ),
    ];
    let mut matcher = Matcher::new(&fleet);
    for (process, expected) in cases {
        assert!(expected.is_none() || matcher.may_find(&process.args));
        let found = matcher.find(&process).map(|found| Match { folder: None, ..found });
        assert_eq!(found, expected, "{:?}", process.args);
    }
}

#[test]
fn a_python_under_another_name_is_known_by_its_program() {
    let root = tempfile::tempdir().unwrap();
    let fleet = fleet(root.path());
    let mut matcher = Matcher::new(&fleet);
    let renamed = process(&["trader", "BRAIN_ATLAS.py"], Some(root.path()));
    assert_eq!(matcher.find(&renamed), None);
    for named in [
        ProcessInfo { name: "python3".into(), ..renamed.clone() },
        ProcessInfo { exe: Some("/usr/bin/python3.11".into()), ..renamed },
    ] {
        assert!(matcher.may_find(&named.args));
        assert!(matcher.find(&named).is_some(), "{named:?}");
    }
}

/// Opening a FIFO waits for a writer.
#[cfg(unix)]
#[test]
fn a_program_that_is_no_file_keeps_nobody_waiting() {
    let root = tempfile::tempdir().unwrap();
    let fifo = root.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let config = root.path().join("MASTER_CONFIG.json");
    let text =
        r#"{"ACCOUNTS": {}, "PROCESS_MANAGER": {"components": {"X": {"command": ["./fifo"]}}}}"#;
    std::fs::write(&config, text).unwrap();
    let (sender, done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let fleet = Fleet::load(&config).unwrap();
        sender.send(Matcher::new(&fleet).interpreted.len())
    });
    assert_eq!(done.recv_timeout(std::time::Duration::from_secs(60)), Ok(0));
}

proptest::proptest! {
    #[test]
    fn nothing_is_missed_for_speed(
        program in "(python|py|pythonw.exe|qc-launch|sh|x)",
        words in proptest::collection::vec("(-u|-m|-mBRAIN_A|BRAIN_A|BRAIN_[A-Z]{1,2}\\.(py|PY)|x/BRAIN_B\\.py|hold|--account|é|)", 0..4),
    ) {
        let root = tempfile::tempdir().unwrap();
        let fleet = fleet(root.path());
        let mut matcher = Matcher::new(&fleet);
        let words: Vec<&str> = [program.as_str()].into_iter().chain(words.iter().map(String::as_str)).collect();
        let info = ProcessInfo { name: "python".into(), ..process(&words, Some(root.path())) };
        if matcher.find(&info).is_some() {
            proptest::prop_assert!(matcher.may_find(&info.args), "{words:?}");
        }
    }
}
