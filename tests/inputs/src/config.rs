//! `MASTER_CONFIG.json`.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Component, Path};

use qc_fleet::{ConfigError, Fleet, Role};

/// A folder that does not exist, so that nothing of this machine is looked at.
const ROOT: &str = "no such folder";

/// The value of every environment variable: it is a secret, and shown nowhere.
const SECRET: &str = "hunter2 is never shown";

/// Reads `bytes` as a config.
pub fn any_config(bytes: &[u8]) {
    let read = told(bytes);
    if let Ok(fleet) = fleet(bytes) {
        assert!(
            fleet == self::fleet(bytes).expect("it was read"),
            "it is read differently each time"
        );
        check(&fleet);
    }
    // A file as Windows editors save it means the same.
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

fn fleet(bytes: &[u8]) -> Result<Fleet, ConfigError> {
    let variables = |_: &str| Some(OsString::from(SECRET));
    Fleet::from_bytes(Path::new(ROOT), Path::new("MASTER_CONFIG.json"), bytes, &variables)
}

/// Returns all that is read, or why it is refused.
fn told(bytes: &[u8]) -> Result<String, String> {
    let told = fleet(bytes).map(|fleet| format!("{fleet:?}")).map_err(|error| {
        let text = error.to_string();
        assert!(text.contains("MASTER_CONFIG.json"), "the file is not named: {text}");
        assert!(!error.hint().is_empty(), "no next step: {text}");
        text
    });
    let (Ok(text) | Err(text)) = &told;
    assert!(!text.contains(SECRET), "a secret is shown: {text}");
    told
}

fn check(fleet: &Fleet) {
    let of = |role| fleet.components.iter().filter(move |one| one.role == role).count();
    assert_eq!(of(Role::Server), 1);
    assert_eq!(of(Role::Orchestrator), 0);
    assert_eq!((of(Role::Brain), of(Role::Watchdog)), (fleet.accounts.len(), fleet.accounts.len()));

    let own = [fleet.orchestrator.key()];
    let names: BTreeSet<String> =
        fleet.components.iter().map(|one| one.name.key()).chain(own).collect();
    assert_eq!(names.len(), fleet.components.len() + 1, "two have one name: {names:?}");

    // Dependencies come first, and a brain's watchdog always.
    let position = |name: &str| {
        fleet.components.iter().position(|one| one.name.as_str().eq_ignore_ascii_case(name))
    };
    for (index, component) in fleet.components.iter().enumerate() {
        for needed in &component.depends_on {
            let first = position(needed.as_str()).expect("what is needed exists");
            assert!(first < index, "{} comes before {needed}, which it needs", component.name);
        }
        if component.role == Role::Brain {
            let key = component.account_key.as_deref().expect("a brain has an account");
            let watchdog = position(&format!("WATCHDOG_{key}")).expect("it has a watchdog");
            assert!(watchdog < index, "{} comes before its watchdog", component.name);
        }
        let resources = component.request().resources();
        assert!(resources.is_sorted(), "{resources:?}");
        for resource in &resources {
            check_file_name(&resource.guard_file());
        }
        assert!(!component.command.is_empty(), "{} runs nothing", component.name);
        assert!(!component.shown_command().contains(SECRET), "{} shows a secret", component.name);
    }
}

/// Checks that a text names a file in a folder, and nothing above or below it.
fn check_file_name(name: &str) {
    let parts: Vec<Component<'_>> = Path::new(name).components().collect();
    assert!(matches!(parts[..], [Component::Normal(_)]), "{name:?} is no plain file name");
    assert!(!name.contains(['\\', ':', '\0']), "{name:?} is no plain file name on Windows");
}
