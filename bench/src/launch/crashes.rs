//! Many children that crash at once: how long until all run again, and how often `qc-launch` looks
//! at the processes of the machine meanwhile.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::births::Births;
use super::peers::{Peer, Scene};
use super::trial::{Running, milliseconds};

pub(super) const TABLE: &str = "\n| crash at once | first start | all run again | ratio to the start | looks |\n\
    | ---: | ---: | ---: | ---: | ---: |\n";

pub(super) const NOTES: &str = "\n*All run again* is from the first kill until the last child runs again; *looks* is how often all processes were looked at in that time. Goal: at most one look a second.\n";

/// A line of the table, and what of the goals is missed.
pub(super) struct Line {
    pub(super) text: String,
    pub(super) missed: Option<String>,
}

/// Lets `count` children of `qc-launch` crash at once.
pub(super) fn run(peer: &Peer, child: &Path, count: usize) -> Result<Line> {
    let dir = tempfile::tempdir()?;
    let births = Births::new(dir.path().join("births"))?;
    let scene = Scene { dir: dir.path(), child, fifo: births.path(), count };
    // Free a moment ago.
    let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
    let mut command = peer.lay_out(&scene)?;
    command.args(["--metrics", &address.to_string()]);

    let began = Instant::now();
    let mut running = Running::start(&mut command)?;
    let last = running.take_born(&births, count)?;
    let start = last.map_or(Duration::ZERO, |last| last - began);
    // No event tells that the launcher has also looked for what earlier runs have left behind,
    // and that look must not be counted below.
    thread::sleep(Duration::from_secs(2));

    let before = looks(address)?;
    let killed = Instant::now();
    running.kill_children()?;
    let last = running.take_born(&births, count)?;
    let took = last.map_or(Duration::ZERO, |last| last - killed);
    let looks = looks(address)? - before;
    ensure!(!births.is_another(), "more children run than were asked for");
    running.stop(peer)?;

    let (ratio, most) = (took.as_secs_f64() / start.as_secs_f64(), 1 + took.as_secs());
    let (start, took) = (milliseconds(start), milliseconds(took));
    let text = format!("| {count} | {start:.1} ms | {took:.1} ms | {ratio:.2} | {looks} |\n");
    let missed = format!("{looks} looks while {count} start again, instead of {most}");
    Ok(Line { text, missed: (looks > most).then_some(missed) })
}

/// Asks how often the launcher has looked.
fn looks(address: SocketAddr) -> Result<u64> {
    let mut client = TcpStream::connect(address).context("the metrics are not served")?;
    let ask = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    client.write_all(ask.as_bytes())?;
    let mut answer = String::new();
    client.read_to_string(&mut answer)?;
    let looks = answer.lines().find_map(|line| line.strip_prefix("qc_launcher_looks_total "));
    looks.context("the looks are not counted")?.trim().parse().context("odd looks")
}
