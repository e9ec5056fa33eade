//! Tests of latches.

use super::*;
use crate::{LockName, Request};

fn locks() -> (tempfile::TempDir, LockDir, Request) {
    let folder = tempfile::tempdir().unwrap();
    let locks = LockDir::new(folder.path().join(".locks"));
    let name: LockName = "BRAIN_ATLAS".parse().unwrap();
    (folder, locks, Request::new(name))
}

#[test]
fn a_latch_refuses_until_it_is_removed_and_the_holder_goes_on() {
    let (_folder, locks, request) = locks();
    let held = locks.acquire(&Request::new("BRAIN_BOREAS".parse().unwrap())).unwrap();
    locks.set_latch("broker is down").unwrap();
    let refused = locks.acquire(&request).unwrap_err();
    assert!(
        matches!(&refused, LockError::Latched { latch, .. } if latch.reason == "broker is down")
    );
    assert!(locks.acquire_for_child(&request).is_err());
    assert_eq!(locks.list().unwrap().len(), 1, "a refusal leaves a record");
    held.release().unwrap();
    assert_eq!(locks.unlatch().unwrap()[0].reason, "broker is down");
    assert_eq!(locks.unlatch().unwrap(), []);
    locks.acquire(&request).unwrap();
}

#[test]
fn a_latch_of_a_name_or_an_account_refuses_only_those() {
    let (_folder, locks, request) = locks();
    let account = |text: &str| text.parse::<crate::Account>().unwrap();
    let of = |name: &str| Request::new(name.parse().unwrap()).account(account("latch-7"));
    let is_refused =
        |request: &Request| matches!(locks.acquire(request), Err(LockError::Latched { .. }));
    let by_name = Request::new(request.name.clone());
    locks.set_latch_of(&by_name, "the watchdog said so").unwrap();
    assert!(is_refused(&request) && is_refused(&of("brain_atlas")));
    assert!(!is_refused(&of("BRAIN_BOREAS")));
    let sentence = locks.acquire(&request).unwrap_err().to_string();
    assert!(sentence.contains("every start of brain_atlas is forbidden"), "{sentence}");
    assert!(locks.scoped_latches()[0].is_of(&of("BRAIN_ATLAS")));
    assert_eq!(locks.unlatch_of(&by_name).unwrap().len(), 1);
    assert!(!is_refused(&request) && locks.unlatch_of(&by_name).unwrap().is_empty());

    let path = locks.store.scoped_latch("account/latch-7");
    fs::write(path, "{").unwrap();
    assert!(is_refused(&of("BRAIN_BOREAS")) && is_refused(&of("TRADER")));
    assert!(!is_refused(&of("WATCHDOG_BOREAS")) && !is_refused(&request));
    assert_eq!(locks.unlatch().unwrap().len(), 1);
    assert!(!is_refused(&of("BRAIN_BOREAS")));
}

#[test]
fn a_latch_of_a_name_set_while_a_lock_is_being_taken_counts() {
    let (_folder, locks, request) = locks();
    let mut lock = locks.take(&request).unwrap();
    locks.set_latch_of(&Request::new(request.name.clone()), "now").unwrap();
    let written = lock.write_record(qc_process::own_identity());
    assert!(matches!(written, Err(LockError::Latched { .. })), "{written:?}");
    assert!(locks.list().unwrap().is_empty(), "the record stays");
}

#[test]
fn a_latch_that_cannot_be_read_counts() {
    for bytes in [&b""[..], b"{", b"[]", b"\xff", &[b' '; 70_000]] {
        let (_folder, locks, request) = locks();
        fs::create_dir_all(locks.path()).unwrap();
        fs::write(locks.path().join("LATCH"), bytes).unwrap();
        assert!(matches!(locks.acquire(&request), Err(LockError::Latched { .. })), "{bytes:?}");
        assert_eq!(locks.unlatch().unwrap().len(), 1);
    }
    let (_folder, locks, request) = locks();
    fs::create_dir_all(locks.path().join("LATCH")).unwrap();
    assert!(matches!(locks.acquire(&request), Err(LockError::Latched { .. })), "a folder");
}

#[test]
fn a_latch_set_while_a_lock_is_being_taken_counts() {
    let (_folder, locks, request) = locks();
    let mut lock = locks.take(&request).unwrap();
    locks.set_latch("now").unwrap();
    let written = lock.write_record(qc_process::own_identity());
    assert!(matches!(written, Err(LockError::Latched { .. })), "{written:?}");
    assert!(locks.list().unwrap().is_empty(), "the record stays");
}

#[test]
fn a_latch_of_a_trader_forbids_its_account_under_every_name_but_not_to_guard_or_read_it() {
    let (_folder, locks, _) = locks();
    let account = || "latch-8".parse::<crate::Account>().unwrap();
    let of = |name: &str| Request::new(name.parse().unwrap()).account(account());
    let reads = of("VIEWER").account_use(crate::AccountUse::Shares);
    assert_eq!(locks.set_latch_of(&of("BRAIN_ATLAS"), "the limit").unwrap().len(), 2);
    let latches = locks.scoped_latches();
    let is_forbidden = |request: &Request| latches.iter().any(|latch| latch.is_of(request));
    for forbidden in [of("BRAIN_ATLAS"), of("TRADER")] {
        assert!(is_forbidden(&forbidden));
        assert!(matches!(locks.acquire(&forbidden), Err(LockError::Latched { .. })));
    }
    for allowed in [of("WATCHDOG_ATLAS"), reads, Request::new("BRAIN_BOREAS".parse().unwrap())] {
        assert!(!is_forbidden(&allowed));
        locks.acquire(&allowed).unwrap();
    }
    assert_eq!(locks.unlatch_of(&of("TRADER")).unwrap().len(), 1);
    assert!(matches!(locks.acquire(&of("BRAIN_ATLAS")), Err(LockError::Latched { .. })));
    assert_eq!(locks.unlatch_of(&of("BRAIN_ATLAS")).unwrap().len(), 1);
    locks.acquire(&of("BRAIN_ATLAS")).unwrap();
}
