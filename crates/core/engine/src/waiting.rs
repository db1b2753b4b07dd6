//! What came of a revision? The one word that ends a wait for it, as far as it is known yet.
//!
//! ```text
//!  revisions ──▶ which of them hold the wanted one? (asked of Git by the caller) ──▶ outcome
//!                                                              Decided(Verdict) │ Waits(sentence)
//! ```

mod settled;

use crate::run::Run;
use crate::settle::CONSENT;
use crate::state::{Activity, Attempt, SourceView, State};
use model::{
    App, Comparison, ObjectKey, ObjectOutcome, OperationPhase, Problem, Reason, Revision, Timestamp,
};
use std::collections::BTreeSet;

/// How often a sync has to fail of what may pass before a wait ends with it: a blip is nobody's verdict.
const PATIENT_TRIES: u32 = 2;

/// What a wait for a sync waits for that somebody asked for and that has not begun.
const TO_BEGIN: &str = "the sync that was asked for to begin";

/// What a wait is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The commit; `None` until it is known which one the caller means.
    pub revision: Option<Revision>,
    /// Those of [`revisions`] that are the commit or come after it.
    pub reached: BTreeSet<Revision>,
    /// Whether the app was seen at such a revision since the wait began.
    pub was_reached: bool,
    /// Whether the repository was looked at since the wait began: what it said before may be so no more.
    pub has_looked: bool,
}

/// The word that ends a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The app settled at the revision, or at one that comes after it.
    Deployed,
    /// Another revision took its place that does not come after it.
    Superseded,
    /// It was tried and is at fault, and the app is back at what was stable.
    RolledBack,
    /// Its content had failed before, and is left alone.
    Quarantined,
    /// It was tried and failed, and what was stable is not well either.
    Inconclusive,
    /// Something that is not the revision's fault stands in its way.
    Held,
    /// It was tried, or could not even be read, and is at fault.
    Failed,
    /// It is there and differs, and nobody asks for a sync: no automated one, and no operation.
    NotRequested,
}

impl Word {
    /// Returns the word as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployed => "Deployed",
            Self::Superseded => "Superseded",
            Self::RolledBack => "RolledBack",
            Self::Quarantined => "Quarantined",
            Self::Inconclusive => "Inconclusive",
            Self::Held => "Held",
            Self::Failed => "Failed",
            Self::NotRequested => "NotRequested",
        }
    }
}

/// How a wait ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// In one word.
    pub word: Word,
    /// The revision that it is about: the wanted one, or what came after it or took its place.
    pub revision: Revision,
    /// When the sync began that it is about: what tells it from others, for another life of the agent, too.
    pub sync: Option<Timestamp>,
    /// The object that decided it.
    pub object: Option<ObjectKey>,
    /// Why, in a sentence.
    pub message: String,
}

/// Where a wait stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ends.
    Decided(Verdict),
    /// It goes on; what it waits for, as a sentence says it after "waits for".
    Waits(String),
}

/// Returns the revisions that decide a wait, those of them that the app is at or was: the caller says which of them hold
/// the wanted one.
pub fn revisions(state: &State) -> BTreeSet<&Revision> {
    let run = state.run().and_then(|run| run.desired.as_ref()).map(|desired| &desired.revision);
    let desired = state.desired.as_ref().map(|desired| &desired.revision);
    let tried = state.tried().map(|attempt| &attempt.revision);
    let all = [run, desired, tried, at(state)];
    all.into_iter().flatten().filter(|revision| !revision.as_str().is_empty()).collect()
}

/// Returns when the sync under way began.
pub fn sync_under_way(state: &State) -> Option<Timestamp> {
    state.run().map(|run| run.started_at)
}

/// Decides a wait by what is known of the app now.
pub fn outcome(state: &State, app: &App, wanted: &Wanted) -> Outcome {
    if let Some(obstructed) = obstructed(state, app, wanted) {
        return obstructed;
    }
    let Some(revision) = &wanted.revision else {
        return unresolved(state);
    };
    if is_asked_for(state, app) {
        return Outcome::Waits(TO_BEGIN.into());
    }
    let of_chosen =
        state.tried().filter(|tried| is_chosen(tried) && wanted.reached.contains(&tried.revision));
    if let Some(run) = state.run().filter(|run| concerns(run, wanted)) {
        return under_way(state, run, wanted);
    }
    if let Some(tried) = of_chosen {
        return tried_verdict(state, tried);
    }
    match &state.desired {
        Some(desired) if wanted.reached.contains(&desired.revision) => {
            settled::at_desired(state, app, wanted)
        }
        Some(_) | None => elsewhere(state, wanted, revision),
    }
}

/// Decides a wait that nothing of the revision decides: for the app nothing is done, whatever it is.
pub fn obstructed(state: &State, app: &App, wanted: &Wanted) -> Option<Outcome> {
    if app.deletion.is_some() {
        let why = "the Application is being deleted";
        return Some(decided(wanted, state, Word::Superseded, None, why));
    }
    let sentence = obstacle(state, app, wanted)?;
    Some(decided(wanted, state, Word::Held, None, sentence))
}

/// Decides the sync that somebody asked for last, whatever it is about: a dry run, single objects, a revision that Git does
/// not want. `None` where the last sync is nobody's request.
pub fn of_request(state: &State, app: &App) -> Option<Outcome> {
    let wanted = Wanted::default();
    if app.deletion.is_some() {
        return obstructed(state, app, &wanted);
    }
    if is_asked_for(state, app) {
        // Nothing is begun meanwhile.
        let skipped = app.skip_reconcile.then(|| obstructed(state, app, &wanted)).flatten();
        return Some(skipped.unwrap_or_else(|| Outcome::Waits(TO_BEGIN.into())));
    }
    if let Some(run) = state.run().filter(|run| run.operation().is_some()) {
        return Some(under_way(state, run, &wanted));
    }
    let last = state.last.as_ref().filter(|last| last.operation.is_some())?;
    let mut outcome = tried_verdict(state, last);
    if let Outcome::Decided(verdict) = &mut outcome
        && last.reason == Reason::Superseded
        && last.phase == OperationPhase::Failed
    {
        verdict.word = Word::Superseded;
    }
    Some(outcome)
}

/// Returns the revision that the app follows now.
pub fn followed(state: &State) -> Option<&Revision> {
    at(state)
}

/// Returns the revision that the repository is at, as far as it was read.
fn at(state: &State) -> Option<&Revision> {
    match &state.source {
        SourceView::At(revision)
        | SourceView::Invalid(revision, _)
        | SourceView::Unsupported(revision, _) => Some(revision),
        SourceView::Unknown | SourceView::Failing(..) => None,
    }
}

/// Returns why nothing is done for the app, whatever the revision, until a person changes that.
fn obstacle(state: &State, app: &App, wanted: &Wanted) -> Option<String> {
    if app.skip_reconcile {
        return Some("the Application is left alone as long as its annotation skip-reconcile says so".into());
    }
    if !state.refused.is_empty() {
        return Some(sentences(&state.refused));
    }
    if let SourceView::Failing(failure, _) = &state.source
        && !failure.is_transient
        && wanted.has_looked
    {
        return Some(failure.message.clone());
    }
    None
}

fn sentences(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
}

fn unresolved(state: &State) -> Outcome {
    Outcome::Waits(match &state.source {
        SourceView::Failing(failure, _) => format!("the repository: {}", failure.message),
        SourceView::Unknown | SourceView::At(_) | SourceView::Invalid(..) | SourceView::Unsupported(..) => {
            "the repository to say which commit that is".into()
        }
    })
}

/// Returns whether somebody asks for a sync that was not begun yet.
fn is_asked_for(state: &State, app: &App) -> bool {
    let Some(operation) = &app.operation else { return false };
    let is_running = state.run().is_some_and(|run| run.operation() == Some(operation));
    state.may_write && state.handled.as_ref() != Some(operation) && !is_running
}

fn is_chosen(attempt: &Attempt) -> bool {
    attempt.operation.as_ref().is_some_and(|operation| !operation.revision.is_empty())
}

/// Returns whether a sync deploys the wanted revision, or may yet turn out to.
fn concerns(run: &Run, wanted: &Wanted) -> bool {
    run.desired.as_ref().is_none_or(|desired| wanted.reached.contains(&desired.revision))
}

fn under_way(state: &State, run: &Run, wanted: &Wanted) -> Outcome {
    let revision = run.desired.as_ref().map(|desired| desired.revision.clone());
    let failed = run.failures().next().map(|result| result.key.clone());
    let comparison = state.view_of(run).map(AsRef::as_ref);
    let object = failed.or_else(|| named(comparison, &run.waits_for));
    let verdict = |word, message: &str| {
        let revision = revision.clone().or_else(|| wanted.revision.clone());
        let revision = revision.unwrap_or_else(|| Revision::new(""));
        let sync = Some(run.started_at);
        Outcome::Decided(Verdict { word, revision, sync, object: object.clone(), message: message.into() })
    };
    match &state.activity {
        Activity::Waiting(run, at) if run.retries >= PATIENT_TRIES => {
            verdict(Word::Held, &format!("{}; it is tried again at {at}", run.waits_for))
        }
        Activity::Waiting(run, at) => {
            Outcome::Waits(format!("the next try at {at}, for the last one failed: {}", run.waits_for))
        }
        Activity::Settling(run) if run.waits_for.starts_with(CONSENT) => verdict(Word::Held, &run.waits_for),
        Activity::Settling(run) if !run.waits_for.is_empty() => {
            Outcome::Waits(format!("the sync to settle: {}", run.waits_for))
        }
        Activity::Settling(_) => Outcome::Waits("the sync to settle".into()),
        Activity::Preparing(_) => Outcome::Waits("the sync's revision to be rendered".into()),
        Activity::Idle | Activity::Planning(_) | Activity::Applying(_) | Activity::Deleting(_) => {
            Outcome::Waits("the sync under way".into())
        }
    }
}

/// Decides by a sync that has ended and was about the revision.
fn tried_verdict(state: &State, tried: &Attempt) -> Outcome {
    let word = match tried.phase {
        OperationPhase::Succeeded => Word::Deployed,
        OperationPhase::Failed | OperationPhase::Error if tried.is_condemned => Word::Failed,
        OperationPhase::Failed => Word::Held,
        OperationPhase::Error => Word::Failed,
        OperationPhase::Running | OperationPhase::Terminating => {
            return Outcome::Waits("the sync that was interrupted to go on".into());
        }
    };
    let failed = tried.results.iter().find(|result| matches!(result.outcome, ObjectOutcome::Failed(..)));
    let failed = failed.map(|result| result.key.clone());
    let object = match word {
        Word::Deployed => None,
        Word::Superseded
        | Word::RolledBack
        | Word::Quarantined
        | Word::Inconclusive
        | Word::Held
        | Word::Failed
        | Word::NotRequested => failed.or_else(|| named(state.comparison.as_deref(), &tried.message)),
    };
    Outcome::Decided(Verdict {
        word,
        revision: tried.revision.clone(),
        sync: Some(tried.started_at),
        object,
        message: tried.message.clone(),
    })
}

/// Returns the object that a sentence names.
fn named(comparison: Option<&Comparison>, sentence: &str) -> Option<ObjectKey> {
    let keys = comparison.into_iter().flat_map(|comparison| comparison.objects.iter()).map(|o| &o.key);
    // Of `web` and `web-2` the longer one.
    keys.filter(|key| sentence.contains(&key.to_string())).max_by_key(|key| key.name.len()).cloned()
}

/// Decides where Git does not want the revision: not yet, or not any more.
fn elsewhere(state: &State, wanted: &Wanted, revision: &Revision) -> Outcome {
    let holds_it = at(state).is_some_and(|at| wanted.reached.contains(at));
    if holds_it {
        return settled::refusal(state)
            .unwrap_or_else(|| Outcome::Waits("the revision to be rendered".into()));
    }
    let was_there =
        wanted.was_reached || state.tried().is_some_and(|tried| wanted.reached.contains(&tried.revision));
    match at(state).or_else(|| state.desired.as_ref().map(|desired| &desired.revision)) {
        Some(other) if was_there && wanted.has_looked && state.rendering.is_none() => {
            Outcome::Decided(Verdict {
                word: Word::Superseded,
                revision: other.clone(),
                sync: None,
                object: None,
                message: format!(
                    "the repository is at {}, which does not come after {}",
                    other.short(),
                    revision.short()
                ),
            })
        }
        Some(other) => Outcome::Waits(format!(
            "{} to come to what the Application follows, which is at {} and does not hold it",
            revision.short(),
            other.short()
        )),
        None => Outcome::Waits("the repository to answer".into()),
    }
}

fn decided(
    wanted: &Wanted,
    state: &State,
    word: Word,
    object: Option<ObjectKey>,
    message: impl Into<String>,
) -> Outcome {
    let known = wanted.revision.as_ref().or_else(|| at(state));
    let revision = known.cloned().unwrap_or_else(|| Revision::new(""));
    Outcome::Decided(Verdict { word, revision, sync: None, object, message: message.into() })
}
