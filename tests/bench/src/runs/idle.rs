//! What does the agent cost when nothing happens?

use super::{Bench, figure, size};
use crate::watched;
use std::time::{Duration, Instant};

impl Bench {
    /// Leaves everything alone for a while.
    pub(crate) async fn idle(&mut self) -> anyhow::Result<()> {
        let bench = self.scale.label("idle");
        let length = Duration::from_secs(if self.scale.is_short { 10 } else { 60 });
        let requests = self.rest().await?.0;
        let (cost, begin) = (self.agent.cost()?, Instant::now());
        tokio::time::sleep(length).await;
        let after = self.agent.cost()?;
        let cpu = after.cpu_since(&cost) / 1000.0 / begin.elapsed().as_secs_f64();
        let requests = self.bed.requests()?.since(&requests);
        self.report
            .count(&bench, "requests beside watches and leases", figure(requests.work()), 0.0)
            .note(format!("{requests} in {} s", length.as_secs()));
        // None of a young agent's watches is over; later each may end once.
        let is_young = self.agent.age() < watched::LIFE;
        let expiring = if is_young { 0 } else { watched::specs().len() };
        self.report.count(&bench, "watches opened again", figure(requests.of("watch")), size(expiring));
        self.report.time(&bench, "CPU", cpu * 100.0, "%", Some(1.0));
        self.report.size(&bench, "memory grown", after.resident - cost.resident, 2.0);
        Ok(())
    }
}
