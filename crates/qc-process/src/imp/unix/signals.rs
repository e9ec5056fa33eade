//! Signals: which of them this program inherits, handles, and lets its children inherit.

use std::io;
use std::mem;
use std::ptr;

use libc::c_int;
use rustix::event::{PollFd, PollFlags, poll};

use crate::Interrupt;

/// The signals that stay ignored where the user had them ignored: `nohup` ignores SIGHUP, and a shell
/// without job control ignores SIGINT and SIGQUIT for what it starts with `&`.
const LEFT_IGNORED: [c_int; 3] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT];

/// Resets dispositions and mask, which both survive `exec`. With SIGCHLD ignored the kernel drops the
/// exit codes of children; a blocked SIGTERM never arrives.
///
/// SIGXFSZ gets a handler that does nothing, so that a write beyond `ulimit -f` fails instead of
/// ending this program. A handler, unlike "ignored", does not survive `exec`.
pub(crate) fn reset_inherited() {
    for signal in 1..=libc::SIGRTMAX() {
        let is_ours = signal == libc::SIGPIPE || LEFT_IGNORED.contains(&signal);
        if action(signal) == libc::SIG_IGN && !is_ours {
            // SAFETY: SIG_DFL is a valid disposition.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
    let nothing: extern "C" fn(c_int) = do_nothing;
    // SAFETY: the handler lives as long as the program, and does nothing that it must not do.
    unsafe { libc::signal(libc::SIGXFSZ, nothing as libc::sighandler_t) };
    let none = empty_set();
    // SAFETY: the set is a live local; the old one is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &none, ptr::null_mut()) };
}

extern "C" fn do_nothing(_signal: c_int) {}

/// Returns the set without signals: the mask of every child.
pub(super) fn empty_set() -> libc::sigset_t {
    // SAFETY: all zeroes is a valid set, which the next call overwrites.
    let mut set: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: `set` is a live local.
    unsafe { libc::sigemptyset(&mut set) };
    set
}

/// Returns the signals that a child gets back to their default: all that this program handles or
/// ignores, except those that the user had ignored, where the child is not in a session of its own.
pub(super) fn to_default(own_session: bool) -> Vec<c_int> {
    let is_changed = |&signal: &c_int| match action(signal) {
        libc::SIG_DFL => false,
        libc::SIG_IGN => own_session || !LEFT_IGNORED.contains(&signal),
        _ => true,
    };
    (1..=libc::SIGRTMAX()).filter(is_changed).collect()
}

/// Returns the signals that ask this program to stop; SIGINT and SIGHUP stay ignored where they were
/// when it started.
pub(super) fn stop_signals() -> impl Iterator<Item = c_int> {
    [libc::SIGINT, libc::SIGTERM, libc::SIGHUP]
        .into_iter()
        .filter(|&signal| action(signal) != libc::SIG_IGN)
}

pub(super) fn interrupt(signal: c_int) -> Interrupt {
    match signal {
        libc::SIGINT => Interrupt::CtrlC,
        libc::SIGTERM => Interrupt::Terminate,
        _ => Interrupt::Close,
    }
}

pub(crate) fn on_interrupt(act: Box<dyn Fn(Interrupt) + Send + Sync>) -> io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new(stop_signals())?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            act(interrupt(signal));
        }
    })?;
    Ok(())
}

/// Returns what this program does on `signal`: `SIG_DFL`, `SIG_IGN` or the address of a handler.
fn action(signal: c_int) -> libc::sighandler_t {
    // SAFETY: all zeroes is a valid action, the default one.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: no action is set, and the out-pointer is a live local; for a number that is no
    // signal it stays as it is.
    unsafe { libc::sigaction(signal, ptr::null(), &mut action) };
    action.sa_sigaction
}

/// A signal tells of it only those who are in the terminal's foreground at that moment.
pub(crate) fn on_hang_up(act: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    std::thread::Builder::new().name("terminal".into()).spawn(move || {
        let terminal = io::stdin();
        loop {
            // Only that it is gone is waited for, which is always told.
            let mut polled = [PollFd::new(&terminal, PollFlags::empty())];
            match poll(&mut polled, None) {
                Ok(_) => return act(),
                Err(rustix::io::Errno::INTR) => {}
                // Then nothing can be told.
                Err(_) => return,
            }
        }
    })?;
    Ok(())
}
