//! What keeps one pod from running well?

use crate::read::{Condition, condition, conditions, items, text, text_in};
use crate::{Cause, container, text as plain};
use model::{Evidence, Object};
use serde_json::Value;
use std::cmp::Reverse;

/// Returns the worst thing about a pod; `None` for one that is ready or has succeeded.
pub(crate) fn find(pod: &Object) -> Option<Cause> {
    let is_ready = condition(pod, "Ready").is_some_and(|c| c.is_true());
    if is_ready || text(pod, "status/phase") == "Succeeded" {
        return None;
    }
    taken_away(pod).or_else(|| unscheduled(pod)).or_else(|| in_containers(pod)).or_else(|| waiting(pod))
}

/// Returns the entries of a list of container statuses.
pub(crate) fn container_statuses<'a>(pod: &'a Object, list: &str) -> impl Iterator<Item = &'a Value> {
    items(pod, &format!("status/{list}")).iter()
}

/// The node, not the pod, ended it: eviction, preemption, shutdown, a lost node, an exceeded `activeDeadlineSeconds`.
fn taken_away(pod: &Object) -> Option<Cause> {
    if text(pod, "status/phase") != "Failed" {
        return None;
    }
    let reason = text(pod, "status/reason");
    if !reason.is_empty() {
        return Some(of_pod(pod, reason, text(pod, "status/message")));
    }
    let disrupted = condition(pod, "DisruptionTarget").filter(Condition::is_true)?;
    Some(of_pod(pod, disrupted.reason, disrupted.message))
}

fn unscheduled(pod: &Object) -> Option<Cause> {
    let scheduled = condition(pod, "PodScheduled").filter(Condition::is_false)?;
    Some(of_pod(pod, scheduled.reason, scheduled.message))
}

fn in_containers(pod: &Object) -> Option<Cause> {
    let init = container_statuses(pod, "initContainerStatuses")
        .filter_map(|status| container::trouble(pod, status, container::Role::Init));
    let main = container_statuses(pod, "containerStatuses")
        .filter_map(|status| container::trouble(pod, status, container::Role::Main));
    let worst = init.chain(main).min_by_key(|cause| Reverse(cause.weight()))?;
    Some(Cause { pod: pod.name().into(), ..worst })
}

/// No container explains it: a readiness gate is open, or the kubelet has not begun.
fn waiting(pod: &Object) -> Option<Cause> {
    let gate = conditions(pod).find(|c| c.kind == "Ready" && c.reason == "ReadinessGatesNotReady");
    match (text(pod, "status/phase"), gate) {
        ("Running", Some(gate)) => Some(of_pod(pod, gate.reason, gate.message)),
        ("Pending", _) => Some(of_pod(pod, "Pending", &pending(pod))),
        ("Failed", _) => Some(of_pod(pod, "Failed", text(pod, "status/message"))),
        _ => None,
    }
}

fn pending(pod: &Object) -> String {
    match (text(pod, "status/message"), text(pod, "spec/nodeName")) {
        ("", "") => "waiting for a node".into(),
        ("", node) => format!("waiting for node {node} to start it"),
        (message, _) => message.into(),
    }
}

fn of_pod(pod: &Object, reason: &str, message: &str) -> Cause {
    Cause {
        pod: pod.name().into(),
        container: String::new(),
        reason: reason.into(),
        message: plain::clean(message),
        restart_count: 0,
        exit_code: None,
        evidence: Evidence::Holds,
    }
}

/// Returns the container of the spec that a status belongs to.
pub(crate) fn spec_of<'a>(pod: &'a Object, list: &str, name: &str) -> Option<&'a Value> {
    items(pod, &format!("spec/{list}")).iter().find(|container| text_in(container, "name") == name)
}
