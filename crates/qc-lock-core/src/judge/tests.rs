use super::*;
use crate::record::tests::example;

fn here() -> Host {
    Host {
        name: "TRADER-PC".into(),
        boot_id: "machine-1".into(),
        pid_namespace: None,
        user: "trader".into(),
    }
}

fn old(timestamp: &str) -> ParsedRecord {
    ParsedRecord::Old(OldRecord {
        pid: 7,
        name: Some("BRAIN_ATLAS".into()),
        account: None,
        timestamp: Some(timestamp.into()),
        host: Some("trader-pc".into()),
    })
}

fn python(since: &str, files: &[&str]) -> PidOwner {
    let files = files.iter().map(|&file| file.into()).collect();
    PidOwner::Seen {
        program: Some("python3.11".into()),
        files,
        since: DateTime::parse_from_rfc3339(since).unwrap(),
    }
}

#[test]
fn a_record_is_judged_by_identity() {
    for (liveness, verdict) in [
        (Liveness::Alive, Verdict::Held),
        (Liveness::Unknown, Verdict::Held),
        (Liveness::Dead, Verdict::Stale),
    ] {
        let judged =
            judge(&ParsedRecord::Record(example()), &here(), |_| liveness, |_| unreachable!());
        assert_eq!(judged, verdict, "{liveness:?}");
    }
}

#[test]
fn a_record_that_we_may_not_read_is_held() {
    let hidden = ParsedRecord::Hidden("permission denied".into());
    assert_eq!(judge(&hidden, &here(), |_| unreachable!(), |_| unreachable!()), Verdict::Held);
}

#[test]
fn a_record_from_elsewhere_is_never_stale() {
    let elsewhere =
        crate::Record { host: "other".into(), boot_id: "machine-2".into(), ..example() };
    let judged =
        judge(&ParsedRecord::Record(elsewhere), &here(), |_| Liveness::Dead, |_| unreachable!());
    assert_eq!(judged, Verdict::Foreign);
}

#[test]
fn an_old_record_is_judged_by_pid_program_and_time() {
    let written = "2026-11-02T21:00:00+01:00";
    let cases = [
        (PidOwner::Absent, Verdict::Stale),
        (PidOwner::Hidden, Verdict::HeldByOld),
        (python("2026-11-02T20:59:59+01:00", &[]), Verdict::HeldByOld),
        (python("2026-11-02T21:00:30+01:00", &["other.py"]), Verdict::Stale),
        (python("2026-11-02T22:00:00+01:00", &["brain_atlas.PY"]), Verdict::HeldByOld),
    ];
    for (pid_owner, verdict) in cases {
        let judged = judge(&old(written), &here(), |_| unreachable!(), |_| pid_owner.clone());
        assert_eq!(judged, verdict, "{pid_owner:?}");
    }
}

fn seen(program: Option<&str>, since: &str, files: &[&str]) -> PidOwner {
    let PidOwner::Seen { files, since, .. } = python(since, files) else { unreachable!() };
    PidOwner::Seen { program: program.map(Into::into), files, since }
}

#[test]
fn only_what_is_surely_no_python_is_not_the_old_holder() {
    let written = "2026-11-02T21:00:00+01:00";
    let (before, after) = ("2026-11-02T20:00:00+01:00", "2026-11-02T22:00:00+01:00");
    let cases = [
        (Some("vim"), before, &["BRAIN_ATLAS.py"][..], Verdict::Stale),
        (Some("chrome.exe"), before, &[], Verdict::Stale),
        (Some("pypy3"), before, &[], Verdict::HeldByOld),
        (Some("python3.11 (deleted)"), before, &[], Verdict::HeldByOld),
        (Some("IPython.exe"), before, &[], Verdict::HeldByOld),
        // A title hides the arguments, and a program that can't be read is in doubt.
        (Some("python3.11"), before, &["brain: trading"], Verdict::HeldByOld),
        (None, before, &["brain: trading"], Verdict::HeldByOld),
        (None, after, &["brain: trading"], Verdict::Stale),
        (Some("Brain_Atlas.exe"), before, &[], Verdict::HeldByOld),
        (Some("python3"), after, &["BRAIN_ATLAS"], Verdict::HeldByOld),
        (Some("python3"), after, &["BRAIN_ATLAS_2.py"], Verdict::Stale),
    ];
    for (program, since, files, verdict) in cases {
        let pid_owner = seen(program, since, files);
        let judged = judge(&old(written), &here(), |_| unreachable!(), |_| pid_owner.clone());
        assert_eq!(judged, verdict, "{pid_owner:?}");
    }
}

#[test]
fn a_script_is_known_by_its_name_or_as_the_watchdog_of_its_account() {
    let since = "2026-11-02T20:00:00+01:00";
    let runs = |name: &str, program: Option<&str>, files: &[&str]| {
        is_of_a_script_that_runs_here(name, &seen(program, since, files))
    };
    let watchdog = ["python", "STOPLOSS_WATCHDOG_V2.py", "--account", "GL_3"];
    assert!(runs("BRAIN_A", Some("python.exe"), &["python.exe", "brain_a.py"]));
    assert!(runs("WATCHDOG_GL_3", Some("python3"), &watchdog));
    assert!(!runs("WATCHDOG_A", Some("python3"), &watchdog));
    assert!(!runs("BRAIN_A", Some("vim"), &["vim", "BRAIN_A.py"]));
    assert!(!runs("BRAIN_A", None, &["BRAIN_A.py"]));
    assert!(!is_of_a_script_that_runs_here("BRAIN_A", &PidOwner::Hidden));
}

#[test]
fn an_old_record_from_another_host_is_foreign() {
    let ParsedRecord::Old(record) = old("2026-11-02T21:00:00") else { unreachable!() };
    let record = ParsedRecord::Old(OldRecord { host: Some("other".into()), ..record });
    assert_eq!(judge(&record, &here(), |_| unreachable!(), |_| PidOwner::Absent), Verdict::Foreign);
}

#[test]
fn a_holder_is_named_with_pid_account_time_and_host() {
    let text = Holder::of(&ParsedRecord::Record(example())).to_string();
    let since = local_time(&example().timestamp);
    let expected = format!("PID 4711 (account 1234567, since {since}, host TRADER-PC)");
    assert_eq!(text, expected);
}

#[test]
fn a_holder_can_not_steer_the_terminal() {
    let odd = || Some("a\u{1b}[31m\nFAKE".to_owned());
    let holder =
        Holder { pid: Some(7), account: odd(), since: odd(), host: odd(), ..Holder::default() };
    let hidden = Holder { hidden: odd(), ..Holder::default() };
    let open =
        Holder { open_in: vec![Opener { pid: 8, program: odd().unwrap() }], ..Holder::default() };
    for text in [holder.to_string(), hidden.to_string(), open.to_string()] {
        assert!(!text.contains(char::is_control), "{text:?}");
    }
}
