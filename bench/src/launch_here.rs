//! `qc-launch` as it is built already, without the programs that only Linux has: what can be
//! measured of Windows programs under Wine.

use std::fs::{self, File};
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use qc_process::{Ended, Identity, Process, ProcessInfo, describe, identity_of, list};
use qc_tests::{Program, Tools};
use serde_json::json;

use super::median;

/// The longest that a birth or a death may take.
const TIMEOUT: Duration = Duration::from_secs(120);

const TABLE: &str = "| children | start | ratio to plain | memory | of each wrapper | replacement | longest | stop |\n\
    | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |";

/// Measures the programs in `bin_dir`; prints the table.
pub(crate) fn run(bin_dir: &Path, counts: &[usize], kills: usize) -> Result<()> {
    println!("{TABLE}");
    for &count in counts {
        let plain = start_plainly(bin_dir, count)?;
        println!("{}", supervise(bin_dir, count, kills, plain)?);
    }
    Ok(())
}

/// Starts as many children with nothing else; returns how long it took until all ran.
fn start_plainly(bin_dir: &Path, count: usize) -> Result<Duration> {
    let dir = tempfile::tempdir()?;
    let births = Births::new()?;
    let [program, words @ ..] = &births.command(bin_dir)[..] else { unreachable!("a program") };
    let began = Instant::now();
    let mut children = Vec::new();
    for number in 0..count {
        let log = File::create(dir.path().join(format!("{number}.log")))?;
        let mut command = Command::new(program);
        command.args(words).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        children.push(Plain(command.spawn()?));
    }
    let mut last = began;
    for _ in 0..count {
        last = births.next()?.at;
    }
    Ok(last - began)
}

/// A child that ends when dropped.
struct Plain(Child);

impl Drop for Plain {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Lets `qc-launch` keep so many children; returns a line of the table.
fn supervise(bin_dir: &Path, count: usize, kills: usize, plain: Duration) -> Result<String> {
    let tools = Tools::built(bin_dir);
    let dir = tempfile::tempdir()?;
    let births = Births::new()?;
    let component = json!({ "command": births.command(bin_dir) });
    let components: serde_json::Map<_, _> =
        (0..count).map(|number| (format!("child{number:04}"), component.clone())).collect();
    let restart = json!({ "max_restarts": 1_000_000, "cooldown": 0 });
    let section = json!({
        "server": { "enabled": false }, "defaults": { "restart": restart }, "components": components,
    });
    let config = json!({ "ACCOUNTS": {}, "PROCESS_MANAGER": section });
    fs::write(dir.path().join("MASTER_CONFIG.json"), config.to_string())?;

    let began = Instant::now();
    let launch = Program::start(&tools.tool("qc-launch"), &[], dir.path(), &[], |_| ());
    let mut children = (0..count).map(|_| births.next()).collect::<Result<Vec<_>>>()?;
    let start = children.last().map_or(Duration::ZERO, |last| last.at - began);

    // No event tells that the launcher has given back the memory that its start has used.
    thread::sleep(Duration::from_secs(2));
    let (launcher, wrappers) = look(launch.identity())?;

    let mut replacements = Vec::new();
    for number in 0..kills {
        let index = number % count;
        let killed = Instant::now();
        let child = Process::open(&children[index].identity)?.context("a child has ended")?;
        child.kill()?;
        children[index] = births.next()?;
        replacements.push(milliseconds(children[index].at - killed));
    }

    let began = Instant::now();
    launch.ask_to_stop(&tools);
    let (ended, lines) = launch.finish();
    ensure!(ended == Ended::Code(0), "qc-launch ended with {ended}: {lines:#?}");
    children.into_iter().try_for_each(Birth::wait_for_death)?;
    let stop = began.elapsed();

    let ratio = start.as_secs_f64() / plain.as_secs_f64();
    let longest = replacements.iter().copied().fold(0.0, f64::max);
    Ok(format!(
        "| {count} | {:.0} ms | {ratio:.2} | {:.1} MiB | {} | {:.0} ms | {longest:.0} ms | {:.0} ms |",
        milliseconds(start),
        mebibytes(launcher.memory_bytes),
        wrappers
            .first()
            .map_or("-".into(), |one| format!("{:.1} MiB", mebibytes(one.memory_bytes))),
        median(replacements),
        milliseconds(stop),
    ))
}

/// Returns the launcher and the wrappers that it has started.
fn look(launcher: &Identity) -> Result<(ProcessInfo, Vec<ProcessInfo>)> {
    let own = describe(launcher.pid)?.context("the launcher has ended")?;
    let is_wrapper =
        |one: &ProcessInfo| one.parent == Some(own.identity.pid) && one.name == own.name;
    let wrappers = list()?.processes.into_iter().filter(is_wrapper).collect();
    Ok((own, wrappers))
}

/// Where children tell that they run: each connects, writes its pid, and stays connected.
struct Births {
    port: u16,
    told: Receiver<(u32, TcpStream, Instant)>,
}

/// A child that runs.
struct Birth {
    identity: Identity,
    connection: TcpStream,
    at: Instant,
}

impl Births {
    fn new() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let (sender, told) = mpsc::channel();
        // It ends with this program.
        thread::spawn(move || {
            for connection in listener.incoming() {
                let mut pid = [0; 4];
                let Ok(mut connection) = connection else { continue };
                if connection.read_exact(&mut pid).is_err() {
                    continue;
                }
                let birth = (u32::from_le_bytes(pid), connection, Instant::now());
                if sender.send(birth).is_err() {
                    return;
                }
            }
        });
        Ok(Self { port, told })
    }

    /// Returns the command of a child.
    fn command(&self, bin_dir: &Path) -> Vec<PathBuf> {
        let program = Tools::built(bin_dir).stand_in();
        vec![program, "report".into(), self.port.to_string().into()]
    }

    /// Waits for the next child.
    fn next(&self) -> Result<Birth> {
        let told = self.told.recv_timeout(TIMEOUT);
        let (pid, connection, at) = told.context("a child did not start in time")?;
        Ok(Birth { identity: identity_of(pid)?, connection, at })
    }
}

impl Birth {
    /// Waits until it has ended, which closes its connection, in order or not.
    fn wait_for_death(mut self) -> Result<()> {
        self.connection.set_read_timeout(Some(TIMEOUT))?;
        let ended = self.connection.read(&mut [0]);
        let is_late = |error: &std::io::Error| {
            matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
        };
        ensure!(!ended.is_err_and(|error| is_late(&error)), "a child does not end");
        Ok(())
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
