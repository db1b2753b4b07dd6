//! Has a Deployment rolled out?

use crate::read::{at, condition, int, is_unobserved};
use crate::say::{degraded, progressing, suspended};
use model::{Health, Object};

/// Follows `kubectl rollout status`, with a pause as deliberate stop.
pub(crate) fn assess(live: &Object) -> Health {
    if at(live, "spec/paused").and_then(serde_json::Value::as_bool) == Some(true) {
        return suspended("Deployment is paused");
    }
    if is_unobserved(live) {
        return progressing("Waiting for the Deployment controller to see the newest spec");
    }
    if condition(live, "Progressing").is_some_and(|c| c.reason == "ProgressDeadlineExceeded") {
        return degraded("Rollout made no progress within its deadline (progressDeadlineSeconds)");
    }
    let wanted = at(live, "spec/replicas").and_then(serde_json::Value::as_i64);
    let all = int(live, "status/replicas");
    let updated = int(live, "status/updatedReplicas");
    let available = int(live, "status/availableReplicas");
    if let Some(wanted) = wanted.filter(|wanted| updated < *wanted) {
        return progressing(format!(
            "Waiting for rollout to finish: {updated} of {wanted} replicas are updated..."
        ));
    }
    if all > updated {
        return progressing(format!(
            "Waiting for rollout to finish: {} of {all} replicas are old and have to end...",
            all - updated
        ));
    }
    if available < updated {
        return progressing(format!(
            "Waiting for rollout to finish: {available} of {updated} updated replicas are available..."
        ));
    }
    Health::healthy()
}
