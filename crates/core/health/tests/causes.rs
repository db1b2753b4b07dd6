//! Which pod explains a workload, and in which words?

#![expect(clippy::unwrap_used, reason = "a case that cannot be built fails the test")]

use health::{Member, Members, assess, cause, evidence, explain};
use model::{Evidence, Health, HealthStatus, Object};
use serde_json::{Value, json};

fn object(value: Value) -> Object {
    Object::from_value(value).unwrap()
}

/// A Deployment at its second revision, as far as its controller has seen.
fn deployment(generation: i64, observed: i64) -> Object {
    object(json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "uid": "d", "generation": generation,
            "annotations": {"deployment.kubernetes.io/revision": "2"}},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": observed, "replicas": 2, "updatedReplicas": 1}
    }))
}

fn owned(kind: &str, name: &str, owner: &str) -> Value {
    let api_version = if kind == "Pod" { "v1" } else { "apps/v1" };
    json!({
        "apiVersion": api_version, "kind": kind,
        "metadata": {"name": name, "namespace": "shop", "uid": name,
            "ownerReferences": [{"uid": owner, "controller": true}]},
    })
}

fn replica_set(name: &str, revision: &str) -> Object {
    let mut set = owned("ReplicaSet", name, "d");
    set["metadata"]["annotations"] = json!({"deployment.kubernetes.io/revision": revision});
    object(set)
}

/// One pod per word: `name@owner=reason`, the reason being that of a waiting container, `Ready`, or `Leaving`.
fn pods(words: &str) -> Vec<Object> {
    words.split_whitespace().map(pod).collect()
}

fn pod(word: &str) -> Object {
    let (name, rest) = word.split_once('@').unwrap();
    let (owner, reason) = rest.split_once('=').unwrap();
    let mut pod = owned("Pod", name, owner);
    pod["spec"] = json!({"restartPolicy": "Always"});
    pod["status"] = json!({"phase": "Running", "containerStatuses": [
        {"name": "app", "image": "x:1", "restartCount": 0, "state": {"waiting": {"reason": reason}}}
    ]});
    match reason {
        "Ready" => pod["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]),
        "Leaving" => {
            pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
            pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] = json!("CrashLoopBackOff");
        }
        _ => {}
    }
    object(pod)
}

fn members<'a>(objects: impl IntoIterator<Item = &'a Object>) -> Members {
    let mut members = Members::default();
    objects.into_iter().for_each(|object| members.put(object));
    members
}

fn told(workload: &Object, members: &Members) -> String {
    cause(workload, members).map_or_else(|| "-".into(), |cause| cause.sentence())
}

fn sentence(workload: &Object, sets: &[Object], words: &str) -> String {
    told(workload, &members(sets.iter().chain(&pods(words))))
}

#[test]
fn only_pods_of_the_newest_replica_set_count() {
    let sets = [replica_set("old", "1"), replica_set("new", "2")];
    let cases = [
        ("a@old=CrashLoopBackOff", "-"),
        ("a@old=CrashLoopBackOff b@new=ContainerCreating", "pod b, container app: ContainerCreating"),
        ("a@stranger=CrashLoopBackOff b@new=Ready", "-"),
        ("b@new=Leaving", "-"),
        ("b@new=CrashLoopBackOff", "pod b, container app: CrashLoopBackOff"),
    ];
    for (words, expected) in cases {
        assert_eq!(sentence(&deployment(2, 2), &sets, words), expected, "{words}");
    }
}

#[test]
fn what_condemns_is_told_first_and_ordinary_steps_last() {
    let sets = [replica_set("new", "2")];
    let cases = [
        ("a@new=ContainerCreating b@new=CreateContainerConfigError c@new=CrashLoopBackOff", "pod c"),
        ("a@new=ContainerCreating b@new=CreateContainerConfigError", "pod b"),
        ("z@new=CrashLoopBackOff y@new=CrashLoopBackOff", "pod y"),
    ];
    for (words, expected) in cases {
        assert!(sentence(&deployment(2, 2), &sets, words).starts_with(expected), "{words}");
    }
}

#[test]
fn a_spec_or_replica_set_not_seen_yet_is_no_evidence() {
    let old = [replica_set("old", "1")];
    assert_eq!(sentence(&deployment(2, 2), &old, "a@old=CrashLoopBackOff"), "-");
    let both = [replica_set("old", "1"), replica_set("new", "2")];
    assert_eq!(sentence(&deployment(3, 2), &both, "a@new=CrashLoopBackOff"), "-");
    // The watch of ReplicaSets may be ahead of that of Deployments.
    let ahead = [replica_set("new", "2"), replica_set("newer", "3")];
    assert_eq!(sentence(&deployment(2, 2), &ahead, "a@new=CrashLoopBackOff"), "-");
}

#[test]
fn tasks_running_again_after_a_failure_tell_of_it() {
    let mut job_pod = pod("t@job=Waiting").into_value();
    job_pod["spec"]["restartPolicy"] = json!("OnFailure");
    job_pod["status"]["containerStatuses"][0] = json!({
        "name": "task", "restartCount": 2, "ready": false, "state": {"running": {}},
        "lastState": {"terminated": {"reason": "Error", "exitCode": 4, "message": "no such table\n"}}
    });
    let job =
        object(json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "uid": "job"}}));
    let found = cause(&job, &members([&object(job_pod)])).unwrap();
    assert_eq!(
        found.sentence(),
        "pod t, container task: NotReady: runs again and is not ready yet; it had ended: no such table; \
         restarted 2 times, exit code 4"
    );
    assert_eq!((found.restart_count, found.exit_code), (2, Some(4)));
    assert_eq!(evidence(&job, &assess(&job).unwrap(), Some(&found)), Evidence::Condemns);
}

#[test]
fn a_daemon_set_without_template_generation_is_read_by_its_last_pod() {
    let daemon_set = object(json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent", "uid": "ds", "generation": 2},
        "status": {"observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 1}
    }));
    let dated = |word: &str, hash: &str, made: &str| {
        let mut value = pod(word).into_value();
        value["metadata"]["labels"] = json!({"controller-revision-hash": hash});
        value["metadata"]["creationTimestamp"] = json!(made);
        value["metadata"]["ownerReferences"][0]["kind"] = json!("DaemonSet");
        object(value)
    };
    let pods = [
        dated("a@ds=CrashLoopBackOff", "1", "2026-01-01T00:00:00Z"),
        dated("b@ds=CreateContainerError", "2", "2026-01-01T00:00:05Z"),
    ];
    assert_eq!(told(&daemon_set, &members(&pods)), "pod b, container app: CreateContainerError");
    // One that is well shows the newest template, too.
    let well = dated("c@ds=Ready", "3", "2026-01-01T00:00:09Z");
    assert_eq!(told(&daemon_set, &members(pods.iter().chain([&well]))), "-");
}

#[test]
fn the_cause_completes_the_message_of_the_workload() {
    let sets = [replica_set("new", "2")];
    let cause =
        cause(&deployment(2, 2), &members(sets.iter().chain(&pods("b@new=CrashLoopBackOff")))).unwrap();
    let text = |message: &str| explain(&Health::new(HealthStatus::Progressing, message), &cause).message;
    assert_eq!(
        text("Waiting for rollout to finish: 1 of 2 replicas are updated..."),
        "Waiting for rollout to finish: 1 of 2 replicas are updated: pod b, container app: CrashLoopBackOff"
    );
    assert_eq!(text(""), "pod b, container app: CrashLoopBackOff");
}

#[test]
fn a_healthy_workload_is_no_evidence_whatever_its_pods_did() {
    let mut well = deployment(2, 2).into_value();
    well["status"] =
        json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2});
    let well = object(well);
    let all = [replica_set("new", "2"), pod("b@new=CrashLoopBackOff")];
    let cause = cause(&well, &members(&all));
    assert_eq!(evidence(&well, &assess(&well).unwrap(), cause.as_ref()), Evidence::None);
}

// N20: the environment of a pod
/// Environment variables are in the spec, which no sentence is made of; what containers leave behind is cut.
#[test]
fn environment_variables_are_never_told() {
    let mut value = pod("b@new=CrashLoopBackOff").into_value();
    value["spec"]["containers"] =
        json!([{"name": "app", "env": [{"name": "PASSWORD", "value": "hunter2"}], "readinessProbe": {}}]);
    value["status"]["containerStatuses"][0]["lastState"] =
        json!({"terminated": {"exitCode": 1, "reason": "Error", "message": "x".repeat(4000)}});
    let pod = object(value);
    let told = cause(&pod, &Members::default()).unwrap().sentence();
    assert!(!told.contains("hunter2") && told.chars().count() < 400, "{told}");
    assert!(told.ends_with("exit code 1"), "{told}");
}

#[test]
fn what_a_list_does_not_tell_is_gone_and_so_is_its_word() {
    let deployment = deployment(2, 2);
    let sets = [replica_set("old", "1"), replica_set("new", "2")];
    let mut seen = members(sets.iter().chain(&pods("a@new=CrashLoopBackOff b@new=CreateContainerError")));
    assert!(told(&deployment, &seen).starts_with("pod a"));
    // While nobody watched, `a` was deleted, and `b` was changed so that it cannot be read any more.
    seen.begin(Member::Pod);
    seen.see(Member::Pod, "b");
    assert!(told(&deployment, &seen).starts_with("pod a"), "the list is not complete");
    seen.end(Member::Pod);
    assert!(told(&deployment, &seen).starts_with("pod b"));
    // An end without a beginning tells nothing.
    seen.end(Member::Pod);
    assert!(told(&deployment, &seen).starts_with("pod b"));
    seen.begin(Member::ReplicaSet);
    seen.put(&sets[0]);
    seen.end(Member::ReplicaSet);
    assert_eq!(told(&deployment, &seen), "-", "its ReplicaSet is gone");
    seen.remove(Member::Pod, "b");
    seen.remove(Member::ReplicaSet, "old");
    assert!(seen.is_empty());
}

#[test]
fn pods_that_are_well_or_nobodys_cost_nothing() {
    let mut orphan = pod("c@new=CrashLoopBackOff").into_value();
    orphan["metadata"]["ownerReferences"] = json!([]);
    let mut empty = replica_set("old", "1").into_value();
    empty["spec"] = json!({"replicas": 0});
    let mut seen = members(&pods("a@new=Ready b@new=Leaving"));
    seen.put(&object(orphan));
    seen.put(&object(empty));
    assert!(seen.is_empty());
    // One that was in trouble and is well again is forgotten.
    seen.put(&pod("a@new=CrashLoopBackOff"));
    assert_eq!(seen.len(), 1);
    seen.put(&pod("a@new=Ready"));
    assert!(seen.is_empty());
}
