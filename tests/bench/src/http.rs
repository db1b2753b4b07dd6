//! How is one request sent, and how long does its answer take?

use anyhow::Context as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

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
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).with_context(|| format!("read what {method} {path} is answered with"))?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    Ok(Answer { status, body: body.to_owned(), took: begin.elapsed() })
}
