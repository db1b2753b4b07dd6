//! Has a `DaemonSet` rolled out?

use crate::read::{int, is_unobserved, text};
use crate::say::progressing;
use model::{Health, Object};

/// Follows `kubectl rollout status`; with `OnDelete` whoever deletes pods decides, so there is nothing to wait for.
pub(crate) fn assess(live: &Object) -> Health {
    if is_unobserved(live) {
        return progressing("Waiting for the DaemonSet controller to see the newest spec");
    }
    if text(live, "spec/updateStrategy/type") == "OnDelete" {
        return Health::healthy();
    }
    let wanted = int(live, "status/desiredNumberScheduled");
    let updated = int(live, "status/updatedNumberScheduled");
    let available = int(live, "status/numberAvailable");
    if updated < wanted {
        return progressing(format!(
            "Waiting for rollout to finish: {updated} of {wanted} pods are updated..."
        ));
    }
    if available < wanted {
        return progressing(format!(
            "Waiting for rollout to finish: {available} of {wanted} updated pods are available..."
        ));
    }
    Health::healthy()
}
