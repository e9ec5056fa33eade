//! The day of a fleet: start, duplicates, crashes, stop.

use qc_process::Ended;
use qc_tests::{Program, SampleFleet};

use crate::tools;

const TWO: [(&str, u64); 2] = [("ATLAS", 11), ("BOREAS", 12)];

fn start(fleet: &SampleFleet) -> Program {
    let mut launch = fleet.launch(&[], |_| ());
    launch.wait_for("started BRAIN_BOREAS");
    launch
}

#[test]
fn a_fleet_starts_in_order_and_stops_in_order() {
    let fleet = SampleFleet::new(tools(), &TWO);
    let launch = start(&fleet);
    let names: Vec<String> = fleet
        .processes()
        .iter()
        .map(|row| format!("{} {}", row["component"], row["state"]))
        .collect();
    assert_eq!(names.len(), 6, "{names:?}");
    assert!(names.iter().all(|name| name.ends_with("\"running\"")), "{names:?}");

    launch.ask_to_stop(&fleet.tools);
    let (ended, lines) = launch.finish();
    assert_eq!(ended, Ended::Code(0), "{lines:#?}");
    let ends: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.split_once(" ended by itself"))
        .map(|(name, _)| name)
        .collect();
    let position = |name: &str| {
        ends.iter()
            .position(|end| end.ends_with(name))
            .unwrap_or_else(|| panic!("{name}: {lines:#?}"))
    };
    assert!(position("BRAIN_ATLAS") < position("WATCHDOG_ATLAS"), "{lines:#?}");
    assert!(position("WATCHDOG_BOREAS") < position("quantum_server"), "{lines:#?}");
    assert_eq!(fleet.processes().len(), 0);
    assert_eq!(fleet.run("qc-lock", &["list"]).stdout, "No active locks.\n");
}
