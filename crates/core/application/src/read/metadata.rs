//! What do an Application's metadata ask for? Readable even where its spec is not.

use crate::findings::Findings;
use model::{AppKey, Cascade, Deletion, Refresh, Timestamp, names};
use serde_json::Value;

/// Annotations that change what Argo CD does and that we do not act on yet.
const NOT_YET: &[&str] = &[names::COMPARE_OPTIONS, "argocd.argoproj.io/client-side-apply-migration-manager"];
/// Beginnings of finalizers that run hooks before or after a deletion.
const HOOK_FINALIZERS: &[&str] =
    &["pre-delete-finalizer.argocd.argoproj.io", "post-delete-finalizer.argocd.argoproj.io"];

/// Returns what identifies an Application.
pub fn app_key(raw: &Value) -> AppKey {
    AppKey::new(text(raw, "namespace"), text(raw, "name"))
}

/// Returns whether the Application asks to be left alone: `argocd.argoproj.io/skip-reconcile` is true in one of Go's
/// spellings; anything else does not count (Argo CD skip reconcile documentation).
pub fn skips_reconcile(raw: &Value) -> bool {
    matches!(annotation(raw, names::SKIP_RECONCILE), Some("1" | "t" | "T" | "true" | "TRUE" | "True"))
}

/// Returns what `argocd.argoproj.io/refresh` asks for: `hard`, or else whatever it says means normal.
pub fn refresh(raw: &Value) -> Option<Refresh> {
    annotation(raw, names::REFRESH).map(|value| if value == "hard" { Refresh::Hard } else { Refresh::Normal })
}

/// Returns what tells one request to look again from another: when it was made.
pub(super) fn refresh_stamp(raw: &Value) -> String {
    annotation(raw, names::REFRESH_TIMESTAMP).unwrap_or_default().to_owned()
}

/// Returns the deletion under way and what it does to the objects, by the finalizers.
pub fn deletion(raw: &Value) -> Option<Deletion> {
    let requested_at: Timestamp = text(raw, "deletionTimestamp").parse().ok()?;
    let has = |name: &str| finalizers(raw).any(|finalizer| finalizer == name);
    let cascade = if has(names::RESOURCES_FINALIZER_BACKGROUND) {
        Cascade::Background
    } else if has(names::RESOURCES_FINALIZER) || has(names::RESOURCES_FINALIZER_FOREGROUND) {
        Cascade::Foreground
    } else {
        Cascade::Orphan
    };
    Some(Deletion { requested_at, cascade })
}

/// Lists annotations and finalizers that we do not act on yet.
pub(super) fn check(raw: &Value, findings: &mut Findings) {
    for name in NOT_YET {
        if annotation(raw, name).is_some_and(|value| !value.trim().is_empty()) {
            findings.not_yet(path(name));
        }
    }
    for finalizer in finalizers(raw) {
        if HOOK_FINALIZERS.iter().any(|known| finalizer.starts_with(known)) {
            findings.not_yet(format!("metadata.finalizers: {finalizer}"));
        }
    }
}

/// Returns an annotation of the Application.
pub(crate) fn annotation<'a>(raw: &'a Value, name: &str) -> Option<&'a str> {
    raw.get("metadata")?.get("annotations")?.get(name)?.as_str()
}

/// Writes where an annotation stands.
pub(super) fn path(annotation: &str) -> String {
    format!("metadata.annotations[{annotation}]")
}

/// Returns a text of the metadata, empty where there is none.
pub(crate) fn text<'a>(raw: &'a Value, field: &str) -> &'a str {
    raw.get("metadata").and_then(|m| m.get(field)).and_then(Value::as_str).unwrap_or_default()
}

fn finalizers(raw: &Value) -> impl Iterator<Item = &str> {
    raw.pointer("/metadata/finalizers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}
