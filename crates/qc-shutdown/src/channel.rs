//! The requests that go through an orchestrator's control channel.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use qc_cli::print_waiting;
use qc_control::{ControlError, Request};
use qc_fleet::connect_to_launcher;
use qc_lock_core::LockDir;

use crate::rounds::warn;

/// How long an orchestrator may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// How long a busy channel is tried again: its clients come and go.
const BUSY: Duration = Duration::from_secs(10);

/// How long an orchestrator that has just been started may take to open its channel.
const OPENING: Duration = Duration::from_secs(2);

/// How long that may take without a word.
const SILENT: Duration = Duration::from_millis(500);

/// The pause before the next try.
const PAUSE: Duration = Duration::from_millis(100);

/// The result of a request.
pub(crate) enum Answer {
    /// It does what it was told; with those of the named components that it has.
    Obeys(Vec<String>),
    /// There is no channel: an old launcher, or one that is just starting or ending.
    NoChannel,
    /// It serves others and has no time; says how. It may be asked another time.
    Busy(String),
    /// It does not answer, or refuses; says how.
    Silent {
        /// How.
        why: String,
        /// Whether it may have read the order to end.
        has_heard: bool,
    },
}

/// An order to an orchestrator.
#[derive(Debug, Clone)]
pub(crate) enum Order {
    /// To stop everything, and to end.
    End,
    /// To stop some of its components, and not to start them again.
    Stop {
        /// Their names.
        names: Vec<String>,
        /// Components that run on until they end, and are not started again either.
        run_on: Vec<String>,
    },
}

/// Gives an order to the orchestrator whose lock is `orchestrator` in `lock_dir`.
/// `is_opening` says whether one without a channel may still open it.
pub(crate) fn send(
    lock_dir: &Path,
    orchestrator: &str,
    order: &Order,
    is_opening: &dyn Fn() -> bool,
) -> Answer {
    let began = Instant::now();
    let mut is_told = false;
    let has_heard = Arc::default();
    loop {
        let answer = try_once(lock_dir, orchestrator, order.clone(), &has_heard);
        let is_worth_it = match answer {
            // It has ended because an earlier try asked for that, whatever became of its answer.
            Answer::NoChannel if has_heard.load(Ordering::SeqCst) => {
                return Answer::Obeys(Vec::new());
            }
            Answer::Busy(_) => began.elapsed() < BUSY,
            Answer::NoChannel => began.elapsed() < OPENING && is_opening(),
            Answer::Obeys(_) | Answer::Silent { .. } => false,
        };
        if !is_worth_it {
            return answer;
        }
        if let Answer::Busy(why) = &answer
            && !is_told
            && began.elapsed() >= SILENT
        {
            is_told = true;
            print_waiting(BUSY, &format!("the orchestrator is busy ({why})"));
        }
        thread::sleep(PAUSE);
    }
}

/// `has_heard` is set once an orchestrator may have read the order to end.
fn try_once(
    lock_dir: &Path,
    orchestrator: &str,
    order: Order,
    has_heard: &Arc<AtomicBool>,
) -> Answer {
    let heard = Arc::clone(has_heard);
    let (locks, orchestrator) = (LockDir::new(lock_dir), orchestrator.to_owned());
    let (sender, answer) = mpsc::sync_channel(1);
    // It is waited for no longer than that, and ends with this program.
    thread::spawn(move || {
        // The receiver is gone if that was too long.
        let _ = sender.send(ask(&locks, &orchestrator, order, &heard));
    });
    match answer.recv_timeout(ANSWER) {
        Ok(Ok(known)) => Answer::Obeys(known),
        Ok(Err(error)) => answer_of(&error),
        Err(_) => {
            let why = format!("no answer within {} s", ANSWER.as_secs());
            Answer::Silent { why, has_heard: has_heard.load(Ordering::SeqCst) }
        }
    }
}

/// An orchestrator that has no time, or whose channel fails, is not one that disobeys.
fn answer_of(error: &ControlError) -> Answer {
    let text = error.to_string();
    match error {
        ControlError::NotRunning => Answer::NoChannel,
        ControlError::Refused { is_usage: false, .. }
        | ControlError::Ended
        | ControlError::Silent { .. }
        | ControlError::System { .. } => Answer::Busy(text),
        ControlError::Refused { is_usage: true, .. }
        | ControlError::Denied { .. }
        | ControlError::Stranger { .. }
        | ControlError::Version => Answer::Silent { why: text, has_heard: false },
    }
}

fn ask(
    locks: &LockDir,
    orchestrator: &str,
    order: Order,
    has_heard: &AtomicBool,
) -> Result<Vec<String>, ControlError> {
    let mut client = connect_to_launcher(locks, orchestrator)?;
    let Order::Stop { names, run_on } = order else {
        let before = has_heard.swap(true, Ordering::SeqCst);
        return match client.ask(&Request::Stop { names: Vec::new() }) {
            // With nothing left to stop it ends at once, perhaps before it has answered.
            Ok(_) | Err(ControlError::Ended) => Ok(Vec::new()),
            Err(error) => {
                if matches!(error, ControlError::Refused { .. }) {
                    has_heard.store(before, Ordering::SeqCst);
                }
                Err(error)
            }
        };
    };
    // An orchestrator never starts a component that it does not have.
    let has = client.ask(&Request::Status)?.components;
    let is_known =
        |name: &String| has.iter().any(|component| component.name.eq_ignore_ascii_case(name));
    let mut known: Vec<String> = names.into_iter().filter(is_known).collect();
    if !known.is_empty() {
        client.ask(&Request::Stop { names: known.clone() })?;
    }
    let run_on: Vec<String> = run_on.into_iter().filter(is_known).collect();
    if !run_on.is_empty() {
        match client.ask(&Request::Withhold { names: run_on.clone() }) {
            Ok(_) => known.extend(run_on),
            // An older one does not know this request, and has obeyed the other.
            Err(error) => warn(&error.to_string()),
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read, Write};

    use qc_process::LocalListener;

    use super::*;

    #[test]
    fn an_orchestrator_that_ends_in_the_middle_of_its_answer_has_obeyed() {
        let dir = tempfile::tempdir().unwrap();
        let listener = LocalListener::open(dir.path()).unwrap();
        let serving = thread::spawn(move || {
            let mut client = listener.accept().unwrap();
            let mut request = [0; 1024];
            let read = client.read(&mut request).unwrap();
            assert!(String::from_utf8_lossy(&request[..read]).contains("stop"));
            client.write_all(b"{\"version\":1,").unwrap();
        });
        let answer = send(dir.path(), "MASTER_LAUNCH", &Order::End, &|| false);
        serving.join().unwrap();
        assert!(matches!(answer, Answer::Obeys(_)));
        // One that was never there has obeyed nothing.
        let answer = send(dir.path(), "MASTER_LAUNCH", &Order::End, &|| false);
        assert!(matches!(answer, Answer::NoChannel));
    }

    #[test]
    fn only_one_that_refuses_for_good_or_is_mute_disobeys() {
        let refused = |is_usage| ControlError::Refused {
            message: "too many clients at once".into(),
            hint: String::new(),
            is_usage,
        };
        let source = || io::Error::other("the pipe is busy");
        for busy in [refused(false), ControlError::Ended, ControlError::System { source: source() }]
        {
            assert!(matches!(answer_of(&busy), Answer::Busy(_)), "{busy:?}");
        }
        for silent in [
            refused(true),
            ControlError::Version,
            ControlError::Denied { source: source() },
            ControlError::Stranger { launcher: 7, peer: Some(8) },
        ] {
            assert!(matches!(answer_of(&silent), Answer::Silent { .. }), "{silent:?}");
        }
        assert!(matches!(answer_of(&ControlError::NotRunning), Answer::NoChannel));
    }
}
