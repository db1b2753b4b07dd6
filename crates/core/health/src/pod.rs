//! Does a Pod run?

use crate::pod_trouble::{self, container_statuses};
use crate::read::{condition, text, text_in, within};
use crate::say::{progressing, unknown};
use model::{Health, HealthStatus, Object, names};
use serde_json::Value;

/// Argo CD's annotation that judges a pod that ends as one that stays.
const IGNORE_RESTART_POLICY: &str = "argocd.argoproj.io/ignore-restart-policy";

/// Pods with restart policy `OnFailure` or `Never` are usually tasks: until they end they are `Progressing`.
pub(crate) fn assess(live: &Object) -> Health {
    let stays = is_long_running(live);
    if stays && container_statuses(live, "containerStatuses").any(is_stuck_waiting) {
        return Health::new(HealthStatus::Degraded, trouble(live));
    }
    match text(live, "status/phase") {
        "Succeeded" => Health::healthy(),
        "Failed" => Health::new(HealthStatus::Degraded, trouble(live)),
        "Running" if !stays => match trouble(live) {
            message if message.is_empty() => progressing("Waiting for the pod to end"),
            message => Health::new(HealthStatus::Progressing, message),
        },
        "Running" if condition(live, "Ready").is_some_and(|c| c.is_true()) => Health::healthy(),
        "Running" if container_statuses(live, "containerStatuses").any(has_ended_before) => {
            Health::new(HealthStatus::Degraded, trouble(live))
        }
        "Pending" | "Running" => Health::new(HealthStatus::Progressing, trouble(live)),
        phase => unknown(crate::text::joined(&format!("phase {phase}"), text(live, "status/message"))),
    }
}

fn is_long_running(pod: &Object) -> bool {
    let is_hook = pod.annotation(names::HOOK).is_some() || pod.annotation(names::HELM_HOOK).is_some();
    text(pod, "spec/restartPolicy") == "Always"
        || (!is_hook && pod.annotation(IGNORE_RESTART_POLICY) == Some("true"))
}

fn is_stuck_waiting(status: &Value) -> bool {
    let reason = text_in(status, "state/waiting/reason");
    reason.starts_with("Err") || reason.ends_with("Error") || reason.ends_with("BackOff")
}

fn has_ended_before(status: &Value) -> bool {
    within(status, "lastState/terminated").is_some()
}

/// The words are clean and their longest part is cut, so that counts at the end stay.
fn trouble(pod: &Object) -> String {
    pod_trouble::find(pod)
        .map_or_else(|| crate::text::clean(text(pod, "status/message")), |cause| cause.within_pod())
}
