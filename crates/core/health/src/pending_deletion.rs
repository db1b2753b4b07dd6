//! Is the object on its way out?

use crate::read::items;
use crate::say::progressing;
use model::{Health, Object};

/// Argo CD's finalizer on hooks: it holds a hook until its result was read, so such an object is judged by its kind.
const HOOK_FINALIZER: &str = "argocd.argoproj.io/hook-finalizer";

/// Says that an object of any kind waits for its deletion, and for which finalizers.
pub(crate) fn assess(live: &Object) -> Option<Health> {
    let finalizers: Vec<&str> =
        items(live, "metadata/finalizers").iter().filter_map(serde_json::Value::as_str).collect();
    if !live.is_deleting() || finalizers.contains(&HOOK_FINALIZER) {
        return None;
    }
    if finalizers.is_empty() {
        return Some(progressing("Pending deletion"));
    }
    Some(progressing(format!("Pending deletion: waiting for finalizers {}", finalizers.join(", "))))
}
