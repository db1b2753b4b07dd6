//! Is a disruption budget being computed?

use crate::read::{conditions, is_unobserved};
use crate::say::{degraded, progressing};
use model::{Health, Object};

/// No disruption allowed (`InsufficientPods`) is often what people want and never a fault of the budget; the workload's
/// own health tells of missing pods. A budget that cannot be computed never gets a new `observedGeneration`, so its
/// failure is looked for first.
pub(crate) fn assess(live: &Object) -> Health {
    if let Some(failure) = conditions(live).find(|c| c.is_false() && c.reason != "InsufficientPods") {
        return degraded(failure.words());
    }
    if conditions(live).next().is_none() || is_unobserved(live) {
        return progressing("Waiting for the disruption controller to see the newest spec");
    }
    Health::healthy()
}
