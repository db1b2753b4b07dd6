//! What can a hostile or slow caller do to the others, and how does a shutdown end? On real sockets, with short limits.

use crate::{
    ApiError, Body, Limits, Listener, Readiness, Request, Serving, Transport, Webhooks, serve, serve_probes,
};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};

/// Longer than any limit that a test sets, shorter than the defaults: what waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(5);
pub(super) const SHORT: Duration = Duration::from_millis(200);
pub(super) const LIST: &str = "GET /api/v1/applications HTTP/1.1\r\nHost: localhost\r\n\r\n";
const WAIT: &str = "GET /api/v1/applications/web/wait HTTP/1.1\r\nHost: localhost\r\n\r\n";
const HOLD: &str = "GET /api/v1/applications/hold HTTP/1.1\r\nHost: localhost\r\n\r\n";

pub(super) struct Api {
    pub(super) addr: SocketAddr,
    serving: Serving,
    stop: oneshot::Sender<()>,
    /// Requests for the app `hold`, which nobody answers until the test does.
    held: mpsc::Receiver<Request>,
}

/// Serves an agent that lists nothing and answers nothing about the app `hold`.
pub(super) async fn api(limits: Limits) -> Api {
    api_with(limits, Arc::default()).await
}

/// Serves the same agent, told of pushes by webhooks.
pub(super) async fn api_with(limits: Limits, webhooks: Arc<Webhooks>) -> Api {
    let (requests, mut asked) = mpsc::channel(8);
    let (keep, held) = mpsc::channel(8);
    let (stop, stopped) = oneshot::channel();
    let listener =
        Listener { addr: "127.0.0.1:0".parse().unwrap(), limits, reviews: None, transport: Transport::Plain };
    let shutdown = async { stopped.await.unwrap_or_default() };
    let serving = serve(listener, requests, webhooks, shutdown).await.unwrap();
    tokio::spawn(async move {
        while let Some(request) = asked.recv().await {
            match request {
                Request::List { reply, .. } => reply.send(Ok(Body::Json(json!({ "items": [] })))).unwrap(),
                Request::Sync { reply, .. } => reply.send(Err(ApiError::internal("synced"))).unwrap(),
                other => keep.send(other).await.unwrap(),
            }
        }
    });
    Api { addr: serving.addr, serving, stop, held }
}

pub(super) async fn connect(addr: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// Reads until the server closes; a reset counts as closed.
pub(super) async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("server closes");
    String::from_utf8(bytes).unwrap()
}

/// Reads one answer up to the end of its JSON.
pub(super) async fn read_answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut part = [0; 4096];
    while !text.ends_with('}') {
        let n_read =
            tokio::time::timeout(PATIENCE, stream.read(&mut part)).await.expect("an answer").unwrap();
        assert_ne!(n_read, 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&part[..n_read]).unwrap());
    }
    text
}

pub(super) fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("closed")
}

pub(super) fn post(headers: &str, body: &str) -> String {
    format!(
        "POST /api/v1/applications/web/sync HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}\r\n\
         \r\n{body}"
    )
}

#[tokio::test]
async fn only_loopback_is_listened_on() {
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
        let (requests, _asked) = mpsc::channel(1);
        let addr = listen.parse().unwrap();
        let listener =
            Listener { addr, limits: Limits::default(), reviews: None, transport: Transport::InsecurePlain };
        let error = serve(listener, requests, Arc::default(), async {}).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("would not ask them who they are"), "{error}");
    }
}

// N54: heads that drip
#[tokio::test]
async fn slow_heads_and_idle_connections_are_closed() {
    let api = api(Limits { header_timeout: SHORT, ..Limits::default() }).await;
    for begun in ["", "GET /api/ver", "GET /api/version HTTP/1.1\r\nHost: local"] {
        let mut stream = connect(api.addr, begun).await;
        let answer = read_to_end(&mut stream).await;
        assert!(matches!(status(&answer), "closed" | "408"), "{begun:?}: {answer}");
    }
    let mut kept = connect(api.addr, LIST).await;
    assert_eq!(status(&read_answer(&mut kept).await), "200");
    assert_eq!(read_to_end(&mut kept).await, "");
}

// N44: the body of a sync
#[tokio::test]
async fn bodies_over_the_cap_are_refused() {
    let api = api(Limits::default()).await;
    // Declared: refused before a byte of it is read.
    let mut declared = connect(api.addr, &post("Content-Length: 2147483648", "")).await;
    assert_eq!(status(&read_to_end(&mut declared).await), "413");
    // Undeclared: refused as soon as it is too much. The server may close while we still write.
    let mut chunked = connect(api.addr, &post("Transfer-Encoding: chunked", "")).await;
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    for _ in 0..17 {
        chunked.write_all(chunk.as_bytes()).await.unwrap();
    }
    assert_eq!(status(&read_answer(&mut chunked).await), "413");
    // At the cap: read.
    let body = " ".repeat(Limits::default().max_body);
    let mut full = connect(api.addr, &post(&format!("Content-Length: {}", body.len()), &body)).await;
    assert!(read_answer(&mut full).await.contains("synced"));
    let mut gzip = connect(api.addr, &post("Content-Encoding: gzip\r\nContent-Length: 0", "")).await;
    assert_eq!(status(&read_answer(&mut gzip).await), "415");
}

// N44: the body of a webhook, which anybody may send
#[tokio::test]
async fn webhooks_over_the_cap_that_drip_or_are_compressed_are_refused_and_keep_nobody_out() {
    let hook = |headers: &str, body: &str| {
        post(headers, body).replace("/api/v1/applications/web/sync", "/api/webhook")
    };
    let api = api(Limits { body_timeout: SHORT, ..Limits::default() }).await;
    let mut declared = connect(api.addr, &hook("Content-Length: 2147483648", "")).await;
    assert_eq!(status(&read_to_end(&mut declared).await), "413");
    let mut gzip = connect(api.addr, &hook("Content-Encoding: gzip\r\nContent-Length: 0", "")).await;
    assert_eq!(status(&read_answer(&mut gzip).await), "415");
    let mut chunked = connect(api.addr, &hook("Transfer-Encoding: chunked", "")).await;
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    for _ in 0..17 {
        chunked.write_all(chunk.as_bytes()).await.unwrap();
    }
    assert_eq!(status(&read_answer(&mut chunked).await), "413");
    let mut dripping = connect(api.addr, &hook("Content-Length: 100", "{")).await;
    let mut full = connect(api.addr, &hook("Content-Length: 2", "{}")).await;
    assert_eq!(status(&read_answer(&mut full).await), "503", "its secrets are not known here");
    assert_eq!(status(&read_answer(&mut dripping).await), "408");
}

// N44, N54: bodies that drip
#[tokio::test]
async fn slow_bodies_and_slow_agents_time_out() {
    let limits = Limits { body_timeout: SHORT, request_timeout: 2 * SHORT, ..Limits::default() };
    let api = api(limits).await;
    let mut dripping = connect(api.addr, &post("Content-Length: 100", "{")).await;
    assert_eq!(status(&read_answer(&mut dripping).await), "408");
    let mut waiting = connect(api.addr, HOLD).await;
    assert_eq!(status(&read_answer(&mut waiting).await), "504");
}

// N54: more connections than there is room for
#[tokio::test]
async fn half_open_connections_keep_nobody_out() {
    let mut api = api(Limits { max_connections: 4, ..Limits::default() }).await;
    let mut busy = connect(api.addr, HOLD).await;
    let held = api.held.recv().await.unwrap();
    let mut half_open = Vec::new();
    for _ in 0..50 {
        half_open.push(connect(api.addr, "GET /api/version HTTP/1.1\r\n").await);
        let started = Instant::now();
        let mut asking = connect(api.addr, LIST).await;
        assert_eq!(status(&read_answer(&mut asking).await), "200");
        assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
    }
    assert_eq!(status(&read_to_end(&mut half_open[0]).await), "closed");
    // The request under way was never sacrificed.
    let Request::Get { reply, .. } = held else { panic!("a Get was held") };
    reply.send(Ok(Body::Json(json!({})))).unwrap();
    assert_eq!(status(&read_answer(&mut busy).await), "200");
}

#[tokio::test]
async fn connections_that_all_work_refuse_one_more() {
    let mut api = api(Limits { max_connections: 2, ..Limits::default() }).await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        busy.push((connect(api.addr, HOLD).await, api.held.recv().await.unwrap()));
    }
    let mut further = connect(api.addr, "").await;
    assert_eq!(read_to_end(&mut further).await, "");
}

#[tokio::test]
async fn several_host_headers_are_refused() {
    let api = api(Limits::default()).await;
    let head = "GET /api/version HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n";
    let answer = read_answer(&mut connect(api.addr, head).await).await;
    assert!(status(&answer) == "400" && answer.contains("several Host headers"), "{answer}");
}

#[tokio::test]
async fn odd_requests_are_refused_and_harm_nobody() {
    let api = api(Limits::default()).await;
    for odd in [
        "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n",
        "GET http://localhost HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET //// HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /api/v1/applications/%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /api/v1/applications?%ff=%zz&&=&= HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /api/v1/applications HTTP/1.0\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\r\n\r\n",
    ] {
        let mut stream = connect(api.addr, odd).await;
        stream.shutdown().await.unwrap();
        let answer = read_to_end(&mut stream).await;
        assert!(status(&answer).starts_with('4'), "{odd:?}: {answer:?}");
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(100_000));
    for odd in [long.as_str(), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let answer = read_to_end(&mut connect(api.addr, odd).await).await;
        assert!(matches!(status(&answer), "414" | "431" | "closed"), "{answer:?}");
    }
    assert_eq!(status(&read_answer(&mut connect(api.addr, LIST).await).await), "200");
}

#[tokio::test]
async fn probes_answer_whatever_host_they_are_asked_by() {
    let (_agent, readiness) = watch::channel(Readiness { ready: true, alive: true, reasons: Vec::new() });
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async { stopped.await.unwrap_or_default() };
    let listen = "127.0.0.1:0".parse().unwrap();
    let serving = serve_probes(listen, readiness, Arc::new(|| Box::pin(async { String::new() })), shutdown)
        .await
        .unwrap();
    let mut kubelet =
        connect(serving.addr, "GET /readyz HTTP/1.1\r\nHost: 10.1.2.3:8081\r\nConnection: close\r\n\r\n")
            .await;
    assert!(read_to_end(&mut kubelet).await.ends_with("ok\n"));
    stop.send(()).unwrap();
    tokio::time::timeout(PATIENCE, serving.task).await.expect("ends").unwrap();
}

#[tokio::test]
async fn shutdown_lets_requests_finish_and_closes_the_rest() {
    let mut api = api(Limits::default()).await;
    let mut idle = connect(api.addr, LIST).await;
    assert_eq!(status(&read_answer(&mut idle).await), "200");
    let mut busy = connect(api.addr, HOLD).await;
    let Request::Get { reply, .. } = api.held.recv().await.unwrap() else { panic!("a Get was held") };
    api.stop.send(()).unwrap();
    assert_eq!(read_to_end(&mut idle).await, "");
    reply.send(Ok(Body::Json(json!({ "a": 1 })))).unwrap();
    assert!(read_to_end(&mut busy).await.ends_with("{\"a\":1}"));
    tokio::time::timeout(PATIENCE, api.serving.task).await.expect("ends").unwrap();
    assert!(TcpStream::connect(api.addr).await.is_err());
}

#[tokio::test]
async fn shutdown_ends_at_its_deadline() {
    let mut api = api(Limits { shutdown_deadline: SHORT, ..Limits::default() }).await;
    let mut busy = connect(api.addr, HOLD).await;
    let _held = api.held.recv().await.unwrap();
    let _half_open = connect(api.addr, "GET /").await;
    api.stop.send(()).unwrap();
    tokio::time::timeout(PATIENCE, api.serving.task).await.expect("ends at the deadline").unwrap();
    assert_eq!(read_to_end(&mut busy).await, "");
}

#[tokio::test]
async fn waits_outlast_the_time_of_a_request_and_leave_room_for_others() {
    let limits = Limits { request_timeout: SHORT, max_long: 2, ..Limits::default() };
    let mut api = api(limits).await;
    let mut waiting = Vec::new();
    for _ in 0..2 {
        waiting.push((connect(api.addr, WAIT).await, api.held.recv().await.unwrap()));
    }
    let further = read_answer(&mut connect(api.addr, WAIT).await).await;
    assert!(status(&further) == "429" && further.contains("2 waits and streams are open"), "{further}");
    assert_eq!(status(&read_answer(&mut connect(api.addr, LIST).await).await), "200");
    tokio::time::sleep(2 * SHORT).await;
    // One that goes away gives its place back, and the agent hears of it.
    let (gone, held) = waiting.pop().unwrap();
    drop(gone);
    let Request::Wait { mut reply, .. } = held else { panic!("a wait was held") };
    tokio::time::timeout(PATIENCE, reply.closed()).await.expect("the agent hears that nobody waits");
    let mut other = connect(api.addr, WAIT).await;
    let Some(Request::Wait { reply, .. }) = api.held.recv().await else { panic!("there is room again") };
    reply.send(Ok(Body::Verdict(409, json!({ "verdict": "Held" })))).unwrap();
    assert_eq!(status(&read_answer(&mut other).await), "409");
    let (mut first, held) = waiting.pop().unwrap();
    let Request::Wait { reply, .. } = held else { panic!("a wait was held") };
    reply.send(Ok(Body::Verdict(200, json!({ "verdict": "Deployed" })))).unwrap();
    assert_eq!(status(&read_answer(&mut first).await), "200");
}
