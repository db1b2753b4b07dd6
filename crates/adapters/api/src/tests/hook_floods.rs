//! Does a real webhook come through while strangers keep bodies on their way? On real sockets.

use super::sockets::{SHORT, api_with, connect, read_answer, status};
use super::webhook::{SECRET, checked_by, fixture, sign};
use crate::{Check, Limits, Webhooks};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// Longer than any answer takes here, shorter than the time that a body has.
const SOON: Duration = Duration::from_secs(5);
/// How long something may take that comes in any case.
const DEADLINE: Duration = Duration::from_mins(1);

fn head(headers: &str, length: usize) -> String {
    format!(
        "POST /api/webhook HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}Content-Length: \
         {length}\r\n\r\n"
    )
}

/// Begins webhooks that each lack their last byte.
async fn begin(addr: SocketAddr, n: usize, length: usize) -> Vec<TcpStream> {
    let body = " ".repeat(length - 1);
    let mut begun = Vec::new();
    for _ in 0..n {
        begun.push(connect(addr, &(head("", length) + &body)).await);
    }
    begun
}

/// Sends a signed push of so many bytes, and returns how it is answered.
async fn push(addr: SocketAddr, length: usize) -> String {
    let mut body = String::from_utf8(fixture("github_push")).unwrap();
    body.extend(std::iter::repeat_n(' ', length.saturating_sub(body.len())));
    let signature = sign(SECRET, body.as_bytes());
    let headers = format!("X-GitHub-Event: push\r\nX-Hub-Signature-256: sha256={signature}\r\n");
    let begun = Instant::now();
    let mut stream = connect(addr, &(head(&headers, body.len()) + &body)).await;
    let answer = read_answer(&mut stream).await;
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    status(&answer).to_owned()
}

async fn wait_for_counts(webhooks: &Webhooks, expected: (u64, u64)) {
    let end = Instant::now() + DEADLINE;
    while webhooks.counts() != expected {
        assert!(Instant::now() < end, "{:?}", webhooks.counts());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

// N44, N54: webhooks that drip, beside a real one
#[tokio::test]
async fn a_signed_webhook_is_answered_at_once_beside_64_that_drip() {
    let webhooks = Arc::new(checked_by(&Check::Secret(SECRET.into())));
    let api = api_with(Limits::default(), Arc::clone(&webhooks)).await;
    let _dripping = begin(api.addr, 64, 100).await;
    assert_eq!(push(api.addr, 0).await, "202");
    assert_eq!(webhooks.take().len(), 1);
    assert_eq!(webhooks.counts(), (1, 0), "the others may still end");
}

// N44: large webhooks that never end
#[tokio::test]
async fn a_large_webhook_is_read_beside_more_large_ones_than_there_is_room_for() {
    let webhooks = Arc::new(checked_by(&Check::Secret(SECRET.into())));
    let limits = Limits { body_timeout: DEADLINE, request_timeout: DEADLINE, ..Limits::default() };
    let api = api_with(limits, Arc::clone(&webhooks)).await;
    let mut never_ending = begin(api.addr, 24, limits.max_body).await;
    // Each is nearly a MiB, and there is room for 16.
    wait_for_counts(&webhooks, (0, 8)).await;
    assert_eq!(push(api.addr, limits.max_body).await, "202");
    wait_for_counts(&webhooks, (1, 9)).await;
    let mut answers = 0;
    for stream in &mut never_ending {
        if let Ok(answer) = tokio::time::timeout(SHORT, read_answer(stream)).await {
            assert!(status(&answer) == "408" && answer.contains("was given up"), "{answer}");
            answers += 1;
        }
    }
    assert_eq!(answers, 9);
}

// N44: what becomes of them in the metrics
#[tokio::test]
async fn webhooks_that_never_end_are_counted_as_refused_whoever_gives_them_up() {
    let webhooks = Arc::new(checked_by(&Check::Open));
    let api = api_with(Limits { body_timeout: SHORT, ..Limits::default() }, Arc::clone(&webhooks)).await;
    for mut slow in begin(api.addr, 3, 100).await {
        assert_eq!(status(&read_answer(&mut slow).await), "408");
    }
    assert_eq!(webhooks.counts(), (0, 3));
    let patient = Arc::new(checked_by(&Check::Open));
    let api = api_with(Limits::default(), Arc::clone(&patient)).await;
    drop(begin(api.addr, 2, 100).await);
    wait_for_counts(&patient, (0, 2)).await;
    // More connections than there may be: the oldest go, before anything is said to them.
    let crowded = Arc::new(checked_by(&Check::Open));
    let api = api_with(Limits { max_connections: 2, ..Limits::default() }, Arc::clone(&crowded)).await;
    let _held = begin(api.addr, 5, 100).await;
    wait_for_counts(&crowded, (0, 3)).await;
}
