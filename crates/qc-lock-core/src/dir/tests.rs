use std::fs;

use qc_process::{here, own_identity};
use serde_json::json;

use super::*;
use crate::time::now;

/// Writes the record of a holder on another machine, or of one that has ended here.
fn write(locks: &LockDir, name: &str, is_foreign: bool) {
    let (here, own) = (here(), own_identity());
    let (host, boot_id) = match is_foreign {
        true => ("ELSEWHERE", "another boot"),
        false => (here.name.as_str(), own.boot_id.as_str()),
    };
    let record = json!({
        "pid": own.pid, "name": name, "account": null, "timestamp": now(), "host": host,
        "version": 1, "started": own.started + 1, "boot_id": boot_id,
        "pid_namespace": here.pid_namespace, "resources": [format!("name/{}", name.to_lowercase())],
    });
    fs::create_dir_all(locks.path()).unwrap();
    fs::write(locks.path().join(format!("{name}.lock")), record.to_string()).unwrap();
}

#[test]
fn many_locks_after_one_listing_miss_no_record() {
    let folder = tempfile::tempdir().unwrap();
    let locks = LockDir::new(folder.path().join(".locks"));
    write(&locks, "brain_atlas", true);
    write(&locks, "brain_boreas", false);
    let listed = locks.listed().unwrap();
    write(&locks, "BRAIN_CETUS", true);
    write(&locks, "BRAIN_DRACO", false);

    let take = |name: &str| listed.acquire(&Request::new(name.parse().unwrap()));
    for name in ["BRAIN_ATLAS", "BRAIN_CETUS"] {
        let refused = take(name);
        assert!(matches!(refused, Err(LockError::Held { foreign: true, .. })), "{refused:?}");
    }
    for name in ["BRAIN_BOREAS", "BRAIN_DRACO"] {
        let lock = take(name).unwrap();
        assert_eq!(lock.reclaimed().len(), 1, "{name}");
        let again = take(name);
        assert!(matches!(again, Err(LockError::Held { foreign: false, .. })), "{again:?}");
    }
    let names: Vec<String> = locks.list().unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["BRAIN_CETUS", "brain_atlas"]);
}

#[test]
fn an_account_is_seen_in_records_that_came_after_the_listing() {
    let folder = tempfile::tempdir().unwrap();
    let locks = LockDir::new(folder.path().join(".locks"));
    let listed = locks.listed().unwrap();
    fs::create_dir_all(locks.path()).unwrap();
    // As the old module would write it, from another machine.
    let record = json!({ "pid": 7, "name": "BRAIN_OTHER", "account": "11", "timestamp": now(), "host": "ELSEWHERE" });
    fs::write(locks.path().join("BRAIN_OTHER.lock"), record.to_string()).unwrap();
    let request = Request::new("BRAIN_ATLAS".parse().unwrap()).account("11".parse().unwrap());
    let refused = listed.acquire(&request);
    assert!(matches!(refused, Err(LockError::Held { .. })), "{refused:?}");
}

#[test]
fn a_holder_that_lacks_the_guards_of_the_machine_is_covered() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let locks = |folder: &tempfile::TempDir| LockDir::new(folder.path().join(".locks"));
    let account = format!("T-{}-{}", own_identity().pid, own_identity().started);
    let request =
        |name: &str| Request::new(name.parse().unwrap()).account(account.parse().unwrap());
    let covered = locks(&here).cover(&request("BRAIN_ATLAS"), own_identity());
    assert_eq!(covered.len(), 1, "the name stays with its folder");
    let refused = locks(&there).acquire(&request("BRAIN_OTHER")).unwrap_err().to_string();
    assert!(refused.contains(&format!("PID {} (BRAIN_ATLAS in ", own_identity().pid)), "{refused}");
    assert_eq!(locks(&here).cover(&request("BRAIN_ATLAS"), own_identity()).len(), 0);
    drop(covered);
    locks(&there).acquire(&request("BRAIN_OTHER")).unwrap().release().unwrap();
    let guards = request("BRAIN_ATLAS").resources();
    guards.iter().for_each(|one| qc_process::forget_machine_guard(&one.guard_file()));
}
