//! How quickly are others answered while somebody opens all the connections that there may be?

use super::sockets::{LIST, api, connect, post, read_answer, read_to_end, status};
use crate::{Limits, Readiness, serve_probes};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// Connections of a flood: twice as many as there may be.
const MANY: usize = 2_000;
const READY: &str = "GET /readyz HTTP/1.1\r\nHost: 10.1.2.3\r\nConnection: close\r\n\r\n";

/// What callers get while a flood lasts.
const SOON: Duration = Duration::from_millis(100);

/// Returns the least of three [`median`]s: a machine with other work has better and worse moments.
async fn usual(addr: SocketAddr, request: &str) -> Duration {
    let mut least = Duration::MAX;
    for _ in 0..3 {
        least = least.min(median(addr, request).await);
    }
    least
}

/// Asks 21 times, each over a connection of its own, and returns the median of the times to an answer.
async fn median(addr: SocketAddr, request: &str) -> Duration {
    let mut times = Vec::new();
    for _ in 0..21 {
        let started = Instant::now();
        let mut stream = connect(addr, request).await;
        let mut answer = [0; 512];
        let n = tokio::io::AsyncReadExt::read(&mut stream, &mut answer).await.unwrap();
        assert!(answer[..n].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..n]));
        times.push(started.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2]
}

/// Opens connections that begin so; the server ends the oldest of them for want of room.
async fn flood(addr: SocketAddr, begun: &str) -> Vec<TcpStream> {
    let mut all = Vec::new();
    for _ in 0..MANY {
        all.push(connect(addr, begun).await);
    }
    all
}

// N54, N44: half-open connections, heads and bodies that drip, compressed bodies, more of each than there is room for
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_half_requests_leave_api_and_probes_answering() {
    let api = api(Limits::default()).await;
    let (_agent, readiness) = watch::channel(Readiness { ready: true, alive: true, reasons: Vec::new() });
    let metrics: crate::MetricsText = Arc::new(|| Box::pin(async { String::new() }));
    let forever = std::future::pending::<()>();
    let probes = serve_probes("127.0.0.1:0".parse().unwrap(), readiness, metrics, forever).await.unwrap();
    let hook = |headers: &str, body: &str| {
        post(headers, body).replace("/api/v1/applications/web/sync", "/api/webhook")
    };
    for (what, begun) in [
        ("half-open", String::new()),
        ("slow heads", "GET /api/v1/applications HTTP/1.1\r\nHost: local".to_owned()),
        ("slow bodies", post("Content-Length: 100", "{")),
        ("slow webhooks", hook("Content-Length: 100", "{")),
        ("announced floods", post("Content-Length: 2147483648", "")),
        ("gzip bombs", post("Content-Encoding: gzip\r\nContent-Length: 1000", "\u{1f}")),
    ] {
        let open = flood(api.addr, &begun).await;
        let at_probes = flood(probes.addr, "GET /readyz HTTP/1.1\r\nHost: x").await;
        let (list, ready) = (usual(api.addr, LIST).await, usual(probes.addr, READY).await);
        eprintln!("{what}, {} of each: a list takes {list:?}, /readyz {ready:?}", open.len());
        assert!(list.max(ready) < SOON, "{what}: {list:?}, {ready:?}");
        drop((open, at_probes));
    }
    probes.task.abort();
}

/// As the README says of what is refused before it is a request.
fn is_without_a_body(answer: &str) {
    if let Some((head, body)) = answer.split_once("\r\n\r\n") {
        assert!(head.to_lowercase().contains("content-length: 0") && body.is_empty(), "{answer}");
    }
}

// N54: what is no request, and a path without end
#[tokio::test]
async fn what_is_no_request_is_refused_without_a_body() {
    let api = api(Limits::default()).await;
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(65_535));
    for (request, expected) in
        [("hello\r\n\r\n", "400"), ("GET / HTTP/1.1\r\nHost\r\n\r\n", "400"), (&long, "414")]
    {
        let answer = read_to_end(&mut connect(api.addr, request).await).await;
        assert!(matches!(status(&answer), code if code == expected || code == "431"), "{answer:?}");
        is_without_a_body(&answer);
    }
}

// N54: a head with more than is read
#[tokio::test]
async fn heads_that_are_too_long_or_too_many_are_refused() {
    let api = api(Limits::default()).await;
    let head = |headers: String| format!("GET /api/version HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    let many = "X: 1\r\n".repeat(101);
    let long = format!("X: {}\r\n", "a".repeat(200_000));
    for headers in [many, long] {
        let what = headers.len();
        let mut stream = connect(api.addr, &head(headers)).await;
        let mut answer = [0; 512];
        // It may be closed while we still write.
        let n = tokio::io::AsyncReadExt::read(&mut stream, &mut answer).await.unwrap_or(0);
        let answer = String::from_utf8_lossy(&answer[..n]);
        assert!(matches!(status(&answer), "431" | "closed"), "{what} bytes: {answer}");
        is_without_a_body(&answer);
    }
    let fitting = head("X: 1\r\n".repeat(90));
    assert_eq!(status(&read_answer(&mut connect(api.addr, &fitting).await).await), "200");
}
