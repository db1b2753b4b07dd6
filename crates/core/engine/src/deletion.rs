//! How does a deleted Application take its objects along?

use crate::effect::{Effect, Tone};
use crate::event::CascadePass;
use crate::state::{Activity, Deleting, Left, State};
use crate::{conditions, note, report, source, trigger};
use model::{App, Cascade, Reason, Seconds, Timestamp};

/// First wait after a pass that failed.
const FIRST_WAIT: Seconds = Seconds::new(1);
/// Longest wait after a pass that failed.
const LONGEST_WAIT: Seconds = Seconds::new(60);
/// How long what is left may stay the same before it is told: most objects take a moment to go.
const PATIENCE: Seconds = Seconds::new(15);

impl Deleting {
    fn new(now: Timestamp) -> Self {
        Self {
            since: now,
            is_passing: true,
            is_dirty: false,
            n_failed: 0,
            retry_at: None,
            waits_for: String::new(),
            left: None,
            is_done: false,
        }
    }
}

/// Returns whether the Application's deletion is ours to carry out, and how.
fn wanted(state: &State, app: &App, now: Timestamp) -> Option<Cascade> {
    let cascade = match app.deletion?.cascade {
        Cascade::Orphan => return None,
        cascade @ (Cascade::Foreground | Cascade::Background) => cascade,
    };
    // What a sync has sent may yet be made, and go unnoticed.
    let permitted = state.may_write
        && state.unanswered.is_none()
        && !app.skip_reconcile
        && source::is_heard(state, now)
        && state.refused.is_empty()
        && trigger::read_only(state, app).is_empty();
    permitted.then_some(cascade)
}

/// Begins the deletion if it is due, or another pass.
pub(crate) fn advance(state: &mut State, app: &App, now: Timestamp, out: &mut Vec<Effect>) {
    let Some(cascade) = wanted(state, app, now) else {
        if let Activity::Deleting(_) = state.activity {
            state.activity = Activity::Idle;
        }
        return;
    };
    let Activity::Deleting(deleting) = &mut state.activity else {
        state.activity = Activity::Deleting(Deleting::new(now));
        out.push(Effect::Cascade(cascade));
        return;
    };
    let is_due = deleting.is_dirty || deleting.retry_at.is_some_and(|at| at <= now);
    if is_due && !deleting.is_passing && !deleting.is_done {
        deleting.is_passing = true;
        deleting.is_dirty = false;
        deleting.retry_at = None;
        out.push(Effect::Cascade(cascade));
    }
}

/// Returns whether everything is gone and the finalizers are going.
pub(crate) fn is_done(state: &State) -> bool {
    state.deleting().is_some_and(|deleting| deleting.is_done)
}

/// Takes in that something changed in the cluster.
pub(crate) fn live_changed(state: &mut State) {
    if let Activity::Deleting(deleting) = &mut state.activity {
        deleting.is_dirty = true;
    }
}

/// Takes in that the Application changed: consent to what waited for it may have come.
pub(crate) fn app_changed(state: &mut State, app: &App) {
    if app.deletion_approved.is_some() {
        live_changed(state);
    }
}

/// Takes in what a pass found.
pub(crate) fn passed(
    state: &mut State,
    pass: &CascadePass,
    app: &App,
    now: Timestamp,
    out: &mut Vec<Effect>,
) {
    if wanted(state, app, now).is_none() {
        return;
    }
    let Activity::Deleting(deleting) = &mut state.activity else { return };
    deleting.is_passing = false;
    let is_gone = pass.remaining.is_empty()
        && pass.unconfirmed.is_empty()
        && pass.failed.is_empty()
        && !pass.has_conflicts
        && pass.not_yet.is_empty();
    if is_gone && pass.unseen.is_empty() {
        if !pass.not_permitted.is_empty() {
            let kept =
                named("left in the cluster, because the project does not permit them: ", &pass.not_permitted);
            out.push(note(Reason::NotPermitted, kept, Tone::Warning));
        }
        deleting.is_done = true;
        deleting.waits_for.clear();
        out.push(Effect::Finalize);
        return;
    }
    deleting.is_done = false;
    deleting.left = left(deleting.left.take(), pass, now);
    let needs_retry = !pass.failed.is_empty() || !pass.unseen.is_empty() || pass.has_conflicts;
    deleting.n_failed = if needs_retry { deleting.n_failed + 1 } else { 0 };
    let exponent = i32::try_from(deleting.n_failed).unwrap_or(i32::MAX);
    deleting.retry_at =
        needs_retry.then(|| now + FIRST_WAIT.scaled(2.0_f64.powi(exponent - 1), LONGEST_WAIT));
    deleting.waits_for = waits_for(pass);
}

/// Returns since when nothing of what is left has moved.
fn left(before: Option<Left>, pass: &CascadePass, now: Timestamp) -> Option<Left> {
    // Each pass tells them in an order of its own.
    let mut objects = pass.remaining.clone();
    objects.sort_unstable();
    match before {
        _ if objects.is_empty() => None,
        Some(known) if known.objects == objects => Some(known),
        Some(_) | None => Some(Left { objects, since: now }),
    }
}

fn named(what: &str, items: &[String]) -> String {
    let more = items.len().saturating_sub(3);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{what}{}{tail}", items.iter().take(3).cloned().collect::<Vec<_>>().join("; "))
}

fn read_only_obstacle(fields: &[String]) -> String {
    format!("{}; or remove its finalizer to leave the objects", conditions::read_only_sentence(fields))
}

fn waits_for(pass: &CascadePass) -> String {
    if !pass.not_yet.is_empty() {
        read_only_obstacle(&pass.not_yet)
    } else if !pass.failed.is_empty() {
        named("", &pass.failed)
    } else if !pass.unconfirmed.is_empty() {
        named(
            "Deletion waits for consent (annotate the Application with argocd.argoproj.io/deletion-approved) to delete ",
            &pass.unconfirmed,
        )
    } else if !pass.unseen.is_empty() {
        named("Deletion waits until every kind is seen: ", &pass.unseen)
    } else {
        String::new()
    }
}

/// Says what holds the deletion up, once for each sentence.
pub(crate) fn tell(state: &mut State, app: &App, now: Timestamp, out: &mut Vec<Effect>) {
    if !state.may_write || quiet_until(state).is_some_and(|until| now < until) {
        return;
    }
    let obstacles = obstacles(state, app, now);
    let news = obstacles.iter().filter(|obstacle| !state.obstacles.contains(obstacle));
    out.extend(news.map(|obstacle| note(Reason::Deleted, obstacle.as_str(), Tone::Warning)));
    state.obstacles = obstacles;
}

/// Returns until when a deletion is not worth a write: most are over by then.
pub(crate) fn quiet_until(state: &State) -> Option<Timestamp> {
    state.deleting().map(|deleting| deleting.since + report::QUIET)
}

/// Returns when the next pass is due although nothing happens.
pub(crate) fn wake(state: &State, now: Timestamp) -> Option<Timestamp> {
    let deleting = state.deleting()?;
    let told_at = deleting.left.as_ref().map(|left| left.since + PATIENCE);
    // Once it is told, nothing more comes of waiting.
    deleting.retry_at.into_iter().chain(told_at.filter(|at| *at > now)).min()
}

/// Returns why a deletion does not go on.
pub(crate) fn obstacles(state: &State, app: &App, now: Timestamp) -> Vec<String> {
    let Some(deletion) = app.deletion else { return Vec::new() };
    if deletion.cascade == Cascade::Orphan {
        return Vec::new();
    }
    let fields = trigger::read_only(state, app);
    let mut obstacles = Vec::new();
    if !state.refused.is_empty() {
        obstacles.push(
            "Deletion waits until the Application is valid and permitted; or remove its finalizer to leave the objects".into(),
        );
    }
    if !fields.is_empty() {
        obstacles.push(read_only_obstacle(&fields));
    } else if let Some((until, failure)) = source::patience(state).filter(|(until, _)| now < *until) {
        obstacles.push(format!(
            "Deletion waits for the repository until {until}, because what it holds may have to be deleted in order: {}; \
             or remove the finalizer to leave the objects",
            failure.message
        ));
    }
    if let Some(deleting) = state.deleting() {
        if !deleting.waits_for.is_empty() {
            obstacles.push(deleting.waits_for.clone());
        }
        if let Some(left) = deleting.left.as_ref().filter(|left| left.since + PATIENCE <= now) {
            obstacles.push(named("Deletion waits until these are gone: ", &left.objects));
        }
    }
    obstacles
}
