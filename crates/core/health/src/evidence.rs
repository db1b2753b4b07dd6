//! What is an object's state evidence of?
//!
//! What condemns is the content's own fault and comes back with it; what holds may pass, and whatever is in neither
//! column of the table holds.
//!
//! | Condemns | Holds |
//! |---|---|
//! | invalid image name, image or manifest not found | pull refused, throttled, timed out, unauthorised |
//! | new pods exit, crash-loop, or start and never become ready | unschedulable, mounts, claims, load balancers, Ingress addresses |
//! | a Job that failed by its pods | a Job that ran out of time; evicted or lost pods |
//! | a pod template that the API server finds invalid or a webhook denies | quota, rights, anything else |

use crate::read::condition;
use crate::{Cause, pod_trouble};
use model::{Evidence, Health, HealthStatus, Object};

/// Weighs the state of an object at the end of its time: a pod that runs and is not ready yet is proof only once the
/// deadline has passed, so ask no earlier (or only for what is `Degraded`).
///
/// `health` is what [`crate::assess`] says of the object, and `cause` what [`crate::cause`] found; a Pod needs none.
pub fn evidence(object: &Object, health: &Health, cause: Option<&Cause>) -> Evidence {
    match health.status {
        HealthStatus::Healthy | HealthStatus::Suspended | HealthStatus::Missing => return Evidence::None,
        HealthStatus::Unknown => return Evidence::Holds,
        HealthStatus::Progressing | HealthStatus::Degraded => {}
    }
    if object.is_deleting() {
        return Evidence::Holds;
    }
    if let Some(cause) = cause {
        return cause.evidence.max(Evidence::Holds);
    }
    let key = object.key();
    if key.is_kind("", "Pod") {
        return pod_trouble::find(object).map_or(Evidence::Holds, |cause| cause.evidence);
    }
    if key.is_kind("batch", "Job") && condition(object, "Failed").is_some_and(|c| is_by_pods(c.reason)) {
        return Evidence::Condemns;
    }
    Evidence::Holds
}

/// Returns whether a Job failed because its pods did (batch/v1 Job documentation); `DeadlineExceeded` tells of time only.
fn is_by_pods(reason: &str) -> bool {
    matches!(
        reason,
        "BackoffLimitExceeded" | "PodFailurePolicy" | "FailedIndexes" | "MaxFailedIndexesExceeded"
    )
}
