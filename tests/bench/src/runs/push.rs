//! How long from `git push` to the changed object?

use super::{Bench, percentile};
use crate::bed::app_name;
use std::time::{Duration, Instant};

/// How many commits.
const COMMITS: usize = 20;
/// The app that changes.
const APP: usize = 0;

impl Bench {
    /// Pushes commit after commit and times each from the moment git is started.
    pub(crate) async fn push(&mut self) -> anyhow::Result<()> {
        let bench = self.scale.label("push");
        let mut times = Vec::new();
        let mut pushes = Vec::new();
        for _ in 0..COMMITS {
            let (by_git, changed) = self.push_one().await?;
            pushes.push(by_git);
            times.push(changed);
        }
        let ms = |share| percentile(&times, share).as_secs_f64() * 1000.0;
        let pushing = percentile(&pushes, 0.5).as_secs_f64() * 1000.0;
        self.report
            .time(&bench, "git push to changed object, p50", ms(0.5), "ms", Some(300.0))
            .note(format!("git itself takes {pushing:.0} ms of it"));
        self.report.time(&bench, "git push to changed object, p99", ms(0.99), "ms", Some(300.0));
        Ok(())
    }

    /// Changes one app by a commit; returns how long git took to push it, and how long until it was deployed, both from the
    /// moment git is started.
    pub(super) async fn push_one(&mut self) -> anyhow::Result<(Duration, Duration)> {
        let (name, objects, patience) = (app_name(APP), self.scale.objects, self.patience());
        let version = self.next_version();
        self.bed.repository.write(APP..=APP, &version)?;
        let commit = self.bed.repository.commit("change one")?;
        self.bed.observer.expect(&commit, &version);
        let begin = Instant::now();
        self.bed.repository.push()?;
        let pushed = begin.elapsed();
        self.bed
            .observer
            .wait(patience, |seen| seen.apps.contains_key(&name) && seen.maps.len() == objects)
            .await?;
        Ok((pushed, Duration::from_secs_f64(super::until_last(&self.bed.observer.seen().maps, begin))))
    }
}
