//! What should a person know of an app? Conditions in Argo CD's words.

use crate::report::{BLIND_GRACE, Condition, ConditionKind};
use crate::state::{SourceView, State};
use crate::{deletion, trigger, unreadable};
use model::{App, OperationPhase, SyncStatus, Timestamp};

/// Returns what a person should know, sorted.
pub(crate) fn of(state: &State, app: &App, now: Timestamp) -> Vec<Condition> {
    let mut conditions = Vec::new();
    let mut add = |kind, message: String| conditions.push(Condition { kind, message });
    for problem in &state.refused {
        add(ConditionKind::InvalidSpecError, problem.to_string());
    }
    match &state.source {
        SourceView::Failing(failure, since) if !failure.is_transient || now >= *since + BLIND_GRACE => {
            add(ConditionKind::ComparisonError, format!("Failed to load target state: {}", failure.message));
        }
        SourceView::Invalid(revision, problems) => {
            for problem in problems {
                add(
                    ConditionKind::ComparisonError,
                    format!("Failed to load target state at {}: {problem}", revision.short()),
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
    if let Some(message) = auto_sync_obstacle(state, app) {
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
    for message in unreadable::told(state, now) {
        add(ConditionKind::UnknownError, message.clone());
    }
    for message in deletion::obstacles(state, app) {
        add(ConditionKind::DeletionError, message);
    }
    conditions.sort();
    conditions.dedup();
    conditions
}

/// Says that an app is read-only, and because of what.
pub(crate) fn read_only_sentence(fields: &[String]) -> String {
    format!(
        "Read-only: Tautline does not act on {} yet, so it compares this app and changes nothing. \
         Remove what is named, or leave the app to Argo CD",
        fields.join(", ")
    )
}

fn auto_sync_obstacle(state: &State, app: &App) -> Option<String> {
    let automated = app.automated?;
    let (desired, comparison) = state.current()?;
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
        .then(|| format!("Failed last sync attempt to [{}]: {}", last.revision, last.message))
}
