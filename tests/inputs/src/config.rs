//! `MASTER_CONFIG.json`.

use std::collections::BTreeSet;
use std::path::{Component, Path};
use std::time::Duration;

use qc_fleet::{Fleet, Role};

/// A folder that does not exist, so that nothing of this machine is looked at.
const ROOT: &str = "no such folder";

/// Reads `bytes` as a config.
pub fn any_config(bytes: &[u8]) {
    let read = told(bytes);
    if let Ok(fleet) = fleet(bytes) {
        check(&fleet);
    }
    // What Windows editors save means the same.
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let begins_with_ascii = text.starts_with(|c: char| c.is_ascii() && c != '\0');
    if begins_with_ascii && bytes.get(1).is_none_or(|&byte| byte != 0) {
        let units = || text.encode_utf16();
        let marked = [b"\xef\xbb\xbf", bytes].concat();
        let little: Vec<u8> =
            [0xff, 0xfe].into_iter().chain(units().flat_map(u16::to_le_bytes)).collect();
        let big: Vec<u8> =
            [0xfe, 0xff].into_iter().chain(units().flat_map(u16::to_be_bytes)).collect();
        for (what, other) in [("a mark", marked), ("UTF-16LE", little), ("UTF-16BE", big)] {
            assert_eq!(told(&other), read, "{what} changes it");
        }
    }
}

fn fleet(bytes: &[u8]) -> Result<Fleet, qc_fleet::ConfigError> {
    Fleet::from_bytes(Path::new(ROOT), Path::new("MASTER_CONFIG.json"), bytes)
}

/// Returns all that is read, or why it is refused.
fn told(bytes: &[u8]) -> Result<String, String> {
    fleet(bytes).map(|fleet| format!("{fleet:?}")).map_err(|error| {
        let text = error.to_string();
        assert!(text.contains("MASTER_CONFIG.json"), "the file is not named: {text}");
        assert!(!error.hint().is_empty(), "no next step: {text}");
        text
    })
}

fn check(fleet: &Fleet) {
    let of = |role| fleet.components.iter().filter(move |one| one.role == role).count();
    assert_eq!(of(Role::Server), 1);
    assert_eq!(of(Role::Brain), of(Role::Watchdog), "a brain without a watchdog");
    assert_eq!(fleet.components.len(), 1 + 2 * of(Role::Brain));
    assert!(fleet.components.is_sorted_by_key(|one| match one.role {
        Role::Server => 0,
        Role::Watchdog => 1,
        _ => 2,
    }));
    let names: BTreeSet<String> = fleet.components.iter().map(|one| one.name.key()).collect();
    assert_eq!(names.len(), fleet.components.len(), "two components with one name: {names:?}");
    for component in &fleet.components {
        let resources = component.request().resources();
        assert!(resources.is_sorted(), "{resources:?}");
        for resource in &resources {
            check_file_name(&resource.guard_file());
        }
        check_file_name(&component.script_file());
        let script = component.script.strip_prefix(ROOT);
        assert!(script.is_ok(), "a script outside the fleet: {}", component.script.display());
        let known = fleet.component(component.name.as_str()).expect("it is there");
        assert_eq!(known.name, component.name);
    }
    let timing = &fleet.timing;
    let day = Duration::from_secs(86_400);
    for span in [
        timing.server_settle,
        timing.watchdog_stagger,
        timing.brain_stagger,
        timing.stop_timeout,
        timing.restart_cooldown,
    ] {
        assert!(span <= day, "{span:?}");
    }
}

/// Checks that a text names a file in a folder, and nothing above or below it.
fn check_file_name(name: &str) {
    let parts: Vec<Component<'_>> = Path::new(name).components().collect();
    assert!(matches!(parts[..], [Component::Normal(_)]), "{name:?} is no plain file name");
    assert!(!name.contains(['\\', ':', '\0']), "{name:?} is no plain file name on Windows");
}
