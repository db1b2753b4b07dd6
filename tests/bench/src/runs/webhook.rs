//! What does a push webhook cost where many apps follow the repository (B7)?

use super::{Bench, figure, percentile, size};
use crate::bed::app_name;
use serde_json::json;
use std::time::{Duration, Instant};

/// How many pushes.
const PUSHES: usize = 5;
/// How far apart: a repository is asked once a second at most because of webhooks.
const APART: Duration = Duration::from_millis(1_100);
/// How many apps a push touches.
const TOUCHED: usize = 3;

impl Bench {
    /// Pushes and tells of it. Nobody else looks at the repository in the meantime.
    pub(crate) async fn webhook(&mut self) -> anyhow::Result<()> {
        let bench = self.scale.label("B7 webhook");
        let touched = TOUCHED.min(self.scale.apps);
        let server = self.bed.server.as_ref().map(|server| (server.n_looks(), server.n_fetches()));
        let (n_looks, n_fetches) = server.unwrap_or_default();
        let before = self.rest().await?;
        let (mut accepted, mut changed) = (Vec::new(), Vec::new());
        for _ in 0..PUSHES {
            tokio::time::sleep(APART).await;
            let (took, until_changed) = self.push_and_tell(touched).await?;
            accepted.push(took);
            changed.push(until_changed);
        }
        // What is written lazily is written by then.
        tokio::time::sleep(Duration::from_secs(if self.scale.is_short { 2 } else { 10 })).await;
        let after = self.rest().await?;
        let requests = after.0.since(&before.0);
        let ms = |times: &[Duration], share| percentile(times, share).as_secs_f64() * 1000.0;
        self.report.time(&bench, "202 after, p50", ms(&accepted, 0.5), "ms", Some(10.0));
        self.report
            .time(&bench, "202 after, slowest", ms(&accepted, 1.0), "ms", Some(10.0))
            .beside("1,500 apps: Argo CD 15 s");
        self.report.time(
            &bench,
            "webhook to last changed object, p50",
            ms(&changed, 0.5),
            "ms",
            Some(1000.0),
        );
        let pushes = size(PUSHES);
        let polls = figure(after.1.polls - before.1.polls);
        self.report.count(&bench, "looks at the repository per push", polls / pushes, 1.0);
        if let Some(server) = &self.bed.server {
            let (looks, fetches) = (server.n_looks() - n_looks, server.n_fetches() - n_fetches);
            self.report
                .count(&bench, "fetches per push", size(fetches) / pushes, 1.0)
                .note(format!("refs were read {looks} times"));
        }
        let renders = figure(after.1.renders - before.1.renders);
        self.report.count(&bench, "renders per push", renders / pushes, size(touched));
        let own = PUSHES * touched * (self.scale.objects + 1);
        let others = requests.deploying().saturating_sub(own as u64);
        self.report
            .count(&bench, "requests for the other apps", figure(others), 0.0)
            .note(requests.to_string());
        // What the next push replaces before it has soaked is nothing to go back to.
        self.report.count(&bench, "release writes", figure(requests.of("release")), size(touched));
        Ok(())
    }

    /// Pushes the last commit, and tells of it where nobody hints that the repository moved.
    pub(crate) fn announce(&self) -> anyhow::Result<()> {
        self.bed.repository.push()?;
        if self.bed.server.is_some() {
            self.tell()?;
        }
        Ok(())
    }

    /// Sends a webhook for the repository; returns how long the answer took.
    pub(crate) fn tell(&self) -> anyhow::Result<Duration> {
        self.agent.tell(&json!({ "repository": self.bed.url }))
    }

    /// Returns how long the answer and the last changed object took.
    async fn push_and_tell(&mut self, touched: usize) -> anyhow::Result<(Duration, Duration)> {
        let version = self.next_version();
        self.bed.repository.write(0..touched, &version)?;
        let commit = self.bed.repository.commit("change some")?;
        self.bed.observer.expect(&commit, &version);
        self.bed.repository.push()?;
        let begin = Instant::now();
        let answer = self.tell()?;
        let (maps, patience) = (touched * self.scale.objects, self.patience());
        let is_done = |seen: &crate::observer::Seen| {
            seen.maps.len() == maps && (0..touched).all(|app| seen.apps.contains_key(&app_name(app)))
        };
        self.bed.observer.wait(patience, is_done).await?;
        let changed = Duration::from_secs_f64(super::until_last(&self.bed.observer.seen().maps, begin));
        Ok((answer, changed))
    }
}
