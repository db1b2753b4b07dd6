//! What does a restart over unchanged apps cost when the cache is gone, and only dry-runs tell what is in sync?

use super::{Bench, Counters, figure, size};
use crate::agent::Agent;
use crate::repository::IDLE_DEPLOYMENT;
use anyhow::Context as _;
use std::time::{Duration, Instant};

/// What may begin in any second.
const MOST: u64 = 20;
/// What it may take more than before the restart, in MiB: all sets are rendered anew, and wait for their dry-runs.
const MORE: f64 = 16.0;
/// How often it is counted.
const TICK: Duration = Duration::from_millis(50);
/// A reference to a field is one value to its owners, and the API server adds `apiVersion` to it: whether that was dropped
/// from Git, only a dry-run tells.
const ENV: &str = "        env: [{name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]\n";

impl Bench {
    /// Gives each app such an object, wipes the cache, and starts the agent again.
    pub(crate) async fn wiped(&mut self) -> anyhow::Result<()> {
        let bench = self.scale.label("restart, cache wiped");
        self.deploy_everywhere("idle.yaml", &format!("{IDLE_DEPLOYMENT}{ENV}")).await?;
        let before = self.bed.settled().await?;
        let usual = self.agent.cost()?.resident;
        self.agent.stop()?;
        let cache = self.bed.setup.cache();
        std::fs::remove_dir_all(&cache).with_context(|| format!("wipe {}", cache.display()))?;
        self.bed.observer.expect("", "");
        self.agent = Agent::start(&self.bed.setup)?;
        let ready = self.agent.wait_until_ready()?;
        let busiest = self.count_dry_runs().await?;
        let took = self.agent.age();
        let requests = self.bed.settled().await?.since(&before);
        let (counters, dry_runs) = (Counters::read(&self.agent)?, self.dry_runs()?);
        self.report.time(&bench, "start to ready", ready.as_secs_f64(), "s", Some(3.0));
        self.report.time(&bench, "start to last dry-run", took.as_secs_f64(), "s", None);
        self.report
            .count(&bench, "writes", figure(requests.writes().saturating_sub(dry_runs)), 0.0)
            .note(format!("{requests}, of which {dry_runs} dry-runs"));
        self.report.count(
            &bench,
            "changes of managed objects",
            size(self.bed.observer.seen().versions.len()),
            0.0,
        );
        self.report.count(
            &bench,
            "dry-runs per object that needs one",
            figure(dry_runs) / size(self.scale.apps),
            1.0,
        );
        self.report.count(&bench, "dry-runs in the busiest second", figure(busiest), figure(MOST));
        self.report.count(&bench, "renders per app", figure(counters.renders) / size(self.scale.apps), 1.0);
        self.report
            .size(&bench, "memory", self.agent.cost()?.resident, usual + MORE)
            .note(format!("{usual:.1} MiB before the restart"));
        Ok(())
    }

    /// Writes a file into every app's folder and waits until all are synced.
    pub(crate) async fn deploy_everywhere(&mut self, file: &str, text: &str) -> anyhow::Result<String> {
        for app in 0..self.scale.apps {
            self.bed.repository.put(app, file, Some(text))?;
        }
        let commit = self.bed.repository.commit("one more object each")?;
        self.bed.observer.expect(&commit, "");
        self.announce()?;
        let apps = self.scale.apps;
        self.bed.observer.wait(self.patience(), |seen| seen.apps.len() == apps).await?;
        Ok(commit)
    }

    fn dry_runs(&self) -> anyhow::Result<u64> {
        let requests = self.agent.metric("tautline_api_requests_total")?;
        Ok(requests.iter().filter(|(labels, _)| labels.contains("verb=\"dry-run\"")).map(|(_, n)| n).sum())
    }

    /// Counts until every app's object was asked about; returns the most in any second.
    async fn count_dry_runs(&self) -> anyhow::Result<u64> {
        let (begin, apps) = (Instant::now(), self.scale.apps as u64);
        let mut counted: Vec<(Instant, u64)> = Vec::new();
        loop {
            let n = self.dry_runs()?;
            counted.push((Instant::now(), n));
            if n >= apps {
                break;
            }
            let patience = self.patience();
            anyhow::ensure!(
                begin.elapsed() < patience,
                "see {apps} dry-runs in {patience:?}: only {n} are there"
            );
            tokio::time::sleep(TICK).await;
        }
        let in_a_second = counted.iter().map(|(at, n)| {
            let within =
                counted.iter().filter(|(later, _)| *later >= *at && *later < *at + Duration::from_secs(1));
            within.map(|(_, later)| later - n).max().unwrap_or_default()
        });
        Ok(in_a_second.max().unwrap_or_default())
    }
}
