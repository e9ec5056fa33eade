//! Contends for locks until it is killed or its standard input ends, and proves each time that it
//! was alone: `hammer DIR REFEREE PORTS SEED ACCOUNTS FIRST`.
//!
//! Whoever holds a lock tells the referee, who listens on a port of 127.0.0.1, `enter PID RESOURCE`,
//! binds the resource's own port, works for some milliseconds, and tells `leave PID RESOURCE`. Each
//! line is answered once it is written down.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use qc_lock_core::{Account, LockDir, LockError, LockName, Request};
use qc_tests::{Random, stress_ports};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, referee, ports, seed, accounts, first] = &args[..] else {
        panic!("usage: hammer DIR REFEREE PORTS SEED ACCOUNTS FIRST")
    };
    let locks = LockDir::new(dir);
    let referee: u16 = referee.parse().expect("a port");
    let mut referee = TcpStream::connect(("127.0.0.1", referee)).expect("no referee");
    let first_port: u16 = ports.parse().expect("a port");
    let first_name: u64 = first.parse().expect("a number");
    let mut random = Random::new(seed.parse().expect("a seed"));
    let over = Arc::new(AtomicBool::new(false));
    let over_at_end = Arc::clone(&over);
    thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        over_at_end.store(true, Ordering::Relaxed);
    });
    while !over.load(Ordering::Relaxed) {
        let name: LockName = format!("BRAIN_{}", first_name + random.below(stress_ports::NAMES))
            .parse()
            .expect("a name");
        let mut request = Request::new(name).program("hammer");
        let account = random.below(stress_ports::ACCOUNTS + 1);
        if account > 0 {
            let account: Account = format!("{accounts}-{account}").parse().expect("an account");
            request = request.account(account);
        }
        match locks.acquire(&request) {
            Ok(lock) => {
                let resources: Vec<String> =
                    request.resources().iter().map(ToString::to_string).collect();
                work(
                    &mut referee,
                    &resources,
                    first_port,
                    Duration::from_micros(random.below(12_000)),
                );
                lock.release().expect("cannot release");
            }
            Err(LockError::Held { .. }) => thread::sleep(Duration::from_micros(random.below(2000))),
            Err(error) => panic!("cannot take the lock: {error:?}"),
        }
    }
    ExitCode::SUCCESS
}

/// Works with `resources`, watched by both referees.
fn work(referee: &mut TcpStream, resources: &[String], first_port: u16, time: Duration) {
    let pid = std::process::id();
    let mut say = |word: &str| {
        for resource in resources {
            let line = format!("{word} {pid} {resource}\n");
            referee.write_all(line.as_bytes()).expect("the referee is gone");
            referee.read_exact(&mut [0]).expect("the referee is gone");
        }
    };
    say("enter");
    let bound: Vec<TcpListener> =
        resources.iter().map(|resource| bind(first_port + stress_ports::of(resource))).collect();
    thread::sleep(time);
    drop(bound);
    say("leave");
}

/// Binds the port. The one of a killed holder may come free a moment after its lock: the kernel
/// closes the files of the dead one by one.
fn bind(port: u16) -> TcpListener {
    let began = Instant::now();
    loop {
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(listener) => return listener,
            Err(error) if began.elapsed() > Duration::from_millis(500) => {
                panic!("port {port} is taken: {error}")
            }
            Err(_) => thread::yield_now(),
        }
    }
}
