//! The process that listens at a port.

use std::io;

use crate::imp;

/// Something that listens at a TCP port of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// The process; `None` if it belongs to another user, or the system does not say.
    pub pid: Option<u32>,
}

/// Returns who listens at TCP `port`, whatever the address; `None` if there is none.
///
/// # Errors
/// If the system's list of sockets can't be read.
pub fn listener(port: u16) -> io::Result<Option<Listener>> {
    imp::listener(port)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn who_listens_is_named() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0"] {
            let Ok(socket) = TcpListener::bind(address) else {
                eprintln!("NOT TESTED here: who listens at {address}, because it can't be bound");
                continue;
            };
            let port = socket.local_addr().unwrap().port();
            let found = listener(port).unwrap().expect("nobody listens");
            // Wine names no owner.
            assert!(matches!(found.pid, None | Some(0)) || found.pid == Some(std::process::id()));
            if cfg!(unix) {
                assert_eq!(found.pid, Some(std::process::id()), "{address}");
            }
        }
    }

    #[test]
    fn at_a_free_port_nobody_listens() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        drop(socket);
        assert_eq!(listener(port).unwrap(), None);
    }
}
