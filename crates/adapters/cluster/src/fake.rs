//! What would a server say? A script for tests, at the HTTP boundary and in memory, so that time can be paused.

use crate::{Access, Cluster};
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use http::Response;
use http_body::Frame;
use http_body_util::StreamBody;
use kube::client::Body;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;

/// One answer of the script.
pub(crate) enum Reply {
    /// Status and body.
    Full(u16, String),
    /// Status, one header, body.
    Header(u16, &'static str, &'static str, String),
    /// 200 and these chunks, then what `Then` says.
    Chunks(Vec<Vec<u8>>, Then),
    /// No connection.
    Refused,
    /// No answer ever.
    Silence,
    /// The answer comes when the test says so.
    Held(oneshot::Receiver<(u16, String)>),
}

/// What follows the chunks of a stream.
pub(crate) enum Then {
    /// The server closes.
    Close,
    /// The connection breaks.
    Break,
    /// Nothing.
    Silence,
    /// The server closes after a while.
    CloseLater(Duration),
    /// The connection breaks after a while.
    BreakLater(Duration),
}

/// What was asked: method, URL and body.
pub(crate) type Asked = Arc<Mutex<Vec<String>>>;

/// One request.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) body: String,
}

/// Returns a cluster that answers from the script, then refuses connections; and what it was asked.
pub(crate) fn cluster(script: Vec<Reply>) -> (Cluster, Asked) {
    let mut script = VecDeque::from(script);
    server(move |_| script.pop_front().unwrap_or(Reply::Refused))
}

/// Returns a cluster that answers as `reply` decides; and what it was asked.
pub(crate) fn server(reply: impl FnMut(&Request) -> Reply + Send + 'static) -> (Cluster, Asked) {
    let asked = Asked::default();
    let reply = Arc::new(Mutex::new(reply));
    let log = Arc::clone(&asked);
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let (reply, log) = (Arc::clone(&reply), Arc::clone(&log));
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect_bytes().await.unwrap();
            let request = Request {
                method: head.method.to_string(),
                url: head.uri.to_string(),
                body: String::from_utf8(body.to_vec()).unwrap(),
            };
            let kind = head.headers.get("content-type").map_or("", |value| value.to_str().unwrap());
            let line = format!("{} {} {kind} {}", request.method, request.url, request.body);
            log.lock().unwrap().push(line.trim_end().to_owned());
            let reply = (*reply.lock().unwrap())(&request);
            answer(reply).await
        }
    });
    let access = Access {
        kubeconfig: None,
        user_agent: String::new(),
        in_flight: 4,
        call_timeout: Duration::from_secs(10),
    };
    (Cluster::over(kube::Client::new(service, "default"), "http://fake/", &access), asked)
}

async fn answer(reply: Reply) -> Result<Response<Chunks>, io::Error> {
    let full = |status: u16, body: String| {
        Ok(Response::builder().status(status).body(chunks(vec![body.into_bytes()], Then::Close)).unwrap())
    };
    match reply {
        Reply::Full(status, body) => full(status, body),
        Reply::Header(status, key, value, body) => {
            let body = chunks(vec![body.into_bytes()], Then::Close);
            Ok(Response::builder().status(status).header(key, value).body(body).unwrap())
        }
        Reply::Chunks(parts, after) => Ok(Response::new(chunks(parts, after))),
        Reply::Refused => Err(io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused")),
        Reply::Silence => std::future::pending().await,
        Reply::Held(receiver) => {
            let (status, body) = receiver.await.unwrap();
            full(status, body)
        }
    }
}

/// A body that comes in parts; kube's own body type holds each part.
pub(crate) type Chunks = StreamBody<BoxStream<'static, Result<Frame<Bytes>, io::Error>>>;

fn chunks(parts: Vec<Vec<u8>>, after: Then) -> Chunks {
    let parts = stream::iter(parts).map(|part| Ok(Frame::data(Bytes::from(part))));
    let reset = || Some(Err(io::Error::new(io::ErrorKind::ConnectionReset, "reset")));
    let end = async move {
        match after {
            Then::Close => None,
            Then::Break => reset(),
            Then::BreakLater(time) => {
                tokio::time::sleep(time).await;
                reset()
            }
            Then::Silence => std::future::pending().await,
            Then::CloseLater(time) => {
                tokio::time::sleep(time).await;
                None
            }
        }
    };
    StreamBody::new(parts.chain(stream::once(end).filter_map(std::future::ready)).boxed())
}
