//! What is done to the agent, in which order? One lab per command; each run leaves the apps synced for the next one.

mod edits;
mod grow;
mod idle;
mod one_folder;
mod push;
mod restart;
mod whole;

use crate::agent::{self, Agent};
use crate::bed::Bed;
use crate::crds::Schema;
use crate::report::Report;
use crate::requests::Requests;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

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
}

impl Scale {
    /// Returns how many ConfigMaps there are.
    pub(crate) fn maps(&self) -> usize {
        self.apps * self.objects
    }

    /// Returns how many apps come later, to see what each of them takes: few apps do not show it.
    pub(crate) fn later(&self) -> usize {
        if self.is_short { 250 } else { 0 }
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
    let bed = Bed::start(&scale, program).await?;
    let mut agent = Agent::start(&bed.setup)?;
    agent.wait_until_ready()?;
    let report = Report::new(format!("bench {name} --apps {}", scale.apps));
    let mut bench = Bench { scale, agent, bed, report, n_versions: 1 };
    bench.install().await?;
    match name {
        "b6" => bench.one_folder().await?,
        "b9" => bench.edits().await?,
        "idle" => bench.idle().await?,
        "restart" => bench.restart().await?,
        "push" => bench.push().await?,
        "b1" => {
            let update = bench.update().await?;
            bench.floor(update).await?;
        }
        _ => {
            let update = bench.update().await?;
            bench.idle().await?;
            bench.one_folder().await?;
            bench.push().await?;
            bench.edits().await?;
            bench.restart().await?;
            bench.grow().await?;
            bench.floor(update).await?;
        }
    }
    Ok(bench.report)
}

impl Bench {
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
