//! What do the probes say in each state of the agent, and what does their listener answer besides?

use crate::Readiness;
use crate::probes::filter;
use std::sync::Arc;
use tokio::sync::watch;
use warp::filters::BoxedFilter;
use warp::reply::Response;

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
    for line in ["GET /", "POST /metrics", "GET /metrics/x", "GET /api/v1/applications", "POST /healthz"] {
        assert!(get(&probes, line).await.starts_with("404 "), "{line}");
    }
}
