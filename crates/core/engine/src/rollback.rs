//! What follows when a commit turns out bad: is its content quarantined, does the app go back to what was stable?
//!
//! ```text
//!  a sync is condemned ──decide──▶ Nothing │ Quarantine │ Restore
//!                                                           │ hold
//!        Restoring ──Recall, Prepare, Plan, Apply, Settle──▶ Restored ──▶ (another content deploys) gone
//!            │ could not be applied             │ not healthy either
//!            └──▶ Failed: a person is needed    └──▶ Inconclusive ── healthy again ──▶ the commit is tried once more
//! ```

mod asked;
pub(crate) mod held_back;
mod hold;
mod quarantine;
pub(crate) mod reversal;
mod story;
pub(crate) mod untold;

pub(crate) use asked::advance as answer;
pub use hold::{Content, Hold, NotRecalled};
pub use quarantine::Quarantine;
pub(crate) use story::{back_at, told};

use crate::effect::{Effect, Outcome, Tone, Word};
use crate::event::Desired;
use crate::run::{Cause, Run};
use crate::state::{Activity, State};
use crate::trigger::Wish;
use crate::verdict::{self, Verdict};
use crate::{effect::Mode, note, suspect, trigger};
use model::{
    Again, App, Bad, Comparison, DesiredHash, FirstDeploy, HealthStatus, Held, HeldStage, ObjectKey,
    OperationPhase, Reason, RollbackPolicy, Seconds, Stable, SyncStatus, Timestamp,
};
use std::sync::Arc;

/// When a release is asked for again that could not be read.
const RECALL: Seconds = Seconds::new(5);

/// What follows from a commit that was condemned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The failure stands as it is.
    Nothing,
    /// The content is left alone from now on; nothing goes back.
    Quarantine,
    /// That, and the app goes back to the stable release.
    Restore,
    /// That, and what the first deploy created is deleted.
    Remove,
}

/// What a decision rests on.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What the app wants done.
    pub policy: RollbackPolicy,
    /// Whether the app, or its project, asked for that in so many words.
    pub is_asked_for: bool,
    /// What was condemned.
    pub condemned: DesiredHash,
    /// What settled last.
    pub stable: Option<&'a Stable>,
    /// What becomes of a first deploy that fails.
    pub first_deploy: FirstDeploy,
}

impl<'a> Facts<'a> {
    fn of(app: &App, condemned: DesiredHash, stable: Option<&'a Stable>) -> Self {
        Self {
            policy: app.rollback_policy(),
            is_asked_for: app.rollback.policy.is_some(),
            condemned,
            stable,
            first_deploy: app.rollback.first_deploy,
        }
    }
}

/// Decides what follows from a commit that was condemned.
pub fn decide(facts: &Facts<'_>) -> Decision {
    let Facts { policy, is_asked_for, condemned, stable, first_deploy } = *facts;
    if policy == RollbackPolicy::Off || stable.is_some_and(|stable| stable.hash == condemned) {
        // What was well with the same content is not the content's fault.
        return Decision::Nothing;
    }
    match stable {
        // Of an app that was taken over we have not seen yet that our ways of judging fit it.
        Some(stable) if policy == RollbackPolicy::Automatic && (is_asked_for || !stable.is_baseline) => {
            Decision::Restore
        }
        None if policy == RollbackPolicy::Automatic && first_deploy == FirstDeploy::Remove => {
            Decision::Remove
        }
        Some(_) | None => Decision::Quarantine,
    }
}

/// Takes in what can be gone back to.
pub(crate) fn know(state: &mut State, stable: Option<Stable>) {
    state.knows_releases = true;
    state.released = None;
    state.stable = stable;
}

/// Takes in that a sync of other content was cut short: an app that is held is not at its release any more.
pub(crate) fn disturbed(state: &mut State, run: &Run) {
    let is_other = !state.is_of_hold(run);
    let Some(hold) = state.hold.as_mut().filter(|_| is_other) else { return };
    match hold.held.stage {
        HeldStage::Restored | HeldStage::Kept | HeldStage::Inconclusive(_) => {
            hold.held.stage = HeldStage::Restoring;
        }
        HeldStage::Restoring | HeldStage::Failed(_) => {}
    }
}

/// Draws the consequences of a sync that has ended by itself.
pub(crate) fn follow(
    state: &mut State,
    run: &Run,
    verdict: &Verdict,
    app: &App,
    now: Timestamp,
    out: &mut Vec<Effect>,
) {
    match run.cause {
        Cause::Rollback => ended(state, verdict, out),
        Cause::SelfHeal(..) => {}
        Cause::NewDesired | Cause::Operation(_) if run.is_full() && run.mode() == Mode::Real => {
            match verdict.phase {
                OperationPhase::Succeeded => deployed(state, run),
                OperationPhase::Failed if verdict.is_condemned && !run.is_pinned() => {
                    condemned(state, run, verdict, app, now, out);
                }
                OperationPhase::Failed
                | OperationPhase::Error
                | OperationPhase::Running
                | OperationPhase::Terminating => {
                    if run.has_changed() {
                        disturbed(state, run);
                    }
                }
            }
        }
        Cause::NewDesired | Cause::Operation(_) => {}
    }
}

/// What is deployed and well is neither bad nor held back.
fn deployed(state: &mut State, run: &Run) {
    let Some(hash) = run.desired.as_ref().map(|desired| desired.hash) else { return };
    state.quarantine.lift(hash);
    if state.desired.as_ref().is_some_and(|desired| desired.hash == hash) {
        state.hold = None;
    }
}

fn condemned(
    state: &mut State,
    run: &Run,
    verdict: &Verdict,
    app: &App,
    now: Timestamp,
    out: &mut Vec<Effect>,
) {
    // What a person ended, or what is not supported, says nothing of the content.
    let is_evidence = matches!(verdict.reason, Reason::Refused | Reason::Degraded | Reason::HealthTimeout);
    if let Some(bad) = bad(run, verdict.reason, verdict.message.clone(), now).filter(|_| is_evidence) {
        condemn(state, bad, app, now, out);
    }
}

/// Returns what is remembered of the content that a sync deployed and that failed by its own fault.
pub(crate) fn bad(run: &Run, reason: Reason, message: String, now: Timestamp) -> Option<Bad> {
    let desired = run.desired.as_ref()?;
    Some(Bad {
        hash: desired.hash,
        revision: desired.revision.clone(),
        reason,
        message,
        seen_at: run.seen_at,
        applied_at: run.applied_at,
        started_at: run.started_at,
        failed_at: now,
    })
}

/// Leaves content alone that failed by its own fault, and goes back where that is wanted.
pub(crate) fn condemn(state: &mut State, bad: Bad, app: &App, now: Timestamp, out: &mut Vec<Effect>) {
    state.soak = None;
    let facts = Facts {
        first_deploy: if state.knows_releases { app.rollback.first_deploy } else { FirstDeploy::Keep },
        ..Facts::of(app, bad.hash, state.stable.as_ref())
    };
    let decision = decide(&facts);
    if decision == Decision::Nothing {
        return;
    }
    state.quarantine.add(bad.clone());
    let why = "auto-sync leaves its content alone until a commit changes what is deployed";
    out.push(note(
        Reason::Quarantined,
        format!("{} is quarantined: {why}", bad.revision.short()),
        Tone::Warning,
    ));
    let nothing = Stable::nothing();
    let target = match decision {
        Decision::Restore => target(state),
        Decision::Remove if state.released.is_none() => Some(&nothing),
        Decision::Remove | Decision::Quarantine | Decision::Nothing => None,
    };
    match target {
        Some(stable) => {
            // Whoever had its second try has none left.
            let is_same =
                |hold: &Hold| hold.held.bad.hash == bad.hash && hold.held.again == Again::Quarantined;
            let had_chance = state.hold.as_deref().is_some_and(is_same);
            let held = Held {
                at: stable.clone(),
                bad,
                stage: HeldStage::Restoring,
                again: Again::Quarantined,
                was_reverted: false,
                has_chance: !had_chance,
                until_resumed: false,
            };
            state.hold = Some(Hold::begin(held, now));
        }
        None => {
            // Where it is not known yet what can be gone back to, that is decided when it is.
            if state.knows_releases && state.released.is_none() {
                out.push(outcome(&bad, Word::Failed, &bad.message));
            }
        }
    }
}

/// Returns what is gone back to: what is stable, or where a person rolled back from that, what they rolled back to.
fn target(state: &State) -> Option<&Stable> {
    let stable = state.stable.as_ref()?;
    if state.quarantine.contains(stable.hash) {
        return state.hold.as_ref().map(|hold| &hold.held.at);
    }
    Some(stable)
}

/// Adds to what is said of content that is quarantined; returns whether it is.
pub(crate) fn amend(state: &mut State, hash: DesiredHash, addendum: &str) -> bool {
    let held = state.hold.as_mut().map(|hold| &mut hold.held.bad).filter(|bad| bad.hash == hash);
    let known = state.quarantine.get_mut(hash);
    let is_known = known.is_some();
    for bad in held.into_iter().chain(known) {
        if !addendum.is_empty() && !bad.message.contains(addendum) {
            bad.message = suspect::with(&bad.message, addendum);
        }
    }
    is_known
}

/// Returns what a release is told of a commit that was bad.
fn outcome(bad: &Bad, word: Word, message: &str) -> Effect {
    Effect::Release(Box::new(Outcome {
        hash: bad.hash,
        revision: bad.revision.clone(),
        word,
        reason: Some(bad.reason),
        message: message.into(),
        username: String::new(),
        is_asked_for: false,
        started_at: bad.started_at,
        healthy_at: None,
        seen_at: bad.seen_at,
        applied_at: bad.applied_at,
        ended_at: bad.failed_at,
    }))
}

/// Takes in how going back ended.
fn ended(state: &mut State, verdict: &Verdict, out: &mut Vec<Effect>) {
    let Some(hold) = &mut state.hold else { return };
    let bad = hold.held.bad.clone();
    let (reached, word) = match (verdict.phase, verdict.reason) {
        (OperationPhase::Succeeded, _) => (HeldStage::Restored, Word::RolledBack),
        (_, Reason::HealthTimeout | Reason::Degraded) => {
            (HeldStage::Inconclusive(verdict.message.clone()), Word::Inconclusive)
        }
        _ => (HeldStage::Failed(verdict.message.clone()), Word::Failed),
    };
    let reason = match word {
        Word::RolledBack => Reason::RolledBack,
        Word::Inconclusive => Reason::Inconclusive,
        Word::Failed | Word::Stable | Word::Found => Reason::RollbackFailed,
    };
    let was_told = hold.held.stage != HeldStage::Restoring;
    hold.held.stage = reached;
    if !was_told {
        let message = hold.story();
        if !story::is_asked_for(&bad) {
            out.push(outcome(&bad, word, &message));
        }
        out.push(note(reason, message, Tone::Warning));
    }
}

/// Asks for what the release holds, lets go of an app that is as Git wants it, and gives a commit its second try.
pub(crate) fn advance(state: &mut State, app: &App, now: Timestamp, out: &mut Vec<Effect>) {
    recall(state, now, out);
    let is_busy = state.activity != Activity::Idle || state.unanswered.is_some();
    if is_busy || !state.may_write || trigger::ban(state, app).is_some() {
        return;
    }
    if state.is_as_git_wants() {
        state.let_go();
    }
    hold_instead(state, app, now);
    held_back::advance(state, now, out);
    reversal::advance(state, out);
    let is_well = state.hold.as_ref().and_then(|hold| hold.comparison.as_deref()).is_some_and(is_well);
    if let Some(hold) = state.hold.as_mut().filter(|_| is_well)
        && let HeldStage::Inconclusive(_) = hold.held.stage
    {
        hold.held.stage = HeldStage::Restored;
        if std::mem::take(&mut hold.held.has_chance) {
            let bad = hold.held.bad.revision.short().to_owned();
            let story =
                format!("{} is healthy again: {bad} is tried once more", hold.held.at.revision.short());
            state.quarantine.lift(hold.held.bad.hash);
            out.push(Effect::Compare);
            out.push(note(Reason::Retry, story, Tone::Plain));
        }
    }
}

/// Keeps an app at what is stable whose repository came to content that had failed before.
fn hold_instead(state: &mut State, app: &App, now: Timestamp) {
    let (None, Some(bad), Some(stable)) = (&state.hold, state.quarantined(), &state.stable) else { return };
    if state.quarantine.contains(stable.hash) {
        return;
    }
    if decide(&Facts::of(app, bad.hash, Some(stable))) == Decision::Restore {
        // What an earlier life told last may not be what it did last.
        let is_told = state.tried().is_some_and(|last| !last.is_old);
        let is_there = is_told && state.has_deployed(stable.hash);
        let held = Held {
            at: stable.clone(),
            bad: bad.clone(),
            stage: if is_there { HeldStage::Kept } else { HeldStage::Restoring },
            again: Again::Quarantined,
            was_reverted: false,
            has_chance: false,
            until_resumed: false,
        };
        state.hold = Some(Hold::begin(held, now));
    }
}

fn recall(state: &mut State, now: Timestamp, out: &mut Vec<Effect>) {
    let Some(hold) = &mut state.hold else { return };
    let is_failed = matches!(hold.held.stage, HeldStage::Failed(_));
    if matches!(hold.content, Content::Due(at) if at <= now) && !is_failed {
        hold.content = Content::Asked;
        out.push(Effect::Recall { release: hold.held.at.number, hash: hold.held.at.hash });
    }
}

pub(crate) fn is_there(comparison: &Comparison) -> bool {
    comparison.is_settled && comparison.is_complete && comparison.sync == SyncStatus::Synced
}

/// Returns whether everything is there and healthy.
pub(crate) fn is_well(comparison: &Comparison) -> bool {
    is_there(comparison)
        && matches!(comparison.health.status, HealthStatus::Healthy | HealthStatus::Suspended)
}

/// Takes in what a release holds.
pub(crate) fn recalled(
    state: &mut State,
    release: u64,
    desired: Result<Arc<Desired>, NotRecalled>,
    now: Timestamp,
    app: &App,
    out: &mut Vec<Effect>,
) {
    let Some(hold) = state.hold.as_mut().filter(|hold| hold.held.at.number == release) else { return };
    let why = match desired {
        Ok(desired) if !desired.not_yet.is_empty() => {
            let fields: Vec<&str> = desired.not_yet.iter().map(|not_yet| not_yet.field.as_str()).collect();
            format!("release {release} needs what Tautline does not act on yet: {}", fields.join(", "))
        }
        Ok(desired) => {
            if !desired.lasting.is_empty() && hold.held.stage == HeldStage::Restoring {
                let message =
                    format!("not all of release {release} can be restored: {}", desired.lasting.join("; "));
                out.push(note(Reason::RollingBack, message, Tone::Warning));
            }
            hold.content = Content::Known(Arc::clone(&desired));
            if let Activity::Preparing(run) = &mut state.activity
                && run.cause == Cause::Rollback
            {
                run.desired = Some(desired);
            }
            out.push(Effect::Compare);
            return;
        }
        Err(failure) if failure.is_transient => {
            hold.content = Content::Due(now + RECALL);
            return;
        }
        Err(failure) => failure.message,
    };
    hold.content = Content::Due(now);
    match &state.activity {
        Activity::Preparing(run) if run.cause == Cause::Rollback => {
            let run = run.clone();
            verdict::finish(state, run, Verdict::error(Reason::RollbackFailed, why), app, now, out);
        }
        _ => ended(state, &Verdict::error(Reason::RollbackFailed, why), out),
    }
}

/// Begins to go back.
pub(crate) fn begin(state: &mut State, mut run: Run, out: &mut Vec<Effect>) {
    let Some(hold) = &state.hold else { return };
    out.push(note(
        Reason::RollingBack,
        told(&Held { stage: HeldStage::Restoring, ..hold.held.clone() }),
        Tone::Warning,
    ));
    run.desired = hold.desired().cloned();
    if run.desired.is_some() {
        out.push(Effect::Compare);
    }
    state.activity = Activity::Preparing(run);
}

/// Returns what an app wants that is held at a release; `None` where Git decides.
pub(crate) fn wish(state: &State, app: &App, now: Timestamp) -> Option<Wish> {
    let hold = state.hold.as_ref()?;
    if state.wants_other(app) {
        return None;
    }
    let was_cut_short = state.tried().is_some_and(|last| !last.phase.is_completed());
    Some(match &hold.held.stage {
        HeldStage::Restoring => Wish::Sync(Cause::Rollback),
        HeldStage::Failed(_) => Wish::Nothing,
        HeldStage::Restored | HeldStage::Kept | HeldStage::Inconclusive(_) if was_cut_short => {
            Wish::Sync(Cause::Rollback)
        }
        HeldStage::Restored | HeldStage::Kept | HeldStage::Inconclusive(_) => {
            match (app.automated, hold.comparison.as_ref().filter(|_| hold.desired().is_some())) {
                (Some(automated), Some(comparison)) if automated.self_heal && comparison.is_settled => {
                    let drifted = comparison.to_apply().filter(|key| !has_run(comparison, key)).cloned();
                    trigger::heal(&state.heals, state.tried(), drifted.collect(), now)
                }
                _ => Wish::Nothing,
            }
        }
    })
}

/// Returns whether an object of a release is a Job that is not there any more: it has run.
fn has_run(comparison: &Comparison, key: &ObjectKey) -> bool {
    key.group_kind().is("batch", "Job")
        && comparison.objects.iter().any(|object| object.key == *key && !object.is_live)
}

/// Returns when a release is to be asked for again, or a commit that was held up to be tried again.
pub(crate) fn wake(state: &State) -> Option<Timestamp> {
    let recall = match state.hold.as_ref()?.content {
        Content::Due(at) => Some(at),
        Content::Asked | Content::Known(_) => None,
    };
    recall.into_iter().chain(held_back::wake(state)).min()
}
