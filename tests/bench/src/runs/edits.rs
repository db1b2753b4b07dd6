//! How soon is every object back when all are edited at once under self-heal (B9)?

use super::{Bench, figure, percentile, size};
use crate::bed::{CONNECTIONS, config_maps};
use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const EDITED: &str = "edited by hand";

impl Bench {
    /// Edits every managed ConfigMap, as quickly as the API server takes it, and waits until all are as Git wants.
    pub(crate) async fn edits(&mut self) -> anyhow::Result<()> {
        let bench = self.scale.label("B9");
        let good = self.wanted_versions();
        let before = (self.bed.settled().await?, self.agent.cost()?);
        let edited = self.edit_all(&good).await?;
        let is_good = |name: &String, version: &str| good.get(name).is_some_and(|good| good == version);
        let n_good = good.len();
        let count = |seen: &crate::observer::Seen| {
            let back = seen.versions.iter().filter(|(name, version, _)| is_good(name, version));
            back.map(|(name, _, _)| name).collect::<std::collections::BTreeSet<_>>().len()
        };
        // Counting is dear; it begins when enough events are there.
        self.bed
            .observer
            .wait(self.patience(), |seen| seen.versions.len() >= 2 * n_good && count(seen) == n_good)
            .await?;
        let times: Vec<Duration> = {
            let seen = self.bed.observer.seen();
            seen.versions
                .iter()
                .filter(|(name, version, _)| is_good(name, version))
                .map(|(name, _, at)| at.saturating_duration_since(edited[name]))
                .collect()
        };
        let requests = self.bed.settled().await?.since(&before.0);
        let cpu = self.agent.cost()?.cpu_since(&before.1);
        let seconds = |share| percentile(&times, share).as_secs_f64();
        self.report
            .time(&bench, "edit to revert, p50", seconds(0.5), "s", None)
            .beside("1,000 edits: Argo CD 98 s; Flux minutes");
        self.report
            .time(&bench, "edit to revert, p99", seconds(0.99), "s", Some(2.0))
            .beside("1,000 edits: Argo CD 165 s; Flux minutes");
        self.report
            .count(&bench, "applies per edit", figure(requests.of("apply")) / size(n_good), 1.0)
            .note(requests.to_string())
            .beside("requests per edit: Argo CD 17.5");
        self.report.count(&bench, "second rounds", size(times.len().saturating_sub(n_good)), 0.0);
        self.report.time(&bench, "CPU per edit", cpu / size(n_good), "ms", None);
        Ok(())
    }

    fn wanted_versions(&self) -> BTreeMap<String, String> {
        let seen = self.bed.observer.seen();
        let version = |object: &model::Object| {
            let version = object.get("data").and_then(|data| data["version"].as_str());
            version.unwrap_or_default().to_owned()
        };
        seen.config_maps.iter().map(|(name, object)| (name.clone(), version(object))).collect()
    }

    /// Edits; returns when each edit was answered.
    async fn edit_all(&self, good: &BTreeMap<String, String>) -> anyhow::Result<BTreeMap<String, Instant>> {
        self.bed.observer.expect("", "");
        let patch = json!({"data": {"version": EDITED}});
        let (admin, endpoint) = (&self.bed.admin, config_maps());
        let edits = good.keys().map(|name| {
            let (patch, endpoint) = (&patch, &endpoint);
            async move {
                let (namespace, object) = name.split_once('/').unwrap_or_default();
                admin
                    .merge_patch(endpoint, namespace, object, patch, "kubectl-edit")
                    .await
                    .context("edit")?;
                anyhow::Ok((name.clone(), Instant::now()))
            }
        });
        futures::stream::iter(edits).buffer_unordered(CONNECTIONS).try_collect().await
    }
}
