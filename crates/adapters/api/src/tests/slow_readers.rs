//! What becomes of who asks for much and reads none of it? On real sockets, with short limits.

use super::sockets::{connect, read_answer, status};
use crate::feed::Feed;
use crate::{Body, Limits, Listed, Listener, Request, Transport, serve};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

const STREAM: &str = "GET /api/v1/stream/applications HTTP/1.1\r\nHost: localhost\r\n\r\n";
const WAIT: &str = "GET /api/v1/applications/web/wait HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// Applications that a stream begins with, of a megabyte each: more than the sockets of both ends hold.
const MANY: usize = 64;

/// Serves an agent whose streams begin with many Applications, and which answers waits when `verdict` says so.
async fn api(limits: Limits, verdict: oneshot::Receiver<()>) -> SocketAddr {
    let (requests, mut asked) = mpsc::channel(8);
    let listener =
        Listener { addr: "127.0.0.1:0".parse().unwrap(), limits, reviews: None, transport: Transport::Plain };
    let serving = serve(listener, requests, Arc::default(), std::future::pending()).await.unwrap();
    let (feed, mut verdict) = (Feed::default(), Some(verdict));
    feed.listed(1);
    let text = "x".repeat(1024 * 1024);
    let app = Arc::new(Listed::new(&json!({"metadata": {"name": "web", "annotations": {"text": text}}})));
    tokio::spawn(async move {
        while let Some(request) = asked.recv().await {
            match request {
                Request::Stream { query, since, reply } => {
                    let all = || vec![Arc::clone(&app); MANY];
                    let subscription = feed.subscribe(query, since, all).unwrap();
                    reply.send(Ok(Body::Stream(Box::new(subscription)))).unwrap();
                }
                Request::Wait { reply, .. } => {
                    let verdict = verdict.take().unwrap();
                    tokio::spawn(async move {
                        verdict.await.unwrap();
                        reply.send(Ok(Body::Verdict(200, json!({ "verdict": "Deployed" })))).unwrap();
                    });
                }
                other => panic!("{other:?}"),
            }
        }
    });
    serving.addr
}

// N54: answers that are not taken
#[tokio::test]
async fn who_reads_none_of_a_stream_loses_its_place_and_who_waits_in_silence_does_not() {
    let limits = Limits { write_timeout: Duration::from_millis(500), max_long: 2, ..Limits::default() };
    let (decide, verdict) = oneshot::channel();
    let addr = api(limits, verdict).await;
    let mut waiting = connect(addr, WAIT).await;
    let _reads_nothing = connect(addr, STREAM).await;
    let end = Instant::now() + Duration::from_mins(1);
    let mut n_refused = 0;
    loop {
        let mut further = connect(addr, STREAM).await;
        let mut head = [0; 512];
        let n = tokio::io::AsyncReadExt::read(&mut further, &mut head).await.unwrap();
        match status(std::str::from_utf8(&head[..n]).unwrap_or_default()) {
            "200" if n_refused > 0 => break,
            // It came before the other one.
            "200" => {}
            refused => {
                assert_eq!(refused, "429");
                n_refused += 1;
            }
        }
        assert!(Instant::now() < end, "its place is still taken, {n_refused} were refused");
    }
    decide.send(()).unwrap();
    assert_eq!(status(&read_answer(&mut waiting).await), "200", "it waited longer than that");
}
