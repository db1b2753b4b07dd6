//! How do the tests read what the engine wants done?

use super::name_of;
use engine::{
    ConditionKind, Effect, Inspection, Mode, OperationReport, Outcome, Report, Reversal, Tone, Trust,
};
use model::{ObjectKey, ObjectOutcome, ObjectResult, Timestamp};
use plan::Selection;
use plan::prune::Prune;

/// Writes an effect as a line.
pub(crate) fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Resolve => "resolve".into(),
        Effect::Render { revision, trust: Trust::Cache } => format!("render {revision}"),
        Effect::Render { revision, trust: Trust::Nothing } => format!("render {revision} anew"),
        Effect::Compare => "compare".into(),
        Effect::Prepare { sync, target_revision } => format!("prepare #{} {target_revision}", sync.0),
        Effect::Plan { sync, hash, selection, prune } => {
            format!("plan #{} of {}: {}{}", sync.0, name_of(*hash), selected(selection), pruned(*prune))
        }
        Effect::Apply { sync, hash, keys, mode } => {
            format!("apply #{} of {}: {}{}", sync.0, name_of(*hash), names(keys), dry(*mode))
        }
        Effect::Prune { sync, keys, mode } => format!("prune #{}: {}{}", sync.0, names(keys), dry(*mode)),
        Effect::Inquire(suspect) => format!(
            "inquire about {} at {}: {} since {}, {:?}",
            suspect.object.name,
            name_of(suspect.hash),
            suspect.reason,
            time(suspect.since),
            suspect.message
        ),
        Effect::Recall { release, hash } => format!("recall {release} of {}", name_of(*hash)),
        Effect::Differ { release, hash } => format!("differ from {release}: {}", name_of(*hash)),
        Effect::Check(inspection) => {
            let Inspection { hash, since, checks } = &**inspection;
            let names: Vec<&str> = checks.iter().map(|check| check.name.as_str()).collect();
            format!("check {} since {}: {}", name_of(*hash), time(*since), names.join(" "))
        }
        Effect::Release(outcome) => {
            let Outcome { word, hash, revision, reason, .. } = &**outcome;
            let why = reason.map(|reason| format!(" for {reason}")).unwrap_or_default();
            let when = [
                ("seen", outcome.seen_at),
                ("started", Some(outcome.started_at)),
                ("applied", outcome.applied_at),
                ("healthy", outcome.healthy_at),
                ("ended", Some(outcome.ended_at)),
            ];
            let when = when.into_iter().filter_map(|(what, at)| Some(format!(", {what} {}", time(at?))));
            format!("release {word:?}: {} at {revision}{why}{}", name_of(*hash), when.collect::<String>())
        }
        Effect::Revert(reversal) => {
            let Reversal { bad, at, story } = &**reversal;
            format!("revert {} to {}: {story}", bad.revision, at.revision)
        }
        Effect::Cascade(cascade) => format!("cascade {cascade:?}"),
        Effect::Finalize => "finalize".into(),
        Effect::WakeAt(at) => format!("wake at {}", time(*at)),
        Effect::Report(told) => format!("report {}", report(told)),
        Effect::Note(note) => {
            let mark = if note.tone == Tone::Warning { "!" } else { "" };
            format!("note{mark} {}: {}", note.reason, note.message)
        }
    }
}

fn time(at: Timestamp) -> String {
    let millis = at.as_millis();
    if millis % 1000 == 0 { format!("{}s", millis / 1000) } else { format!("{millis}ms") }
}

fn names<'a>(keys: impl IntoIterator<Item = &'a ObjectKey>) -> String {
    keys.into_iter().map(|key| key.name.clone()).collect::<Vec<_>>().join(" ")
}

fn dry(mode: Mode) -> &'static str {
    match mode {
        Mode::Real => "",
        Mode::DryRun => " (dry run)",
    }
}

fn selected(selection: &Selection) -> String {
    match selection {
        Selection::OutOfSync => "what is out of sync".into(),
        Selection::All => "everything".into(),
        Selection::Named(selectors) => {
            format!("named {}", selectors.iter().map(|s| s.name.clone()).collect::<Vec<_>>().join(" "))
        }
        Selection::Keys(keys) => format!("only {}", names(keys)),
    }
}

fn pruned(prune: Prune) -> String {
    match prune {
        Prune::No => String::new(),
        Prune::Automated(since) => format!(", pruned automatically since {}", time(since)),
        Prune::Person(since) => format!(", pruned by a person since {}", time(since)),
        Prune::Created(since) => format!(", what was created is pruned since {}", time(since)),
    }
}

fn report(report: &Report) -> String {
    let mut parts = vec![match &report.revision {
        Some(revision) => format!("{} {} at {revision}", report.sync, report.health.status),
        None => format!("{} {}", report.sync, report.health.status),
    }];
    parts.extend(report.operation.as_ref().map(operation));
    parts.extend(
        report.held.as_ref().map(|held| format!("held at {}: {}", held.at.revision, held.stage.as_str())),
    );
    let bad: Vec<String> = report.quarantine.iter().map(|bad| name_of(bad.hash)).collect();
    parts.extend((!bad.is_empty()).then(|| format!("quarantined {}", bad.join(" "))));
    parts.extend(report.conditions.iter().map(|c| format!("{}: {}", kind(c.kind), c.message)));
    let flags = [
        (report.clear_operation, "operation off"),
        (report.clear_refresh, "refresh off"),
        (report.clear_request, "request off"),
    ];
    parts.extend(flags.iter().filter(|(is_set, _)| *is_set).map(|(_, word)| (*word).to_owned()));
    parts.join(" | ")
}

fn operation(operation: &OperationReport) -> String {
    let OperationReport { phase, message, results, retries, heals, hash, .. } = operation;
    let extras = [
        (*retries > 0).then(|| format!("retries {retries}")),
        (*heals > 0).then(|| format!("heals {heals}")),
        operation.is_condemned.then(|| "condemned".into()),
        operation.is_release.then(|| "release".into()),
        operation.operation.is_some().then(|| "asked for".into()),
        (!results.is_empty()).then(|| results.iter().map(outcome).collect::<Vec<_>>().join(" ")),
        hash.is_none().then(|| "of unknown content".into()),
    ];
    let told = std::iter::once(format!("{phase} {message:?}")).chain(extras.into_iter().flatten());
    told.collect::<Vec<_>>().join(", ")
}

fn outcome(result: &ObjectResult) -> String {
    let word = match &result.outcome {
        ObjectOutcome::Created => "created",
        ObjectOutcome::Configured => "configured",
        ObjectOutcome::Unchanged => "unchanged",
        ObjectOutcome::Pruned => "pruned",
        ObjectOutcome::PruneSkipped(_) => "left",
        ObjectOutcome::Failed(..) => "failed",
    };
    format!("{}={word}", result.key.name)
}

fn kind(kind: ConditionKind) -> String {
    format!("{kind:?}")
}
