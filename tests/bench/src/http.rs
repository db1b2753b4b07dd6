//! How is one request sent, and how long does its answer take?

use anyhow::Context as _;
use std::io::{ErrorKind, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long an answer may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What was answered.
pub(crate) struct Answer {
    /// Status code; 0 where there was none.
    pub status: u16,
    /// Body.
    pub body: String,
    /// From the connection's beginning to the end of the answer.
    pub took: Duration,
}

/// Sends one request over a connection of its own, in HTTP/1.0, in which an answer ends with its connection.
pub(crate) fn send(
    to: SocketAddr,
    method: &str,
    path: &str,
    kind: &str,
    body: &str,
) -> anyhow::Result<Answer> {
    let begin = Instant::now();
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE).with_context(|| format!("reach {to}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {to}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    read(stream, begin).with_context(|| format!("read what {method} {path} is answered with"))
}

/// Reads an answer to the end of its connection.
pub(crate) fn read(mut stream: impl Read, begin: Instant) -> std::io::Result<Answer> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    Ok(Answer { status, body: body.to_owned(), took: begin.elapsed() })
}

/// A request whose answer goes on: a stream, or a wait.
pub(crate) struct Held(TcpStream);

/// How long a stream may take to tell what happened.
const TOLD: Duration = Duration::from_secs(5);

impl Held {
    /// Returns whether the answer has begun and says that an Application changed, after waiting for it for a while.
    pub(crate) fn is_told(&self) -> bool {
        let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
        let begin = Instant::now();
        while begin.elapsed() < TOLD {
            match (&self.0).read(&mut buffer) {
                Ok(0) | Err(_) => return false,
                Ok(n) => text.extend_from_slice(&buffer[..n]),
            }
            if String::from_utf8_lossy(&text).contains("MODIFIED") {
                return true;
            }
        }
        false
    }

    /// Returns whether something was answered by now, or the connection was closed.
    pub(crate) fn is_answered(&self) -> bool {
        let is_set = self.0.set_nonblocking(true).is_ok();
        let nothing = (&self.0).read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        !(is_set && nothing)
    }
}

/// Sends a request over a connection that is kept, and reads nothing yet.
pub(crate) fn hold(to: SocketAddr, path: &str) -> anyhow::Result<Held> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE).with_context(|| format!("reach {to}"))?;
    stream.set_read_timeout(Some(TOLD))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {to}\r\n\r\n")?;
    Ok(Held(stream))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn what_waits_is_told_from_what_was_answered_or_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let accept = || {
            let held = hold(to, "/wait").unwrap();
            (held, listener.accept().unwrap().0)
        };
        let (waits, _open) = accept();
        assert!(!waits.is_answered());
        let (answered, mut server) = accept();
        server.write_all(b"HTTP/1.1 200 OK\r\n").unwrap();
        let (closed, server) = accept();
        drop(server);
        // Both arrive by themselves.
        let begin = Instant::now();
        while !(answered.is_answered() && closed.is_answered()) {
            assert!(begin.elapsed() < PATIENCE);
        }
    }
}
