//! Has a `StatefulSet` rolled out?

use crate::read::{at, int, is_unobserved, text};
use crate::say::progressing;
use model::{Health, Object};
use serde_json::Value;

/// Follows `kubectl rollout status`, with partitions.
pub(crate) fn assess(live: &Object) -> Health {
    if int(live, "status/observedGeneration") == 0 || is_unobserved(live) {
        return progressing("Waiting for the StatefulSet controller to see the newest spec");
    }
    let wanted = at(live, "spec/replicas").and_then(Value::as_i64);
    let ready = int(live, "status/readyReplicas");
    if let Some(wanted) = wanted.filter(|wanted| ready < *wanted) {
        return progressing(format!(
            "Waiting for rollout to finish: {ready} of {wanted} replicas are ready..."
        ));
    }
    let strategy = text(live, "spec/updateStrategy/type");
    let updated = int(live, "status/updatedReplicas");
    if let Some(rolling) =
        at(live, "spec/updateStrategy/rollingUpdate").filter(|_| strategy == "RollingUpdate")
    {
        let target = wanted.zip(rolling.get("partition").and_then(Value::as_i64)).map(|(w, p)| w - p);
        return match target.filter(|target| updated < *target) {
            Some(target) => progressing(format!(
                "Waiting for rollout to finish: {updated} of {target} replicas are updated..."
            )),
            None => Health::healthy(),
        };
    }
    if strategy != "OnDelete" && text(live, "status/updateRevision") != text(live, "status/currentRevision") {
        return progressing(format!(
            "Waiting for rollout to finish: {updated} replicas are at the newest revision..."
        ));
    }
    Health::healthy()
}
