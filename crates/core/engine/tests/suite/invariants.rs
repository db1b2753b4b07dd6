//! What holds after every step, whatever happened?

use crate::words::effect;
use engine::{Activity, Cause, Effect, Mode, SourceView, State, read_only};
use model::{App, ObjectKey, Seconds, Timestamp};
use std::collections::BTreeSet;

/// Returns what is wrong with a step from `before` to `after`; empty if nothing is.
pub(crate) fn broken(
    before: &State,
    after: &State,
    effects: &[Effect],
    app: &App,
    now: Timestamp,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |holds: bool, what: &str| {
        if !holds {
            wrong.push(what.to_owned());
        }
    };
    let acts = effects.iter().filter(|effect| is_act(effect)).count();
    let is_banned = !after.may_write
        || !after.refused.is_empty()
        || app.skip_reconcile
        || !read_only(after, app).is_empty();
    check(acts == 0 || !is_banned, "acts although it must not");
    check(acts <= 1, "acts twice at once");
    // A revision that somebody chose was read by itself.
    let is_read = after.desired.is_some() || after.run().is_some_and(|run| run.desired.is_some());
    let is_unheard = !is_read && is_blinking(after, now);
    check(acts == 0 || !is_unheard, "acts although Git may soon say that it must not");
    let syncs =
        effects.iter().filter(|effect| matches!(effect, Effect::Apply { .. } | Effect::Prune { .. })).count();
    check(syncs == 0 || app.deletion.is_none(), "syncs an Application that is being deleted");
    check(syncs == 0 || matches!(after.activity, Activity::Applying(_)), "acts without remembering it");
    let plans = effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Plan { .. } | Effect::Prepare { .. }))
        .count();
    check(plans <= 1, "more than one run begins");
    for effect in effects {
        match effect {
            Effect::Plan { hash, .. }
                if after.quarantine.contains(*hash)
                    && after.run().is_some_and(|run| run.cause == Cause::NewDesired) =>
            {
                check(false, "deploys what is quarantined by itself");
            }
            Effect::Apply { sync, .. } | Effect::Plan { sync, .. } | Effect::Prepare { sync, .. } => {
                check(*sync == after.newest, "asks in the name of an older sync");
            }
            Effect::Prune { sync, keys, .. } => {
                check(*sync == after.newest, "deletes in the name of an older sync");
                check(keys.iter().all(|key| extra(after).contains(key)), "deletes what is not extra");
            }
            Effect::Revert(reversal) => check(
                after.may_write && after.quarantine.contains(reversal.bad.hash),
                "takes back what is not known to be bad",
            ),
            Effect::WakeAt(at) => check(*at > now, "asks to be woken in the past"),
            Effect::Report(report) => check(
                after.may_write && !app.skip_reconcile && after.reported.as_ref() == Some(report),
                "reports what it should not",
            ),
            Effect::Resolve
            | Effect::Render { .. }
            | Effect::Compare
            | Effect::Cascade(_)
            | Effect::Finalize
            | Effect::Inquire(_)
            | Effect::Check(_)
            | Effect::Recall { .. }
            | Effect::Differ { .. }
            | Effect::Release(_)
            | Effect::Note(_) => {}
        }
    }
    let twice = effects.iter().filter(|effect| matches!(effect, Effect::Report(_))).count();
    check(twice <= 1, "reports twice at once");
    check(after.newest >= before.newest, "counts backwards");
    check(after.run().is_none_or(|run| run.id == after.newest), "an older sync is under way");
    check(after.wake.is_none_or(|at| at > now), "waits for the past");
    if !wrong.is_empty() {
        wrong.extend(effects.iter().map(|told| format!("  > {}", effect(told))));
    }
    wrong
}

/// Returns whether Git has failed for less than 5 minutes, in a way that may pass.
fn is_blinking(state: &State, now: Timestamp) -> bool {
    match &state.source {
        SourceView::Failing(failure, since) => failure.is_transient && now < *since + Seconds::new(300),
        SourceView::Unknown | SourceView::At(_) | SourceView::Invalid(..) | SourceView::Unsupported(..) => {
            false
        }
    }
}

fn is_act(effect: &Effect) -> bool {
    match effect {
        Effect::Apply { mode, .. } | Effect::Prune { mode, .. } => *mode == Mode::Real,
        Effect::Cascade(_) | Effect::Finalize => true,
        Effect::Resolve
        | Effect::Render { .. }
        | Effect::Compare
        | Effect::Prepare { .. }
        | Effect::Plan { .. }
        | Effect::Inquire(_)
        | Effect::Check(_)
        | Effect::WakeAt(_)
        | Effect::Recall { .. }
        | Effect::Differ { .. }
        | Effect::Release(_)
        | Effect::Revert(_)
        | Effect::Report(_)
        | Effect::Note(_) => false,
    }
}

/// Returns what the content of the sync under way does not have, on a view of the whole cluster.
fn extra(state: &State) -> BTreeSet<ObjectKey> {
    let Some(run) = state.run() else { return BTreeSet::new() };
    let hash = run.desired.as_ref().map(|desired| desired.hash);
    let held = state.hold.as_ref().and_then(|hold| hold.comparison.as_ref());
    let views = [state.comparison.as_ref(), run.comparison.as_ref(), held].into_iter().flatten();
    let whole = views.filter(|view| view.is_complete && Some(view.hash) == hash);
    whole.flat_map(|view| view.to_prune()).cloned().collect()
}
