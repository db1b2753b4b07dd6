//! What is done to the agent, in which order? One lab per command; each run leaves the apps synced for the next one.

mod callers;
mod edits;
mod floods;
mod grow;
mod idle;
mod one_folder;
mod push;
mod restart;
mod rollback;
mod site;
mod soak;
mod strangers;
mod stuck;
mod trims;
mod webhook;
mod whole;
mod wiped;

use crate::agent::{self, Agent};
use crate::bed::Bed;
use crate::crds::Schema;
use crate::report::Report;
use crate::requests::Requests;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a sync may get nowhere where commits turn out bad.
pub(crate) const WINDOW: Duration = Duration::from_secs(10);

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scale {
    /// How many apps.
    pub apps: usize,
    /// How many ConfigMaps each has.
    pub objects: usize,
    /// Whose CRDs are installed.
    pub schema: Schema,
    /// Whether waits are short, for a run beside every change.
    pub is_short: bool,
    /// How many apps come later, to see what each of them takes: few apps do not show it.
    pub later: usize,
    /// How often the repository is polled where it is served over HTTP: nobody hints at what moved there. Else it is a local
    /// one, which is watched.
    pub polls: Option<&'static str>,
    /// How long a sync may get nowhere before its commit is bad; there are pods then.
    pub window: Option<Duration>,
    /// How many connections a flood has.
    pub connections: usize,
    /// How long the soak goes on.
    pub length: Duration,
}

impl Scale {
    /// Returns how many ConfigMaps there are.
    pub(crate) fn maps(&self) -> usize {
        self.apps * self.objects
    }

    /// Names a bench by its size.
    pub(crate) fn label(&self, bench: &str) -> String {
        let schema = match self.schema {
            Schema::Ours => "",
            Schema::ArgoCd => " under Argo CD's CRDs",
        };
        match self.objects {
            1 => format!("{bench}, {} apps{schema}", self.apps),
            objects => format!("{bench}, {} apps of {objects}{schema}", self.apps),
        }
    }
}

/// A bed, a running agent, and what was measured so far.
pub(crate) struct Bench {
    pub scale: Scale,
    pub agent: Agent,
    pub bed: Bed,
    pub report: Report,
    /// Counts commits: every version is another one.
    n_versions: u32,
}

/// Runs a command.
///
/// # Errors
/// Something could not be measured; what is too slow or too much is in the report.
pub(crate) async fn run(name: &str, scale: Scale, program: Option<PathBuf>) -> anyhow::Result<Report> {
    let program = program.map_or_else(agent::build, Ok)?;
    let report = Report::new(format!("bench {name} --apps {}", scale.apps));
    let mut bench = Bench::start(scale, program.clone(), report).await?;
    bench.measure(name).await?;
    // Lab and agent end here: beside others they would be measured, too.
    let report = bench.end();
    if name != "ci" {
        return Ok(report);
    }
    // Webhooks show only where nobody hints at what moved.
    let scale = Scale { apps: scale.apps / 2, later: 0, polls: Some("1h"), ..scale };
    let mut bench = Bench::start(scale, program.clone(), report).await?;
    bench.webhook().await?;
    let report = bench.end();
    // And what becomes of bad commits only where there are pods.
    let mut bench = Bench::start(Scale { window: Some(WINDOW), ..scale }, program, report).await?;
    bench.bad_image().await?;
    bench.bad_image_without_git().await?;
    Ok(bench.end())
}

impl Bench {
    /// Starts a lab and an agent, and installs the apps.
    async fn start(scale: Scale, program: PathBuf, report: Report) -> anyhow::Result<Self> {
        let bed = Bed::start(&scale, program).await?;
        let mut agent = Agent::start(&bed.setup)?;
        agent.wait_until_ready()?;
        let mut bench = Self { scale, agent, bed, report, n_versions: 1 };
        bench.install().await?;
        Ok(bench)
    }

    /// Ends lab and agent; returns what was measured.
    fn end(self) -> Report {
        self.report
    }

    /// Measures what a command is about.
    async fn measure(&mut self, name: &str) -> anyhow::Result<()> {
        match name {
            "b6" => self.one_folder().await,
            "b9" => self.edits().await,
            "idle" => self.idle().await,
            "restart" => self.restart().await,
            "push" => self.push().await,
            "b4" => self.site().await,
            "b7" => self.webhook().await,
            "b8" => self.strangers().await,
            "b10" => self.bad_image().await,
            "b11" => self.stuck().await,
            "b12" => self.bad_image_without_git().await,
            "b13" => self.callers().await,
            "floods" => self.floods(self.scale.connections),
            "wiped" => self.wiped().await,
            "soak" => self.soak(self.scale.length).await,
            "b1" => {
                let update = self.update().await?;
                self.trims().await?;
                self.floor(update).await
            }
            _ => self.measure_all().await,
        }
    }

    async fn measure_all(&mut self) -> anyhow::Result<()> {
        let update = self.update().await?;
        self.idle().await?;
        self.one_folder().await?;
        self.push().await?;
        self.trims().await?;
        self.edits().await?;
        self.restart().await?;
        if self.scale.is_short {
            self.wiped().await?;
        }
        self.grow().await?;
        self.floor(update).await
    }

    /// Returns a version that no object has yet.
    pub(crate) fn next_version(&mut self) -> String {
        self.n_versions += 1;
        self.n_versions.to_string()
    }

    /// Returns how long something may take before the run gives up.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_mins(1)
            + Duration::from_millis(200) * u32::try_from(self.scale.maps()).unwrap_or(u32::MAX)
    }

    /// Waits for rest; returns what the API server counted and what the agent says of itself.
    pub(crate) async fn rest(&self) -> anyhow::Result<(Requests, Counters)> {
        let requests = self.bed.settled().await?;
        let counters = Counters::read(&self.agent)?;
        Ok((requests, counters))
    }
}

/// What the agent counts itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub renders: u64,
    pub polls: u64,
    /// Requests to the API server, watches and leases left out.
    pub requests: u64,
}

impl Counters {
    fn read(agent: &Agent) -> anyhow::Result<Self> {
        let is_work = |labels: &str| !labels.contains("verb=\"watch\"") && !labels.contains("kind=\"Lease");
        let requests = agent.metric("tautline_api_requests_total")?;
        Ok(Self {
            renders: agent.total("tautline_renders_total")?,
            polls: agent.total("tautline_polls_total")?,
            requests: requests.into_iter().filter(|(labels, _)| is_work(labels)).map(|(_, n)| n).sum(),
        })
    }
}

/// Returns the time below which `share` of the times are.
pub(crate) fn percentile(times: &[Duration], share: f64) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index into a list of some thousands"
    )]
    let index = (times.len() as f64 * share).ceil() as usize;
    times.get(index.saturating_sub(1).min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// Returns the time from `begin` until the last of them.
pub(crate) fn until_last(times: &BTreeMap<String, Instant>, begin: Instant) -> f64 {
    times.values().max().map_or(0.0, |last| last.saturating_duration_since(begin).as_secs_f64())
}

/// Returns a count as a figure.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
pub(crate) fn figure(count: u64) -> f64 {
    count as f64
}

/// Returns bytes in MiB.
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    figure(bytes) / (1024.0 * 1024.0)
}

/// Returns a number of things as a figure.
pub(crate) fn size(count: usize) -> f64 {
    figure(count as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_take_the_nearest_rank() {
        let times: Vec<Duration> = (1..=20).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 0.5), Duration::from_millis(10));
        assert_eq!(percentile(&times, 0.99), Duration::from_millis(20));
        assert_eq!(percentile(&[], 0.5), Duration::ZERO);
    }
}
