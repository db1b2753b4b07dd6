//! How well is a custom resource that no rule of its own knows?
//!
//! The first line that applies decides. A condition that carries an `observedGeneration` older than the object's is
//! passed over. "Fails" means that the condition's reason says so: it contains `Fail`, `Error` or `Invalid`.
//!
//! | What the object says | Health |
//! |---|---|
//! | a group that Kubernetes serves itself, or without a dot; Argo CD's Application | no opinion |
//! | no `status`, or an empty one | no opinion |
//! | `status.observedGeneration` older than `metadata.generation` | Progressing |
//! | `spec.suspend` or `spec.paused` is true; condition `Suspended` or `Paused` True | Suspended |
//! | condition `Stalled`, `Failed`, `Failure`, `Degraded` or `ErrorOccurred` True | Degraded |
//! | condition `Reconciling`, `Issuing` or `Terminating` True | Progressing |
//! | condition of the list below False, and fails | Degraded |
//! | condition of the list below False or Unknown | Progressing |
//! | any of these conditions was passed over as outdated | Progressing |
//! | condition of the list below True | Healthy |
//! | `status.phase` is `Failed` or `Error` | Degraded |
//! | anything else | no opinion |
//!
//! The list: `Ready`, `Available`, `Healthy`, `Established`, `Synced`, `Programmed`, `Accepted`, `Succeeded`,
//! `Complete`, `Completed`. All that are there must be True for Healthy.
//!
//! `Stalled` and `Reconciling` are kstatus' words (<https://github.com/kubernetes-sigs/cli-utils>, package kstatus), as is
//! reading a `Ready` that is False as "not yet"; the others are what common controllers write.

use crate::read::{Condition, at, conditions, is_unobserved, text};
use crate::say::{degraded, progressing, suspended};
use model::{Health, Object};
use serde_json::Value;

/// Groups with a dot that the API server serves itself.
const BUILT_IN: &[&str] = &[
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "imagepolicy.k8s.io",
    "internal.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
    "storagemigration.k8s.io",
];

const BAD: &[&str] = &["Stalled", "Failed", "Failure", "Degraded", "ErrorOccurred"];
const BUSY: &[&str] = &["Reconciling", "Issuing", "Terminating"];
const STOPPED: &[&str] = &["Suspended", "Paused"];
const GOOD: &[&str] = &[
    "Ready",
    "Available",
    "Healthy",
    "Established",
    "Synced",
    "Programmed",
    "Accepted",
    "Succeeded",
    "Complete",
    "Completed",
];

/// Judges by the table above.
pub(crate) fn assess(live: &Object) -> Option<Health> {
    let status = at(live, "status").and_then(Value::as_object).filter(|status| !status.is_empty())?;
    if !is_custom(live) {
        return None;
    }
    if status.contains_key("observedGeneration") && is_unobserved(live) {
        return Some(progressing("Waiting for the controller to see the newest spec"));
    }
    let is_set = |path| at(live, path).and_then(Value::as_bool) == Some(true);
    if is_set("spec/suspend") || is_set("spec/paused") {
        return Some(suspended(format!("{} is suspended by its spec", live.kind())));
    }
    by_conditions(live).or_else(|| by_phase(live))
}

fn is_custom(live: &Object) -> bool {
    let gvk = live.gvk();
    let is_application = gvk.group == "argoproj.io" && gvk.kind == "Application";
    gvk.group.contains('.') && !BUILT_IN.contains(&gvk.group.as_str()) && !is_application
}

fn by_conditions(live: &Object) -> Option<Health> {
    let current: Vec<Condition<'_>> = conditions(live).filter(|c| is_current(live, *c)).collect();
    let holding = |kinds: &[&str]| current.iter().find(|c| kinds.contains(&c.kind) && c.is_true()).map(words);
    if let Some(words) = holding(STOPPED) {
        return Some(suspended(words));
    }
    if let Some(words) = holding(BAD) {
        return Some(degraded(words));
    }
    if let Some(words) = holding(BUSY) {
        return Some(progressing(words));
    }
    let wanting = || current.iter().filter(|c| GOOD.contains(&c.kind) && !c.is_true());
    if let Some(failed) = wanting().find(|c| c.is_false() && is_failure(c.reason)) {
        return Some(degraded(words(failed)));
    }
    if let Some(waiting) = wanting().next() {
        return Some(progressing(words(waiting)));
    }
    if conditions(live).any(|c| is_judged(c) && !is_current(live, c)) {
        return Some(progressing("Waiting for conditions of the newest spec"));
    }
    current.iter().any(|c| GOOD.contains(&c.kind)).then(Health::healthy)
}

fn by_phase(live: &Object) -> Option<Health> {
    let phase = text(live, "status/phase");
    matches!(phase, "Failed" | "Error")
        .then(|| degraded(crate::text::joined(&format!("phase {phase}"), text(live, "status/message"))))
}

fn is_current(live: &Object, condition: Condition<'_>) -> bool {
    condition.observed_generation.is_none_or(|seen| seen >= live.generation().unwrap_or_default())
}

fn is_judged(condition: Condition<'_>) -> bool {
    [BAD, BUSY, STOPPED, GOOD].iter().any(|kinds| kinds.contains(&condition.kind))
}

fn is_failure(reason: &str) -> bool {
    ["Fail", "Error", "Invalid"].iter().any(|word| reason.contains(word))
}

/// Writes `Ready is False: Reason: message`.
fn words(condition: &Condition<'_>) -> String {
    crate::text::joined(&format!("{} is {}", condition.kind, condition.status), &condition.words())
}
