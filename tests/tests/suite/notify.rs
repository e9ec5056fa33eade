//! Notices, told to a real server that has its moods and to a real command.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use qc_fleet::NotifyEvent;
use qc_notify::{Limits, Notification, Notifier, Settings};
use serde_json::Value;

use crate::tools;

/// The longest that anything may take here.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How the server treats a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mood {
    /// Answers with this status.
    Answer(u16),
    /// Closes the connection.
    HangUp,
    /// Says nothing.
    Stall,
}

/// A server that treats one request after the other as it is told, and the last way from then on.
pub(crate) struct Server {
    pub(crate) address: String,
    requests: Receiver<(String, Value)>,
}

impl Server {
    pub(crate) fn start(moods: &'static [Mood]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = format!("http://{}/secret-path", listener.local_addr().expect("it has one"));
        let (sender, requests) = mpsc::channel();
        thread::spawn(move || {
            let mut stalled = Vec::new();
            for (number, client) in listener.incoming().enumerate() {
                let client = client.expect("a connection");
                let mood = moods.get(number).or(moods.last()).copied().expect("it has a mood");
                let request = read(&client);
                match mood {
                    Mood::Answer(status) => answer(&client, status),
                    Mood::HangUp => {}
                    Mood::Stall => stalled.push(client),
                }
                if sender.send(request).is_err() {
                    return;
                }
            }
        });
        Self { address, requests }
    }

    /// Returns the first line and the body of the next request.
    pub(crate) fn next(&self) -> (String, Value) {
        self.requests.recv_timeout(TIMEOUT).expect("a request in time")
    }
}

fn read(client: &TcpStream) -> (String, Value) {
    let mut reader = BufReader::new(client);
    let mut head: Vec<String> = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("it can be read");
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_lowercase());
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.expect("a length")];
    reader.read_exact(&mut body).expect("a body");
    assert!(head.contains(&"content-type: application/json".to_owned()), "{head:?}");
    (head[0].clone(), serde_json::from_slice(&body).expect("JSON"))
}

fn answer(mut client: &TcpStream, status: u16) {
    let text = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    client.write_all(text.as_bytes()).expect("it can be answered");
}

/// Quick settings, and the lines that are said.
fn notifier(change: impl FnOnce(&mut Settings)) -> (Notifier, Receiver<String>) {
    let mut settings = Settings {
        timeout: Duration::from_secs(20),
        limits: Limits {
            min_interval: Duration::ZERO,
            pause: Duration::from_millis(10),
            tries: 3,
            ..Limits::default()
        },
        ..Settings::default()
    };
    change(&mut settings);
    assert!(!format!("{settings:?}").contains("secret"), "{settings:?}");
    let (sender, lines) = mpsc::channel();
    let tell = move |line: &str| sender.send(line.to_owned()).expect("the test listens");
    (Notifier::new(&settings, tell).expect("the address is one"), lines)
}

fn crash(component: &str) -> Notification {
    Notification::new(NotifyEvent::Crash, component, "it ended with exit code 1")
        .account(Some("1000001".into()))
        .pid(Some(7))
}

#[test]
fn a_server_gets_each_event_as_json() {
    let server = Server::start(&[Mood::Answer(204)]);
    let (notifier, lines) = notifier(|settings| {
        settings.webhook = Some(server.address.clone());
        settings.events = vec![NotifyEvent::Crash];
    });
    assert!(!notifier.wants(NotifyEvent::Stopped));
    notifier.send(Notification::new(NotifyEvent::Stopped, "BRAIN_A", "not wanted"));
    notifier.send(crash("BRAIN_A"));
    let (line, body) = server.next();
    assert_eq!(line, "post /secret-path http/1.1");
    assert_eq!(body["event"], "crash");
    assert_eq!(body["component"], "BRAIN_A");
    assert_eq!(body["account"], "****001");
    assert_eq!(body["text"], "it ended with exit code 1");
    assert_eq!(notifier.finish(TIMEOUT), 0);
    assert_eq!(lines.iter().count(), 0);
}

#[test]
fn a_server_that_fails_is_tried_again_until_it_works() {
    let server = Server::start(&[Mood::Answer(500), Mood::HangUp, Mood::Answer(200)]);
    let (notifier, lines) = notifier(|settings| settings.webhook = Some(server.address.clone()));
    notifier.send(crash("BRAIN_A"));
    for _ in 0..3 {
        assert_eq!(server.next().1["component"], "BRAIN_A");
    }
    notifier.send(crash("BRAIN_B"));
    let (_, body) = server.next();
    assert_eq!((&body["component"], &body["dropped"]), (&"BRAIN_B".into(), &0.into()));
    assert_eq!(notifier.finish(TIMEOUT), 0);
    assert_eq!(lines.iter().count(), 0);
}

#[test]
fn what_can_not_be_told_is_said_without_the_secret() {
    for (moods, expected) in [
        (&[Mood::Answer(500)][..], "it answered with status 500"),
        (&[Mood::Answer(404)], "it answered with status 404"),
        (&[Mood::Answer(302)], "it answered with status 302"),
    ] {
        let server = Server::start(moods);
        let (notifier, lines) =
            notifier(|settings| settings.webhook = Some(server.address.clone()));
        notifier.send(crash("BRAIN_A"));
        let line = lines.recv_timeout(TIMEOUT).expect("it is said");
        let beginning = "WARNING: the webhook at 127.0.0.1 was not told about BRAIN_A: ";
        assert_eq!(line, format!("{beginning}{expected}"));
        assert_eq!(notifier.finish(TIMEOUT), 0);
    }
    // There is no listener.
    let gone = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("an address");
    let (notifier, lines) =
        notifier(|settings| settings.webhook = Some(format!("http://{gone}/secret")));
    notifier.send(crash("BRAIN_A"));
    let line = lines.recv_timeout(TIMEOUT).expect("it is said");
    assert!(line.contains("it cannot be reached") && !line.contains("secret"), "{line}");
    assert_eq!(notifier.finish(TIMEOUT), 0);

    // A component that is given up in the end was reported before the end.
    let (notifier, lines) = self::notifier(|settings| {
        settings.webhook = Some("http://no-such-host.invalid/secret".into());
    });
    notifier.send(crash("BRAIN_A"));
    assert_eq!(notifier.finish(TIMEOUT), 0);
    let line = lines.try_recv().expect("it was said");
    assert!(line.contains("no-such-host.invalid was not told about BRAIN_A"), "{line}");
    assert!(!line.contains("/secret"), "{line}");

    // A server that speaks no TLS.
    let plain = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = format!("https://{}/secret", plain.local_addr().expect("it has one"));
    thread::spawn(move || {
        let mut clients = Vec::new();
        for mut client in plain.incoming().map_while(Result::ok) {
            // It may hang up before it was answered.
            let _ = client.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            clients.push(client);
        }
    });
    let (notifier, lines) = self::notifier(|settings| settings.webhook = Some(address));
    notifier.send(crash("BRAIN_A"));
    let line = lines.recv_timeout(TIMEOUT).expect("it is said");
    assert!(line.contains(": no secure connection came about: "), "{line}");
    assert!(!line.contains("secret"), "{line}");
    assert_eq!(notifier.finish(TIMEOUT), 0);
}

#[test]
fn a_server_that_says_nothing_keeps_nobody_waiting() {
    let server = Server::start(&[Mood::Stall]);
    let (notifier, _lines) = notifier(|settings| {
        settings.webhook = Some(server.address.clone());
        settings.timeout = TIMEOUT * 10;
        settings.limits.waiting = 10;
    });
    notifier.send(crash("FIRST"));
    server.next();
    let began = Instant::now();
    for number in 0..10_000 {
        notifier.send(crash(&format!("BRAIN_{number}")));
    }
    assert!(began.elapsed() < TIMEOUT, "sending waits for the server");
    // The one on its way and the ten that wait.
    assert_eq!(notifier.finish(Duration::from_millis(100)), 11);
    assert!(began.elapsed() < TIMEOUT, "ending waits for the server");
}

#[test]
fn a_command_gets_each_event_on_its_input() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("told");
    let (notifier, lines) = notifier(|settings| {
        settings.command = vec![tools().stand_in().into(), "tell".into(), file.clone().into()];
        settings.mask_accounts = false;
    });
    notifier.send(crash("BRAIN_A"));
    notifier.send(Notification::new(NotifyEvent::Hung, "BRAIN_B", "no sign of life"));
    assert_eq!(notifier.finish(TIMEOUT), 0);
    let text = fs::read_to_string(&file).expect("it was told");
    let told: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(told.len(), 2, "{text}");
    assert_eq!((&told[0]["account"], &told[1]["event"]), (&"1000001".into(), &"hung".into()));
    assert_eq!(lines.iter().count(), 0);
}

#[test]
fn a_command_that_fails_or_hangs_is_tried_and_given_up() {
    let dir = tempfile::tempdir().expect("a folder");
    for (words, expected) in [
        (&["exit", "9"][..], ": it ended with exit "),
        (&["hang"], ": it was killed, as it took longer than 3 s"),
    ] {
        let file = dir.path().join(words[0]);
        let (notifier, lines) = notifier(|settings| {
            let mut command = vec![tools().stand_in().into(), "tell".into(), file.clone().into()];
            command.extend(words.iter().map(Into::into));
            settings.command = command;
            settings.timeout = Duration::from_secs(3);
            settings.limits.tries = 2;
        });
        notifier.send(crash("BRAIN_A"));
        let line = lines.recv_timeout(TIMEOUT).expect("it is said");
        assert!(line.starts_with("WARNING: the command stand-in"), "{line}");
        assert!(line.contains(expected), "{line}");
        assert_eq!(notifier.finish(TIMEOUT), 0);
        assert_eq!(fs::read_to_string(&file).expect("it was told").lines().count(), 2);
    }
    let (notifier, lines) = notifier(|settings| settings.command = vec!["no-such-thing".into()]);
    notifier.send(crash("BRAIN_A"));
    let line = lines.recv_timeout(TIMEOUT).expect("it is said");
    assert!(line.contains("the command no-such-thing") && line.contains("cannot be started"));
}
