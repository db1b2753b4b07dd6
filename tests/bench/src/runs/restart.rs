//! What does a restart over unchanged apps cost, the cache kept?

use super::{Bench, Counters, figure};
use crate::agent::Agent;
use crate::watched;

/// What is read by itself: settings, the record of kinds, and the key of releases.
const GETS: usize = 3;
/// Objects per page of a list, and releases, each of which may be as large as a Secret may be.
const PAGE: usize = 500;
const RELEASES: usize = 50;

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
        self.report.count(&bench, "writes", figure(requests.writes()), 0.0).note(requests.to_string());
        self.report.count(&bench, "renders", figure(counters.renders), 0.0);
        // The server may end a page early, and a list of several pages then has one more.
        let pages = |objects: usize, page: usize| objects.div_ceil(page) + usize::from(objects > page);
        // Of Applications and ConfigMaps there may be several pages. Releases are listed once, and not watched.
        let watches = watched::specs().len();
        let releases = self.bed.observer.seen().releases.len();
        let lists = watches - 2 + pages(self.scale.apps, PAGE) + pages(self.scale.maps(), PAGE);
        let lists = lists + pages(releases, RELEASES).max(1);
        let listed = requests.of("list") + requests.of("release-list");
        self.report
            .count(&bench, "pages of lists", figure(listed), super::size(lists))
            .note(format!("{releases} releases"));
        self.report.count(&bench, "watches opened", figure(requests.of("watch")), super::size(watches));
        let gets = requests.of("get") + requests.of("release-read");
        self.report.count(&bench, "gets", figure(gets), super::size(GETS));
        self.report.count(&bench, "looks at the repository", figure(counters.polls), 1.0);
        let cost = self.agent.cost()?;
        self.report.size(&bench, "memory", cost.resident, 60.0);
        Ok(())
    }
}
