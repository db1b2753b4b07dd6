//! Is the object on its way out?

use crate::read::{Condition, conditions, items};
use crate::say::progressing;
use model::{Health, Object};

/// Argo CD's finalizer on hooks: it holds a hook until its result was read, so such an object is judged by its kind.
const HOOK_FINALIZER: &str = "argocd.argoproj.io/hook-finalizer";
/// Kubernetes' finalizer on what is deleted in the foreground, until its dependents are gone.
const FOREGROUND_FINALIZER: &str = "foregroundDeletion";

/// Says that an object of any kind waits for its deletion, and for what.
pub(crate) fn assess(live: &Object) -> Option<Health> {
    let finalizers: Vec<&str> =
        items(live, "metadata/finalizers").iter().filter_map(serde_json::Value::as_str).collect();
    if !live.is_deleting() || finalizers.contains(&HOOK_FINALIZER) {
        return None;
    }
    let holds = holds(live, &finalizers);
    if holds.is_empty() {
        return Some(progressing("Pending deletion"));
    }
    Some(progressing(format!("Pending deletion: {}", holds.join("; "))))
}

fn holds(live: &Object, finalizers: &[&str]) -> Vec<String> {
    let (foreground, others): (Vec<&str>, Vec<&str>) =
        finalizers.iter().partition(|finalizer| **finalizer == FOREGROUND_FINALIZER);
    let mut holds = Vec::new();
    if !foreground.is_empty() {
        holds.push("waiting for its dependents to be gone".into());
    }
    if !others.is_empty() {
        holds.push(format!("waiting for finalizers {}", others.join(", ")));
    }
    if live.key().is_kind("", "Namespace") {
        let said = conditions(live).filter(Condition::is_true);
        holds.extend(said.map(|condition| condition.message.to_owned()));
    }
    holds
}
