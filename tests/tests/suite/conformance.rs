//! The lock protocol, `docs/LOCK_PROTOCOL.md`: the same cases for everybody who speaks it, each as
//! the one who holds and as the one who asks.

mod version_1;

use std::fs::{self, File};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use chrono::{Local, TimeDelta};
use qc_lock_core::Request;
use qc_process::{LOCKS_ARE_INHERITED, here, own_identity};
use qc_tests::{
    Contender, Program, SampleLocks, Speaker, copy_program, is_wine, own_account, python,
};
use serde_json::{Value, json};

use crate::tools;

const NAME: &str = "BRAIN_VECTOR";

fn sample() -> SampleLocks {
    SampleLocks::new(tools())
}

/// All who can ask. What is printed shows where a test has failed.
fn askers() -> impl Iterator<Item = Speaker> {
    Speaker::all().into_iter().inspect(|asker| println!("{asker:?} asks"))
}

fn holders() -> impl Iterator<Item = Speaker> {
    Speaker::all().into_iter().inspect(|holder| println!("{holder:?} holds"))
}

fn pairs() -> impl Iterator<Item = (Speaker, Speaker)> {
    let told = |(holder, asker): &_| println!("{holder:?} holds, {asker:?} asks");
    Speaker::pairs().into_iter().inspect(told)
}

#[track_caller]
fn finish(holder: Contender) {
    let finished = holder.finish();
    assert_eq!(finished.code, 0, "{finished:?}");
}

/// A record of this protocol that this very test process could have written.
fn record() -> Value {
    json!({
        "pid": own_identity().pid,
        "name": NAME,
        "account": null,
        "timestamp": Local::now().to_rfc3339(),
        "host": here().name,
        "version": 1,
        "started": own_identity().started,
        "boot_id": here().boot_id,
        "pid_namespace": here().pid_namespace,
        "resources": [format!("name/{}", NAME.to_lowercase())],
        "wrapper_pid": null,
        "user": null,
        "program": null,
        "token": null,
    })
}

/// The same with other values for some keys.
fn record_with(changes: Value) -> Value {
    with(record(), changes)
}

fn with(mut record: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else { panic!("changes are an object") };
    for (key, value) in changes {
        record[&key] = value;
    }
    record
}

fn without(mut record: Value, key: &str) -> Value {
    record.as_object_mut().expect("a record is an object").remove(key);
    record
}

/// A record of the old module, written `ago` before now: local time without an offset.
fn old_record(pid: u32, ago: TimeDelta) -> Value {
    let time = (Local::now() - ago).naive_local().format("%Y-%m-%dT%H:%M:%S%.6f");
    json!({
        "pid": pid,
        "name": NAME,
        "account": Some(own_account()),
        "timestamp": time.to_string(),
        "host": here().name,
    })
}

#[test]
fn a_holder_refuses_everybody() {
    for holder in holders() {
        let locks = sample();
        let held = locks.hold(holder, NAME, Some(own_account()));
        for asker in askers() {
            locks.attempt(asker, NAME, None).names(held.pid());
            locks.attempt(asker, "brain_Vector", None).names(held.pid());
            locks.attempt(asker, "BRAIN_OTHER", Some(own_account())).names(held.pid());
            // A watchdog works beside the brain of its account.
            assert_eq!(locks.attempt(asker, "WATCHDOG_VECTOR", Some(own_account())).taken(), 0);
        }
        finish(held);
    }
}

#[test]
fn a_latch_refuses_everybody_until_it_is_removed_and_a_holder_goes_on() {
    for holder in holders() {
        let locks = sample();
        let held = locks.hold(holder, NAME, Some(own_account()));
        locks.locks().set_latch("the broker is down").unwrap();
        for asker in askers() {
            let text = locks
                .attempt(asker, "BRAIN_BOREAS", Some(&format!("{}-2", own_account())))
                .refused();
            for part in ["every start is forbidden: the broker is down", "qc-launch unlatch"] {
                assert!(asker == Speaker::Library || text.contains(part), "no `{part}`: {text}");
            }
            assert!(!locks.record("BRAIN_BOREAS").exists());
        }
        assert!(held.works());
        finish(held);
        for asker in askers() {
            locks.attempt(asker, NAME, Some(own_account())).refused();
        }
        locks.locks().unlatch().unwrap();
        for asker in askers() {
            assert_eq!(locks.attempt(asker, NAME, Some(own_account())).taken(), 0);
        }
    }
}

#[test]
fn a_latch_of_a_name_or_an_account_refuses_its_starts_alone() {
    let account = "latched-7311";
    // The beginning of `printf account/latched-7311 | sha256sum`.
    let file = "latches/dc1aa3550ac6326492e03cf7525966ad";
    let of_account =
        json!({ "version": 1, "scope": "account/latched-7311", "reason": "a wrong password" });
    for asker in askers() {
        let locks = sample();
        let by_name = Request::new(NAME.parse().unwrap());
        locks.locks().set_latch_of(&by_name, "the limit was reached").unwrap();
        let text = locks.attempt(asker, &NAME.to_lowercase(), None).refused();
        let what = format!("every start of {} is forbidden: the limit", NAME.to_lowercase());
        assert!(asker == Speaker::Library || text.contains(&what), "{text}");
        assert_eq!(locks.attempt(asker, "BRAIN_BOREAS", None).taken(), 0);

        fs::write(locks.dir().join(file), of_account.to_string()).unwrap();
        for name in ["BRAIN_BOREAS", "TRADER"] {
            let text = locks.attempt(asker, name, Some(account)).refused();
            assert!(asker == Speaker::Library || text.contains("a wrong password"), "{text}");
        }
        assert_eq!(locks.attempt(asker, "WATCHDOG_BOREAS", Some(account)).taken(), 0);
        assert_eq!(locks.attempt(asker, "BRAIN_BOREAS", None).taken(), 0);
        assert_eq!(locks.locks().unlatch().unwrap().len(), 2);
        assert_eq!(locks.attempt(asker, NAME, Some(account)).taken(), 0);
    }
}

#[test]
fn a_latch_that_cannot_be_read_refuses_everybody() {
    for bytes in [&b""[..], b"{", b"[]", b"{}", b"\xff\xfe"] {
        let locks = sample();
        fs::create_dir_all(locks.dir()).unwrap();
        fs::write(locks.dir().join("LATCH"), bytes).unwrap();
        for asker in askers() {
            let text = locks.attempt(asker, NAME, None).refused();
            assert!(text.contains("the latch is there but can't be read"), "{text}");
        }
        locks.delete_records();
        for asker in askers() {
            locks.attempt(asker, NAME, None).refused();
        }
    }
}

#[test]
fn a_different_account_or_name_is_free() {
    for (holder, asker) in pairs() {
        let locks = sample();
        let held = locks.hold(holder, NAME, Some(own_account()));
        assert_eq!(
            locks.attempt(asker, "BRAIN_BOREAS", Some(&format!("{}-2", own_account()))).taken(),
            0
        );
        finish(held);
    }
}

#[test]
fn deleted_records_let_no_duplicate_in() {
    for holder in holders() {
        let locks = sample();
        let held = locks.hold(holder, NAME, Some(own_account()));
        locks.delete_records();
        for asker in askers() {
            for (name, account) in [(NAME, None), ("BRAIN_OTHER", Some(own_account()))] {
                let text = locks.attempt(asker, name, account).refused();
                assert!(
                    text.contains("a process whose record is missing or can't be read"),
                    "{text}"
                );
            }
        }
        finish(held);
        for asker in askers() {
            assert_eq!(locks.attempt(asker, NAME, Some(own_account())).taken(), 0);
        }
    }
}

#[test]
fn a_release_leaves_the_record_of_another_holder() {
    for holder in holders() {
        for other in [record(), old_record(own_identity().pid, TimeDelta::zero())] {
            let locks = sample();
            let held = locks.hold(holder, NAME, None);
            locks.write(NAME, &other);
            finish(held);
            assert_eq!(locks.read(NAME), other, "{holder:?}");
        }
    }
}

#[test]
fn deleted_guards_let_no_duplicate_in() {
    for holder in holders() {
        let locks = sample();
        let held = locks.hold(holder, NAME, Some(own_account()));
        // Windows deletes none that is held. Elsewhere the record now stands in for them.
        let _ = fs::remove_dir_all(locks.dir().join(".guards"));
        for asker in askers() {
            locks.attempt(asker, NAME, None).names(held.pid());
            locks.attempt(asker, "BRAIN_OTHER", Some(own_account())).names(held.pid());
        }
        finish(held);
    }
}

#[test]
fn a_killed_holder_is_reclaimed() {
    for (holder, asker) in pairs() {
        let locks = sample();
        let mut dead = locks.hold(holder, NAME, Some(own_account()));
        dead.kill();
        assert_eq!(locks.attempt(asker, NAME, Some(own_account())).taken(), 1);
        let history = locks.locks().history().unwrap();
        let reclaimed = history.entries.iter().find(|entry| entry.detail.is_some()).unwrap();
        assert_eq!((&*reclaimed.name, reclaimed.pid), (NAME, Some(dead.pid())), "{reclaimed:?}");
        assert!(!locks.record(NAME).exists());
    }
}

#[test]
fn a_guard_that_is_freed_late_is_waited_for() {
    // Windows frees what a dead process has locked some time after its death. Played by a process
    // who holds the guard on, while the record names the dead.
    let hold_guard = |locks: &SampleLocks| {
        let guard = locks.dir().join(".guards").join(format!("name@{}", NAME.to_lowercase()));
        let guard = File::options().read(true).write(true).open(guard).unwrap();
        // A program that another test starts right now has a copy of the last one until it runs.
        guard.lock().unwrap();
        guard
    };
    for asker in askers() {
        let locks = sample();
        locks.leave_dead(NAME, Some(own_account()));
        let guard = hold_guard(&locks);
        let late = Duration::from_secs(1);
        let freed = thread::spawn(move || {
            thread::sleep(late);
            drop(guard);
        });
        let began = Instant::now();
        assert_eq!(locks.attempt(asker, NAME, Some(own_account())).taken(), 1);
        assert!(began.elapsed() >= late * 9 / 10, "taken after {:?}", began.elapsed());
        freed.join().unwrap();

        // One that stays locked belongs to a process, such as a child that has inherited it.
        locks.leave_dead(NAME, Some(own_account()));
        let guard = hold_guard(&locks);
        let text = locks.attempt(asker, NAME, Some(own_account())).refused();
        let left = format!("what {NAME}, which has ended, has left behind");
        assert!(text.contains(&left), "{text}");
        drop(guard);
        assert_eq!(locks.attempt(asker, NAME, Some(own_account())).taken(), 1);
    }
}

#[test]
fn a_killed_command_frees_its_lock() {
    for asker in askers() {
        let locks = sample();
        let mut held = locks.hold(Speaker::Tool, NAME, Some(own_account()));
        held.kill_worker();
        assert_ne!(held.finish().code, 0);
        // The wrapper lives and tidies up, so there is nothing to reclaim.
        assert_eq!(locks.attempt(asker, NAME, Some(own_account())).taken(), 0);
    }
}

#[test]
fn a_record_of_the_dead_hides_no_living_holder() {
    for holder in holders() {
        let locks = sample();
        locks.hold(Speaker::Library, "BRAIN_VECTOR", Some(own_account())).kill();
        let held = locks.hold(holder, "BRAIN_BOREAS", Some(own_account()));
        assert!(locks.record("BRAIN_VECTOR").exists());
        for asker in askers() {
            locks.attempt(asker, "BRAIN_CASTOR", Some(own_account())).names(held.pid());
        }
        finish(held);
    }
}

#[test]
fn a_released_lock_is_free_and_leaves_no_record() {
    for (holder, asker) in pairs() {
        let locks = sample();
        let held = locks.hold(holder, NAME, Some(own_account()));
        assert!(locks.record(NAME).exists());
        finish(held);
        assert!(!locks.record(NAME).exists());
        assert_eq!(locks.attempt(asker, NAME, Some(own_account())).taken(), 0);
    }
}

#[test]
fn a_reused_pid_is_reclaimed() {
    let own = own_identity();
    for asker in askers() {
        let locks = sample();
        let other_start = json!({ "started": own.started - 1 });
        // The same machine, before it was started anew.
        let other_boot = json!({ "boot_id": "00000000-0000-0000-0000-000000000000" });
        for change in [other_start, other_boot] {
            locks.write(NAME, &record_with(change));
            assert_eq!(locks.attempt(asker, NAME, None).taken(), 1);
        }
        // The same record without a change: its process lives, and has only lost its guards.
        locks.write(NAME, &record());
        locks.attempt(asker, NAME, None).names(own.pid);
    }
}

#[test]
fn a_living_holder_of_the_old_module_is_respected() {
    let folder = tempfile::tempdir().unwrap();
    let python = folder.path().join(format!("python{}", std::env::consts::EXE_SUFFIX));
    copy_program(&tools().stand_in(), &python);
    let start = |program, args: &[&str]| {
        let mut program = Program::start(program, args, folder.path(), &[], |_| ());
        program.wait_for("ready");
        program
    };
    let brain = start(&python, &["BRAIN_VECTOR.py"]);
    let other = start(&python, &["other.py"]);
    let editor = start(&tools().stand_in(), &["BRAIN_VECTOR.py"]);
    let pid = |program: &Program| program.identity().pid;
    let (now, hour) = (TimeDelta::zero(), TimeDelta::hours(1));

    for asker in askers() {
        let locks = sample();
        let respected = |record: &Value, name, account| {
            locks.write(NAME, record);
            let pid = record["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).unwrap();
            locks.attempt(asker, name, account).names(pid);
        };
        respected(&old_record(pid(&other), now), NAME, None);
        respected(&old_record(pid(&other), now), "BRAIN_OTHER", Some(own_account()));
        respected(&without(old_record(pid(&other), hour), "timestamp"), NAME, None);
        // It runs the script of that name: the clock must have been set.
        respected(&old_record(pid(&brain), hour), NAME, None);
        // Another role on the account.
        assert_eq!(locks.attempt(asker, "WATCHDOG_VECTOR", Some(own_account())).taken(), 0);

        let reclaimed = |record: &Value| {
            locks.write(NAME, record);
            assert_eq!(locks.attempt(asker, NAME, None).taken(), 1, "{record}");
        };
        // It was started long after the record was written, so it only has the pid by chance.
        reclaimed(&old_record(pid(&other), hour));
        reclaimed(&old_record(pid(&editor), now));
        reclaimed(&old_record(u32::MAX - 3, now));
    }
}

#[test]
fn a_real_python_is_known_as_holder_of_the_old_module() {
    if python().is_none() {
        return;
    }
    let elsewhere = sample();
    let python = elsewhere.hold(Speaker::Python, "ANYTHING", None);
    for asker in askers() {
        let locks = sample();
        locks.write(NAME, &old_record(python.pid(), TimeDelta::zero()));
        locks.attempt(asker, NAME, None).names(python.pid());
        locks.write(NAME, &old_record(python.pid(), TimeDelta::hours(1)));
        assert_eq!(locks.attempt(asker, NAME, None).taken(), 1);
    }
    finish(python);
}

#[test]
fn a_foreign_record_refuses() {
    let pid = 4711;
    let elsewhere = json!({ "pid": pid, "host": "ELSEWHERE", "boot_id": "machine-elsewhere" });
    let container = json!({ "pid": pid, "pid_namespace": 1 });
    let other_container = json!({ "pid": pid, "pid_namespace": 1, "boot_id": "another boot" });
    let old = with(old_record(pid, TimeDelta::hours(1)), json!({ "host": "ELSEWHERE" }));
    for asker in askers() {
        let locks = sample();
        for record in [
            record_with(elsewhere.clone()),
            record_with(container.clone()),
            record_with(other_container.clone()),
            old.clone(),
        ] {
            locks.write(NAME, &record);
            locks.attempt(asker, NAME, None).names(pid);
            assert_eq!(locks.read(NAME), record);
        }
        // Names of machines are equal whatever their case.
        let here = with(
            old_record(u32::MAX - 3, TimeDelta::zero()),
            json!({ "host": here().name.to_uppercase() }),
        );
        locks.write(NAME, &here);
        assert_eq!(locks.attempt(asker, NAME, None).taken(), 1);
    }
}

#[test]
fn corrupt_records_are_reclaimed() {
    let text = |text: &str| text.as_bytes().to_vec();
    let change = |key: &str, value: Value| record_with(json!({ key: value })).to_string().into();
    let lack = |key: &str| without(record(), key).to_string().into();
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("empty", text("")),
        ("blank", text(" \r\n")),
        ("zeros", vec![0; 512]),
        ("words", text("BRAIN_VECTOR is running")),
        ("array", text("[4711]")),
        ("number", text("4711")),
        ("object without a pid", text("{}")),
        ("cut off", text(r#"{"pid": 4711, "name": "BRA"#)),
        ("two objects", text(r#"{"pid": 4711}{"pid": 4712}"#)),
        ("UTF-16", vec![0xff, 0xfe, b'{', 0, b'}', 0]),
        ("not UTF-8", b"{\"pid\": 4711, \"name\": \"\xff\"}".to_vec()),
        ("half a character", text(r#"{"pid": 4711, "name": "\ud800"}"#)),
        ("NaN", text(r#"{"pid": 4711, "load": NaN}"#)),
        ("nested", text(&format!("{{\"pid\": 4711, \"x\": {}", "[".repeat(60_000)))),
        ("too large", text(&format!("{{\"pid\": 4711}}{}", " ".repeat(64 * 1024)))),
        ("pid 0", text(r#"{"pid": 0}"#)),
        ("pid below 0", text(r#"{"pid": -4711}"#)),
        ("pid too large", text(r#"{"pid": 4294967296}"#)),
        ("pid true", text(r#"{"pid": true}"#)),
        ("pid with a fraction", text(r#"{"pid": 4711.0}"#)),
        ("pid as text", text(r#"{"pid": "4711"}"#)),
        ("no host", lack("host")),
        ("no start", lack("started")),
        ("no resources", lack("resources")),
        ("version null", change("version", Value::Null)),
        ("start below 0", change("started", json!(-1))),
        ("start as text", change("started", json!("1"))),
        ("resources as text", change("resources", json!("name/brain_atlas"))),
        ("a resource that is no text", change("resources", json!([1]))),
        ("namespace as text", change("pid_namespace", json!("4026531836"))),
        ("user as number", change("user", json!(0))),
    ];
    for asker in askers() {
        let locks = sample();
        locks.write(NAME, &json!({}));
        for (what, bytes) in &table {
            println!("{what}");
            fs::write(locks.record(NAME), bytes).unwrap();
            // It is not being written any more.
            let file = File::options().write(true).open(locks.record(NAME)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
            drop(file);
            assert_eq!(locks.attempt(asker, NAME, None).taken(), 1);
        }
        let history = locks.locks().history().unwrap();
        let said = history.entries.iter().filter_map(|entry| entry.detail.as_ref());
        let corrupt = said.filter(|detail| detail.starts_with("the record was corrupt")).count();
        assert_eq!(corrupt, table.len(), "{history:#?}");

        // One that an old module may be writing right now is looked at again.
        fs::write(locks.record(NAME), "{").unwrap();
        assert_eq!(locks.attempt(asker, NAME, None).taken(), 1);
    }
}

#[test]
fn a_killed_wrapper_leaves_no_unlocked_child() {
    let hold = |locks: &SampleLocks, command| match command {
        Speaker::Python => {
            let dir = locks.dir();
            let args = ["lock", dir.to_str().unwrap(), NAME, own_account()];
            let mut held = locks.under_tool(NAME, Some(own_account()), 0, &args);
            assert!(held.holds().is_some());
            held
        }
        Speaker::Library | Speaker::Tool => locks.hold(Speaker::Tool, NAME, Some(own_account())),
    };
    // Once a command that knows nothing of locks, once a script that has taken over its lock.
    for command in holders().filter(|&command| command != Speaker::Library) {
        if LOCKS_ARE_INHERITED {
            let locks = sample();
            let mut held = hold(&locks, command);
            held.kill_wrapper();
            assert!(held.works());
            for asker in askers() {
                locks.attempt(asker, NAME, None).names(held.pid());
                locks.attempt(asker, "BRAIN_OTHER", Some(own_account())).names(held.pid());
            }
            locks.delete_records();
            for asker in askers() {
                locks.attempt(asker, NAME, None).refused();
                locks.attempt(asker, "BRAIN_OTHER", Some(own_account())).refused();
            }
            held.finish();
            locks.attempt(Speaker::Library, NAME, Some(own_account())).taken();
        } else {
            for asker in askers() {
                let locks = sample();
                let mut held = hold(&locks, command);
                held.kill_wrapper();
                held.wait_for_worker();
                assert_eq!(locks.attempt(asker, NAME, Some(own_account())).taken(), 1);
            }
        }
    }
}

#[test]
fn a_token_is_good_for_one_process() {
    if python().is_none() {
        return;
    }
    const OTHER: &str = "BRAIN_OTHER";
    const THIRD: &str = "BRAIN_THIRD";
    // The account that the wrapper gets, and the name that the script uses.
    for (account, name) in [(Some(own_account()), NAME), (Some(own_account()), OTHER), (None, NAME)]
    {
        println!("the wrapper has {account:?}, the script takes {name}");
        let locks = sample();
        let dir = locks.dir();
        let args = ["token", dir.to_str().unwrap(), name, own_account()];
        let mut held = locks.under_tool(NAME, account, 0, &args);
        let pid = held.holds().unwrap();
        let expected = [
            "taken: True",
            "token variable: None",
            "taken twice: False",
            "second copy: 75 named",
            "second copy with the token: 75 named",
        ];
        assert_eq!(held.seen()[..held.seen().len() - 1], expected);
        let record = locks.read(NAME);
        assert_eq!(record["pid"], pid);
        assert_eq!(record["token"], Value::Null);
        assert_eq!(record["wrapper_pid"], held.wrapper_pid());
        for asker in askers() {
            locks.attempt(asker, NAME, None).names(pid);
            locks.attempt(asker, name, None).names(pid);
            locks.attempt(asker, THIRD, Some(own_account())).names(pid);
        }

        // It frees what it has taken itself, and nothing that the wrapper holds.
        held.tell("release");
        held.wait_for("released");
        for asker in askers() {
            locks.attempt(asker, NAME, None).names(pid);
            if name != NAME {
                assert_eq!(locks.attempt(asker, name, None).taken(), 0);
            }
            let third = locks.attempt(asker, THIRD, Some(own_account()));
            if account.is_some() { third.names(pid) } else { assert_eq!(third.taken(), 0) }
        }
        held.tell("take again");
        held.wait_for("taken again: True");
        locks.delete_records();
        for asker in askers() {
            for (name, account) in [(NAME, None), (name, None), (THIRD, Some(own_account()))] {
                locks.attempt(asker, name, account).refused();
            }
        }
        finish(held);
        assert_eq!(locks.attempt(Speaker::Library, NAME, Some(own_account())).taken(), 0);
    }
}

#[test]
fn a_token_reaches_the_interpreter_behind_a_stub_and_no_further() {
    if python().is_none() {
        return;
    }
    let locks = sample();
    let dir = locks.dir();
    let args = ["lock", dir.to_str().unwrap(), NAME, own_account()];
    let mut held = locks.under_tool(NAME, Some(own_account()), 1, &args);
    let pid = held.holds().unwrap();
    assert_eq!(locks.read(NAME)["pid"], pid);
    for asker in askers() {
        locks.attempt(asker, NAME, Some(own_account())).names(pid);
    }
    finish(held);

    let mut refused = locks.under_tool(NAME, Some(own_account()), 2, &args);
    assert_eq!(refused.holds(), None);
    let wrapper = refused.wrapper_pid();
    let finished = refused.finish();
    assert_eq!(finished.code, 75, "{finished:?}");
    assert!(finished.stderr.contains("is held by PID "), "{finished:?}");
    // On Windows only the parent of a process is known to Python.
    let says_why = format!("This program runs under PID {wrapper}");
    assert_eq!(finished.stderr.contains(&says_why), cfg!(unix), "{finished:?}");
    assert_eq!(locks.attempt(Speaker::Library, NAME, Some(own_account())).taken(), 0);
}

#[test]
fn records_are_readable_by_old_code() {
    let locks = sample();
    let mut held = Vec::new();
    for (number, holder) in holders().enumerate() {
        for account in [Some(format!("100000{number}")), None] {
            let name = format!("LOCK_{number}_{}", account.is_some());
            held.push((locks.hold(holder, &name, account.as_deref()), name, account));
        }
    }
    let mut expected = Vec::new();
    let mut files = Vec::new();
    for (holder, name, account) in &held {
        let record = locks.read(name);
        assert_eq!(record["pid"], holder.pid(), "{record}");
        assert_eq!(record["name"], **name, "{record}");
        assert_eq!(record["account"], account.as_deref().map_or(Value::Null, Value::from));
        assert_eq!(record["host"], here().name, "{record}");
        let time = record["timestamp"].as_str().unwrap();
        assert!(chrono::DateTime::parse_from_rfc3339(time).is_ok(), "{time}");
        let account = account.as_deref().unwrap_or("None");
        expected.push(format!("{name} {} {account}\n", holder.pid()));
        files.push(locks.record(name).to_str().unwrap().to_owned());
    }
    if python().is_some() {
        let args: Vec<&str> = ["old"].into_iter().chain(files.iter().map(|file| &**file)).collect();
        let read = locks.speak(&args);
        assert_eq!(read.stdout, expected.concat(), "{read:?}");
    }
    held.into_iter().for_each(|(holder, ..)| finish(holder));
}

#[test]
fn history_is_shared() {
    let locks = sample();
    let all = Speaker::all();
    for (number, holder) in holders().enumerate() {
        let name = format!("LOCK_{number}");
        let mut held = locks.hold(holder, &name, Some(own_account()));
        for asker in askers() {
            locks.attempt(asker, &name, None).names(held.pid());
        }
        held.kill();
        let next = all[(number + 1) % all.len()];
        assert_eq!(locks.attempt(next, &name, None).taken(), 1);

        let told = locks.qc_lock(&["history", "--json", "--name", &name]).json();
        assert_eq!(told["unreadable"], 0, "{told}");
        let entries = told["entries"].as_array().unwrap();
        let events: Vec<&str> =
            entries.iter().map(|entry| entry["event"].as_str().unwrap()).collect();
        let blocked = vec!["blocked"; all.len()];
        let last = vec!["reclaimed", "acquired", "released"];
        assert_eq!(events, [vec!["acquired"], blocked, last].concat(), "{told}");
        assert_eq!(entries[0]["account"], own_account(), "{told}");
        for (position, entry) in entries.iter().enumerate() {
            assert!(entry["by"].is_string() && entry["by_pid"].is_u64(), "{entry}");
            assert!(entry["pid"].is_u64() && entry["user"].is_string(), "{entry}");
            assert_eq!(entry["host"], here().name, "{entry}");
            let detail = entry["detail"].as_str().unwrap_or_default();
            let names_holder = detail.contains(&format!("PID {} (", held.pid()));
            assert_eq!(names_holder, (1..=all.len() + 1).contains(&position), "{entry}");
        }
    }
    assert_eq!(locks.qc_lock(&["history", "--json"]).json()["unreadable"], 0);
}

#[test]
fn sixteen_contenders_have_one_winner() {
    let locks = sample();
    locks.hold(Speaker::Library, NAME, Some(own_account())).kill();
    let all = Speaker::all();
    let mut contenders: Vec<Contender> = (0..16)
        .map(|number| {
            let name = if number % 2 == 0 { NAME } else { "BRAIN_BOREAS" };
            locks.contend(all[number % all.len()], name, Some(own_account()))
        })
        .collect();
    for contender in &mut contenders {
        contender.tell("go");
    }
    let (winners, losers): (Vec<_>, Vec<_>) = contenders
        .into_iter()
        .map(|mut contender| (contender.holds(), contender))
        .partition(|(pid, _)| pid.is_some());
    assert_eq!(winners.len(), 1, "{:?}", locks.qc_lock(&["history"]));
    let (pid, winner) = winners.into_iter().next().unwrap();
    let record =
        [NAME, "BRAIN_BOREAS"].map(|name| locks.record(name).exists().then(|| locks.read(name)));
    let record = record.into_iter().flatten().find(|record| record["pid"] == pid.unwrap()).unwrap();
    assert_eq!(losers.len(), 15);
    for (_, loser) in losers {
        let finished = loser.finish();
        assert_eq!(finished.code, 75, "{finished:?}");
        let text = finished.stdout + &finished.stderr;
        // Until its command runs, the record names the wrapper.
        let named = [&record["pid"], &record["wrapper_pid"]]
            .map(|pid| text.contains(&format!("is held by PID {pid} ")));
        assert!(named.contains(&true), "not {record}: {text}");
    }
    finish(winner);
    let history = locks.locks().history().unwrap();
    // Wine appends in two steps, and there lines of two programs can overwrite each other.
    if !is_wine() {
        assert_eq!(history.unreadable, 0);
    }
}
