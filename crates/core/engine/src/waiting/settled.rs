//! What came of a revision that Git wants now, where nothing is under way for it?

use super::{Outcome, Verdict, Wanted, Word, decided, named, sentences, tried_verdict};
use crate::conditions::{quarantine_sentence, read_only_sentence};
use crate::event::Desired;
use crate::soak::Soak;
use crate::state::{Attempt, SourceView, State};
use crate::trigger;
use model::{App, Comparison, HealthStatus, HeldStage, ObjectKey, Reason, Revision, SyncStatus};

/// Decides where Git wants the revision, or one that comes after it, and nothing is under way for it.
pub(super) fn at_desired(state: &State, app: &App, wanted: &Wanted) -> Outcome {
    let fields = trigger::read_only(state, app);
    if !fields.is_empty() {
        return decided(wanted, state, Word::Held, None, read_only_sentence(&fields));
    }
    let Some((desired, comparison)) = state.current() else {
        return Outcome::Waits("the comparison with the cluster".into());
    };
    if let Some(outcome) = left_alone(state, desired) {
        return outcome;
    }
    let tried = state.tried().filter(|tried| is_whole(tried) && tried.was_about(desired));
    let is_well = matches!(comparison.health.status, HealthStatus::Healthy | HealthStatus::Suspended);
    let is_synced = comparison.sync == SyncStatus::Synced;
    if let Some(soak) = soaking(state, desired).filter(|_| is_synced && is_well) {
        return of_soak(soak, desired, app);
    }
    // Its objects may be as well as ever.
    let is_refuted = tried.is_some_and(|tried| tried.reason == Reason::CheckFailed && tried.is_condemned);
    if is_synced && is_well && !is_refuted {
        let of_it = tried.filter(|tried| tried.revision == desired.revision);
        let message = if of_it.is_some() {
            "everything is as Git wants it, and healthy"
        } else {
            "everything is as Git wants it, and healthy; the revision changed nothing for the Application"
        };
        return Outcome::Decided(Verdict {
            word: Word::Deployed,
            revision: desired.revision.clone(),
            sync: of_it.map(|tried| tried.started_at),
            object: None,
            message: message.into(),
        });
    }
    if let Some(tried) = tried {
        let mut outcome = tried_verdict(state, tried);
        if let Outcome::Decided(verdict) = &mut outcome {
            // The same content may stand in several commits.
            verdict.revision = desired.revision.clone();
            if verdict.word == Word::Deployed {
                verdict.message = since_then(&verdict.message, comparison);
            }
        }
        return outcome;
    }
    if !comparison.is_settled {
        return Outcome::Waits("the comparison with the cluster".into());
    }
    if let Some(bad) = refusal(state) {
        return bad;
    }
    if is_synced {
        return unhealthy(state, comparison);
    }
    not_tried(state, app, comparison)
}

/// Decides where the content of the revision failed by its own fault.
fn left_alone(state: &State, desired: &Desired) -> Option<Outcome> {
    let held_back = state.hold.as_ref().filter(|hold| hold.held.leaves_alone(desired.hash));
    let bad = state.quarantine.get(desired.hash).or(held_back.map(|hold| &hold.held.bad))?;
    let hold = state.hold.as_ref().filter(|hold| hold.held.bad.hash == bad.hash);
    let (word, message) = match hold.map(|hold| (&hold.held.stage, hold.story())) {
        Some((HeldStage::Restoring, _)) => {
            return Some(Outcome::Waits("what was stable to be restored".into()));
        }
        Some((HeldStage::Restored | HeldStage::Kept, message)) if held_back.is_some() => {
            (Word::Held, message)
        }
        Some((HeldStage::Restored, message)) => (Word::RolledBack, message),
        Some((HeldStage::Kept, message)) => (Word::Quarantined, message),
        Some((HeldStage::Inconclusive(_), message)) => (Word::Inconclusive, message),
        Some((HeldStage::Failed(_), message)) => (Word::Failed, message),
        None if state.released.is_some() => {
            return Some(Outcome::Waits("what was stable before it to be kept as a release".into()));
        }
        None if state.tried().is_some_and(|tried| tried.was_about(desired)) => return None,
        None => (Word::Quarantined, quarantine_sentence(bad)),
    };
    Some(Outcome::Decided(Verdict {
        word,
        revision: desired.revision.clone(),
        sync: Some(bad.started_at),
        object: named(state.comparison.as_deref(), &bad.message),
        message,
    }))
}

/// Returns what a sync deployed and is watched for a while: it may yet turn out bad.
fn soaking<'a>(state: &'a State, desired: &Desired) -> Option<&'a Soak> {
    let soak = state.soak.as_deref().filter(|soak| state.knows_releases && !soak.is_baseline)?;
    soak.run.desired.as_ref().is_some_and(|soaking| soaking.hash == desired.hash).then_some(soak)
}

/// Decides while it is watched.
fn of_soak(soak: &Soak, desired: &Desired, app: &App) -> Outcome {
    let healthy = format!("everything to stay healthy for {}", app.rollback.soak);
    match soak.checks.waits_for(app) {
        Some(why) if soak.checks.is_held() => Outcome::Decided(Verdict {
            word: Word::Held,
            revision: desired.revision.clone(),
            sync: Some(soak.run.started_at),
            object: None,
            message: format!(
                "everything is as Git wants it, and healthy, but does not count as stable: {why}"
            ),
        }),
        Some(why) => Outcome::Waits(format!("{healthy}, and for {why}")),
        None => Outcome::Waits(healthy),
    }
}

/// Returns whether a sync was about all objects, or was the agent's own correction of some.
fn is_whole(tried: &Attempt) -> bool {
    tried.operation.as_ref().is_none_or(|operation| operation.resources.is_empty())
}

/// Adds to a success what is no longer as it was then.
fn since_then(message: &str, comparison: &Comparison) -> String {
    let first = comparison.to_apply().chain(comparison.to_prune()).next();
    let which = first.map(|key| format!(", first of all {key}")).unwrap_or_default();
    let differs = match comparison.sync {
        SyncStatus::Synced => String::new(),
        status @ (SyncStatus::OutOfSync | SyncStatus::Unknown) => format!("; by now it is {status}{which}"),
    };
    let ails = match comparison.health.status {
        HealthStatus::Healthy | HealthStatus::Suspended => String::new(),
        status => format!("; by now it is {status}: {}", comparison.health.message),
    };
    format!("{message}{differs}{ails}")
}

/// Returns the verdict on a newer revision that holds the wanted one and cannot be used.
pub(super) fn refusal(state: &State) -> Option<Outcome> {
    match &state.source {
        SourceView::Invalid(revision, problems) => Some(Outcome::Decided(Verdict {
            word: Word::Failed,
            revision: revision.clone(),
            sync: None,
            object: None,
            message: format!("{} cannot be deployed: {}", revision.short(), sentences(problems)),
        })),
        SourceView::Unsupported(revision, not_yet) => {
            let fields: Vec<String> = not_yet.iter().map(|not_yet| not_yet.field.clone()).collect();
            Some(Outcome::Decided(Verdict {
                word: Word::Held,
                revision: revision.clone(),
                sync: None,
                object: None,
                message: read_only_sentence(&fields),
            }))
        }
        SourceView::Unknown | SourceView::At(_) | SourceView::Failing(..) => None,
    }
}

/// Decides where all is as Git wants it, no sync says so, and something is not healthy.
fn unhealthy(state: &State, comparison: &Comparison) -> Outcome {
    let sick = comparison.objects.iter().find(|object| {
        object.health.as_ref().is_some_and(|health| health.status == comparison.health.status)
    });
    let message = format!(
        "everything is as Git wants it, but {}: {}",
        comparison.health.status, comparison.health.message
    );
    if comparison.health.status == HealthStatus::Degraded {
        return about_desired(state, Word::Failed, sick.map(|object| object.key.clone()), message);
    }
    Outcome::Waits(format!("healthy objects: {}", comparison.health.message))
}

/// Decides where live differs from what was never tried.
fn not_tried(state: &State, app: &App, comparison: &Comparison) -> Outcome {
    let first = comparison.to_apply().chain(comparison.to_prune()).next().cloned();
    let Some(automated) = app.automated else {
        let message =
            "the Application differs from it, is not synced automatically, and nobody asked for a sync";
        return about_desired(state, Word::NotRequested, first, message);
    };
    if trigger::would_wipe(automated, comparison) {
        let message = "an automated sync would delete everything, which syncPolicy.automated.allowEmpty does not permit";
        return about_desired(state, Word::Held, first, message);
    }
    let refused = comparison.objects.iter().find(|object| !object.refused.is_empty());
    if comparison.to_apply().next().is_some() {
        return Outcome::Waits("the sync to begin".into());
    }
    match refused {
        Some(object) => about_desired(state, Word::Held, Some(object.key.clone()), object.refused.clone()),
        None if automated.prune => Outcome::Waits("the sync to begin".into()),
        None => {
            let message =
                "everything that Git wants is there; what Git has no longer stays, for pruning is off";
            about_desired(state, Word::Deployed, None, message)
        }
    }
}

fn about_desired(
    state: &State,
    word: Word,
    object: Option<ObjectKey>,
    message: impl Into<String>,
) -> Outcome {
    let revision =
        state.desired.as_ref().map_or_else(|| Revision::new(""), |desired| desired.revision.clone());
    Outcome::Decided(Verdict { word, revision, sync: None, object, message: message.into() })
}
