//! Has a Job ended, and how?

use crate::read::{conditions, int};
use crate::say::{degraded, progressing, suspended};
use model::{Health, Object};

/// As Argo CD does, takes the mere presence of a Failed, Complete or Suspended condition as an end, whatever its status;
/// so a Job that was resumed counts as complete.
pub(crate) fn assess(live: &Object) -> Health {
    let find = |kind: &str| conditions(live).find(|condition| condition.kind == kind);
    if let Some(failed) = find("Failed") {
        return degraded(failed.words());
    }
    let suspension = find("Suspended");
    if suspension.is_some_and(|condition| condition.is_true()) {
        return suspended("Job is suspended");
    }
    if suspension.is_none() && find("Complete").is_none() {
        return progressing(format!(
            "Waiting for the Job to complete: {} active, {} succeeded, {} failed",
            int(live, "status/active"),
            int(live, "status/succeeded"),
            int(live, "status/failed")
        ));
    }
    Health::healthy()
}
