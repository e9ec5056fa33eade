//! Any contents of a record, a history, a config or a command line: the seeds of the fuzz targets,
//! and random ones.

use std::fs;
use std::path::Path;

use proptest::prelude::{Strategy, any, prop};
use qc_test_inputs::READERS;

/// The seeds of one reader: their names and what is in them.
fn seeds(reader: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(reader);
    let mut seeds: Vec<(String, Vec<u8>)> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| {
            let path = entry.expect("it can be listed").path();
            let name = path.file_name().expect("it has a name").to_string_lossy().into_owned();
            (name, fs::read(&path).expect("it can be read"))
        })
        .collect();
    seeds.sort();
    seeds
}

#[test]
fn every_seed_keeps_the_rules() {
    for (reader, check) in READERS {
        let seeds = seeds(reader);
        assert!(seeds.len() >= 10, "{reader} has {} seeds", seeds.len());
        for (name, bytes) in seeds {
            // Shown if it breaks a rule.
            println!("{reader}/{name}");
            check(&bytes);
        }
    }
}

#[test]
fn every_fuzz_target_has_its_seeds_and_its_reader() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/fuzz_targets");
    let mut targets: Vec<String> = fs::read_dir(folder)
        .expect("there are fuzz targets")
        .map(|entry| {
            let path = entry.expect("it can be listed").path();
            path.file_stem().expect("it has a name").to_string_lossy().into_owned()
        })
        .collect();
    targets.sort();
    assert_eq!(targets, READERS.map(|(reader, _)| reader));
}

/// A check of an input, and an input.
type Case = (fn(&[u8]), Vec<u8>);

/// A seed of any reader, with one byte changed and perhaps cut.
fn nearly_a_seed() -> impl Strategy<Value = Case> {
    let seeds: Vec<Case> = READERS
        .into_iter()
        .flat_map(|(reader, check)| seeds(reader).into_iter().map(move |(_, bytes)| (check, bytes)))
        .collect();
    let changes = (any::<prop::sample::Index>(), any::<u8>(), any::<prop::sample::Index>());
    (prop::sample::select(seeds), changes, any::<bool>()).prop_map(
        |((check, mut bytes), (at, byte, end), is_cut)| {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if is_cut {
                bytes.truncate(end.index(bytes.len() + 1));
            }
            (check, bytes)
        },
    )
}

proptest::proptest! {
    #[test]
    fn no_bytes_break_a_rule(bytes: Vec<u8>) {
        for (_, check) in READERS {
            check(&bytes);
        }
    }

    #[test]
    fn no_change_to_a_seed_breaks_a_rule((check, bytes) in nearly_a_seed()) {
        check(&bytes);
    }

    #[test]
    fn no_words_break_a_rule(
        folder in "[FE-]",
        program in "(python|py|pypy3|qc-launch|notepad)(w|3\\.12)?(\\.exe)?",
        words in prop::collection::vec("-{0,2}[cmWXu=]{0,3}|(BRAIN_|WATCHDOG_)?(ATLAS|GL_3|X)(\\.py)?|STOPLOSS_WATCHDOG_V2.py|--account", 0..6),
    ) {
        let lines = [vec![folder, program], words].concat().join("\n");
        qc_test_inputs::any_command(lines.as_bytes());
    }
}
