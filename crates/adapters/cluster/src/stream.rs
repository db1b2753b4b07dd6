//! What does one watch connection tell, and how does it end?

use crate::call::unavailable;
use crate::classify::{self, Content, Status};
use crate::decode::{self, Bad, Line};
use crate::pieces::{Garbage, Piece, Pieces};
use crate::watch::{Origin, Stopped, WatchEvent, Watcher};
use futures::StreamExt as _;
use http::Response;
use http_body_util::{BodyDataStream, BodyExt as _};
use kube::client::Body;
use model::{CallError, ErrorClass, GroupVersionKind, Object};
use serde_json::json;
use std::time::Duration;

/// Longest event that we take, in bytes.
const LONGEST_EVENT: usize = 32 << 20;

/// A connection that is silent for so long is given up. Servers send bookmarks about once a minute, so that a healthy
/// one is never that quiet; where they do not, it costs one request to look.
const LONGEST_SILENCE: Duration = Duration::from_secs(100);

/// How a connection ended.
pub(crate) enum End {
    /// The server closed it.
    Clean,
    /// It was silent for too long.
    Idle,
    /// It broke, or the server told an error.
    Broken(CallError),
    /// The server no longer knows what happened since our resourceVersion.
    Expired,
}

/// One connection.
pub(crate) struct Stream {
    chunks: BodyDataStream<Body>,
    pieces: Pieces,
    version: String,
}

impl Stream {
    /// Takes the answer to a watch from `version`.
    pub(crate) fn new(response: Response<Body>, version: String) -> Self {
        Self { chunks: response.into_body().into_data_stream(), pieces: Pieces::new(LONGEST_EVENT), version }
    }

    /// Returns the resourceVersion to go on from.
    pub(crate) fn into_version(self) -> String {
        self.version
    }

    /// Tells every event until the connection ends.
    pub(crate) async fn run(&mut self, watcher: &mut Watcher) -> Result<End, Stopped> {
        loop {
            loop {
                let piece = match self.pieces.next() {
                    Ok(None) => break,
                    Ok(Some(piece)) => piece,
                    Err(Garbage) => {
                        return Ok(End::Broken(unavailable("a watch sent something that is not JSON")));
                    }
                };
                if let Some(end) = self.piece(watcher, piece).await? {
                    return Ok(end);
                }
            }
            match tokio::time::timeout(LONGEST_SILENCE, self.chunks.next()).await {
                Ok(Some(Ok(chunk))) => self.pieces.push(&chunk),
                Ok(Some(Err(_))) => return Ok(End::Broken(unavailable("the connection of a watch broke"))),
                Ok(None) => return Ok(End::Clean),
                Err(_) => return Ok(End::Idle),
            }
        }
    }

    async fn piece(&mut self, watcher: &mut Watcher, piece: Piece) -> Result<Option<End>, Stopped> {
        let gvk = &watcher.spec.endpoint.gvk;
        let news = match piece {
            Piece::TooLong => News::Bad(nameless("longer than 32 MiB")),
            Piece::Value(bytes) => match String::from_utf8(bytes) {
                Ok(text) => read(&text, gvk),
                Err(error) => {
                    let text = String::from_utf8_lossy(error.as_bytes());
                    match serde_json::from_str::<Line>(&text) {
                        Ok(line) => News::Bad(decode::bad(line.object.get(), "not valid UTF-8")),
                        Err(_) => News::Bad(nameless("not valid UTF-8")),
                    }
                }
            },
        };
        if !matches!(news, News::End(_)) {
            watcher.backoff.succeeded();
        }
        match news {
            News::Event(event, version) => {
                self.advance(version);
                watcher.tell(event).await?;
            }
            News::Bookmark(version) => self.advance(version),
            News::Bad(bad) => {
                self.advance(bad.resource_version.clone());
                watcher.tell_bad(bad).await?;
            }
            News::End(end) => return Ok(Some(end)),
        }
        Ok(None)
    }

    fn advance(&mut self, version: String) {
        if !version.is_empty() {
            self.version = version;
        }
    }
}

/// What one value of the stream says; a resourceVersion is where to go on from.
enum News {
    Event(WatchEvent, String),
    Bookmark(String),
    Bad(Bad),
    End(End),
}

fn read(text: &str, gvk: &GroupVersionKind) -> News {
    let Ok(line) = serde_json::from_str::<Line>(text) else {
        return News::Bad(nameless("not a watch event"));
    };
    let raw = line.object.get();
    let told = |origin| match decode::object(raw, gvk) {
        Ok(object) => {
            let version = object.resource_version().to_owned();
            News::Event(WatchEvent::Object(object, origin), version)
        }
        Err(bad) => News::Bad(bad),
    };
    match line.r#type.as_str() {
        "ADDED" => told(Origin::Added),
        "MODIFIED" => told(Origin::Modified),
        "DELETED" => deleted(raw, gvk),
        "BOOKMARK" => News::Bookmark(decode::bad(raw, "").resource_version),
        "ERROR" => News::End(error(raw)),
        _ => News::Bad(decode::bad(raw, "an event of an unknown type")),
    }
}

/// Reads a deletion. Where the last state cannot be read, the name is enough: otherwise we would keep what is gone.
fn deleted(raw: &str, gvk: &GroupVersionKind) -> News {
    let read = decode::object(raw, gvk).or_else(|bad| {
        if bad.name.is_empty() {
            return Err(bad);
        }
        let object = Object::from_value(json!({
            "apiVersion": gvk.api_version(), "kind": gvk.kind,
            "metadata": {"name": bad.name, "resourceVersion": bad.resource_version},
        }));
        let mut object = object.map_err(|_| bad.clone())?;
        object.set_namespace(&bad.namespace);
        Ok(object)
    });
    match read {
        Ok(object) => {
            let version = object.resource_version().to_owned();
            News::Event(WatchEvent::Deleted(object.key(), object), version)
        }
        Err(bad) => News::Bad(bad),
    }
}

/// Reads the Status of an `ERROR` event.
fn error(raw: &str) -> End {
    let code = serde_json::from_str::<Status>(raw).map_or(0, |status| status.code);
    let error = classify::classify(code, raw.as_bytes(), Content::Plain);
    if error.class == ErrorClass::Gone { End::Expired } else { End::Broken(error) }
}

fn nameless(sentence: &'static str) -> Bad {
    Bad {
        namespace: String::new(),
        name: String::new(),
        resource_version: String::new(),
        sentence,
        head: None,
    }
}
