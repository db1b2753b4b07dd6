//! Why does a sync start? Argo CD's auto-sync rules, once per desired state (its automated sync documentation).

use crate::event::Desired;
use crate::retry::{self, Heals};
use crate::rollback;
use crate::run::Cause;
use crate::state::{Attempt, SourceView, State};
use model::{
    App, Automated, Comparison, HeldStage, ObjectKey, ObjectOutcome, ObjectStatus, OperationPhase, Reason,
    Seconds, SyncStatus, Timestamp,
};
use std::collections::BTreeSet;

/// How long it may take to tell how a sync ended before an app goes back that it left broken.
const TELLING: Seconds = Seconds::new(5);

/// What an app wants now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Wish {
    /// Nothing.
    Nothing,
    /// A sync.
    Sync(Cause),
    /// A sync, at this time unless something changes.
    Later(Timestamp),
}

/// Returns why no sync may go on, whoever asked for it.
pub(crate) fn ban(state: &State, app: &App) -> Option<Reason> {
    if !state.refused.is_empty() {
        Some(Reason::NotPermitted)
    } else if app.deletion.is_some() {
        Some(Reason::Deleted)
    } else if app.skip_reconcile {
        Some(Reason::SpecChanged)
    } else if !read_only(state, app).is_empty() {
        Some(Reason::NotYet)
    } else {
        None
    }
}

/// Returns what the app wants now; nothing is under way for it.
pub(crate) fn wish(state: &State, app: &App, now: Timestamp) -> Wish {
    if !state.may_write || app.deletion.is_some() || app.skip_reconcile {
        return Wish::Nothing;
    }
    // Also where it may not be carried out: who asked gets an answer. As in Argo CD nothing else begins before that is told, for
    // it would take its place in the status.
    if let Some(operation) = &app.operation {
        if state.handled.as_ref() != Some(operation) {
            return Wish::Sync(Cause::Operation(operation.clone()));
        }
        match told_by(state) {
            None => return Wish::Nothing,
            Some(at) if at > now => return Wish::Later(at),
            Some(_) => {}
        }
    }
    if ban(state, app).is_some() {
        return Wish::Nothing;
    }
    if let Some(wish) = rollback::wish(state, app, now) {
        return wish;
    }
    match app.automated {
        Some(automated) if state.quarantined().is_none() => automated_wish(state, automated, app, now),
        Some(_) | None => Wish::Nothing,
    }
}

/// Returns when an app goes back to a release although it was not told how the sync ended that somebody asked for: what broke does
/// not wait for a status that cannot be written. `None` where it does not go back.
fn told_by(state: &State) -> Option<Timestamp> {
    let hold = state.hold.as_ref().filter(|hold| hold.held.stage == HeldStage::Restoring)?;
    Some(hold.held.bad.failed_at + TELLING)
}

/// Returns what the app uses that we do not act on yet, in its spec or in its objects. While nothing is rendered, what was
/// known of its objects last counts.
pub fn read_only(state: &State, app: &App) -> Vec<String> {
    let rendered = match &state.desired {
        Some(desired) => &desired.not_yet,
        None => &state.remembered,
    };
    let newest = state.unsupported.iter();
    app.not_yet.iter().chain(rendered).chain(newest).map(|not_yet| not_yet.field.clone()).collect()
}

/// Returns whether an automated sync would delete everything, which `allowEmpty` must permit.
pub(crate) fn would_wipe(automated: Automated, comparison: &Comparison) -> bool {
    automated.prune
        && !automated.allow_empty
        && !comparison.objects.is_empty()
        && comparison.objects.iter().all(|object| object.requires_pruning)
}

fn automated_wish(state: &State, automated: Automated, app: &App, now: Timestamp) -> Wish {
    let Some((desired, comparison)) = state.current() else { return Wish::Nothing };
    // While the newest revision is wrong, or not looked at yet, nothing is begun: what Git wants is not known.
    if matches!(state.source, SourceView::Invalid(..)) || state.rendering.is_some() {
        return Wish::Nothing;
    }
    if !comparison.is_settled || would_wipe(automated, comparison) {
        return Wish::Nothing;
    }
    if is_open(state, desired, comparison) {
        return Wish::Sync(Cause::NewDesired);
    }
    let applies = comparison.to_apply().next().is_some();
    let prunes = automated.prune && comparison.to_prune().next().is_some();
    if comparison.sync != SyncStatus::OutOfSync || !(applies || prunes) {
        return Wish::Nothing;
    }
    let tried = state.tried().filter(|last| last.was_about(desired));
    match tried {
        None => Wish::Sync(Cause::NewDesired),
        Some(last) => after_attempt(&state.heals, last, automated, comparison, app, now),
    }
}

/// Returns whether an earlier life seems to have deployed this to its end and died before it wrote so: all of it is there, and what
/// the cluster remembers is another attempt of ours, another release, or that the app was never looked at. The sync has nothing to apply then, and
/// its end is told: history, and what self-heal goes by. Asked before this life has told anything, so that what people
/// brought about meanwhile is no sync of ours.
fn is_unrecorded(state: &State, desired: &Desired, comparison: &Comparison) -> bool {
    let is_unknown = match state.tried() {
        None => state.was_untold || state.stable.as_ref().is_some_and(|stable| stable.hash != desired.hash),
        Some(last) => last.is_old && last.hash.is_some_and(|hash| hash != desired.hash),
    };
    let is_there = |object: &ObjectStatus| object.sync == Some(SyncStatus::Synced);
    is_unknown
        && state.reported.is_none()
        && comparison.is_complete
        && comparison.objects.iter().any(is_there)
        && comparison.objects.iter().all(|object| is_there(object) || !object.refused.is_empty())
}

/// Returns whether all is there by syncs that were cut short: what they changed has yet to be judged, and the end to be told.
fn is_unjudged(state: &State, comparison: &Comparison) -> bool {
    let was_cut_short = state.tried().is_some_and(|last| last.reason == Reason::Superseded && !last.is_old);
    was_cut_short && !state.touched.is_empty() && rollback::is_there(comparison)
}

/// Returns whether a sync that was cut short, or that nobody was told of, has yet to come to its end.
pub(crate) fn is_open(state: &State, desired: &Desired, comparison: &Comparison) -> bool {
    let is_under_way = state.tried().is_some_and(|last| !last.phase.is_completed());
    is_under_way || is_unrecorded(state, desired, comparison) || is_unjudged(state, comparison)
}

/// Returns what self-heal corrects: what it applies and, as Argo CD does, what it prunes, save what the last attempt had
/// reason to leave alone.
fn drifted(last: &Attempt, automated: Automated, comparison: &Comparison) -> BTreeSet<ObjectKey> {
    let was_left = |key: &ObjectKey| {
        last.results
            .iter()
            .any(|result| result.key == *key && matches!(result.outcome, ObjectOutcome::PruneSkipped(_)))
    };
    let may_prune = automated.prune && comparison.is_complete;
    let extra = comparison.to_prune().filter(|key| may_prune && !was_left(key));
    comparison.to_apply().chain(extra).cloned().collect()
}

/// Corrects what may be corrected by now; the rest in its time.
pub(crate) fn heal(
    heals: &Heals,
    last: Option<&Attempt>,
    drifted: BTreeSet<ObjectKey>,
    now: Timestamp,
) -> Wish {
    let nexts: Vec<(ObjectKey, (u32, Timestamp))> = drifted
        .into_iter()
        .map(|key| {
            let next = heals.next(&key, last, now);
            (key, next)
        })
        .collect();
    let times = nexts.iter().filter(|(_, (_, at))| *at <= now).map(|(_, (times, _))| *times).max();
    match (times, nexts.iter().map(|(_, (_, at))| *at).min()) {
        (Some(times), _) => {
            let due = nexts.into_iter().filter(|(_, (_, at))| *at <= now).map(|(key, _)| key);
            Wish::Sync(Cause::SelfHeal(due.collect(), times.saturating_add(1)))
        }
        (None, Some(at)) => Wish::Later(at),
        (None, None) => Wish::Nothing,
    }
}

fn after_attempt(
    heals: &Heals,
    last: &Attempt,
    automated: Automated,
    comparison: &Comparison,
    app: &App,
    now: Timestamp,
) -> Wish {
    if last.is_condemned {
        return Wish::Nothing;
    }
    match last.phase {
        OperationPhase::Succeeded => {
            let unseen_prunes =
                last.was_blind && comparison.is_complete && comparison.to_prune().next().is_some();
            if unseen_prunes && automated.prune {
                return Wish::Sync(Cause::NewDesired);
            }
            let drifted = drifted(last, automated, comparison);
            if !automated.self_heal || drifted.is_empty() {
                return Wish::Nothing;
            }
            heal(heals, Some(last), drifted, now)
        }
        OperationPhase::Failed | OperationPhase::Error => {
            // Attempts of an earlier life, of people, and exhausted hour-long ones: what holds passes, so it is tried
            // again. How often auto-sync tries is the spec's word, whoever tried before.
            match retry::next_attempt(app, None, last.retries, last.finished_at) {
                Some(at) if at <= now => Wish::Sync(Cause::NewDesired),
                Some(at) => Wish::Later(at),
                None if last.may_repeat => Wish::Sync(Cause::NewDesired),
                None => Wish::Nothing,
            }
        }
        OperationPhase::Running | OperationPhase::Terminating => Wish::Sync(Cause::NewDesired),
    }
}
