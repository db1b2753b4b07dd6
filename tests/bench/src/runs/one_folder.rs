//! What does a commit cost that touches one of many apps of a repository (B6)?

use super::{Bench, figure, size};
use crate::bed::app_name;
use std::time::{Duration, Instant};

/// The app that changes.
const APP: usize = 0;

impl Bench {
    /// Changes one app's folder; the others may cost nothing.
    pub(crate) async fn one_folder(&mut self) -> anyhow::Result<()> {
        let bench = self.scale.label("B6 one folder");
        let (name, objects) = (app_name(APP), self.scale.objects);
        let version = self.next_version();
        self.bed.repository.write(APP..=APP, &version)?;
        let commit = self.bed.repository.commit("change one")?;
        self.bed.repository.stage()?;
        let before = self.rest().await?;
        let cost = self.agent.cost()?;
        self.bed.observer.expect(&commit, &version);
        let begin = Instant::now();
        self.bed.repository.move_to(&commit)?;
        let patience = self.patience();
        self.bed
            .observer
            .wait(patience, |seen| seen.apps.contains_key(&name) && seen.maps.len() == objects)
            .await?;
        let (changed, synced) = {
            let seen = self.bed.observer.seen();
            (super::until_last(&seen.maps, begin), (seen.apps[&name] - begin).as_secs_f64())
        };
        // What is written lazily is written by then.
        tokio::time::sleep(Duration::from_secs(if self.scale.is_short { 2 } else { 10 })).await;
        let after = self.rest().await?;
        let cpu = self.agent.cost()?.cpu_since(&cost);
        let requests = after.0.since(&before.0);
        self.report.time(&bench, "changed", changed, "s", Some(1.0));
        self.report.time(&bench, "synced", synced, "s", None);
        self.report.count(&bench, "renders", figure(after.1.renders - before.1.renders), 1.0);
        self.report.count(&bench, "applies", figure(requests.of("apply")), size(objects));
        let own = u64::try_from(objects + 1).unwrap_or(u64::MAX);
        let others = requests.deploying().saturating_sub(own);
        self.report
            .count(&bench, "requests for the other apps", figure(others), 0.0)
            .note(requests.to_string());
        self.report.count(&bench, "release writes", figure(requests.of("release")), 1.0);
        self.report.time(&bench, "CPU for all of it", cpu, "ms", None);
        Ok(())
    }
}
