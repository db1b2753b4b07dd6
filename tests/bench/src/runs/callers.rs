//! What do callers of the HTTP API get, and what do hundreds that only wait cost (B13)?

use super::{Bench, percentile, size};
use crate::bed::{SHARD, SHARDS, app_name};
use anyhow::Context as _;
use serde_json::Value;
use std::time::Duration;

/// Applications on a page.
const PAGE: usize = 50;
/// How often each question is asked.
const ROUNDS: usize = 200;
/// Streams, and as many waits, that are open at a time.
const OPEN: usize = 100;
/// What the pages hold of each Application, as a page of a list shows it.
const FIELDS: &str = "metadata,items.metadata.name,items.status.sync.status,items.status.health.status";
/// A commit that never comes, so that whoever waits for it waits on.
const NEVER: &str = "0000000000000000000000000000000000000000";

impl Bench {
    /// Asks for pages and single Applications, alone and beside many streams and waits, and pushes a commit beside them.
    pub(crate) async fn callers(&mut self) -> anyhow::Result<()> {
        let bench = self.scale.label("B13 callers");
        let page =
            format!("/api/v1/applications?limit={PAGE}&projects=default&selector=!none&fields={FIELDS}");
        let (first, pages) = self.ask(&page)?;
        let sparse =
            format!("/api/v1/applications?limit={PAGE}&projects=default&selector={SHARD}=0&fields={FIELDS}");
        let (few, chosen) = self.ask(&sparse)?;
        let one = format!("/api/v1/applications/{}?fields=metadata.name", app_name(0));
        let (_, alone) = self.ask(&one)?;
        let version = first["metadata"]["resourceVersion"].as_str().context("read the list's version")?;
        let before = self.agent.open()?;
        let held = self.hold(version)?;
        let (_, beside) = self.ask(&one)?;
        let (_, changed) = self.push_one().await?;
        let told = held.iter().take(OPEN).filter(|stream| stream.is_told()).count();
        let answered = held.iter().skip(OPEN).filter(|wait| wait.is_answered()).count();
        let open = self.agent.open()?;
        drop(held);
        let ms = |times: &[Duration], share| percentile(times, share).as_secs_f64() * 1000.0;
        let missing =
            |page: &Value, n: usize| n.min(PAGE).abs_diff(page["items"].as_array().map_or(0, Vec::len));
        let n_missing = missing(&first, self.scale.apps) + missing(&few, self.scale.apps.div_ceil(SHARDS));
        self.report.count(&bench, "Applications missing on a page", size(n_missing), 0.0);
        for (what, share) in [
            ("a page of the few that a filter leaves, p50", 0.5),
            ("a page of the few that a filter leaves, p99", 0.99),
        ] {
            self.report.time(&bench, what, ms(&chosen, share), "ms", Some(20.0));
        }
        self.report.time(&bench, "a page of 50 with a filter, p50", ms(&pages, 0.5), "ms", Some(20.0));
        self.report
            .time(&bench, "a page of 50 with a filter, p99", ms(&pages, 0.99), "ms", Some(20.0))
            .beside("8,000 apps, all of them: Argo CD 35 s");
        for (what, times, share) in [
            ("one Application, p50", &alone, 0.5),
            ("one Application, p99", &alone, 0.99),
            ("beside 200 streams and waits, p50", &beside, 0.5),
            ("beside 200 streams and waits, p99", &beside, 0.99),
        ] {
            self.report.time(&bench, what, ms(times, share), "ms", None);
        }
        let most = most_beside(ms(&alone, 0.5));
        self.report.promise(&bench, "the same p50, beside what it is alone", ms(&beside, 0.5), most);
        let changed = ms(&[changed], 1.0);
        self.report.time(&bench, "push to changed object beside them", changed, "ms", Some(300.0));
        self.report.count(&bench, "streams that did not hear of it", size(OPEN - told), 0.0);
        self.report.count(&bench, "waits that did not wait on", size(answered), 0.0);
        let threads = open.threads.saturating_sub(before.threads);
        self.report.count(&bench, "threads more for them", size(threads), 4.0);
        Ok(())
    }

    /// Asks one question again and again; returns the first answer and how long each took.
    fn ask(&self, path: &str) -> anyhow::Result<(Value, Vec<Duration>)> {
        let mut times = Vec::new();
        let mut first = Value::Null;
        for round in 0..ROUNDS {
            let answer = self.agent.ask(path)?;
            times.push(answer.took);
            if round == 0 {
                first = serde_json::from_str(&answer.body).with_context(|| format!("read {path}"))?;
            }
        }
        Ok((first, times))
    }

    /// Opens the streams, and as many waits; those that stream are returned first.
    fn hold(&self, version: &str) -> anyhow::Result<Vec<crate::http::Held>> {
        let fields = "result.type,result.application.metadata.name";
        let stream = format!("/api/v1/stream/applications?resourceVersion={version}&fields={fields}");
        let wait = format!("/api/v1/applications/{}/wait?revision={NEVER}&timeout=10m", app_name(1));
        let mut held = Vec::new();
        for path in [&stream, &wait] {
            for _ in 0..OPEN {
                held.push(self.agent.hold(path)?);
            }
        }
        Ok(held)
    }
}

/// Returns how many milliseconds an answer of the loop may take at most beside those that wait, where it takes so many alone:
/// twice as many, or 2 ms more where that is so little that the machine's moods weigh more.
fn most_beside(alone: f64) -> f64 {
    (2.0 * alone).max(alone + 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_time_may_grow_by_two_milliseconds_and_a_long_one_to_twice_itself() {
        for (alone, most) in [(0.5, 2.5), (2.0, 4.0), (5.0, 10.0)] {
            assert!((most_beside(alone) - most).abs() < 0.001, "{alone}");
        }
    }
}
