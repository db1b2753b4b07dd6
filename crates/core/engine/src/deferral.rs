//! What is deleted only once the new state has settled? What a rollback could not bring back: a custom resource whose operator
//! has cleaned up behind it, a claim whose volume is gone.

use crate::effect::Mode;
use crate::run::{Cause, Run, Step};
use crate::state::State;
use model::{App, ObjectKey, RollbackPolicy, Timestamp};
use plan::kinds;

/// Deletions of a sync that wait until everything has stayed healthy for the soak time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deferral {
    /// What is deleted then, stage by stage.
    stages: Vec<Vec<ObjectKey>>,
    /// Since when everything is healthy without a break; none while something is not.
    well_since: Option<Timestamp>,
}

/// What becomes of a sync that is settled but for its deletions.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// None waits: the sync is over.
    Over,
    /// It goes on waiting; what is said of it.
    Waits(String),
    /// They are its next steps.
    Deletes,
}

impl Deferral {
    /// Drops all deletions: something failed that may depend on what they delete.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Notes that something is not healthy.
    pub(crate) fn disturbed(&mut self) {
        self.well_since = None;
    }

    /// Returns since when everything is healthy.
    pub(crate) fn since_mut(&mut self) -> Option<&mut Timestamp> {
        self.well_since.as_mut()
    }

    /// Returns whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// Returns when they are due although nothing happens.
    pub(crate) fn due(&self, app: &App) -> Option<Timestamp> {
        self.well_since.filter(|_| !self.is_empty()).map(|since| since + app.rollback.soak)
    }
}

impl Run {
    /// Puts off what of the plan's deletions waits until the new state has settled: under automatic rollback what could not be
    /// restored, and everything where the app asks for that.
    pub(crate) fn put_off(&mut self, state: &State, app: &App) {
        self.deferral.clear();
        let hash = self.desired.as_ref().map(|desired| desired.hash);
        let is_settled = hash.is_some() && hash == state.stable.as_ref().map(|stable| stable.hash);
        if is_settled || self.mode() == Mode::DryRun || self.cause == Cause::Rollback {
            return;
        }
        let is_followed = matches!(self.cause, Cause::SelfHeal(..)) || (self.is_full() && !self.is_pinned());
        let may_go_back = is_followed && app.rollback_policy() == RollbackPolicy::Automatic;
        let waits = |key: &ObjectKey| {
            app.prunes_after_settling || (may_go_back && !kinds::is_restorable(&key.group_kind()))
        };
        for step in &mut self.steps {
            let Step::Prune(keys) = step else { continue };
            let (late, now): (Vec<_>, Vec<_>) = std::mem::take(keys).into_iter().partition(waits);
            *keys = now;
            if !late.is_empty() {
                self.deferral.stages.push(late);
            }
        }
        self.steps.retain(|step| !matches!(step, Step::Prune(keys) if keys.is_empty()));
    }

    /// Goes on with a sync of which everything else is done and healthy.
    pub(crate) fn after_settling(&mut self, app: &App, now: Timestamp) -> Next {
        let Some(first) = self.deferral.stages.iter().flatten().next() else { return Next::Over };
        let soak = app.rollback.soak;
        if now < *self.deferral.well_since.get_or_insert(now) + soak {
            let n = self.deferral.stages.iter().flatten().count();
            let others = if n > 1 { format!(" and {} more", n - 1) } else { String::new() };
            return Next::Waits(format!(
                "everything is healthy; {first}{others} is deleted once it has stayed so for {soak}"
            ));
        }
        let stages = std::mem::take(&mut self.deferral).stages;
        self.leaving.extend(stages.iter().flatten().cloned());
        self.steps.extend(stages.into_iter().map(Step::Prune));
        Next::Deletes
    }
}
