//! What do the metrics say? Argo CD's names where they mean the same, ours under `tautline_`.

use crate::agent::Agent;
use crate::metrics::Metrics;
use api::metrics::{self, Family, Kind, Number, Sample};
use cluster::Cluster;
use serde_json::Value;

/// Writes what the loop knows.
pub(crate) fn text(agent: &Agent) -> String {
    metrics::render(&[
        info(agent),
        family(
            "tautline_live_objects",
            "Objects of which a digest is kept.",
            Kind::Gauge,
            vec![sample(Vec::new(), agent.live.len() as u64)],
        ),
        ages(agent),
    ])
}

/// Writes what is counted wherever it happens: the loop need not turn for it to be up to date.
pub(crate) fn counters(m: &Metrics, cluster: &Cluster) -> String {
    metrics::render(&[
        counter(
            "tautline_renders_total",
            "Revisions rendered for an app, caches not counted.",
            m.renders.get(),
        ),
        counter("tautline_applies_total", "Objects applied.", m.applies.get()),
        counter("tautline_checks_total", "Questions to the API server about single objects.", m.checks.get()),
        counter("tautline_polls_total", "Polls of repositories.", m.polls.get()),
        counter("tautline_status_writes_total", "Status writes.", m.status_writes.get()),
        counter(
            "tautline_events_dropped_total",
            "Events dropped because too many were under way.",
            m.events_dropped.get(),
        ),
        requests(cluster),
    ])
}

fn info(agent: &Agent) -> Family {
    let samples = agent.apps.iter().map(|(key, entry)| {
        let text = |pointer: &str| entry.raw.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let or =
            |text: &str, default: &str| if text.is_empty() { default.to_owned() } else { text.to_owned() };
        let labels = vec![
            ("namespace", key.namespace.clone()),
            ("name", key.name.clone()),
            ("project", or(text("/spec/project"), "default")),
            ("repo", text("/spec/source/repoURL").to_owned()),
            ("dest_server", text("/spec/destination/server").to_owned()),
            ("dest_namespace", text("/spec/destination/namespace").to_owned()),
            ("sync_status", or(text("/status/sync/status"), "Unknown")),
            ("health_status", or(text("/status/health/status"), "Unknown")),
        ];
        sample(labels, 1)
    });
    family("argocd_app_info", "Information about application.", Kind::Gauge, samples.collect())
}

fn requests(cluster: &Cluster) -> Family {
    let samples = cluster
        .requests()
        .into_iter()
        .map(|(verb, kind, count)| sample(vec![("verb", verb.to_owned()), ("kind", kind)], count));
    family("tautline_api_requests_total", "Requests to the API server.", Kind::Counter, samples.collect())
}

fn ages(agent: &Agent) -> Family {
    let samples = agent.repos.iter().filter_map(|(id, repo)| {
        let labels = vec![("repo", id.url.clone()), ("project", id.project.clone())];
        Some(sample(labels, repo.last_success?.elapsed().as_secs()))
    });
    family(
        "tautline_source_age_seconds",
        "Time since a repository was last read well.",
        Kind::Gauge,
        samples.collect(),
    )
}

fn counter(name: &'static str, help: &'static str, value: u64) -> Family {
    family(name, help, Kind::Counter, vec![sample(Vec::new(), value)])
}

fn family(name: &'static str, help: &'static str, kind: Kind, samples: Vec<Sample>) -> Family {
    Family { name, help, kind, samples }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn sample(labels: Vec<(&'static str, String)>, value: u64) -> Sample {
    Sample { labels, value: Number::Plain(value as f64) }
}
