//! What should a person know of an app? Conditions in Argo CD's words.

use crate::report::{BLIND_GRACE, Condition, ConditionKind};
use crate::state::{SourceView, State};
use crate::wording::{CANNOT_BE_DEPLOYED, CANNOT_BE_READ, FAILED, WHY};
use crate::{deletion, trigger, unreadable};
use model::{App, Bad, OperationPhase, Reason, SyncStatus, Timestamp};
use std::collections::BTreeSet;

/// Returns what a person should know, sorted.
pub(crate) fn of(state: &State, app: &App, now: Timestamp) -> Vec<Condition> {
    let mut conditions = Vec::new();
    let mut add = |kind, message: String| conditions.push(Condition { kind, message });
    for problem in &state.refused {
        add(ConditionKind::InvalidSpecError, problem.to_string());
    }
    match &state.source {
        // Where nothing was known before, there is nothing that a short failure could be kept from blurring.
        SourceView::Failing(failure, since)
            if !failure.is_transient || state.is_new || now >= *since + BLIND_GRACE =>
        {
            add(ConditionKind::ComparisonError, format!("{CANNOT_BE_READ}{}", failure.message));
        }
        SourceView::Invalid(revision, problems) => {
            for problem in problems {
                add(
                    ConditionKind::ComparisonError,
                    format!("{CANNOT_BE_DEPLOYED}{}: {problem}", revision.short()),
                );
            }
        }
        SourceView::Failing(..) | SourceView::Unknown | SourceView::At(_) | SourceView::Unsupported(..) => {}
    }
    let fields = trigger::read_only(state, app);
    // What is invalid is told; that nothing is done about it meanwhile says nothing more.
    if !fields.is_empty() && state.refused.is_empty() {
        add(ConditionKind::SyncError, read_only_sentence(&fields));
    }
    if let Some(hold) = &state.hold {
        add(ConditionKind::RolledBack, hold.story());
    } else if let Some(message) = auto_sync_obstacle(state, app) {
        add(ConditionKind::SyncError, message);
    }
    for message in state.desired.iter().flat_map(|desired| &desired.repeated) {
        add(ConditionKind::RepeatedResourceWarning, message.clone());
    }
    for message in state.current().into_iter().flat_map(|(_, comparison)| &comparison.shared) {
        add(ConditionKind::SharedResourceWarning, message.clone());
    }
    for message in state.current().into_iter().flat_map(|(_, comparison)| &comparison.unseen) {
        add(ConditionKind::ComparisonError, format!("Failed to load live state: {message}"));
    }
    for message in state.soak.iter().flat_map(|soak| soak.checks.obstacles(app)) {
        add(ConditionKind::CheckWarning, message);
    }
    for message in unreadable::told(state, now) {
        add(ConditionKind::UnknownError, message.clone());
    }
    for message in deletion::obstacles(state, app, now) {
        add(ConditionKind::DeletionError, message);
    }
    conditions.sort();
    conditions.dedup();
    conditions
}

/// How the sentence begins that an app is read-only.
const READ_ONLY: &str = "Read-only: Tautline does not act on ";
/// How it goes on after what is named.
const READ_ONLY_END: &str = " yet, so it compares this app and changes nothing. ";

/// Says that an app is read-only, and because of what.
pub(crate) fn read_only_sentence(fields: &[String]) -> String {
    format!(
        "{READ_ONLY}{}{READ_ONLY_END}Remove what is named, or leave the app to Argo CD",
        fields.join(READ_ONLY_BETWEEN)
    )
}

/// Says that an operation asks for what we do not do, or makes no sense.
pub(crate) fn refusal_sentence(fields: &[String]) -> String {
    format!(
        "Nothing was done: Tautline cannot act on what the operation asks for: {}. Ask for a sync without it",
        fields.join(", ")
    )
}

/// What stands between two of what is named.
const READ_ONLY_BETWEEN: &str = ", ";

/// Returns what a condition's message names as the reasons why an app is read-only; nothing for other messages.
fn read_only_fields(message: &str) -> Vec<&str> {
    let named = message.strip_prefix(READ_ONLY).and_then(|rest| rest.rsplit_once(READ_ONLY_END));
    named.into_iter().flat_map(|(named, _)| named.split(READ_ONLY_BETWEEN)).collect()
}

/// Returns fields as a condition names them: one that holds what stands between two reads as two.
pub(crate) fn as_named<'a>(fields: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    fields.flat_map(|field| field.split(READ_ONLY_BETWEEN)).map(String::from).collect()
}

/// Returns what conditions name as the reasons why an app is read-only.
pub fn named_by<'a>(messages: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    messages.into_iter().flat_map(read_only_fields).map(String::from).collect()
}

fn auto_sync_obstacle(state: &State, app: &App) -> Option<String> {
    let automated = app.automated?;
    let (desired, comparison) = state.current()?;
    if let Some(bad) = state.quarantined() {
        let back = state
            .stable
            .as_ref()
            .filter(|stable| state.hold.is_none() && !state.quarantine.contains(stable.hash));
        let back = back.map(|stable| {
            let (name, number, revision) = (&app.key.name, stable.number, stable.revision.short());
            format!("; tautline app rollback {name} {number} goes back to {revision}")
        });
        return Some(format!("{}{}", quarantine_sentence(bad), back.unwrap_or_default()));
    }
    if trigger::would_wipe(automated, comparison) {
        return Some(format!(
            "Skipping sync attempt to [{}]: auto-sync will wipe out all resources. Set syncPolicy.automated.allowEmpty, or sync with prune by hand",
            desired.revision
        ));
    }
    let last = state.tried()?;
    let is_current = last.was_about(desired);
    let failed = match last.phase {
        OperationPhase::Failed | OperationPhase::Error => true,
        OperationPhase::Running | OperationPhase::Terminating | OperationPhase::Succeeded => false,
    };
    let open = comparison.sync != SyncStatus::Synced;
    (is_current && failed && open && state.run().is_none())
        .then(|| format!("{FAILED}{}{WHY}{}", last.revision, last.message))
}

/// Says that auto-sync leaves content alone, why, and what to do.
pub(crate) fn quarantine_sentence(bad: &Bad) -> String {
    if bad.reason == Reason::Requested {
        return format!(
            "Auto-sync leaves {} alone: {}. The next commit that changes what is deployed is deployed; tautline app resume lifts it",
            bad.revision.short(),
            bad.message.trim_end_matches('.')
        );
    }
    format!(
        "{FAILED}{}{WHY}{}. Its content is quarantined: auto-sync leaves it alone until a commit changes what is deployed; sync \
         by hand to try it all the same",
        bad.revision,
        bad.message.trim_end_matches('.')
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_made_an_app_read_only_can_be_read_from_its_condition() {
        let fields = ["spec.source.path: app holds a Kustomize source", "Job.batch ns/a: hook: Sync"];
        let sentence = read_only_sentence(&fields.map(String::from));
        assert_eq!(read_only_fields(&sentence), fields);
        assert!(read_only_fields("Failed last sync attempt to [a]: Read-only: Tautline does not").is_empty());
    }
}
