use super::*;

fn load(text: &str) -> Result<Fleet, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("MASTER_CONFIG.json");
    std::fs::write(&path, text).unwrap();
    Fleet::load(&path)
}

#[test]
fn a_fleet_has_a_server_and_two_components_for_each_account() {
    let fleet = load(
            r#"{"ACCOUNTS": {"ATLAS": {"account": 1, "enabled": true, "terminal_path": "C:\\MT5"}, "GL_3": {"account": 2, "enabled": false}},
                "TRADING_SETTINGS": {"WATCHDOG_LIMIT": 2.5}}"#,
        )
        .unwrap();
    let names: Vec<&str> =
        fleet.components.iter().map(|component| component.name.as_str()).collect();
    assert_eq!(
        names,
        ["quantum_server", "WATCHDOG_ATLAS", "WATCHDOG_GL_3", "BRAIN_ATLAS", "BRAIN_GETLEVERAGED"]
    );
    let watchdog = fleet.component("watchdog_atlas").unwrap();
    let args: Vec<&str> = watchdog.args().iter().map(Text::written).collect();
    assert_eq!(args, ["--account", "ATLAS", "--limit", "2.5"]);
    let resources: Vec<String> =
        watchdog.request().resources().iter().map(ToString::to_string).collect();
    assert_eq!(
        resources,
        ["account/1/watchdog", "name/watchdog_atlas", "terminal/c:/mt5/watchdog"]
    );
    assert!(!fleet.component("BRAIN_GETLEVERAGED").unwrap().enabled);
}

#[test]
fn a_module_is_no_missing_script() {
    let fleet = load(
        r#"{"ACCOUNTS": {}, "PROCESS_MANAGER": {"server": {"enabled": false}, "components": {
                "MODULE": {"command": ["python3", "-m", "http.server"]},
                "FILE": {"command": ["python3", "nowhere.py"]}}}}"#,
    )
    .unwrap();
    assert_eq!(fleet.component("MODULE").unwrap().missing_script(), None);
    let file = fleet.component("FILE").unwrap();
    assert!(file.missing_script().is_some_and(|script| script.ends_with("nowhere.py")));
}

#[test]
fn two_accounts_are_two_components() {
    for (one, other) in [("ATLAS", "atlas"), ("GL_3", "GETLEVERAGED")] {
        let text = format!(
            r#"{{"ACCOUNTS": {{"{one}": {{"account": 1, "enabled": true}}, "{other}": {{"account": 2, "enabled": true}}}}}}"#
        );
        let error = load(&text).unwrap_err().to_string();
        assert!(error.contains(&format!("this account and `{one}` would both be")), "{error}");
    }
}

#[test]
fn an_account_key_must_fit_into_a_lock_name() {
    let error = load(r#"{"ACCOUNTS": {"A/B": {"account": 1, "enabled": true}}}"#).unwrap_err();
    assert!(error.to_string().contains("ACCOUNTS.A/B"), "{error}");
}
