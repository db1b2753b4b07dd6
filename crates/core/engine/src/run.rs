//! What is one sync, from its wish to its verdict?

use crate::deferral::Deferral;
use crate::effect::{Effect, Mode};
use crate::event::Desired;
use crate::state::{Attempt, State};
use model::{
    App, Comparison, Digest, Headway, HealthStatus, ObjectKey, ObjectOutcome, ObjectResult, Operation,
    SyncId, Timestamp,
};
use plan::{Plan, Selection, prune::Prune};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// Why a sync is wanted.
#[derive(Clone, Debug, PartialEq)]
pub enum Cause {
    /// Git wants something that was not tried yet.
    NewDesired,
    /// Live drifted from what was synced; the objects concerned, and how often that happened in a row.
    SelfHeal(BTreeSet<ObjectKey>, u32),
    /// Somebody asked.
    Operation(Operation),
    /// A commit turned out bad: back to what was stable.
    Rollback,
}

/// One sync.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its number; answers with another one are of superseded syncs.
    pub id: SyncId,
    /// Why it is wanted.
    pub cause: Cause,
    /// What it deploys; `None` until prepared.
    pub desired: Option<Arc<Desired>>,
    /// How live compares with a revision that somebody chose, unless that is what Git wants anyway.
    pub comparison: Option<Arc<Comparison>>,
    /// When the commit was seen that it deploys, where that is known.
    pub seen_at: Option<Timestamp>,
    /// When the last object was applied or deleted.
    pub applied_at: Option<Timestamp>,
    /// When it began, in an earlier life of the agent where it was found under way.
    pub started_at: Timestamp,
    /// When this life of the agent began with it.
    pub begun_at: Timestamp,
    /// When this try of it began.
    pub tried_at: Timestamp,
    /// Repeats so far.
    pub retries: u32,
    /// What is still to do, in order.
    pub steps: VecDeque<Step>,
    /// One per object, in the order in which they were first recorded.
    pub results: Vec<ObjectResult>,
    /// Objects that must be healthy in the end.
    pub watched: BTreeSet<ObjectKey>,
    /// Objects that must be gone in the end.
    pub leaving: BTreeSet<ObjectKey>,
    /// Deletions that wait until the new state has settled.
    pub deferral: Deferral,
    /// Objects whose deletion waits for a person.
    pub unconfirmed: Vec<ObjectKey>,
    /// Whether something could not be pruned because the cluster was not seen whole.
    pub was_blind: bool,
    /// What drifted from what the sync applied and goes back, as part of it.
    pub correction: Option<Correction>,
    /// What progress is measured by.
    pub progress: Option<Digest>,
    /// What it was measured to be in this try: whoever goes to and fro between the same states does not get on.
    pub seen: BTreeSet<Digest>,
    /// When something last got on.
    pub progress_at: Timestamp,
    /// Since when some watched object is Degraded by the content's own fault.
    pub broken_since: Option<Timestamp>,
    /// What kept it from being settled when that was judged last, and what is said of it.
    pub sick: Option<(ObjectKey, String)>,
    /// What the sync waits for, or what its last try failed of, as the operation's message says it.
    pub waits_for: String,
}

/// A correction of drift inside a sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// Which objects.
    pub keys: BTreeSet<ObjectKey>,
    /// When something last got on before: correcting is no progress.
    pub progress_at: Timestamp,
    /// When the sync is tried again, if it waited for that; none while it was settling.
    pub next_try: Option<Timestamp>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Apply these in parallel.
    Apply(Vec<ObjectKey>),
    /// Delete these in parallel.
    Prune(Vec<ObjectKey>),
}

impl Run {
    /// Starts a sync.
    pub fn new(id: SyncId, cause: Cause, now: Timestamp) -> Self {
        Self {
            id,
            cause,
            desired: None,
            comparison: None,
            seen_at: None,
            applied_at: None,
            started_at: now,
            begun_at: now,
            tried_at: now,
            retries: 0,
            steps: VecDeque::new(),
            results: Vec::new(),
            watched: BTreeSet::new(),
            leaving: BTreeSet::new(),
            deferral: Deferral::default(),
            unconfirmed: Vec::new(),
            was_blind: false,
            correction: None,
            progress: None,
            seen: BTreeSet::new(),
            progress_at: now,
            broken_since: None,
            sick: None,
            waits_for: String::new(),
        }
    }

    /// Goes on with what an earlier life of the agent began, in its time: whoever is started again and again must come to an
    /// end, too. What got on since it told of it got on now.
    pub fn go_on_from(&mut self, last: &Attempt, now: Timestamp) {
        self.started_at = last.started_at.min(now);
        self.retries = last.retries;
        match &last.headway {
            Some(headway) => {
                self.tried_at = headway.tried_at.min(now);
                self.progress = Some(headway.progress);
                self.seen.insert(headway.progress);
                self.progress_at = headway.progress_at.min(now);
            }
            // The first try began with the sync; of later ones only the number is known.
            None if last.retries == 0 => self.tried_at = self.started_at,
            None => {}
        }
    }

    /// Notes when what it deploys was seen: before it began, whatever another life saw when.
    pub(crate) fn note_seen(&mut self, state: &State) {
        let revision = self.desired.as_ref().map(|desired| &desired.revision);
        let seen = state.seen.as_ref().filter(|(seen, _)| Some(seen) == revision);
        self.seen_at = seen.map(|(_, at)| *at).filter(|at| *at <= self.started_at);
    }

    /// Returns how far the sync has got, once it waited for health.
    pub fn headway(&self) -> Option<Headway> {
        let (tried_at, progress_at) = (self.tried_at, self.progress_at);
        self.progress.map(|progress| Headway { tried_at, progress, progress_at })
    }

    /// Returns whether a stage of this life changed something.
    pub(crate) fn has_changed(&self) -> bool {
        self.results.iter().any(|result| result.outcome.is_change())
    }

    /// Returns the operation that asked for this sync.
    pub fn operation(&self) -> Option<&Operation> {
        match &self.cause {
            Cause::Operation(operation) => Some(operation),
            Cause::NewDesired | Cause::SelfHeal(..) | Cause::Rollback => None,
        }
    }

    /// Returns whether the sync deploys a revision that somebody chose, which newer commits do not replace.
    pub fn is_pinned(&self) -> bool {
        self.operation().is_some_and(|operation| !operation.revision.is_empty())
    }

    /// Returns whether somebody asked for all that Git holds now, and to have it applied: what becomes of that is judged as of a commit
    /// that came by itself.
    pub(crate) fn is_about_git(&self) -> bool {
        self.operation().is_some() && self.is_full() && !self.is_pinned() && self.mode() == Mode::Real
    }

    /// Returns whether the sync deploys all that Git holds now, whoever wanted it.
    pub(crate) fn is_whole(&self) -> bool {
        self.cause == Cause::NewDesired || self.is_about_git()
    }

    /// Returns whether the sync is about all objects of the app.
    pub fn is_full(&self) -> bool {
        match &self.cause {
            Cause::NewDesired | Cause::Rollback => true,
            Cause::SelfHeal(..) => false,
            Cause::Operation(operation) => operation.resources.is_empty(),
        }
    }

    /// Returns whether the sync changes anything.
    pub fn mode(&self) -> Mode {
        if self.operation().is_some_and(|operation| operation.dry_run) { Mode::DryRun } else { Mode::Real }
    }

    /// Returns which objects the plan is about.
    pub fn selection(&self) -> Selection {
        match &self.cause {
            Cause::NewDesired => Selection::OutOfSync,
            // What was pruned a moment ago may still be seen.
            Cause::Rollback => Selection::All,
            Cause::SelfHeal(keys, _) => Selection::Keys(keys.clone()),
            Cause::Operation(operation) if !operation.resources.is_empty() => {
                Selection::Named(operation.resources.clone())
            }
            Cause::Operation(_) if self.retries > 0 => Selection::OutOfSync,
            Cause::Operation(_) => Selection::All,
        }
    }

    /// Returns whether and in whose name the sync prunes; `is_held` says whether it keeps the app at a release.
    pub fn prune(&self, app: &App, is_held: bool) -> Prune {
        match &self.cause {
            Cause::Operation(operation) if operation.prune => Prune::Person(self.started_at),
            Cause::Operation(_) => Prune::No,
            Cause::Rollback => Prune::Created(self.started_at),
            // At a release, what Git holds is not what live is held against: what is extra there may have been there before.
            Cause::SelfHeal(..) if is_held => Prune::No,
            Cause::NewDesired | Cause::SelfHeal(..)
                if app.automated.is_some_and(|automated| automated.prune) =>
            {
                Prune::Automated(self.started_at)
            }
            Cause::NewDesired | Cause::SelfHeal(..) => Prune::No,
        }
    }

    /// Takes a plan; `before` is how the app compared when it was made.
    pub fn take_plan(&mut self, plan: Plan, before: Option<&Comparison>) {
        self.steps = plan.stages.into_iter().map(|stage| Step::Apply(stage.keys)).collect();
        self.steps.extend(plan.prunes.into_iter().map(|stage| Step::Prune(stage.keys)));
        // What failed or was left alone is tried or told again, if it still matters.
        self.results.retain(|result| match result.outcome {
            ObjectOutcome::Failed(..) | ObjectOutcome::PruneSkipped(_) => false,
            ObjectOutcome::Created
            | ObjectOutcome::Configured
            | ObjectOutcome::Unchanged
            | ObjectOutcome::Pruned => true,
        });
        let is_heal = matches!(self.cause, Cause::SelfHeal(..));
        // A selective sync says nothing about what it was not asked for.
        if self.is_full() || is_heal {
            self.record(plan.skipped);
        }
        if is_heal {
            // Drift is not left standing until a person consents to something else.
            let left = plan.unconfirmed.into_iter().map(|key| ObjectResult {
                key,
                version: String::new(),
                outcome: ObjectOutcome::PruneSkipped("ignored (requires confirmation)".into()),
                images: Vec::new(),
            });
            self.record(left.collect());
        } else {
            self.unconfirmed = plan.unconfirmed;
        }
        self.was_blind = before.is_some_and(|comparison| !comparison.is_complete);
        let healthy =
            |o: &&model::ObjectStatus| o.health.as_ref().is_some_and(|h| h.status == HealthStatus::Healthy);
        let healthy_before = before.into_iter().flat_map(|c| c.objects.iter()).filter(healthy);
        self.watched.extend(healthy_before.filter(|o| !o.requires_pruning).map(|o| o.key.clone()));
    }

    /// Notes what the next steps delete.
    pub(crate) fn note_leaving(&mut self) {
        self.leaving.clear();
        for step in &self.steps {
            if let Step::Prune(keys) = step {
                self.leaving.extend(keys.iter().cloned());
            }
        }
    }

    /// Returns whether a self-heal turned out to be about nothing but extra objects that there is a reason to leave.
    pub fn heals_nothing(&self) -> bool {
        let was_left = |key: &ObjectKey| {
            let is_left = |result: &ObjectResult| matches!(result.outcome, ObjectOutcome::PruneSkipped(_));
            self.results.iter().any(|result| result.key == *key && is_left(result))
        };
        match &self.cause {
            Cause::SelfHeal(keys, _) => {
                self.steps.is_empty() && self.deferral.is_empty() && keys.iter().all(was_left)
            }
            Cause::NewDesired | Cause::Operation(_) | Cause::Rollback => false,
        }
    }

    /// Drops deletions that are next unless `prunable` has them.
    pub fn keep_what_git_wants(&mut self, prunable: &BTreeSet<ObjectKey>) {
        while let Some(Step::Prune(keys)) = self.steps.front_mut() {
            let n_planned = keys.len();
            keys.retain(|key| prunable.contains(key));
            let (n_left, kept) = (keys.len(), keys.iter().cloned().collect::<BTreeSet<_>>());
            self.was_blind |= n_left < n_planned;
            if n_left > 0 {
                return;
            }
            self.leaving.retain(|key| kept.contains(key) || prunable.contains(key));
            self.steps.pop_front();
        }
    }

    /// Returns the effect of the step that is next.
    pub fn next_effect(&self) -> Option<Effect> {
        let (sync, mode) = (self.id, self.mode());
        match self.steps.front()? {
            Step::Apply(keys) => {
                let hash = self.desired.as_ref().expect("a plan is made of something desired").hash;
                Some(Effect::Apply { sync, hash, keys: keys.clone(), mode })
            }
            Step::Prune(keys) => Some(Effect::Prune { sync, keys: keys.clone(), mode }),
        }
    }

    /// Records results, newer ones in the place of older ones. What they changed has to become healthy; what was
    /// unhealthy and is not touched is not held against the sync.
    pub fn record(&mut self, results: Vec<ObjectResult>) {
        for result in results {
            match result.outcome {
                ObjectOutcome::Created | ObjectOutcome::Configured => {
                    self.watched.insert(result.key.clone());
                }
                ObjectOutcome::Unchanged
                | ObjectOutcome::Pruned
                | ObjectOutcome::PruneSkipped(_)
                | ObjectOutcome::Failed(..) => {}
            }
            match self.results.iter_mut().find(|known| known.key == result.key) {
                Some(known) => *known = result,
                None => self.results.push(result),
            }
        }
    }

    /// Returns the objects that could not be brought to what Git wants.
    pub fn failures(&self) -> impl Iterator<Item = &ObjectResult> {
        self.results.iter().filter(|result| result.outcome.is_failure())
    }
}
