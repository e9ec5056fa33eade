//! Plays a Python that runs one of the fleet's scripts, and other programs of the tests.
//!
//! Called as `python SCRIPT.py ...` it prints `ready`, waits until it is asked to stop, cleans up
//! and ends. Lines `# stand-in: WORDS` in the script change that:
//!
//! - `exit CODE`: end at once
//! - `ignore stop`: do not end when asked
//! - `start again`: when asked to stop, start the same script once more before ending
//! - `run PROGRAM ARGUMENTS`: run PROGRAM, and end with it
//! - `await FILE`: wait until there is FILE
//! - `say NAME`: print the environment variable NAME and the current folder
//! - `enter NAME`: write into `referee.log` that NAME runs, or that it runs twice
//! - `sleep MS`: wait before what the next lines say
//! - `die`: end as by a crash
//! - `listen PORT`: listen at this port of 127.0.0.1
//! - `touch FILE MS TIMES`: write FILE anew every MS milliseconds, so many times
//! - `window`: on Windows, show a window and end when that is asked to close, and at nothing else
//! - `start PROGRAM`: start PROGRAM, a copy of this one, as a child that runs on
//! - `spawn SCRIPT`: start SCRIPT with this very program, as a child that runs on
//! - `detach SCRIPT`: the same, in a session or process group of its own
//! - `start interpreter`: start the same script with the interpreter that `pyvenv.cfg` names, as a
//!   virtual environment's stub does on Windows, and end with it
//! - `start self`: start the same script once more with this very program, and run on
//! - `leave`: work in the root directory from now on
//! - `hand over`: start the same script once more, and end with 0, as a bot that restarts itself does
//!
//! Called as `stand-in lock DIR NAME [ACCOUNT]` it takes a lock through the library, prints `held`,
//! the refusal, or `failed` and the error, and keeps it until its standard input ends. As `stand-in hold`, the command of
//! `qc-lock run`, it only prints `held` and waits for the end of its standard input. As `stand-in
//! run PROGRAM ...` it runs PROGRAM. `go` before `lock` or `run` makes it print `ready` and wait
//! for a line first. As `stand-in reuse QC-SHUTDOWN PYTHON SCRIPT`, the first process of a PID
//! namespace of Linux, it gives the pid that `QC-SHUTDOWN` has listed to another process before it
//! says `YES` to it. Called with anything else it waits.
//! As `stand-in tell FILE WORDS`, a command that is notified, it appends its standard input to FILE,
//! and then obeys WORDS: nothing, `exit CODE`, or `hang`. As `stand-in count NUMBER` it prints so many
//! numbered lines, with a short pause after each hundred. Under the name `systemctl` or
//! `schtasks` it appends its arguments to the file that STAND_IN_CALLS names, one line per call, and
//! ends with the code in the file that STAND_IN_EXIT names.
//! As `stand-in report PORT` it tells its pid at this port of 127.0.0.1, stays connected, and ends when
//! asked to stop.
//! As `stand-in at-terminal PROGRAM ...` it runs PROGRAM and says its exit code, and before and after how
//! the terminal is set.
//! Whatever it plays, it ends by itself after two minutes.

use std::env;
use std::error::Error;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use qc_lock_core::{AccountUse, LockDir, LockError, Request};
use qc_process::{Ask, Identity, Process, ask_all};

const LIFETIME: Duration = Duration::from_secs(120);

/// The environment variable that keeps what a stand-in starts from starting itself in turn.
const STARTED: &str = "STAND_IN_STARTED";

fn main() -> ExitCode {
    qc_process::helper::run_if_asked();
    qc_tests::arm_fault();
    thread::spawn(|| {
        thread::sleep(LIFETIME);
        std::process::exit(99);
    });
    let mut args: Vec<String> = env::args().collect();
    let name = Path::new(&args[0]).file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    if ["systemctl", "schtasks"].contains(&name) {
        return note_call(&args[1..]);
    }
    if args.get(1).is_some_and(|word| word == "go") {
        args.remove(1);
        wait_for_go();
    }
    match args.get(1).map(String::as_str) {
        Some("lock") => return lock(&args[2..]),
        Some("hold") => return hold(),
        Some("run") => return run(&args[2..]),
        Some("ask") => return ask(&args[2..]),
        Some("tell") => return tell(&args[2..]),
        Some("at-terminal") => return at_terminal(&args[2..]),
        Some("reuse") => return reuse(&args[2..]),
        Some("report") => return report(number(&args[2])),
        Some("count") => {
            count(number(&args[2]));
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let script = args[1..].iter().find(|word| word.to_lowercase().ends_with(".py"));
    let text = script.and_then(|script| fs::read_to_string(script).ok()).unwrap_or_default();
    let directives: Vec<Vec<&str>> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# stand-in: "))
        .map(|words| words.split_whitespace().collect())
        .collect();
    let stops = stops();
    for words in &directives {
        match words[..] {
            ["exit", code] => return ExitCode::from(code.parse::<u8>().expect("an exit code")),
            ["start", "interpreter" | "self" | "again"] | ["hand", "over"]
                if env::var_os(STARTED).is_some() => {}
            ["start", "interpreter"] => return play_stub(&args[1..]),
            ["start", "self"] => start_copy(&args[1..]),
            ["start", "again"] => {}
            ["hand", "over"] => {
                start_copy(&args[1..]);
                return ExitCode::SUCCESS;
            }
            ["start", program] => start(program),
            ["spawn", script] => spawn(script, false),
            ["detach", script] => spawn(script, true),
            ["run", program, ref args @ ..] => {
                return run_to_end(Command::new(program).args(args));
            }
            ["await", file] => await_file(Path::new(file)),
            ["ignore", "stop"] => {}
            ["say", name] => say(name),
            ["enter", name] => enter(name),
            ["sleep", millis] => thread::sleep(Duration::from_millis(number(millis))),
            ["count", lines] => count(number(lines)),
            ["leave"] => env::set_current_dir("/").expect("a folder"),
            ["die"] => std::process::abort(),
            ["window"] => return window(),
            ["listen", port] => listen(number(port)),
            ["touch", file, millis, times] => touch(file, number(millis), number(times)),
            _ => panic!("unknown directive {words:?}"),
        }
    }
    println!("ready {}", args[1..].join(" "));
    let deaf = directives.iter().any(|words| words[..] == ["ignore", "stop"]);
    while stops.recv().is_ok() {
        println!("asked to stop");
        if directives.iter().any(|words| words[..] == ["start", "again"])
            && env::var_os(STARTED).is_none()
        {
            start_copy(&args[1..]);
        }
        if !deaf {
            println!("cleaned up");
            break;
        }
    }
    ExitCode::SUCCESS
}

#[cfg(windows)]
fn window() -> ExitCode {
    qc_tests::show_window(|| println!("ready"));
    println!("closed its window");
    ExitCode::SUCCESS
}

#[cfg(not(windows))]
fn window() -> ExitCode {
    panic!("only Windows has windows")
}

fn say(name: &str) {
    let value = env::var(name).unwrap_or_else(|error| error.to_string());
    let dir = env::current_dir().expect("there is a current folder");
    println!("{name} is {value} in {}", dir.display());
}

/// Requests to stop, as they come in.
fn stops() -> Receiver<()> {
    let (sender, receiver) = mpsc::channel();
    qc_process::on_interrupt(move |_| {
        let _ = sender.send(());
    })
    .expect("cannot listen for requests to stop");
    receiver
}

fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a number")
}

/// The system locks a file for one process only, and frees it with that process: whoever does not
/// get it is a second copy. The file is none of the fleet's, and no descriptor is inherited.
fn enter(name: &str) {
    let file = fs::File::create(format!("{name}.referee")).expect("cannot make the referee's file");
    let pid = std::process::id();
    let alone = file.try_lock().is_ok();
    let line =
        if alone { format!("enter {name} {pid}\n") } else { format!("{name} TWICE, as {pid}\n") };
    let mut log = fs::OpenOptions::new().append(true).open("referee.log").expect("no referee");
    log.write_all(line.as_bytes()).expect("cannot write");
    // Held until this process ends.
    std::mem::forget(file);
}

fn listen(port: u16) {
    let socket = TcpListener::bind(("127.0.0.1", port)).expect("cannot listen");
    thread::spawn(move || socket.incoming().for_each(drop));
}

fn report(port: u16) -> ExitCode {
    let stops = stops();
    let mut connection = TcpStream::connect(("127.0.0.1", port)).expect("nobody listens");
    connection.write_all(&std::process::id().to_le_bytes()).expect("nobody hears");
    // An end of waiting is as good.
    let _ = stops.recv();
    ExitCode::SUCCESS
}

fn touch(file: &str, millis: u64, times: u64) {
    let file = file.to_owned();
    thread::spawn(move || {
        for time in 0..times {
            fs::write(&file, time.to_string()).expect("cannot write");
            thread::sleep(Duration::from_millis(millis));
        }
    });
}

fn play_stub(args: &[String]) -> ExitCode {
    let stub = env::current_exe().expect("no path of this program");
    let config = stub.ancestors().nth(2).expect("it lies in an environment").join("pyvenv.cfg");
    let config = fs::read_to_string(config).expect("there is no pyvenv.cfg");
    let home = config.strip_prefix("home = ").expect("pyvenv.cfg names no home").trim();
    let file = stub.file_name().expect("a program has a name");
    run_to_end(Command::new(Path::new(home).join(file)).args(args).env(STARTED, "1"))
}

fn start_copy(args: &[String]) {
    let program = env::current_exe().expect("no path of this program");
    let mut child =
        Command::new(program).args(args).env(STARTED, "1").spawn().expect("cannot start");
    println!("started copy {}", child.id());
    thread::spawn(move || child.wait());
}

fn run(words: &[String]) -> ExitCode {
    let [program, args @ ..] = words else { panic!("usage: stand-in run PROGRAM ...") };
    run_to_end(Command::new(program).args(args))
}

fn at_terminal(words: &[String]) -> ExitCode {
    let [program, args @ ..] = words else { panic!("usage: stand-in at-terminal PROGRAM ...") };
    // Ctrl-C is for the program.
    let _stops = stops();
    println!("before {};", terminal_settings());
    let status = Command::new(program).args(args).status().expect("cannot run it");
    println!("code {:?};", status.code());
    println!("after {};", terminal_settings());
    ExitCode::SUCCESS
}

#[cfg(unix)]
fn terminal_settings() -> String {
    let stty = Command::new("stty").arg("--save").stdin(Stdio::inherit()).output();
    String::from_utf8_lossy(&stty.expect("cannot run stty").stdout).trim().to_owned()
}

/// The modes of a console's input and output.
#[cfg(windows)]
fn terminal_settings() -> String {
    use crossterm_winapi::{ConsoleMode, Handle};

    let mode = |handle: io::Result<Handle>| {
        ConsoleMode::from(handle.expect("there is a console")).mode().expect("it has a mode")
    };
    format!("{:#x} {:#x}", mode(Handle::current_in_handle()), mode(Handle::current_out_handle()))
}

fn run_to_end(command: &mut Command) -> ExitCode {
    let status = command.status().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

fn await_file(file: &Path) {
    while !file.exists() {
        thread::sleep(Duration::from_millis(20));
    }
}

fn spawn(script: &str, is_detached: bool) {
    let program = env::current_exe().expect("no path of this program");
    let mut command = if is_detached && cfg!(unix) {
        let mut command = Command::new("setsid");
        command.arg(program);
        command
    } else {
        Command::new(program)
    };
    #[cfg(windows)]
    if is_detached {
        const DETACHED_PROCESS: u32 = 0x8;
        const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;
        let flags = DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP;
        std::os::windows::process::CommandExt::creation_flags(&mut command, flags);
    }
    let mut child = command.arg(script).spawn().expect("cannot start the script");
    println!("started {script} {}", child.id());
    thread::spawn(move || child.wait());
}

fn start(program: &str) {
    let here = env::current_exe().expect("no path of this program");
    let copy = env::current_dir().expect("no current folder").join(program);
    if !copy.exists() {
        fs::copy(here, &copy).expect("cannot copy this program");
    }
    let mut child = Command::new(&copy).spawn().expect("cannot start the program");
    println!("started {program} {}", child.id());
    thread::spawn(move || child.wait());
}

fn note_call(args: &[String]) -> ExitCode {
    let variable = |name| env::var_os(name).unwrap_or_else(|| panic!("{name} is not set"));
    append(Path::new(&variable("STAND_IN_CALLS")), &(args.join(" ") + "\n"));
    let code = fs::read_to_string(variable("STAND_IN_EXIT")).unwrap_or_default();
    if code.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("the stand-in was told to fail");
    ExitCode::from(code.trim().parse::<u8>().expect("an exit code"))
}

fn tell(args: &[String]) -> ExitCode {
    let [file, words @ ..] = args else { panic!("usage: stand-in tell FILE ...") };
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).expect("cannot read");
    append(Path::new(file), &text);
    match words.iter().map(String::as_str).collect::<Vec<&str>>()[..] {
        [] => ExitCode::SUCCESS,
        ["exit", code] => ExitCode::from(code.parse::<u8>().expect("an exit code")),
        ["hang"] => {
            thread::sleep(LIFETIME);
            ExitCode::FAILURE
        }
        _ => panic!("unknown words {words:?}"),
    }
}

fn count(lines: usize) {
    for line in 0..lines {
        println!("line {line}");
        if line % 100 == 0 {
            thread::sleep(Duration::from_millis(2));
        }
    }
}

fn append(file: &Path, text: &str) {
    let file = fs::OpenOptions::new().append(true).create(true).open(file);
    file.and_then(|mut file| file.write_all(text.as_bytes())).expect("cannot write");
}

fn ask(args: &[String]) -> ExitCode {
    let [pid, started] = args else { panic!("usage: stand-in ask PID STARTED") };
    let identity = Identity {
        pid: pid.parse().expect("a pid"),
        started: started.parse().expect("a start time"),
        boot_id: qc_process::here().boot_id.clone(),
    };
    let process = Process::open(&identity).expect("cannot open it").expect("it has ended");
    for answer in ask_all(&[&process], Ask::Gently) {
        answer.expect("cannot ask it");
    }
    ExitCode::SUCCESS
}

fn reuse(words: &[String]) -> ExitCode {
    let [shutdown, python, script] = words else {
        panic!("usage: stand-in reuse QC-SHUTDOWN PYTHON SCRIPT")
    };
    let mut victim = Command::new(python);
    let mut victim = victim.arg(script).stdout(Stdio::piped()).spawn().expect("cannot start it");
    let mut said = String::new();
    let mut output = BufReader::new(victim.stdout.take().expect("its output is a pipe"));
    output.read_line(&mut said).expect("its output is text");
    assert!(said.starts_with("ready"), "{said}");
    let before = qc_process::identity_of(victim.id()).expect("it runs");

    let mut tool = Command::new(shutdown);
    tool.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut tool = tool.spawn().expect("cannot start qc-shutdown");
    let mut output = BufReader::new(tool.stdout.take().expect("its output is a pipe")).lines();
    for line in output.by_ref().map_while(Result::ok) {
        println!("{line}");
        if line.contains("open trades are NOT closed") {
            break;
        }
    }
    victim.kill().and_then(|()| victim.wait()).expect("it can be killed");
    let here = env::current_exe().expect("no path of this program");
    let mut stranger = loop {
        fs::write("/proc/sys/kernel/ns_last_pid", (before.pid - 1).to_string())
            .expect("the next pid can be chosen");
        let mut stranger = Command::new(&here).arg("stranger").spawn().expect("cannot start it");
        let now = qc_process::identity_of(stranger.id()).expect("it runs");
        // A start within the same tick of the clock would be the same identity.
        if now.pid == before.pid && now.started != before.started {
            break stranger;
        }
        stranger.kill().and_then(|()| stranger.wait().map(drop)).expect("it can be killed");
    };
    let mut input = tool.stdin.take().expect("its input is a pipe");
    input.write_all(b"YES\n").expect("it listens");
    output.map_while(Result::ok).for_each(|line| println!("{line}"));
    tool.wait().expect("cannot wait");
    let lives = stranger.try_wait().expect("cannot look").is_none();
    println!(
        "PID {} was used again, and its process {}",
        before.pid,
        if lives { "lives" } else { "has ended" }
    );
    stranger.kill().and_then(|()| stranger.wait().map(drop)).expect("it can be killed");
    ExitCode::SUCCESS
}

fn wait_for_go() {
    println!("ready");
    io::stdin().read_line(&mut String::new()).expect("cannot read");
}

fn hold() -> ExitCode {
    println!("held by PID {}", std::process::id());
    // An input that can't be read has ended, too.
    let _ = io::stdin().read_to_end(&mut Vec::new());
    ExitCode::SUCCESS
}

fn lock(args: &[String]) -> ExitCode {
    let [dir, name, account @ ..] = args else {
        panic!("usage: stand-in lock DIR NAME [ACCOUNT [shared|paper]]")
    };
    let mut request = Request::new(name.parse().expect("a lock name"));
    if let Some(account) = account.first() {
        request = request.account(account.parse().expect("an account"));
    }
    request = request.account_use(match account.get(1).map(String::as_str) {
        None => AccountUse::Trades,
        Some("shared") => AccountUse::Shares,
        Some("paper") => AccountUse::Paper,
        Some(other) => panic!("{other} is no use of an account"),
    });
    match LockDir::new(Path::new(dir)).acquire(&request) {
        Ok(lock) => {
            if let Some(error) = lock.history_error() {
                eprintln!("warning: {}", chain(error));
            }
            hold();
            if let Err(error) = lock.release() {
                // It is free even so.
                eprintln!("warning: {}", chain(&error));
            }
            ExitCode::SUCCESS
        }
        Err(error @ (LockError::Held { .. } | LockError::Latched { .. })) => {
            println!("refused: {error}");
            ExitCode::from(75)
        }
        Err(error) => {
            println!("failed: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error and what caused it.
fn chain(error: &dyn Error) -> String {
    let source = error.source().map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}
