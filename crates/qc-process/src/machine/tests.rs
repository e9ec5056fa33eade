use super::*;
use crate::own_identity;

fn unique(what: &str) -> String {
    format!("test@{}-{what}", own_identity().started ^ u64::from(own_identity().pid) << 32)
}

#[test]
fn a_guard_is_taken_once_and_freed_by_dropping_it() {
    let name = unique("once");
    let held = MachineGuard::take(&name).unwrap().expect("nobody holds it");
    assert!(held.holds());
    assert!(MachineGuard::take(&name).unwrap().is_none());
    drop(held);
    assert!(MachineGuard::take(&name).unwrap().is_some());
    imp::forget_machine_guard(&name);
}

#[test]
fn whoever_holds_it_is_named_while_it_holds() {
    let name = unique("named");
    let held = MachineGuard::take(&name).unwrap().expect("nobody holds it");
    let long = format!("/home/{}/fleet", "é".repeat(200));
    held.name_holder(own_identity(), "BRAIN_ATLAS", Path::new(&long));
    let of_it = || {
        let holders = machine_holders().unwrap();
        holders.into_iter().filter(|holder| holder.guard == name).collect::<Vec<_>>()
    };
    let found = of_it();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].pid, &*found[0].name), (std::process::id(), "BRAIN_ATLAS"));
    assert_eq!(found[0].started, own_identity().started);
    let folder = found[0].folder.as_deref().unwrap();
    assert!(folder.ends_with("é/fleet") && long.ends_with(folder), "{folder}");
    drop(held);
    assert_eq!(of_it(), []);
    imp::forget_machine_guard(&name);
}

/// Windows has no files of guards.
#[cfg(unix)]
#[test]
fn without_its_file_a_guard_is_known_by_its_socket() {
    let name = unique("folder");
    let folder = imp::machine_file(&name).unwrap();
    std::fs::create_dir(&folder).unwrap();
    let held = MachineGuard::take(&name).unwrap();
    let openers = machine_openers(&[&name]);
    let unusable = machine_unusable();
    let is_second_refused = MachineGuard::take(&name).unwrap().is_none();
    std::fs::remove_dir(&folder).unwrap();
    assert!(held.is_some_and(|held| held.holds()) && is_second_refused);
    assert!(openers[0].iter().any(|(pid, _)| *pid == std::process::id()), "{openers:?}");
    assert!(unusable.contains(&folder), "{unusable:?}");
    assert!(!machine_unusable().contains(&folder));
}

#[test]
fn a_text_is_cut_between_characters() {
    let bytes = |text: &str| text.len();
    assert_eq!(at_most("añb", 2, bytes, Keep::Beginning), "a");
    assert_eq!(at_most("añb", 2, bytes, Keep::End), "b");
    assert_eq!(at_most("añb", 3, bytes, Keep::End), "ñb");
    assert_eq!(at_most("añb", 4, bytes, Keep::Beginning), "añb");
    assert_eq!(at_most("ñ", 1, bytes, Keep::End), "");
}

#[test]
fn the_name_of_somebody_who_has_ended_is_nobodys() {
    let cut = imp::MACHINE_PART;
    let (pid, started) = (own_identity().pid, own_identity().started);
    let namespace = here().pid_namespace.unwrap_or(0);
    let name = |started: u64| format!("account@1{cut}by{cut}{pid}.{started}.{namespace}{cut}A.B");
    assert_eq!(holder(&name(started)).unwrap().name, "A.B");
    assert_eq!(holder(&name(started + 1)), None);
    for odd in ["", "account@1", "account@1/by/", "account@1/by/x.1.1/A", "/by/"] {
        assert_eq!(holder(odd), None, "{odd}");
    }
}
