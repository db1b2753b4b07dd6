//! Which release is an app kept at, and is it kept there now?

use super::{is_there, told};
use crate::event::Desired;
use crate::run::{Cause, Run};
use crate::state::State;
use crate::trigger;
use model::{App, Bad, Comparison, Held, HeldStage, Timestamp};
use std::sync::Arc;

/// An app that is kept at a release instead of what Git wants.
#[derive(Clone, Debug, PartialEq)]
pub struct Hold {
    /// At which, for what, and how far that has come.
    pub held: Held,
    /// What the release holds.
    pub content: Content,
    /// Whether this life of the agent asked for the commit to be taken back in Git.
    pub asks_to_revert: bool,
    /// How that compares.
    pub comparison: Option<Arc<Comparison>>,
}

/// What a release holds, as far as it is at hand.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// It has to be asked for, from this time on.
    Due(Timestamp),
    /// It was asked for.
    Asked,
    /// This.
    Known(Arc<Desired>),
}

impl Hold {
    /// Returns a hold that is found in the status.
    pub fn new(held: Held) -> Self {
        Self {
            held,
            content: Content::Due(Timestamp::from_millis(0)),
            asks_to_revert: false,
            comparison: None,
        }
    }

    /// Tells what happened to the app, what runs now, what of the release does not, and what to do.
    pub(crate) fn story(&self) -> String {
        let lasting = self.desired().map(|desired| desired.lasting.join("; ")).filter(|all| !all.is_empty());
        match (&self.held.stage, lasting) {
            (HeldStage::Restored | HeldStage::Kept | HeldStage::Inconclusive(_), Some(lasting)) => {
                format!("{}. Not restored: {lasting}", told(&self.held))
            }
            (_, Some(_) | None) => told(&self.held),
        }
    }

    /// Begins a hold. What the release holds is asked for even where it was at hand the last time: what of it can be restored is
    /// another thing by then.
    pub(crate) fn begin(held: Held, now: Timestamp) -> Box<Self> {
        Box::new(Self { content: Content::Due(now), ..Self::new(held) })
    }

    /// Returns what the release holds, once it is at hand.
    pub fn desired(&self) -> Option<&Arc<Desired>> {
        match &self.content {
            Content::Known(desired) => Some(desired),
            Content::Due(_) | Content::Asked => None,
        }
    }
}

impl State {
    /// Returns whether the app is kept at a release now: Git wants nothing that may be deployed.
    pub fn is_holding(&self, app: &App) -> bool {
        let deploys = self.run().is_some_and(|run| run.desired.is_some() && !self.is_of_hold(run));
        self.hold.is_some() && !deploys && !self.wants_other(app)
    }

    /// Returns what live is kept at, once that is known: what Git wants, or the release that the app is held at.
    pub fn enforced(&self, app: &App) -> Option<&Arc<Desired>> {
        match &self.hold {
            Some(hold) if self.is_holding(app) => hold.desired(),
            Some(_) | None => self.desired.as_ref(),
        }
    }

    /// Returns whether a sync brings the app back to the release that it is held at, or keeps it there.
    pub fn is_of_hold(&self, run: &Run) -> bool {
        match run.cause {
            Cause::Rollback => true,
            Cause::SelfHeal(..) => self.hold.as_ref().is_some_and(|hold| {
                run.desired.as_ref().is_some_and(|desired| desired.hash == hold.held.at.hash)
            }),
            Cause::NewDesired | Cause::Operation(_) => false,
        }
    }

    /// Returns whether Git wants something that auto-sync may deploy.
    pub(crate) fn wants_other(&self, app: &App) -> bool {
        let is_kept = self.hold.as_ref().is_some_and(|hold| hold.held.until_resumed);
        let is_left = |hash| self.hold.as_ref().is_some_and(|hold| hold.held.leaves_alone(hash));
        let is_free = |desired: &Arc<Desired>| {
            !is_kept && !self.quarantine.contains(desired.hash) && !is_left(desired.hash)
        };
        app.automated.is_some() && self.desired.as_ref().is_some_and(is_free)
    }

    /// Returns whether nothing is left to hold the app for: it is as Git wants it, and may be.
    pub(crate) fn is_as_git_wants(&self) -> bool {
        let (Some(hold), Some((desired, comparison))) = (&self.hold, self.current()) else { return false };
        let kept = &hold.held;
        if kept.until_resumed || self.quarantine.contains(desired.hash) || kept.leaves_alone(desired.hash) {
            return false;
        }
        // What the release leaves standing, Git may not: held at what it wants, the app would never be rid of it.
        let is_back = match kept.stage {
            HeldStage::Restored | HeldStage::Kept | HeldStage::Inconclusive(_) => true,
            HeldStage::Restoring | HeldStage::Failed(_) => false,
        };
        let is_at = kept.at.hash == desired.hash && is_back;
        // What is being tried is not judged by being there.
        is_at || (is_there(comparison) && !trigger::is_open(self, desired, comparison))
    }

    /// Lets Git decide again.
    pub(crate) fn let_go(&mut self) {
        if self.hold.take().is_some()
            && let Some(last) = self.tried_mut()
        {
            // What going back left standing is Git's to prune.
            last.was_blind = true;
        }
    }

    /// Returns why Git's content is left alone, if it is.
    pub(crate) fn quarantined(&self) -> Option<&Bad> {
        self.quarantine.get(self.desired.as_ref()?.hash)
    }
}

/// Why a release could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotRecalled {
    /// The sentence.
    pub message: String,
    /// Whether it may pass.
    pub is_transient: bool,
}
