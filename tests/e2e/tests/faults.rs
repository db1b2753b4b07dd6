//! Does the agent come to the same end whatever fails on the way? A sample of the fault rig: each kind of request and each fault
//! once. `cargo run --release -p e2e --example faults -- all` plays every fault at every request.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use e2e::Fault;
use e2e::rig::{self, Case, Reference, Scenario, Verdict};

/// How long nothing may be written after the end.
const QUIET: Duration = Duration::from_secs(3);
/// Most of a case is waiting.
const AT_A_TIME: usize = 6;
/// How many faults may find no request: the clock decides when a Lease is renewed, and how often a status is written.
const MISSED: usize = 4;
/// How long it may take, the undisturbed runs included.
const LONGEST: Duration = Duration::from_mins(10);

/// The longest ones first.
const SAMPLE: [&str; 71] = [
    "hasty: watch deployments.apps -/* #1: frozen",
    "deploy: watch deployments.apps -/* #1: frozen",
    "hasty: apply deployments.apps app/shop-0 #1: killed-after",
    "deploy: apply secrets app/shop-1 #1: 429-for-a-day",
    "deploy: apply services app/shop-0 #1: answer-held",
    "deploy: list replicasets.apps app/* #1: held",
    "deploy: apply roles.rbac.authorization.k8s.io app/shop-1 #1: 403",
    "deploy: apply configmaps app/shop-0 #1: 500-of-etcd",
    "deploy: apply networkpolicies.networking.k8s.io app/shop-0 #1: 401",
    "deploy: apply deployments.apps app/shop-0 #1: killed-after",
    "deploy: patch applications.argoproj.io control/shop #1: killed-after: cache wiped",
    "deploy: patch applications.argoproj.io control/shop #1: killed-before",
    "update: patch applications.argoproj.io control/shop #1: killed-before: cache wiped",
    "deploy: create leases.coordination.k8s.io control/* #1: answer-lost",
    "deploy: create configmaps control/* #1: killed-after",
    "deploy: patch configmaps control/tautline-kinds #2: killed-before",
    "deploy: patch leases.coordination.k8s.io control/tautline #1: dropped",
    "deploy: discover /apis -/* #1: 503",
    "deploy: discover /apis -/* #1: partial",
    "deploy: get configmaps control/tautline-kinds #1: 500-of-etcd",
    "deploy: get leases.coordination.k8s.io control/tautline #1: dropped",
    "deploy: list applications.argoproj.io control/* #1: truncated",
    "deploy: list appprojects.argoproj.io control/* #1: 504",
    "deploy: list configmaps control/* #1: 500-bare",
    "deploy: list configmaps -/* #1: stale",
    "deploy: list customresourcedefinitions.apiextensions.k8s.io -/* #1: delayed",
    "deploy: list deployments.apps control/* #1: 401",
    "deploy: list secrets control/* #1: 429",
    "deploy: list statefulsets.apps control/* #1: 403",
    "deploy: watch applications.argoproj.io control/* #1: expired-by-event",
    "deploy: watch appprojects.argoproj.io control/* #1: 500-of-etcd",
    "deploy: watch configmaps control/* #1: duplicated",
    "deploy: watch customresourcedefinitions.apiextensions.k8s.io -/* #1: 403",
    "deploy: watch deployments.apps control/* #1: 403",
    "deploy: watch secrets control/* #1: 500-of-etcd",
    "deploy: watch statefulsets.apps control/* #1: 500-of-etcd",
    "deploy: watch pods app/* #1: cut",
    "deploy: watch replicasets.apps app/* #1: swallowed",
    "update: apply configmaps app/shop-2 #1: killed-before: cache wiped",
    "update: apply podtemplates app/shop-1 #1: answer-lost",
    "update: delete configmaps app/shop-0 #1: killed-after: cache wiped",
    "update: delete services app/shop-2 #1: 409",
    "update: delete rolebindings.rbac.authorization.k8s.io app/shop-1 #1: killed-before",
    "update: watch configmaps -/* #1: swallowed",
    "update: watch configmaps -/* #1: duplicated",
    "drift: apply configmaps app/shop-3 #1: killed-before: cache wiped",
    "drift: create events control/* #1: killed-before",
    "drift: watch secrets -/* #1: expired-by-status",
    "drift: watch deployments.apps -/* #1: cut",
    "delete: delete deployments.apps app/shop-0 #1: answer-lost",
    "delete: delete secrets app/shop-1 #1: killed-after",
    "delete: get clusterroles.rbac.authorization.k8s.io -/shop-NS #1: truncated",
    "delete: patch applications.argoproj.io control/shop #1: answer-lost",
    "fetch: refs git -/shop #2: held",
    "fetch: create namespaces -/* #1: killed-after",
    "fetch: fetch git -/shop #1: killed-after: cache wiped",
    "fetch: fetch git -/shop #2: truncated",
    "deploy: get secrets control/tautline-release-key #1: held",
    "rollback: get secrets control/tautline-release.shop.v1 #1: truncated",
    "rollback: create secrets control/* #1: killed-before",
    "rollback: patch applications.argoproj.io control/shop #2: killed-after: cache wiped",
    "rollback: apply deployments.apps app/shop-0 #2: killed-after",
    "rollback: apply configmaps app/shop-0 #1: answer-lost",
    "rollback: delete configmaps app/shop-7 #1: killed-before",
    "restart: dry-run deployments.apps app/shop-0 #1: answer-lost",
    "restart: apply deployments.apps app/shop-1 #1: killed-before: cache wiped",
    "update: list secrets -/* #again: stale",
    "drift: list configmaps -/* #again: truncated",
    "delete: list deployments.apps -/* #again: 500-of-etcd",
    "claim: apply configmaps app/rival-0 #1: answer-lost",
    "claim: patch applications.argoproj.io control/rival #1: killed-after: cache wiped",
];

/// Returns the sample.
fn sample() -> Vec<Case> {
    SAMPLE.iter().map(|text| Case::parse(text).unwrap_or_else(|| panic!("no case: {text}"))).collect()
}

fn references() -> Vec<Reference> {
    std::thread::scope(|threads| {
        let played = Scenario::ALL.map(|(scenario, _)| threads.spawn(move || Reference::play(scenario)));
        played.map(|played| played.join().expect("it comes to its end")).into()
    })
}

/// Returns the faults that none of these cases has, with whether the cache is kept: a kill is to be there both ways.
fn without<'a>(cases: impl Iterator<Item = &'a Case>) -> Vec<(Fault, bool)> {
    let faults: BTreeSet<(Fault, bool)> = cases.map(|case| (case.fault, case.keeps_cache)).collect();
    let all = Fault::ALL.iter().flat_map(|(fault, _)| [(*fault, true), (*fault, false)]);
    all.filter(|(fault, keeps)| (*keeps || fault.kills()) && !faults.contains(&(*fault, *keeps))).collect()
}

/// Fails unless the sample has each fault, a kill with the cache kept and one with it wiped, and touches each kind of request
/// that an undisturbed run makes.
fn assert_covered(cases: &[Case], references: &[Reference]) {
    let missing = without(cases.iter());
    assert!(missing.is_empty(), "no case of the sample has these faults (cache kept?): {missing:?}");
    let touched: BTreeSet<String> = cases.iter().map(|case| rig::request_kind(&case.asked)).collect();
    let all = references.iter().flat_map(Reference::cases).map(|case| rig::request_kind(&case.asked));
    let missing: BTreeSet<String> = all.filter(|kind| !touched.contains(kind)).collect();
    assert!(missing.is_empty(), "no case of the sample is about these requests: {missing:?}");
}

#[test]
fn whatever_fails_the_end_is_that_of_an_undisturbed_run() {
    let begun = Instant::now();
    let (references, cases) = (references(), sample());
    assert_covered(&cases, &references);
    let verdicts = rig::play_all(&references, &cases, QUIET, AT_A_TIME, |_| {});
    let broken: Vec<String> = verdicts
        .iter()
        .filter(|verdict| !verdict.violations.is_empty())
        .map(|verdict| format!("{}\n  {}", verdict.case, verdict.violations.join("\n  ")))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    let missed: Vec<&Verdict> = verdicts.iter().filter(|verdict| !verdict.was_reached).collect();
    assert!(missed.len() <= MISSED, "these faults found no request: {missed:#?}");
    // One that is there once, and finds no request, is not tried at all.
    let untried = without(verdicts.iter().filter(|verdict| verdict.was_reached).map(|verdict| &verdict.case));
    assert!(untried.is_empty(), "these came in no case (cache kept?): {untried:?}; not reached: {missed:#?}");
    assert!(begun.elapsed() < LONGEST, "it took {:?}, and may take {LONGEST:?}", begun.elapsed());
}
