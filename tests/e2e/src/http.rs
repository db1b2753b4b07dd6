//! What do the agent's listeners answer?

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::log::Log;

/// The longest silence that a request may meet: longer than any wait that a test asks for.
const PATIENCE: Duration = Duration::from_mins(2);

/// An answer to an HTTP request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Head of the answer: the status line and the headers, as sent.
    pub head: String,
    /// Body.
    pub body: String,
}

impl Answer {
    /// Returns the body as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }
}

/// Sends one request over a connection of its own.
///
/// # Panics
/// When nobody answers.
pub(crate) fn send(to: SocketAddr, method: &str, path: &str, body: &str) -> Answer {
    ask(to, method, path, body).unwrap_or_else(|error| panic!("{method} http://{to}{path}: {error}"))
}

/// An answer that goes on, line by line.
pub struct Lines {
    /// Head of the answer: the status line and the headers, as sent.
    pub head: String,
    reader: BufReader<TcpStream>,
    /// Where all that comes is kept, and as an answer to what.
    kept: (Log, String),
}

impl Lines {
    /// Asks for a path whose answer goes on; `headers` end with line breaks.
    ///
    /// # Panics
    /// When nobody answers.
    pub(crate) fn open(to: SocketAddr, path: &str, headers: &str, log: &Log) -> Self {
        let mut stream = TcpStream::connect_timeout(&to, PATIENCE).expect("the agent listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a patience that is not zero");
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {to}\r\n{headers}\r\n").expect("the agent reads");
        let kept = (log.clone(), format!("GET {path}"));
        let mut lines = Self { head: String::new(), reader: BufReader::new(stream), kept };
        while let Some(line) = lines.read().filter(|line| line != "\r\n") {
            lines.head.push_str(&line);
        }
        lines
    }

    /// Returns the next line that says something; `None` when the answer has ended.
    ///
    /// # Panics
    /// When nothing comes for a long time.
    pub fn next_line(&mut self) -> Option<String> {
        loop {
            let line = self.read()?;
            let text = line.trim_end();
            if !text.is_empty() {
                return Some(text.to_owned());
            }
        }
    }

    fn read(&mut self) -> Option<String> {
        let mut line = String::new();
        let n_read =
            self.reader.read_line(&mut line).unwrap_or_else(|error| panic!("{error} after {:?}", self.head));
        let (log, asked) = &self.kept;
        log.keep(asked, &line);
        (n_read > 0).then_some(line)
    }
}

/// Speaks HTTP/1.0, in which an answer ends with its connection: nothing to count or to join.
pub(crate) fn ask(to: SocketAddr, method: &str, path: &str, body: &str) -> std::io::Result<Answer> {
    exchange(to, method, path, &[("Accept", "*/*")], body)
}

/// Reads a path of an agent that may end meanwhile; an answer without a head has the status 0.
///
/// # Errors
/// The connection is refused, or ends.
pub fn try_get(to: SocketAddr, path: &str) -> std::io::Result<Answer> {
    ask(to, "GET", path, "")
}

/// Reads a path as somebody who wants a media type.
///
/// # Panics
/// When nobody answers.
pub(crate) fn get_as(to: SocketAddr, path: &str, media_type: &str) -> Answer {
    let answer = exchange(to, "GET", path, &[("Accept", media_type)], "");
    answer.unwrap_or_else(|error| panic!("GET http://{to}{path}: {error}"))
}

/// Posts JSON with more headers.
///
/// # Panics
/// When nobody answers.
pub(crate) fn post_with(to: SocketAddr, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let answer = exchange(to, "POST", path, headers, body);
    answer.unwrap_or_else(|error| panic!("POST http://{to}{path}: {error}"))
}

/// Sends any request, with an empty JSON object as its body.
///
/// # Panics
/// When nobody answers.
pub(crate) fn call(to: SocketAddr, (method, path): (&str, &str), headers: &[(&str, &str)]) -> Answer {
    let answer = exchange(to, method, path, headers, "{}");
    answer.unwrap_or_else(|error| panic!("{method} http://{to}{path}: {error}"))
}

fn exchange(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    let mut head = format!("{method} {path} HTTP/1.0\r\nHost: {to}\r\nContent-Type: application/json\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    write!(stream, "{head}Content-Length: {length}\r\n\r\n{body}")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// Reads what comes of an answer in a time, head and all: some answers do not end by themselves. `headers` end with line breaks.
pub(crate) fn overhear(
    to: SocketAddr,
    path: &str,
    headers: &str,
    longest: Duration,
) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {to}\r\n{headers}\r\n")?;
    let end = Instant::now() + longest;
    let (mut answer, mut piece) = (Vec::new(), vec![0; 65_536]);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(length) => answer.extend_from_slice(&piece[..length]),
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
