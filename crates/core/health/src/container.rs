//! What keeps one container from running well? Read from its status as the kubelet writes it.

use crate::pod_trouble::spec_of;
use crate::read::{text, text_in, whole, within};
use crate::{Cause, image, text as plain};
use model::{Evidence, Object};
use serde_json::Value;

/// Which list a container is in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs to its end before the others; a sidecar (with a restart policy of its own) stays.
    Init,
    /// Runs as long as the pod.
    Main,
}

/// Returns what is wrong with a container; `None` for one that does what it should.
pub(crate) fn trouble(pod: &Object, status: &Value, role: Role) -> Option<Cause> {
    let stays = stays(pod, status, role);
    let state = |name: &str| within(status, &format!("state/{name}"));
    if let Some(waiting) = state("waiting") {
        return waiting_for(status, waiting);
    }
    if let Some(terminated) = state("terminated") {
        return (stays || exit_code(terminated) != Some(0)).then(|| ended(status, terminated));
    }
    let is_true = |field: &str| status.get(field).and_then(Value::as_bool) == Some(true);
    state("running")?;
    let has_failed = within(status, "lastState/terminated").is_some_and(|last| exit_code(last) != Some(0));
    match role {
        // A task need not be ready; what counts is how it ends.
        Role::Main if !stays && !has_failed => None,
        Role::Init if !stays => {
            Some(told(status, "Initializing", "the init container has not ended yet", Evidence::Holds))
        }
        Role::Init | Role::Main => (!is_true("ready")).then(|| not_ready(pod, status, is_true("started"))),
    }
}

/// Returns whether the container is meant to run for good, so that any end of it is a failure.
fn stays(pod: &Object, status: &Value, role: Role) -> bool {
    match role {
        Role::Main => text(pod, "spec/restartPolicy") == "Always",
        Role::Init => spec_of(pod, "initContainers", text_in(status, "name"))
            .is_some_and(|container| text_in(container, "restartPolicy") == "Always"),
    }
}

fn waiting_for(status: &Value, waiting: &Value) -> Option<Cause> {
    let (reason, message) = (text_in(waiting, "reason"), text_in(waiting, "message"));
    if image::is_pull(reason) {
        let pull = image::pull(text_in(status, "image"), reason, message);
        return Some(told(status, reason, &pull.message, pull.evidence));
    }
    let last = within(status, "lastState/terminated");
    match (reason, last) {
        ("CrashLoopBackOff", Some(last)) => Some(told(status, reason, &last_words(last), weight_of(last))),
        ("CrashLoopBackOff", None) => Some(told(status, reason, "", Evidence::Condemns)),
        // Each restart passes through these two for a moment; what it restarts from says more.
        ("ContainerCreating" | "PodInitializing" | "", Some(last)) => Some(ended(status, last)),
        // An init container of the same pod explains it.
        ("PodInitializing" | "", None) => None,
        ("RunContainerError" | "CreateContainerError", Some(last)) => {
            Some(told(status, reason, message, weight_of(last)))
        }
        _ => Some(told(status, reason, message, Evidence::Holds)),
    }
}

fn ended(status: &Value, terminated: &Value) -> Cause {
    let reason = text_in(terminated, "reason");
    let reason = if reason.is_empty() { "Terminated" } else { reason };
    told(status, reason, text_in(terminated, "message"), weight_of(terminated))
}

/// Says why a container that runs does not count as ready. Its earlier end, if any, says most.
fn not_ready(pod: &Object, status: &Value, is_started: bool) -> Cause {
    if let Some(last) = within(status, "lastState/terminated") {
        let message = plain::joined("runs again and is not ready yet; it had ended", &last_words(last));
        return told(status, "NotReady", &message, weight_of(last));
    }
    let has = |probe: &str| {
        ["containers", "initContainers"]
            .iter()
            .filter_map(|list| spec_of(pod, list, text_in(status, "name")))
            .any(|container| container.get(probe).is_some())
    };
    let message = if !is_started && has("startupProbe") {
        "runs but its startup probe has not succeeded"
    } else if has("readinessProbe") {
        "runs but its readiness probe does not succeed"
    } else {
        "runs but is not ready"
    };
    told(status, "NotReady", message, Evidence::Condemns)
}

/// What a container left behind, else the reason of its end.
fn last_words(terminated: &Value) -> String {
    match (text_in(terminated, "reason"), text_in(terminated, "message")) {
        ("" | "Error" | "Completed", "") => String::new(),
        (reason, "") => reason.into(),
        ("" | "Error" | "Completed", message) => message.into(),
        (reason, message) => format!("{reason}: {message}"),
    }
}

/// A node that lost track of a container reports an end that nobody saw.
fn weight_of(terminated: &Value) -> Evidence {
    if text_in(terminated, "reason") == "ContainerStatusUnknown" {
        Evidence::Holds
    } else {
        Evidence::Condemns
    }
}

fn told(status: &Value, reason: &str, message: &str, evidence: Evidence) -> Cause {
    let end = ["state/terminated", "lastState/terminated"].iter().find_map(|path| within(status, path));
    Cause {
        pod: String::new(),
        container: text_in(status, "name").into(),
        reason: plain::clean(reason),
        message: plain::clean(message),
        restart_count: status.get("restartCount").and_then(whole).unwrap_or_default(),
        exit_code: end.and_then(exit_code),
        evidence,
    }
}

fn exit_code(terminated: &Value) -> Option<i64> {
    terminated.get("exitCode").and_then(whole)
}
