//! How much memory does each app take? Measured over many more apps, so that it is not lost in what the agent takes by itself.

use super::{Bench, size};
use crate::repository::BRANCH;

/// What an app of one object may take, in KiB: half as much again as it does.
const PER_APP: f64 = 64.0;

impl Bench {
    /// Creates the later apps beside those that are there, and waits until they are synced.
    pub(crate) async fn grow(&mut self) -> anyhow::Result<()> {
        let later = self.scale.later;
        if later == 0 {
            return Ok(());
        }
        let revision = self.bed.repository.commit_of(BRANCH)?;
        self.rest().await?;
        let before = self.agent.cost()?.resident;
        self.bed.observer.expect(&revision, "1");
        self.bed.create_applications(self.scale.apps..self.scale.apps + later).await?;
        self.bed.observer.wait(self.patience(), |seen| seen.apps.len() == later).await?;
        self.rest().await?;
        let grown = self.agent.cost()?.resident - before;
        self.report
            .share(&self.scale.label("grow"), "memory per app more", grown * 1024.0 / size(later), PER_APP)
            .note(format!("{grown:.1} MiB for {later}"));
        Ok(())
    }
}
