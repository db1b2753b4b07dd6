//! What do the metrics say? Argo CD's names where they mean the same, ours under `tautline_`.

mod delivery;

use crate::agent::Agent;
use crate::clock::now;
use crate::live::Sight;
use crate::metrics::Metrics;
use crate::stored::Labels;
use api::Webhooks;
use api::metrics::{self, Family, Kind, Number, Sample};
use cluster::Cluster;
use std::collections::BTreeMap;

/// Writes what the loop knows.
pub(crate) fn text(agent: &Agent) -> String {
    let mut families = vec![
        info(agent),
        conditions(agent),
        syncs(agent),
        rollbacks(agent),
        family(
            "tautline_live_objects",
            "Objects of which a digest is kept.",
            Kind::Gauge,
            vec![sample(Vec::new(), agent.live.len() as u64)],
        ),
        watches(agent),
        ages(agent),
        unseen(agent),
        unreadable(agent),
        writer(agent),
        family(
            "tautline_stream_changes",
            "Changes of Applications that are kept for streams that are resumed.",
            Kind::Gauge,
            vec![sample(Vec::new(), agent.feed.kept().0 as u64)],
        ),
        family(
            "tautline_stream_bytes",
            "Memory that the changes take that are kept for streams that are resumed, about.",
            Kind::Gauge,
            vec![sample(Vec::new(), agent.feed.kept().1 as u64)],
        ),
    ];
    families.extend(delivery::families(agent));
    metrics::render(&families)
}

/// Writes what is counted wherever it happens: the loop need not turn for it to be up to date.
pub(crate) fn counters(m: &Metrics, cluster: &Cluster, webhooks: &Webhooks) -> String {
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
        counter(
            "tautline_log_lines_dropped_total",
            "Log lines dropped because nobody read them.",
            crate::logs::dropped(),
        ),
        family(
            "tautline_tasks",
            "Tasks that are alive, one per connection and watch among them.",
            Kind::Gauge,
            vec![sample(Vec::new(), tasks())],
        ),
        requests(cluster),
        received(webhooks),
    ])
}

fn info(agent: &Agent) -> Family {
    let samples = agent.apps.iter().map(|(key, entry)| {
        let stored = &entry.stored;
        let operation = match (&entry.app, entry.state.run()) {
            (Some(app), _) if app.deletion.is_some() => "delete",
            (_, Some(_)) => "sync",
            (_, None) => "",
        };
        let automated = entry.app.as_ref().is_some_and(|app| app.automated.is_some());
        let values = [
            key.namespace.as_str(),
            key.name.as_str(),
            &stored.project,
            if automated { "true" } else { "false" },
            &stored.repo_url,
            &stored.server,
            &stored.namespace,
            or_unknown(&stored.sync),
            or_unknown(&stored.health),
            operation,
        ];
        metrics::APP_INFO.sample(values, 1.0)
    });
    metrics::APP_INFO.family(samples.collect())
}

fn or_unknown(word: &str) -> &str {
    if word.is_empty() { "Unknown" } else { word }
}

fn conditions(agent: &Agent) -> Family {
    let samples =
        agent.apps.iter().flat_map(|(key, entry)| {
            let Labels { key, project, .. } = entry.stored.labels(key);
            entry.stored.conditions.iter().map(move |kind| {
                metrics::APP_CONDITION.sample([&key.namespace, &key.name, project, kind], 1.0)
            })
        });
    metrics::APP_CONDITION.family(samples.collect())
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn syncs(agent: &Agent) -> Family {
    let samples = agent.apps.iter().flat_map(|(key, entry)| {
        let Labels { key, project, server } = entry.stored.labels(key);
        entry.syncs.iter().map(move |((phase, is_dry_run), count)| {
            let dry_run = if *is_dry_run { "true" } else { "false" };
            metrics::APP_SYNC_TOTAL
                .sample([&key.namespace, &key.name, project, server, phase, dry_run], *count as f64)
        })
    });
    metrics::APP_SYNC_TOTAL.family(samples.collect())
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn rollbacks(agent: &Agent) -> Family {
    let samples = agent.apps.iter().flat_map(|(key, entry)| {
        let project = entry.stored.labels(key).project;
        entry.rollbacks.iter().map(move |(verdict, count)| {
            metrics::ROLLBACKS.sample([&key.namespace, &key.name, project, verdict.as_str()], *count as f64)
        })
    });
    metrics::ROLLBACKS.family(samples.collect())
}

/// There are more of them the more is under way, and as many as before when that is over.
fn tasks() -> u64 {
    tokio::runtime::Handle::current().metrics().num_alive_tasks() as u64
}

fn received(webhooks: &Webhooks) -> Family {
    let (accepted, refused) = webhooks.counts();
    let samples = [("Accepted", accepted), ("Refused", refused)];
    let samples = samples.map(|(answer, count)| sample(vec![("answer", answer.to_owned())], count));
    family("tautline_webhooks_total", "Webhooks that were received.", Kind::Counter, samples.into())
}

fn requests(cluster: &Cluster) -> Family {
    let samples = cluster
        .requests()
        .into_iter()
        .map(|(verb, kind, count)| sample(vec![("verb", verb.to_owned()), ("kind", kind)], count));
    family("tautline_api_requests_total", "Requests to the API server.", Kind::Counter, samples.collect())
}

fn watches(agent: &Agent) -> Family {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for watched in agent.watches.values() {
        *counts.entry(watched.kind()).or_default() += 1;
    }
    let samples = counts.into_iter().map(|(kind, count)| sample(vec![("kind", kind)], count));
    family("tautline_watches", "Watches that are open.", Kind::Gauge, samples.collect())
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

/// While nothing can be written, no status says how old it is.
fn unseen(agent: &Agent) -> Family {
    let now = now();
    let samples = agent.live.kinds.iter().filter_map(|(kind, watch)| match &watch.sight {
        Sight::Blind(since, _) => {
            let seconds = now.since(*since).as_millis() / 1000;
            Some(sample(vec![("kind", kind.to_string())], u64::try_from(seconds).unwrap_or_default()))
        }
        Sight::Listing | Sight::Clear | Sight::NoSuchKind => None,
    });
    family(
        "tautline_unseen_seconds",
        "Time since a kind was last seen, of those that are not seen now.",
        Kind::Gauge,
        samples.collect(),
    )
}

fn writer(agent: &Agent) -> Family {
    let writing = agent.writing();
    let value = if writing.is_allowed() { 1.0 } else { 0.0 };
    metrics::WRITER.family(vec![metrics::WRITER.sample([writing.as_str()], value)])
}

fn unreadable(agent: &Agent) -> Family {
    let names = agent.settings.unreadable.names();
    let samples = names.map(|(kind, name)| metrics::UNREADABLE_SETTINGS.sample([kind, name], 1.0));
    metrics::UNREADABLE_SETTINGS.family(samples.collect())
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
