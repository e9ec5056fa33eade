//! The smallest server that Prometheus can ask: `GET /metrics`.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::{LocalAddress, Metrics};

/// The longest request that is read.
const LONGEST_REQUEST: usize = 16 * 1024;

/// How long a client may take, from its connection to the last byte of the answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A pause after an error of the system, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// The media type of OpenMetrics text.
const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const PLAIN: &str = "text/plain; charset=utf-8";

/// Shows the figures until it is dropped. One client at a time: one that is slow keeps the others
/// waiting for two seconds, and no other client.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens at `address`; port 0 is any that is free.
    ///
    /// # Errors
    /// `AddrInUse` if another program listens there; whatever else the system reports.
    pub fn start(address: LocalAddress, metrics: Metrics) -> io::Result<Self> {
        let listener = TcpListener::bind(address.get())?;
        let address = listener.local_addr()?;
        let is_over = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&is_over);
        let builder = thread::Builder::new().name("metrics".into()).stack_size(256 * 1024);
        let thread = builder.spawn(move || {
            for client in listener.incoming() {
                if until.load(Ordering::Acquire) {
                    return;
                }
                match client {
                    // A client that goes away or is too slow has no answer.
                    Ok(client) => drop(answer(&client, &metrics)),
                    Err(_) => thread::sleep(PAUSE),
                }
            }
        })?;
        Ok(Self { address, is_over, thread: Some(thread) })
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        // So that it looks. Where that fails, the program's end ends it.
        let woken = TcpStream::connect_timeout(&self.address, TIMEOUT);
        if let (Ok(_), Some(thread)) = (woken, self.thread.take()) {
            // A panic there has been printed.
            let _ = thread.join();
        }
    }
}

fn answer(client: &TcpStream, metrics: &Metrics) -> io::Result<()> {
    let deadline = Instant::now() + TIMEOUT;
    let request = read_request(client, deadline)?;
    let mut words = request.line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let is_head = method == "HEAD";
    let (status, kind, body) = match (method, path) {
        _ if !request.hosts.iter().all(|host| is_this_machine(host)) => {
            ("421 Misdirected Request", PLAIN, "ask 127.0.0.1 or localhost\n".into())
        }
        ("GET" | "HEAD", "/metrics") => ("200 OK", TEXT, metrics.text()),
        ("GET" | "HEAD", _) => ("404 Not Found", PLAIN, "the figures are at /metrics\n".into()),
        _ => ("405 Method Not Allowed", PLAIN, "only GET is answered\n".into()),
    };
    let mut text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    if !is_head {
        text.push_str(&body);
    }
    write_until(client, text.as_bytes(), deadline)
}

/// The parts of a request that matter.
struct Request {
    /// Its first line.
    line: String,
    /// The machines it is meant for, as its `Host` headers say. Programs of old send none.
    hosts: Vec<String>,
}

impl Request {
    fn of(head: &str) -> Self {
        let mut lines = head.split("\r\n");
        let line = lines.next().unwrap_or_default().to_owned();
        let headers = lines.filter_map(|line| line.split_once(':'));
        let hosts = headers
            .filter(|(name, _)| name.trim().eq_ignore_ascii_case("host"))
            .map(|(_, host)| host.trim().to_owned())
            .collect();
        Self { line, hosts }
    }
}

/// Whether a `Host` names this machine. A web page can make its own name lead here (DNS rebinding),
/// and would then be let read the figures by the browser; but it can't choose this header.
fn is_this_machine(host: &str) -> bool {
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) && (!name.contains(':') || name.ends_with(']')) => name,
        _ => host,
    };
    name.eq_ignore_ascii_case("localhost") || ["127.0.0.1", "[::1]"].contains(&name)
}

/// Reads the head of a request.
fn read_request(mut client: &TcpStream, deadline: Instant) -> io::Result<Request> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 1024];
    let length = loop {
        if let Some(length) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break length;
        }
        client.set_read_timeout(Some(left(deadline)?))?;
        let count = client.read(&mut buffer)?;
        if count == 0 || bytes.len() > LONGEST_REQUEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        bytes.extend(&buffer[..count]);
    };
    Ok(Request::of(&String::from_utf8_lossy(&bytes[..length])))
}

fn write_until(mut client: &TcpStream, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        client.set_write_timeout(Some(left(deadline)?))?;
        let count = client.write(bytes)?;
        bytes = &bytes[count..];
    }
    Ok(())
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> (Server, Metrics) {
        let metrics = Metrics::new();
        let server = Server::start("127.0.0.1:0".parse().unwrap(), metrics.clone()).unwrap();
        (server, metrics)
    }

    fn ask(server: &Server, request: &str) -> String {
        let mut client = TcpStream::connect(server.address()).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn the_figures_are_at_one_place() {
        let (server, metrics) = server();
        metrics.up("BRAIN_A", true);
        let answer = ask(&server, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
        assert!(body.contains("qc_component_up{component=\"BRAIN_A\"} 1\n"), "{body}");
        metrics.up("BRAIN_A", false);
        let answer = ask(&server, "GET /metrics?x=1 HTTP/1.0\r\n\r\n");
        assert!(answer.contains("qc_component_up{component=\"BRAIN_A\"} 0\n"), "{answer}");
        for (request, status) in [
            ("GET / HTTP/1.1\r\n\r\n", "404"),
            ("GET /metricsx HTTP/1.1\r\n\r\n", "404"),
            ("POST /metrics HTTP/1.1\r\n\r\n", "405"),
            ("\r\n\r\n", "405"),
        ] {
            let answer = ask(&server, request);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
        }
        let answer = ask(&server, "HEAD /metrics HTTP/1.1\r\n\r\n");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }

    #[test]
    fn a_request_that_is_meant_for_another_machine_is_refused() {
        let (server, metrics) = server();
        metrics.up("BRAIN_A", true);
        let status = |hosts: &str| {
            let answer = ask(&server, &format!("GET /metrics HTTP/1.1\r\n{hosts}\r\n"));
            assert_eq!(answer.contains("BRAIN_A"), answer.starts_with("HTTP/1.1 200 "), "{answer}");
            answer.split(' ').nth(1).unwrap().to_owned()
        };
        for host in ["localhost", "LocalHost:9464", "127.0.0.1", "127.0.0.1:80", "[::1]:1", "[::1]"]
        {
            assert_eq!(status(&format!("Host: {host}\r\n")), "200", "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9464",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1@evil.example",
            "evil.example:127.0.0.1",
            "[::1].evil.example",
            "",
        ] {
            assert_eq!(status(&format!("hOST : {host}\r\n")), "421", "{host}");
        }
        assert_eq!(status("Host: localhost\r\nHost: evil.example\r\n"), "421");
    }

    #[test]
    fn a_client_that_says_nothing_is_sent_away() {
        let (server, _) = server();
        let mut silent = TcpStream::connect(server.address()).unwrap();
        let answer = ask(&server, "GET /metrics HTTP/1.1\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(silent.read(&mut [0]).unwrap_or(0), 0, "its connection was closed");
    }

    #[test]
    fn a_request_without_end_is_sent_away() {
        let (server, _) = server();
        let mut endless = TcpStream::connect(server.address()).unwrap();
        // The connection breaks at some time.
        while endless.write_all(&[b'x'; 4096]).is_ok() {}
        assert!(ask(&server, "GET /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200"));
    }

    #[test]
    fn a_server_that_is_dropped_listens_no_more() {
        let (server, metrics) = server();
        let address = LocalAddress::try_from(server.address()).unwrap();
        let second = Server::start(address, metrics.clone());
        assert_eq!(second.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(server);
        assert_eq!(Server::start(address, metrics).unwrap().address(), address.get());
    }
}
