//! How is an answer read that goes on for as long as something happens? Event by event, as servers send them (HTML standard,
//! "Server-sent events"; the part of it that an agent writes).

use super::{Answer, Client, ClientError, Connection, Unanswered, failed};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::ACCEPT;
use hyper::{Method, StatusCode};
use std::time::Duration;

/// Longest event, in bytes: an object of etcd has 1.5 MiB at most, and JSON escapes make it a few times that.
const LONGEST_EVENT: usize = 32 << 20;

/// An agent says something every 15 s; whoever is silent for longer than this is not there any more.
const SILENCE: Duration = Duration::from_mins(1);

/// What came of asking for events.
pub enum Opened {
    /// They come.
    Events(Box<Events>),
    /// The agent says no.
    Refused(Answer),
}

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Where to come back to, once everything so far is known.
    pub id: Option<String>,
    /// What it says; empty where it only says that the other end is there.
    pub data: String,
}

/// Events as they come. Dropping it ends them.
pub struct Events {
    client: Client,
    body: Incoming,
    _connection: Connection,
    lines: Lines,
}

impl Client {
    /// Asks for a path whose answer is events; the first of them may come at any time after the answer began.
    ///
    /// # Errors
    /// When no answer begins in time; an answer that says no is one.
    pub async fn open(&self, path: &str, timeout: Duration) -> Result<Opened, ClientError> {
        let request = self.request(Method::GET, path).header(ACCEPT, "text/event-stream");
        let request = request.body(Full::new(Bytes::new()));
        let request = request.map_err(|error| failed(Unanswered::Unusable, format!("{path}: {error}")))?;
        self.in_time(timeout, async {
            let (response, connection) = self.begin(request).await?;
            if response.status() != StatusCode::OK {
                return self.whole(response).await.map(Opened::Refused);
            }
            Ok(Opened::Events(Box::new(Events {
                client: self.clone(),
                body: response.into_body(),
                _connection: connection,
                lines: Lines::default(),
            })))
        })
        .await
    }
}

impl Events {
    /// Returns the next event; `None` when the agent has ended them.
    ///
    /// # Errors
    /// When the connection breaks, when the other end is silent for too long, and when it sends what is no event.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            if let Some(event) = self.lines.event() {
                return Ok(Some(event));
            }
            let Ok(frame) = tokio::time::timeout(SILENCE, self.body.frame()).await else {
                return Err(self.client.unreachable("it has gone silent"));
            };
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|error| self.client.unreachable(&error.to_string()))?;
            if let Some(bytes) = frame.data_ref()
                && !self.lines.push(bytes)
            {
                return Err(self.client.unreachable("it sends what no agent sends"));
            }
        }
    }
}

/// What came, up to the end of the last whole event.
#[derive(Debug, Default)]
struct Lines {
    text: Vec<u8>,
    /// How much of it holds no end of an event.
    searched: usize,
}

impl Lines {
    /// Adds what came; returns whether that is not too much.
    fn push(&mut self, bytes: &[u8]) -> bool {
        self.text.extend_from_slice(bytes);
        self.text.len() <= LONGEST_EVENT
    }

    /// Takes the next event, if all of it is there.
    fn event(&mut self) -> Option<Event> {
        let Some(end) = self.text[self.searched..].windows(2).position(|two| two == b"\n\n") else {
            self.searched = self.text.len().saturating_sub(1);
            return None;
        };
        let end = self.searched + end;
        let mut event = Event::default();
        for line in String::from_utf8_lossy(&self.text[..end]).lines() {
            // Anything else is a comment, or a field that means nothing to us.
            match line.split_once(": ") {
                Some(("id", id)) => event.id = Some(id.to_owned()),
                Some(("data", data)) => event.data.push_str(data),
                Some(_) | None => {}
            }
        }
        self.text.drain(..end + 2);
        self.searched = 0;
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut() {
        let sent = "id: 7\ndata: {\"a\":\"é: b\"}\n\n: alive\nid: 8\n\ndata: last\n\nid: 9\ndata: hal";
        let expected = [(Some("7"), "{\"a\":\"é: b\"}"), (Some("8"), ""), (None, "last")];
        for size in 1..sent.len() {
            let mut lines = Lines::default();
            let mut events = Vec::new();
            for piece in sent.as_bytes().chunks(size) {
                assert!(lines.push(piece));
                events.extend(std::iter::from_fn(|| lines.event()));
            }
            let got: Vec<_> = events.iter().map(|event| (event.id.as_deref(), event.data.as_str())).collect();
            assert_eq!(got, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn an_event_without_end_is_not_kept() {
        let mut lines = Lines::default();
        let piece = vec![b'x'; 1 << 20];
        assert!((0..=LONGEST_EVENT >> 20).any(|_| !lines.push(&piece)));
    }
}
