//! Does a `ReplicaSet` have its replicas?

use crate::read::{Condition, condition, int, is_unobserved};
use crate::say::{degraded, progressing};
use model::{Health, Object};

pub(crate) fn assess(live: &Object) -> Health {
    if is_unobserved(live) {
        return progressing("Waiting for the ReplicaSet controller to see the newest spec");
    }
    if let Some(failure) = condition(live, "ReplicaFailure").filter(Condition::is_true) {
        return degraded(failure.words());
    }
    let wanted = int(live, "spec/replicas");
    let available = int(live, "status/availableReplicas");
    if available < wanted {
        return progressing(format!(
            "Waiting for replicas: {available} of {wanted} replicas are available..."
        ));
    }
    Health::healthy()
}
