//! What do the probes say in each state of the agent, and what does their listener answer besides?

use super::sockets::{connect, read_to_end, status};
use crate::probes::filter;
use crate::{MetricsText, Readiness, serve_probes};
use std::sync::Arc;
use tokio::sync::watch;
use warp::filters::BoxedFilter;
use warp::http::HeaderValue;
use warp::reply::Response;

const ALLOWED: HeaderValue = HeaderValue::from_static("GET, HEAD");

async fn get(probes: &BoxedFilter<(Response,)>, line: &str) -> String {
    let (method, path) = line.split_once(' ').unwrap();
    let response = warp::test::request().method(method).path(path).reply(probes).await;
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    format!("{} {}", response.status().as_u16(), std::str::from_utf8(response.body()).unwrap().trim_end())
}

fn probes(now: Readiness) -> (watch::Sender<Readiness>, BoxedFilter<(Response,)>) {
    let (sender, readiness) = watch::channel(now);
    (sender, filter(readiness, Arc::new(|| Box::pin(async { "up 1\n".to_owned() }))))
}

#[tokio::test]
async fn probes_follow_the_agent() {
    let (agent, probes) =
        probes(Readiness { ready: false, alive: true, reasons: vec!["listing apps".into()] });
    assert_eq!(get(&probes, "GET /healthz").await, "200 ok");
    assert_eq!(get(&probes, "GET /readyz").await, "503 listing apps");
    agent.send(Readiness { ready: true, alive: true, reasons: vec!["git.example is away".into()] }).unwrap();
    assert_eq!(get(&probes, "GET /readyz").await, "200 ok");
    agent.send(Readiness { ready: true, alive: false, reasons: Vec::new() }).unwrap();
    assert_eq!(get(&probes, "GET /healthz").await, "503 not yet");
    assert_eq!(get(&probes, "GET /readyz").await, "503 not yet");
}

#[tokio::test]
async fn an_agent_whose_loop_is_gone_is_not_alive() {
    let (agent, probes) = probes(Readiness { ready: true, alive: true, reasons: Vec::new() });
    drop(agent);
    assert_eq!(get(&probes, "GET /healthz").await, "503 the agent's loop has ended");
    assert_eq!(get(&probes, "GET /readyz").await, "503 the agent's loop has ended");
}

#[tokio::test]
async fn metrics_are_typed_and_nothing_else_is_answered() {
    let (_agent, probes) = probes(Readiness::default());
    assert_eq!(get(&probes, "GET /metrics").await, "200 up 1");
    let response = warp::test::request().path("/metrics").reply(&probes).await;
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    for line in ["GET /", "HEAD /", "GET /metrics/x", "POST /metrics/x", "GET /api/v1/applications"] {
        assert!(get(&probes, line).await.starts_with("404 "), "{line}");
    }
}

#[tokio::test]
async fn other_methods_than_get_and_head_are_told_which_there_are() {
    let (_agent, probes) = probes(Readiness { ready: true, alive: true, reasons: Vec::new() });
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert!(get(&probes, &format!("HEAD {path}")).await.starts_with("200 "), "{path}");
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
            let response = warp::test::request().method(method).path(path).reply(&probes).await;
            assert_eq!((response.status().as_u16(), &response.headers()["allow"]), (405, &ALLOWED));
        }
    }
}

#[tokio::test]
async fn a_head_is_answered_without_a_body() {
    let (_agent, readiness) =
        watch::channel(Readiness { ready: false, alive: true, reasons: vec!["listing apps".into()] });
    let metrics: MetricsText = Arc::new(|| Box::pin(async { "up 1\n".to_owned() }));
    let forever = std::future::pending::<()>();
    let probes = serve_probes("127.0.0.1:0".parse().unwrap(), readiness, metrics, forever).await.unwrap();
    for (path, expected) in [("/healthz", "200"), ("/readyz", "503"), ("/metrics", "200")] {
        let request = format!("HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = read_to_end(&mut connect(probes.addr, &request).await).await;
        assert_eq!(status(&answer), expected, "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }
    probes.task.abort();
}
