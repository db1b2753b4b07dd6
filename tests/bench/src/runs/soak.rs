//! Does anything pile up while everything goes on at once: drift, commits, webhooks, and restarts of the API server?

use super::{Bench, size};
use crate::bed::{app_name, config_maps};
use crate::repository::object_name;
use serde_json::json;
use std::time::{Duration, Instant};

/// How long one round takes.
const ROUND: Duration = Duration::from_secs(1);
/// Every so many rounds somebody commits.
const COMMIT: usize = 3;
/// Every so many rounds webhooks come in a burst.
const BURST: usize = 10;
const WEBHOOKS: usize = 50;
/// Every so many rounds the API server is restarted, and for so long it is away.
const RESTART: usize = 90;
const AWAY: Duration = Duration::from_secs(3);
/// Connections that nobody uses are kept for 90 s by the client of the API server; a burst before that says nothing of a leak.
const KEPT: Duration = Duration::from_secs(100);

/// What must not pile up.
#[derive(Clone, Copy, Debug)]
struct Held {
    tasks: f64,
    files: f64,
    threads: f64,
    /// Heaps that threads have of their own: each keeps what its busiest moment took.
    heaps: f64,
    /// Without what streams may be resumed from.
    memory: f64,
    /// That: the agent bounds it, and it takes longer than a soak to get there.
    resumable: f64,
}

/// What was done.
#[derive(Default)]
struct Done {
    edits: usize,
    commits: usize,
    webhooks: usize,
    restarts: usize,
}

impl Bench {
    /// Goes on for so long, and compares what the agent holds at rest before and after; the first tenth warms it up.
    pub(crate) async fn soak(&mut self, length: Duration) -> anyhow::Result<()> {
        let bench = format!("{} of {} min", self.scale.label("soak"), length.as_secs() / 60);
        let mut done = Done::default();
        self.stir(length / 10, &mut done).await?;
        let before = self.held_at_rest().await?;
        self.stir(length * 9 / 10, &mut done).await?;
        let after = self.held_at_rest().await?;
        let Done { edits, commits, webhooks, restarts } = done;
        anyhow::ensure!(edits > 0, "edit an app's object: none of the edits arrived, so nothing was undone");
        self.report.count(&bench, "tasks more than after the warm-up", after.tasks - before.tasks, 4.0).note(
            format!(
                "{edits} edits, {commits} commits, {webhooks} webhooks, {restarts} restarts of the API server"
            ),
        );
        self.report
            .count(&bench, "open files more", after.files - before.files, 4.0)
            .note(format!("{} before", before.files));
        self.report.count(&bench, "threads more", after.threads - before.threads, 2.0);
        self.report.count(&bench, "heaps of threads' own", after.heaps, 0.0);
        self.report
            .size(&bench, "memory grown", after.memory - before.memory, 8.0)
            .note(format!("{:.1} MiB before, {:.1} after", before.memory, after.memory));
        self.report
            .size(&bench, "memory that streams may be resumed from", after.resumable, 32.0)
            .note(format!("{:.1} MiB before", before.resumable));
        self.report.size(&bench, "memory, peak", self.agent.cost()?.peak, 100.0);
        Ok(())
    }

    async fn stir(&mut self, length: Duration, done: &mut Done) -> anyhow::Result<()> {
        let begin = Instant::now();
        for round in 1.. {
            if begin.elapsed() >= length {
                return Ok(());
            }
            let next = tokio::time::Instant::now() + ROUND;
            let app = round * 7 % self.scale.apps;
            done.edits += usize::from(self.edit(app).await);
            if round % COMMIT == 0 {
                let version = self.next_version();
                self.bed.repository.write(app..=app, &version)?;
                self.bed.repository.commit("change one")?;
                self.bed.repository.push()?;
                done.commits += 1;
            }
            if round % BURST == 0 {
                for _ in 0..WEBHOOKS {
                    self.tell()?;
                }
                done.webhooks += WEBHOOKS;
            }
            if round % RESTART == 0 {
                self.bed.lab.stop_api_server()?;
                tokio::time::sleep(AWAY).await;
                self.bed.lab.start_api_server()?;
                done.restarts += 1;
            }
            tokio::time::sleep_until(next).await;
        }
        Ok(())
    }

    /// Edits an app's object as a person would, and returns whether that could be done: while the API server is away nobody can.
    async fn edit(&self, app: usize) -> bool {
        let patch = json!({"data": {"version": "edited by hand"}});
        let (endpoint, namespace, object) = (config_maps(), app_name(app), object_name(0));
        self.bed.admin.merge_patch(&endpoint, &namespace, &object, &patch, "kubectl-edit").await.is_ok()
    }

    /// Waits until everything is as the newest commit wants it, and the agent rests.
    async fn held_at_rest(&mut self) -> anyhow::Result<Held> {
        let version = self.next_version();
        let apps = self.scale.apps;
        self.bed.repository.write(0..apps, &version)?;
        let commit = self.bed.repository.commit("change all")?;
        self.bed.observer.expect(&commit, &version);
        self.bed.repository.push()?;
        let maps = self.scale.maps();
        self.bed
            .observer
            .wait(2 * self.patience(), |seen| seen.apps.len() == apps && seen.maps.len() == maps)
            .await?;
        self.bed.settled().await?;
        tokio::time::sleep(KEPT).await;
        let (cost, tasks) = (self.agent.cost()?, self.agent.total("tautline_tasks")?);
        let open = self.agent.open()?;
        let resumable = super::mebibytes(self.agent.total("tautline_stream_bytes")?);
        Ok(Held {
            tasks: super::figure(tasks),
            files: size(open.files),
            threads: size(open.threads),
            heaps: size(open.heaps),
            memory: cost.resident - resumable,
            resumable,
        })
    }
}
