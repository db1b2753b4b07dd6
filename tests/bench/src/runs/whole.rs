//! What does it cost to install all apps, and to change all of them by one commit (B1)?

use super::{Bench, Counters, figure, size, until_last};
use crate::floor;
use crate::proc::Cost;
use crate::repository::BRANCH;
use crate::requests::Requests;
use std::time::{Duration, Instant};

/// Requests that an install makes beside two per app: the record of kinds, looked for and made, and the list that
/// begins the watch of the new kind.
const PER_NEW_KIND: u64 = 3;
/// Requests that make the key of releases, once: looked for, made, and read.
const KEY_WRITES: usize = 1;
const KEY_READS: u64 = 2;

impl Bench {
    /// Creates the Applications and waits until all are synced.
    pub(crate) async fn install(&mut self) -> anyhow::Result<()> {
        let (apps, maps) = (self.scale.apps, self.scale.maps());
        let bench = self.scale.label("B1 install");
        let revision = self.bed.repository.commit_of(BRANCH)?;
        let before = (self.bed.settled().await?, self.agent.cost()?);
        self.bed.observer.expect(&revision, "1");
        let begin = Instant::now();
        self.bed.create_applications(0..apps).await?;
        let created = begin.elapsed();
        self.bed
            .observer
            .wait(self.patience(), |seen| seen.apps.len() == apps && seen.maps.len() == maps)
            .await?;
        let seconds = until_last(&self.bed.observer.seen().apps, begin);
        let synced = self.agent.cost()?;
        let requests = self.bed.settled().await?.since(&before.0);
        self.report
            .time(&bench, "all synced", seconds, "s", None)
            .note(format!("creating the Applications took {:.2} s of it", created.as_secs_f64()))
            .beside("at 1,000: Argo CD 171 s, tuned 109 s; Flux tuned 93 s");
        let limit = (size(maps + apps) + figure(PER_NEW_KIND)) / size(apps);
        self.report
            .count(
                &bench,
                "requests per app, without releases",
                figure(requests.deploying()) / size(apps),
                limit,
            )
            .note(requests.to_string())
            .beside("Argo CD 21.7; Flux 14.0");
        self.releases(&bench, &requests, (KEY_WRITES, KEY_READS), begin.elapsed());
        self.costs(&bench, &before.1, &synced)
    }

    /// Changes all apps by one commit; returns how many seconds that took.
    pub(crate) async fn update(&mut self) -> anyhow::Result<f64> {
        let (apps, maps) = (self.scale.apps, self.scale.maps());
        let bench = self.scale.label("B1 update");
        let version = self.next_version();
        self.bed.repository.write(0..apps, &version)?;
        let commit = self.bed.repository.commit("change all")?;
        self.bed.repository.stage()?;
        let before: (_, Cost) = (self.rest().await?, self.agent.cost()?);
        self.bed.observer.expect(&commit, &version);
        let begin = Instant::now();
        self.bed.repository.move_to(&commit)?;
        self.bed
            .observer
            .wait(self.patience(), |seen| seen.apps.len() == apps && seen.maps.len() == maps)
            .await?;
        let (changed, synced) = {
            let seen = self.bed.observer.seen();
            (until_last(&seen.maps, begin), until_last(&seen.apps, begin))
        };
        let cost = self.agent.cost()?;
        let after = self.rest().await?;
        self.report.time(&bench, "last ConfigMap changed", changed, "s", None);
        self.report
            .time(&bench, "all synced", synced, "s", None)
            .beside("at 1,000: Argo CD 186 s, tuned 163 s; Flux tuned 97 s");
        self.update_counts(&bench, &before.0, &after);
        self.releases(&bench, &after.0.since(&before.0.0), (0, 0), begin.elapsed());
        self.costs(&bench, &before.1, &cost)?;
        Ok(synced)
    }

    fn update_counts(&mut self, bench: &str, before: &(Requests, Counters), after: &(Requests, Counters)) {
        let (apps, maps) = (self.scale.apps, self.scale.maps());
        let requests = after.0.since(&before.0);
        let own = after.1.requests - before.1.requests;
        let limit = size(maps + apps) / size(apps);
        self.report
            .count(
                bench,
                "requests per app, without releases",
                figure(requests.deploying()) / size(apps),
                limit,
            )
            .note(format!("{requests}; the agent counts {own}"))
            .beside("Argo CD 18.6, tuned 18.8; Flux 13.0");
        let renders = after.1.renders - before.1.renders;
        self.report.count(bench, "renders per app", figure(renders) / size(apps), 1.0);
    }

    /// Counts what keeping one release of each app took; trims come later, and are counted apart.
    fn releases(&mut self, bench: &str, requests: &Requests, key: (usize, u64), length: Duration) {
        let (apps, (writes, reads)) = (self.scale.apps, key);
        let per_app = figure(requests.of("release")) / size(apps);
        self.report.count(bench, "release writes per app", per_app, size(apps + writes) / size(apps));
        // The key is looked at again after a minute.
        let reads = reads + length.as_secs().div_ceil(60);
        self.report.count(
            bench,
            "other requests for releases",
            figure(requests.reads_of_releases()),
            figure(reads),
        );
        let trims = requests.of("release-trim");
        self.report.count(bench, "old releases trimmed", figure(trims), 0.0);
    }

    fn costs(&mut self, bench: &str, before: &Cost, synced: &Cost) -> anyhow::Result<()> {
        let cost = self.agent.cost()?;
        let cpu = synced.cpu_since(before) / size(self.scale.apps);
        self.report
            .time(bench, "CPU per app", cpu, "ms", Some(2.0))
            .beside("update: Argo CD 238 ms, tuned 223 ms; Flux tuned 122 ms");
        let cpu = cost.cpu_since(synced) / size(self.scale.apps);
        self.report.time(bench, "CPU per app after that, for its release", cpu, "ms", None);
        // What each app beyond the thousand may take: a fifth more than it does.
        let more = size(self.scale.apps.saturating_sub(1000)) * 24.0 / 1024.0;
        let resumable = super::mebibytes(self.agent.total("tautline_stream_bytes")?);
        self.report
            .size(bench, "memory, steady", cost.resident, 60.0 + more)
            .note(format!("of which {resumable:.1} MiB is what streams may be resumed from"))
            .beside("at 1,000: Argo CD 757 MiB, tuned 706 MiB; Flux tuned 309 MiB");
        self.report
            .size(bench, "memory, peak", cost.peak, 100.0 + more)
            .beside("at 1,000: Argo CD 977 MiB, tuned 1,489 MiB; Flux tuned 346 MiB");
        Ok(())
    }

    /// Measures the same writes without the agent, which ends here, and sets the update beside them.
    pub(crate) async fn floor(&mut self, update: f64) -> anyhow::Result<()> {
        let bench = self.scale.label("B1 floor");
        self.agent.stop()?;
        // The second round has warm connections, as the agent had.
        let rounds = [
            floor::measure(&self.bed, &self.scale, 1).await?,
            floor::measure(&self.bed, &self.scale, 2).await?,
        ];
        let floor = rounds.into_iter().min().unwrap_or_default().as_secs_f64();
        self.report.time(&bench, "the same requests alone", floor, "s", None).note(format!(
            "rounds {:.2} s and {:.2} s",
            rounds[0].as_secs_f64(),
            rounds[1].as_secs_f64()
        ));
        self.report.time(&bench, "update over floor", update / floor, "x", Some(self.scale.schema.target()));
        Ok(())
    }
}
