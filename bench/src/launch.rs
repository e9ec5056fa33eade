//! Supervising: `qc-launch` with many children that do nothing, beside the least that a C program
//! can do, and beside what people use otherwise.

mod births;
mod crashes;
mod peers;
mod trial;
mod usage;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};

use super::{compile, keep, machine, median};
use peers::Peer;
use trial::{Deep, Depth, Measured};

/// The goals: at most so many times the C program, at most so much.
const RATIO: f64 = 2.0;
const MEBIBYTES: f64 = 8.0;
const REPLACEMENT: f64 = 3.0;

/// From how many children on the goals that name a number of them hold.
const MANY: usize = 1000;

/// Open files of this program beside one for each child.
const SPARE_FILES: u64 = 128;

/// The sizes and repetitions.
#[derive(Debug, clap::Args)]
pub(crate) struct LaunchArgs {
    /// How many children
    #[arg(long, value_delimiter = ',', default_value = "10,100,1000")]
    counts: Vec<usize>,
    /// The other supervisors; each is measured in the first round
    #[arg(long, value_delimiter = ',', default_values = peers::PEERS)]
    peers: Vec<String>,
    /// How often the C program and qc-launch are started and stopped
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How many children are killed one after the other
    #[arg(long, default_value_t = 50)]
    kills: usize,
    /// How many seconds each is watched doing nothing
    #[arg(long, default_value_t = 30)]
    idle: u64,
    /// How many children crash at once
    #[arg(long, value_delimiter = ',', default_value = "10,100,1000")]
    crashes: Vec<usize>,
    /// Measure only the crashes, of this `qc-launch`, and print the table
    #[arg(long, value_name = "PROGRAM")]
    crashes_of: Option<PathBuf>,
}

pub(crate) fn run(args: &LaunchArgs) -> Result<()> {
    ensure!(cfg!(target_os = "linux"), "the other programs are for Linux");
    let dir = crate::workspace().join("target/bench");
    fs::create_dir_all(&dir)?;
    let child = compile("child.c", &dir, &["-static"])?;
    let most = args.counts.iter().chain(&args.crashes).copied().max().unwrap_or(0);
    qc_process::allow_open_files(2 * most as u64 + SPARE_FILES);
    if let Some(program) = &args.crashes_of {
        let peer = Peer::qc_launch_at(fs::canonicalize(program)?);
        let (table, missed) = crash(&peer, &child, &args.crashes)?;
        println!("{table}\n{}", judged(&missed));
        return Ok(());
    }

    let mut peers = vec![Peer::c(&dir)?, Peer::qc_launch()?];
    let mut absent = Vec::new();
    for name in &args.peers {
        match Peer::find(name, &dir) {
            Ok(peer) => peers.push(peer),
            Err(error) => absent.push(format!("Not measured: {name}, because {error:#}.\n")),
        }
    }
    let versions: Vec<_> = peers.iter().filter_map(|peer| peer.version.clone()).collect();
    let mut text = format!(
        "`cargo xtask bench launch` on {}: {} rounds, {} kills, {} s idle. {}.\n\n{TABLE}",
        machine(),
        args.rounds,
        args.kills,
        args.idle,
        versions.join(", ")
    );
    let depth = Depth { idle: Duration::from_secs(args.idle), kills: args.kills };
    let mut missed = Vec::new();
    for &count in &args.counts {
        let mut all: Vec<Vec<Measured>> = Vec::new();
        all.resize_with(peers.len(), Vec::new);
        for round in 0..args.rounds {
            let these = if round == 0 { peers.len() } else { 2 };
            for (peer, measured) in peers.iter().zip(&mut all).take(these) {
                eprintln!(
                    "{count} children, round {} of {}: {}",
                    round + 1,
                    args.rounds,
                    peer.name
                );
                let depth = Some(depth).filter(|_| round == 0);
                match trial::run(peer, &child, count, depth) {
                    Ok(one) => measured.push(one),
                    // Others may fail at what they were not made for, such as killed children.
                    Err(error) if round == 0 && measured.is_empty() && peer.name != "C" => {
                        absent.push(format!("{} with {count} children: {error:#}.\n", peer.name));
                        let depth = depth.map(|depth| Depth { kills: 0, ..depth });
                        measured.extend(trial::run(peer, &child, count, depth));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        for (peer, measured) in peers.iter().zip(&all).filter(|(_, measured)| !measured.is_empty())
        {
            let line = Line::new(count, peer.name, measured, &all[0]);
            print!("{}", line.text);
            text.push_str(&line.text);
            if peer.name == "`qc-launch`" {
                missed.extend(line.missed);
            }
        }
    }
    text.push_str(NOTES);
    let (table, missed_too) = crash(&peers[1], &child, &args.crashes)?;
    text.push_str(&table);
    missed.extend(missed_too);
    text.push_str(&judged(&missed));
    for one in absent {
        text.push_str(&format!("\n{one}"));
    }
    println!("{text}");
    keep("Supervising", &text)
}

/// Measures crashes; returns the table, and what of the goals is missed.
fn crash(peer: &Peer, child: &Path, counts: &[usize]) -> Result<(String, Vec<String>)> {
    let (mut table, mut missed) = (crashes::TABLE.to_owned(), Vec::new());
    for &count in counts {
        eprintln!("{count} children crash at once: {}", peer.name);
        let line = crashes::run(peer, child, count)?;
        table.push_str(&line.text);
        missed.extend(line.missed);
    }
    table.push_str(crashes::NOTES);
    Ok((table, missed))
}

/// Says whether the goals are met.
fn judged(missed: &[String]) -> String {
    match missed {
        [] => "All goals are met.\n".to_owned(),
        _ => format!("Missed: {}.\n", missed.join("; ")),
    }
}

const TABLE: &str = "| children | | start | ratio to C | memory (PSS) | processes | idle: wake-ups | idle: processor | replacement | longest | stop | ratio to C |\n\
    | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n";

const NOTES: &str = "\nThe child is a tiny static program that reports its start and then does nothing. *Start* is from the start of the supervisor until all children run; *stop* is from the signal\n\
    until the supervisor and its children have ended. *Memory*, *processes* and *idle* are those of the supervisor without its children. *Replacement* is from the kill of a child until the next one runs, as median and longest.\n\
    The C program (`bench/c/launch.c`) starts each child with vfork, exec and a log file of its own, and waits in one thread; it has no locks, records, history or config. supervisord and circus write a log file for each child; s6 and runit run a shell script that does. runit is stopped with SIGHUP, after which it does not wait; all others with SIGTERM.\n\
    Goals: start and stop of 1000 at most 2 times the C program, 8 MiB, nothing while idle, a replacement after 3 ms (median).\n";

/// One line of the table.
struct Line {
    text: String,
    missed: Vec<String>,
}

impl Line {
    fn new(count: usize, name: &str, own: &[Measured], c: &[Measured]) -> Self {
        let (start, start_ratio) = compared(own, c, |one| one.start);
        let (stop, stop_ratio) = compared(own, c, |one| one.stop);
        let mut missed = Vec::new();
        let mut miss = |is_missed, what: String| {
            if is_missed {
                missed.push(what);
            }
        };
        if count >= MANY {
            for (what, ratio) in [("start", start_ratio), ("stop", stop_ratio)] {
                let text = format!(
                    "{what} of {count}: {ratio:.2} times the C program instead of {RATIO:.0}"
                );
                miss(ratio > RATIO, text);
            }
        }
        let deep = own.iter().find_map(|one| one.deep.as_ref());
        let deep = deep.map_or_else(
            || " - | - | - | - | - | - ".into(),
            |deep| {
                let Deep { processes, memory, idle, replacements } = deep;
                let mebibytes = *memory as f64 / f64::from(1 << 20);
                let (typical, longest) = (
                    median(replacements.clone()),
                    replacements.iter().copied().fold(0.0, f64::max),
                );
                let processor = idle.processor.as_secs_f64() * 1e3;
                let text =
                    format!("memory with {count}: {mebibytes:.1} MiB instead of {MEBIBYTES:.0}");
                miss(mebibytes > MEBIBYTES, text);
                let text = format!(
                    "idle with {count}: {} wake-ups and {processor:.1} ms of processor time",
                    idle.switches
                );
                miss(idle.switches > 0 || processor > 0.0, text);
                let text = format!(
                    "replacement with {count}: {typical:.1} ms instead of {REPLACEMENT:.0}"
                );
                miss(typical > REPLACEMENT, text);
                let replacement = match replacements[..] {
                    [] => "- | -".to_owned(),
                    _ => format!("{typical:.1} ms | {longest:.1} ms"),
                };
                format!(
                    " {mebibytes:.1} MiB | {processes} | {} | {processor:.1} ms | {replacement} ",
                    idle.switches
                )
            },
        );
        let text = format!(
            "| {count} | {name} | {start:.1} ms | {start_ratio:.2} |{deep}| {stop:.1} ms | {stop_ratio:.2} |\n"
        );
        Self { text, missed }
    }
}

/// Returns the median, and the median of the rounds' ratios to the C program.
fn compared(own: &[Measured], c: &[Measured], of: impl Fn(&Measured) -> f64) -> (f64, f64) {
    let ratios = own.iter().zip(c).map(|(own, c)| of(own) / of(c)).collect();
    (median(own.iter().map(of).collect()), median(ratios))
}
