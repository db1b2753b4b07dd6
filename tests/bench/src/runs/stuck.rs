//! How soon is a fix applied that is pushed while a sync is stuck (B11)?

use super::{Bench, figure, percentile, size, until_last};
use crate::bed::app_name;
use serde_json::Value;
use std::time::{Duration, Instant};

/// How often.
const ROUNDS: usize = 10;
/// The app that gets stuck.
const APP: usize = 0;
/// There are no nodes, so that its pod never runs.
const STUCK: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: stuck}
spec:
  replicas: 1
  selector: {matchLabels: {app: stuck}}
  template:
    metadata: {labels: {app: stuck}, annotations: {version: \"VERSION\"}}
    spec: {containers: [{name: web, image: \"registry.example/web:1\"}]}
";

impl Bench {
    /// Has a sync wait for a Deployment that never gets ready, and pushes one without it, again and again.
    pub(crate) async fn stuck(&mut self) -> anyhow::Result<()> {
        let bench = self.scale.label("B11 stuck");
        let (name, objects, patience) = (app_name(APP), self.scale.objects, self.patience());
        let before = self.rest().await?;
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let version = self.next_version();
            self.bed.repository.put(APP, "stuck.yaml", Some(&STUCK.replace("VERSION", &version)))?;
            let stuck = self.bed.repository.commit("get stuck")?;
            self.bed.observer.expect(&stuck, "");
            self.bed.repository.push()?;
            let is_stuck = |seen: &crate::observer::Seen| {
                seen.applications.get(&name).is_some_and(|app| is_running(app, &stuck))
            };
            self.bed.observer.wait(patience, is_stuck).await?;

            let version = self.next_version();
            self.bed.repository.put(APP, "stuck.yaml", None)?;
            self.bed.repository.write(APP..=APP, &version)?;
            let fix = self.bed.repository.commit("fix it")?;
            self.bed.observer.expect(&fix, &version);
            let begin = Instant::now();
            self.bed.repository.push()?;
            self.bed.observer.wait(patience, |seen| seen.maps.len() == objects).await?;
            times.push(Duration::from_secs_f64(until_last(&self.bed.observer.seen().maps, begin)));
            self.bed.observer.wait(patience, |seen| seen.apps.contains_key(&name)).await?;
        }
        let seconds = |share| percentile(&times, share).as_secs_f64();
        self.report.time(&bench, "git push to applied fix, p50", seconds(0.5), "s", Some(1.0));
        self.report.time(&bench, "git push to applied fix, slowest", seconds(1.0), "s", Some(1.0));
        let requests = self.rest().await?.0.since(&before.0);
        let applies = figure(requests.of("apply")) / size(ROUNDS);
        // One more records the new kind.
        let limit = size(ROUNDS * (objects + 1) + 1) / size(ROUNDS);
        self.report.count(&bench, "applies per round", applies, limit).note(requests.to_string());
        Ok(())
    }
}

fn is_running(app: &model::Object, revision: &str) -> bool {
    let text =
        |pointer: &str| app.get("status").and_then(|status| status.pointer(pointer)).and_then(Value::as_str);
    text("/operationState/phase") == Some("Running") && text("/sync/revision") == Some(revision)
}
