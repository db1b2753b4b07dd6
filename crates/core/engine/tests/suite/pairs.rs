//! What does every event do in every state? Each pair is taken once, under apps that permit everything and nothing.

use crate::invariants::broken;
use crate::words::{Story, app, event};
use engine::{Activity, Event, SourceView, State, Writes, step};
use model::{ErrorClass, ObjectOutcome, Seconds};
use std::collections::BTreeSet;

/// How each activity comes about.
const ACTIVITIES: &[(&str, &str)] = &[
    ("new", ""),
    ("read-only before", "start Succeeded a needs=hook; app auto prune heal"),
    ("idle", "app auto prune heal; resolved a; rendered a; compared a: web=synced old=extra"),
    ("preparing", "app auto prune heal op; resolved a; rendered a; compared a: web=out old=extra"),
    ("prepared", "app auto prune heal op; resolved a; rendered a; compared a: web=out; prepared b"),
    ("planning", "app auto prune heal; resolved a; rendered a; compared a: web=out old=extra"),
    (
        "applying",
        "app auto prune heal; resolved a; rendered a; compared a: web=out old=extra; planned: apply web | prune old",
    ),
    (
        "pruning",
        "app auto prune heal; resolved a; rendered a; compared a: web=out old=extra; planned: prune old",
    ),
    (
        "settling",
        "app auto prune heal; resolved a; rendered a; compared a: web=out; planned: apply web; done: web=created; \
         compared a: web=synced/Progressing",
    ),
    (
        "settling broken",
        "app auto prune heal; resolved a; rendered a; compared a: web=out; planned: apply web; done: web=created; \
         compared a: web=synced/Degraded!",
    ),
    (
        "settling blind",
        "app auto prune heal; resolved a; rendered a; compared a: web=out; planned: apply web; done: web=created",
    ),
    (
        "settling unconfirmed",
        "app auto prune heal; resolved a; rendered a; compared a: pv=extra web=synced; planned: ask pv; \
         compared a: pv=extra web=synced",
    ),
    (
        "waiting",
        "app auto prune heal; resolved a; rendered a; compared a: web=out; planned: apply web; \
         done: web=unavailable timeout; compared a: web=out",
    ),
    (
        "waiting for health",
        "app auto prune heal; resolved a; rendered a; compared a: web=out; planned: apply web; done: web=created; \
         compared a: web=synced/Progressing; +300; woke",
    ),
    ("deleting", "app auto prune heal; resolved a; rendered a; compared a: web=synced; app auto deleted"),
    (
        "deleting again",
        "app auto prune heal; resolved a; rendered a; compared a: web=synced; app auto deleted; cascaded: failed=x",
    ),
    (
        "deleted",
        "app auto prune heal; resolved a; rendered a; compared a: web=synced; app auto deleted; cascaded:",
    ),
    ("deleting without Git", "app auto prune heal; fails: gone; app auto deleted"),
    (
        "pinned",
        "app auto prune heal op at=b prune; resolved a; rendered a; compared a: web=out old=synced; prepared b; \
         compared b: web=out old=extra; planned: apply web | prune old",
    ),
    (
        "pinned and pruning",
        "app auto prune heal op at=b prune; resolved a; rendered a; compared a: web=out old=synced; prepared b; \
         compared b: web=synced old=extra; planned: prune old",
    ),
    ("refused", "app auto prune heal; resolved a; rendered a; compared a: web=out; refused: no such project"),
    (
        "late",
        "app auto prune heal limit=0; resolved a; rendered a; compared a: web=out; planned: apply web; \
         done: web=created; compared a: web=synced/Progressing; +300; woke",
    ),
    (
        "condemned",
        "app auto prune heal; resolved a; rendered a; compared a: web=out; planned: apply web; done: web=invalid x",
    ),
    ("soaking", "app auto prune heal; resolved a; rendered a; compared a: web=synced/Healthy old=synced"),
    (
        "soaking with checks",
        "app auto prune heal check=smoke soak=2; resolved a; rendered a; compared a: web=synced/Healthy old=synced",
    ),
    (
        "failing a check",
        "app auto prune heal check=smoke grace=0; stable 1: b; resolved a; rendered a; compared a: web=out; \
         planned: apply web; done: web=configured; compared a: web=synced/Healthy; checked a: smoke=failed 500",
    ),
    ("going back", BAD),
    (
        "going back, applying",
        "stable 1: b; app auto prune heal; resolved a; rendered a; compared a: web=out; planned: apply web; \
         done: web=invalid x; recalled 1: b; compared b: web=out old=extra; planned: apply web | prune old",
    ),
    (
        "held",
        "stable 1: b; app auto prune heal; resolved a; rendered a; compared a: web=out; planned: apply web; \
         done: web=invalid x; recalled 1: b; compared b: web=out; planned: apply web; done: web=configured; \
         compared a: web=out; compared b: web=synced/Healthy",
    ),
    (
        "held and not healthy",
        "stable 1: b; app auto prune heal; resolved a; rendered a; compared a: web=out; planned: apply web; \
         done: web=invalid x; recalled 1: b; compared b: web=out; planned: apply web; done: web=configured; \
         compared a: web=out; compared b: web=synced/Progressing; +300; woke",
    ),
];

/// A commit that was refused, with something to go back to.
const BAD: &str = "stable 1: b; app auto prune heal; resolved a; rendered a; compared a: web=out; planned: apply web; \
                   done: web=invalid x";

/// What the repository said last.
const SOURCES: &[(&str, &str)] = &[
    ("as it is", ""),
    ("failing", "fails: no such branch"),
    ("blinking", "blinks: timeout"),
    ("locked", "unreadable: locked=secret; locked: who are you"),
    ("invalid", "resolved c; invalid c: tab"),
    ("unsupported", "resolved c; unsupported c: hook"),
    ("rendering", "resolved c"),
    ("other content", "resolved c; rendered c"),
];

/// Makes a table with a row of lines for each variant, and the match that names an event's row: a new variant does not
/// compile before it has a row.
macro_rules! table {
    ($table:ident, $row_of:ident, $type:ty, { $($variant:pat => $lines:expr,)+ }) => {
        const $table: &[(&str, &[&str])] = &[$((stringify!($variant), &$lines)),+];

        fn $row_of(it: &$type) -> &'static str {
            match it {
                $($variant => stringify!($variant),)+
            }
        }
    };
}

table!(EVENTS, event_row, Event, {
    Event::AppChanged => ["app"],
    Event::Refused(_) => ["refused: no such project"],
    Event::Resolved(_) => ["resolved a", "resolved b", "resolved c"],
    Event::SourceFailed(_) => ["fails: no such branch", "blinks: timeout", "locked: who are you"],
    Event::Overheard(_) => ["overheard a", "overheard c", "overheard: no such branch"],
    Event::Rendered(_) => ["rendered a", "rendered b", "rendered c", "rendered c: needs=hook"],
    Event::RenderFailed { .. } => ["invalid c: tab"],
    Event::Unsupported { .. } => ["unsupported c: hook"],
    Event::Compared(_) => [
        "compared a: web=out old=extra",
        "compared a: web=synced old=synced",
        "compared a: web=synced/Healthy",
        "compared a: web=synced/Degraded old=extra incomplete",
        "compared a: web=synced/Degraded!",
        "compared b: web=missing old=extra",
        "compared c: web=extra",
    ],
    Event::Prepared { desired: Ok(_), .. } => ["prepared a", "prepared b: needs=hook", "late prepared a"],
    Event::Prepared { desired: Err(_), .. } => ["prepared nothing: no such tag"],
    Event::Culprit { .. } => ["culprit a: no such file", "culprit b: no such file"],
    Event::Stable(_) => ["stable 2: a", "stable 3: b found", "stable 0:"],
    Event::Recalled { .. } => [
        "recalled 1: b",
        "recalled 1: b needs=hook",
        "recalled 1: lost it was altered",
        "recalled 1: blinks timeout",
        "recalled 9: b",
    ],
    Event::Reverted { .. } => ["reverted a: pushed", "reverted b: failed no right to push"],
    Event::Checked { .. } => [
        "checked a: smoke=passed",
        "checked a: smoke=failed 500",
        "checked a: smoke=unknown away, other=passed",
        "checked a: smoke=waits it runs",
        "checked b 3: smoke=passed",
        "checked a:",
    ],
    Event::Differs { .. } => ["differs a: web", "differs c:"],
    Event::Planned { .. } => [
        "planned: apply web | prune old | ask pv",
        "planned: skip old",
        "planned:",
        "late planned: apply web | prune old",
    ],
    Event::StageDone { .. } => ["done: web=created, old=pruned", "late done: web=created"],
    Event::Cascaded(_) => [
        "cascaded:",
        "cascaded: left=x",
        "cascaded: left=x conflicts",
        "cascaded: failed=x",
        "cascaded: left=x unseen=y",
        "cascaded: unseen=y",
        "cascaded: asks=x",
        "cascaded: needs=wave",
        "cascaded: kept=x",
    ],
    Event::Settings(_) => ["unreadable: now=secret from=9=settings locked=other", "unreadable:"],
    Event::LiveChanged => ["live"],
    Event::GroundChanged => ["ground"],
    Event::Woke => ["woke"],
    Event::Writes(Writes::Allowed) => ["allowed"],
    Event::Writes(Writes::Forbidden) => ["forbidden"],
});

table!(OUTCOMES, outcome_row, ObjectOutcome, {
    ObjectOutcome::Created => ["done: web=created"],
    ObjectOutcome::Configured => ["done: web=configured"],
    ObjectOutcome::Unchanged => ["done: web=unchanged"],
    ObjectOutcome::Pruned => ["done: old=pruned"],
    ObjectOutcome::PruneSkipped(_) => ["done: old=skipped it changed"],
    ObjectOutcome::Failed(ErrorClass::Conflict, _) => ["done: web=conflict somebody wrote"],
    ObjectOutcome::Failed(ErrorClass::Forbidden, _) => ["done: web=forbidden no right"],
    ObjectOutcome::Failed(ErrorClass::Invalid, _) => ["done: web=invalid no"],
    ObjectOutcome::Failed(ErrorClass::Denied, _) => ["done: web=denied no"],
    ObjectOutcome::Failed(ErrorClass::NotFound, _) => ["done: web=notfound no namespace"],
    ObjectOutcome::Failed(ErrorClass::NoSuchKind, _) => ["done: web=nokind not yet"],
    ObjectOutcome::Failed(ErrorClass::Gone, _) => ["done: web=gone too old"],
    ObjectOutcome::Failed(ErrorClass::Throttled, _) => ["done: web=throttled later"],
    ObjectOutcome::Failed(ErrorClass::Unavailable, _) => ["done: web=unavailable timeout"],
    ObjectOutcome::Failed(ErrorClass::Withheld, _) => ["done: web=withheld no lease"],
});

fn lines() -> impl Iterator<Item = &'static str> {
    EVENTS.iter().chain(OUTCOMES).flat_map(|(_, lines)| lines.iter().copied())
}

#[test]
fn every_line_is_an_event_of_its_row() {
    let state = State::new(None, true);
    for (row, lines) in EVENTS {
        assert!(!lines.is_empty(), "{row}");
        for line in *lines {
            assert_eq!(event_row(&event(line, &state)), *row, "{line}");
        }
    }
    for (row, lines) in OUTCOMES {
        assert!(!lines.is_empty(), "{row}");
        for line in *lines {
            let Event::StageDone { results, .. } = event(line, &state) else { panic!("{line}") };
            assert_eq!(results.iter().map(|result| outcome_row(&result.outcome)).collect::<Vec<_>>(), [*row]);
        }
    }
}

const APPS: &[&str] = &[
    "auto prune heal",
    "manual",
    "auto prune heal op prune",
    "auto prune heal op at=b prune",
    "auto op dry",
    "auto prune heal refresh",
    "auto prune heal refresh=again",
    "auto hard-refresh",
    "auto prune heal terminate",
    "auto prune heal skip",
    "auto prune heal needs=spec.sources",
    "auto prune heal needs=spec.sources op prune",
    "auto deleted",
    "auto deleted=orphan",
    "auto deleted needs=spec.sources",
    "auto deleted skip",
    "auto prune heal approved=9",
    "auto prune heal branch=next",
    "auto prune heal check=smoke soak=5",
    "auto prune heal check=smoke check=errors soak=5 grace=2",
];

fn lived(first: &str, second: &str) -> Story {
    let mut story = Story::new();
    for line in first.split(';').chain(second.split(';')).map(str::trim).filter(|line| !line.is_empty()) {
        story.line(line);
    }
    story
}

fn name(state: &State) -> &'static str {
    match &state.activity {
        Activity::Idle => "idle",
        Activity::Preparing(_) => "preparing",
        Activity::Planning(_) => "planning",
        Activity::Applying(_) => "applying",
        Activity::Settling(_) => "settling",
        Activity::Waiting(..) => "waiting",
        Activity::Deleting(_) => "deleting",
    }
}

fn source(state: &State) -> &'static str {
    match &state.source {
        SourceView::Unknown => "unknown",
        SourceView::At(_) => "at",
        SourceView::Failing(failure, _) if failure.is_transient => "blinking",
        SourceView::Failing(..) => "failing",
        SourceView::Invalid(..) => "invalid",
        SourceView::Unsupported(..) => "unsupported",
    }
}

#[test]
fn every_event_in_every_state_keeps_the_invariants() {
    let mut wrong = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for (activity, first) in ACTIVITIES {
        for (view, second) in SOURCES {
            let story = lived(first, second);
            seen.insert(name(&story.state));
            seen.insert(source(&story.state));
            for may_write in [true, false] {
                for words in APPS {
                    let app = app(words);
                    for line in lines() {
                        let mut state = story.state.clone();
                        state.may_write = may_write;
                        let now = story.now + Seconds::new(7);
                        let event = event(line, &state);
                        let (after, effects) = step(state.clone(), event.clone(), now, &app);
                        let again = step(state.clone(), event, now, &app);
                        let mut broken = broken(&state, &after, &effects, &app, now);
                        if (&after, &effects) != (&again.0, &again.1) {
                            broken.push("gives another result when repeated".into());
                        }
                        if !broken.is_empty() {
                            wrong.insert(format!(
                                "{activity}, {view}, {words}, writes {may_write}: {line}\n  {}",
                                broken.join("\n  ")
                            ));
                        }
                    }
                }
            }
        }
    }
    let first: Vec<&String> = wrong.iter().take(5).collect();
    assert!(wrong.is_empty(), "{} pairs: {first:#?}", wrong.len());
    for needed in [
        "idle",
        "preparing",
        "planning",
        "applying",
        "settling",
        "waiting",
        "deleting",
        "unknown",
        "at",
        "blinking",
        "failing",
        "invalid",
        "unsupported",
    ] {
        assert!(seen.contains(needed), "no state is {needed}");
    }
}

#[test]
fn answers_for_an_older_sync_change_nothing() {
    for (activity, first) in ACTIVITIES {
        for line in ["planned: apply x | prune y", "done: x=created", "prepared c", "prepared nothing: x"] {
            let mut story = lived(first, "");
            story.state.newest = story.state.newest.next().next();
            if let Some(run) = run_of(&mut story.state.activity) {
                run.id = story.state.newest;
            }
            let (before, _) = step(story.state.clone(), event("woke", &story.state), story.now, &story.app);
            let late = event(&format!("late {line}"), &before);
            let (after, effects) = step(before.clone(), late, story.now, &story.app);
            assert_eq!((after.run(), effects), (before.run(), Vec::new()), "{activity}: {line}");
        }
    }
}

fn run_of(activity: &mut Activity) -> Option<&mut engine::Run> {
    match activity {
        Activity::Idle | Activity::Deleting(_) => None,
        Activity::Preparing(run)
        | Activity::Planning(run)
        | Activity::Applying(run)
        | Activity::Settling(run)
        | Activity::Waiting(run, _) => Some(run),
    }
}
