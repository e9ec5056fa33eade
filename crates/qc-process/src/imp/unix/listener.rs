//! The process that listens at a port.

use std::fs;
use std::io;
use std::path::Path;

use crate::Listener;

/// Looks into `/proc/net/tcp` and `/proc/net/tcp6` for a socket that listens at `port`, and then
/// among all open files that may be seen for its owner.
///
/// # Errors
/// If `/proc/net/tcp` can't be read. Without IPv6 there is no `tcp6`.
///
/// Source: <https://man7.org/linux/man-pages/man5/proc_pid_net.5.html>
pub(crate) fn listener(port: u16) -> io::Result<Option<Listener>> {
    let text = fs::read_to_string("/proc/net/tcp")?;
    let inode = listening(&text, port).or_else(|| {
        let text = fs::read_to_string("/proc/net/tcp6").ok()?;
        listening(&text, port)
    });
    Ok(inode.map(|inode| Listener { pid: owner(inode) }))
}

/// Returns the inode of the socket that listens at `port`.
fn listening(table: &str, port: u16) -> Option<u64> {
    /// `TCP_LISTEN` of the kernel.
    const LISTEN: &str = "0A";
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (_, local) = fields.get(1)?.rsplit_once(':')?;
        let is_it =
            u16::from_str_radix(local, 16) == Ok(port) && fields.get(3).copied() == Some(LISTEN);
        if is_it { fields.get(9)?.parse().ok() } else { None }
    })
}

fn owner(inode: u64) -> Option<u32> {
    let target = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?;
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.into_iter().find(|pid: &u32| {
        // The files of other users' processes can't be read.
        let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        files
            .into_iter()
            .any(|file| fs::read_link(file.path()).is_ok_and(|link| link == Path::new(&target)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_listens_counts() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:1F40 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 11 1\n   \
            1: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 22 1\n";
        assert_eq!(listening(table, 8000), Some(22));
        assert_eq!(listening(table, 8001), None);
        assert_eq!(listening("nonsense\n1F40\n", 8000), None);
    }
}
