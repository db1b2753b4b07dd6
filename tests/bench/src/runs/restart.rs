//! What does a restart over unchanged apps cost, the cache kept?

use super::{Bench, Counters, figure};
use crate::agent::Agent;
use crate::watched;

/// What is read by itself: settings, and the record of kinds.
const GETS: usize = 2;
/// Objects per page of a list.
const PAGE: usize = 500;

impl Bench {
    /// Ends the agent by SIGTERM and starts it again.
    pub(crate) async fn restart(&mut self) -> anyhow::Result<()> {
        let bench = self.scale.label("restart");
        let before = self.bed.settled().await?;
        let stopped = self.agent.stop()?;
        self.agent = Agent::start(&self.bed.setup)?;
        let ready = self.agent.wait_until_ready()?;
        let requests = self.bed.settled().await?.since(&before);
        let counters = Counters::read(&self.agent)?;
        self.report.time(&bench, "SIGTERM to end", stopped.as_secs_f64(), "s", Some(5.0));
        self.report.time(&bench, "start to ready", ready.as_secs_f64(), "s", Some(3.0));
        let writes = ["apply", "status", "event", "other"].iter().map(|kind| requests.of(kind)).sum();
        self.report.count(&bench, "writes", figure(writes), 0.0).note(requests.to_string());
        self.report.count(&bench, "renders", figure(counters.renders), 0.0);
        // The server may end a page early, and a list of several pages then has one more.
        let pages = |objects: usize| objects.div_ceil(PAGE) + usize::from(objects > PAGE);
        // Of Applications and ConfigMaps there may be several pages.
        let watches = watched::specs().len();
        let lists = watches - 2 + pages(self.scale.apps) + pages(self.scale.maps());
        self.report.count(&bench, "pages of lists", figure(requests.of("list")), super::size(lists));
        self.report.count(&bench, "watches opened", figure(requests.of("watch")), super::size(watches));
        self.report.count(&bench, "gets", figure(requests.of("get")), super::size(GETS));
        self.report.count(&bench, "looks at the repository", figure(counters.polls), 1.0);
        let cost = self.agent.cost()?;
        self.report.size(&bench, "memory", cost.resident, 60.0);
        Ok(())
    }
}
