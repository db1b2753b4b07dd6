//! What does a person need to know about an unhealthy workload?

use crate::read::{Condition, condition, whole};
use crate::{Members, image, newest, pod_trouble, text};
use model::{Evidence, Health, Object};
use std::cmp::Reverse;

/// The one thing that best explains why a workload is not healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Name of the pod; empty where no pod could be made.
    pub pod: String,
    /// Name of the container; empty where the pod as a whole is concerned.
    pub container: String,
    /// One word, as kubelet, scheduler or controller say it (`ImagePullBackOff`, `OOMKilled`, `Unschedulable`).
    pub reason: String,
    /// What they say beside it: one line, at most [`text::LONGEST`] characters; may be empty.
    pub message: String,
    /// How often the container was restarted.
    pub restart_count: i64,
    /// How its last run ended.
    pub exit_code: Option<i64>,
    /// What this says about the commit once the time is over.
    pub evidence: Evidence,
}

impl Cause {
    /// Returns the cause of what has no pods, or whose pods say nothing.
    pub fn unknown(reason: &str) -> Self {
        Self {
            pod: String::new(),
            container: String::new(),
            reason: reason.into(),
            message: String::new(),
            restart_count: 0,
            exit_code: None,
            evidence: Evidence::Holds,
        }
    }

    /// Returns whether the container never ran, for it waits for its first image: it has written nothing.
    pub fn never_ran(&self) -> bool {
        self.restart_count <= 0 && self.exit_code.is_none() && image::is_pull(&self.reason)
    }

    /// Writes `pod web-7c9d4-abcde, container app: OOMKilled: ...; restarted 4 times, exit code 137`.
    pub fn sentence(&self) -> String {
        match (self.pod.is_empty(), self.container.is_empty()) {
            (true, _) => self.within_pod(),
            (false, true) => format!("pod {}: {}", self.pod, self.within_pod()),
            (false, false) => format!("pod {}, {}", self.pod, self.within_pod()),
        }
    }

    /// Writes the sentence for a reader who sees the pod already.
    pub(crate) fn within_pod(&self) -> String {
        let mut told = text::joined(&self.reason, &self.message);
        if !self.container.is_empty() {
            told = format!("container {}: {told}", self.container);
        }
        let restarts = match self.restart_count {
            ..=0 => None,
            1 => Some("restarted once".to_owned()),
            n => Some(format!("restarted {n} times")),
        };
        let exit_code = self.exit_code.map(|code| format!("exit code {code}"));
        let counts: Vec<String> = restarts.into_iter().chain(exit_code).collect();
        if counts.is_empty() { told } else { format!("{told}; {}", counts.join(", ")) }
    }

    /// Writes the same without what a container said, which may be anything.
    pub(crate) fn in_brief(&self) -> String {
        Self { message: String::new(), ..self.clone() }.within_pod()
    }

    /// Orders causes by how much they explain: what condemns, then what is more than an ordinary step of a start, then
    /// what happened most often.
    pub(crate) fn weight(&self) -> impl Ord + use<> {
        let is_ordinary = matches!(
            self.reason.as_str(),
            "Pending" | "ContainerCreating" | "PodInitializing" | "Initializing"
        );
        (self.evidence, !is_ordinary, self.restart_count)
    }
}

/// Finds what keeps `workload` from being healthy among the pods of its newest revision; older pods are no evidence.
///
/// `members` are those of the workload's namespace; whose they are is decided by owner uid. For a Pod it is the pod itself.
/// `None`: nothing stands out, or the newest revision has not been seen yet.
pub fn cause(workload: &Object, members: &Members) -> Option<Cause> {
    if workload.key().is_kind("", "Pod") {
        return pod_trouble::find(workload);
    }
    let newest_set = newest::replica_set(workload, members);
    let failure = newest_set.and_then(|set| set.failure.clone()).or_else(|| replica_failure(workload));
    let pods = newest::pods(workload, newest_set, members).into_iter().filter_map(|pod| pod.trouble.clone());
    pods.chain(failure).min_by_key(|cause| (Reverse(cause.weight()), cause.pod.clone()))
}

/// Adds what a person needs to the message of an unhealthy workload.
#[must_use]
pub fn explain(health: &Health, cause: &Cause) -> Health {
    let message = match health.message.trim_end_matches('.') {
        "" => cause.sentence(),
        message => format!("{message}: {}", cause.sentence()),
    };
    Health::new(health.status, message)
}

/// The controller could not even create pods (quota, admission, an invalid template).
pub(crate) fn replica_failure(object: &Object) -> Option<Cause> {
    let seen = object.fields().get("status")?.get("observedGeneration").and_then(whole);
    let failure: Condition<'_> = condition(object, "ReplicaFailure").filter(Condition::is_true)?;
    let is_newest = object.generation().unwrap_or_default() <= seen.unwrap_or_default();
    is_newest.then(|| Cause {
        pod: String::new(),
        container: String::new(),
        reason: failure.reason.into(),
        message: text::clean(failure.message),
        restart_count: 0,
        exit_code: None,
        evidence: if is_refused_content(failure.message) { Evidence::Condemns } else { Evidence::Holds },
    })
}

/// The API server's words for a 422 and for a webhook that denied.
fn is_refused_content(message: &str) -> bool {
    message.contains(" is invalid: ")
        || (message.contains("admission webhook") && message.contains("denied the request"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_brief_nothing_is_told_of_what_a_container_said() {
        let said = Cause {
            message: "cannot log in with hunter2".into(),
            restart_count: 2,
            ..Cause::unknown("Error")
        };
        assert_eq!(
            Cause { container: "web".into(), ..said }.in_brief(),
            "container web: Error; restarted 2 times"
        );
    }

    #[test]
    fn who_waits_for_the_first_image_never_ran() {
        let cause = |reason: &str| Cause { container: "web".into(), ..Cause::unknown(reason) };
        assert!(cause("ImagePullBackOff").never_ran());
        assert!(!Cause { restart_count: 1, ..cause("ImagePullBackOff") }.never_ran(), "it ran before");
        for reason in ["CrashLoopBackOff", "Error", "Unready"] {
            assert!(!cause(reason).never_ran(), "{reason}");
        }
    }
}
