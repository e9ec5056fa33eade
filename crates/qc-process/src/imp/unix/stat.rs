//! `/proc/PID/stat`.

/// The needed fields.
///
/// Source: <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stat {
    /// The program's name, at most 15 bytes of it.
    pub(super) name: String,
    state: u8,
    threads: u64,
    /// The pid of its parent, 0 for none.
    pub(super) parent: u32,
    /// The pid of the process that began its session.
    pub(super) session: u32,
    flags: u64,
    /// The processor time it has used, in clock ticks.
    pub(super) cpu_ticks: u64,
    /// When it was started, in clock ticks since boot.
    pub(super) started: u64,
    /// The memory it has in use, in pages.
    pub(super) resident_pages: u64,
    /// The signals 1 to 31 that it ignores, the first one in the lowest bit.
    ignored: u64,
    /// The signals 1 to 31 for which it has handlers.
    caught: u64,
}

impl Stat {
    /// Takes the file's text apart; `None` if it has an unknown form.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        // The second field is the program's name in parentheses and may hold anything.
        let opening = text.iter().position(|&byte| byte == b'(')?;
        let closing = text.iter().rposition(|&byte| byte == b')')?;
        let name = String::from_utf8_lossy(text.get(opening + 1..closing)?).into_owned();
        let rest = str::from_utf8(&text[closing + 1..]).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        // Fields count from 1; the first one behind the name is the third.
        let state = *fields.next()?.as_bytes().first()?;
        let parent = fields.next()?.parse().ok()?;
        let mut number = |skipped: usize| fields.nth(skipped)?.parse::<u64>().ok();
        let session = number(6 - 4 - 1)?.try_into().ok()?;
        let flags = number(9 - 6 - 1)?;
        let cpu_ticks = number(14 - 9 - 1)? + number(0)?;
        let threads = number(20 - 15 - 1)?;
        let started = number(22 - 20 - 1)?;
        let resident_pages = number(24 - 22 - 1)?;
        let ignored = number(33 - 24 - 1)?;
        let caught = number(0)?;
        Some(Self {
            name,
            state,
            threads,
            parent,
            session,
            flags,
            cpu_ticks,
            started,
            resident_pages,
            ignored,
            caught,
        })
    }

    /// Whether a signal has stopped it.
    pub(super) fn is_stopped(&self) -> bool {
        self.state == b'T'
    }

    /// Whether its parent made it as a copy of itself, and it has run no other program since.
    ///
    /// Source: `PF_FORKNOEXEC` in `include/linux/sched.h`
    pub(super) fn is_fork(&self) -> bool {
        self.flags & 0x40 != 0
    }

    /// Whether the process ignores `signal`, as one started by a shell in the background does with
    /// SIGINT.
    pub(super) fn ignores(&self, signal: i32) -> bool {
        self.ignored >> (signal - 1) & 1 == 1
    }

    /// Whether the process has a handler for `signal`.
    pub(super) fn catches(&self, signal: i32) -> bool {
        self.caught >> (signal - 1) & 1 == 1
    }

    /// Whether the process has ended: a zombie has, except where only the first of several
    /// threads has.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X') && self.threads <= 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let text = b"12 (a) R 1 (b) S 7 12 12 0 -1 4194560 1 2 3 4 50 6 7 8 20 0 3 0 900 1000 33 18446744073709551615 1 2 3 4 5 6 7 4098 16386\n";
        let expected = Stat {
            name: "a) R 1 (b".into(),
            state: b'S',
            threads: 3,
            parent: 7,
            session: 12,
            flags: 0x40_0100,
            cpu_ticks: 56,
            started: 900,
            resident_pages: 33,
            ignored: 4098,
            caught: 16386,
        };
        assert_eq!(Stat::parse(text), Some(expected.clone()));
        assert!(expected.ignores(libc::SIGINT) && expected.ignores(libc::SIGPIPE));
        assert!(expected.catches(libc::SIGTERM) && !expected.catches(libc::SIGQUIT));
        assert!(!expected.is_fork() && Stat { flags: 0x40_0140, ..expected.clone() }.is_fork());
        assert!(!expected.ignores(libc::SIGTERM) && !expected.ignores(libc::SIGHUP));
    }

    #[test]
    fn what_has_an_unknown_form_is_nothing() {
        let cases: [&[u8]; 5] = [b"", b"12", b"12 (a", b"12 (a) S", b"12 )a( S 1 2 3"];
        for text in cases {
            assert_eq!(Stat::parse(text), None, "{}", String::from_utf8_lossy(text));
        }
    }
}
