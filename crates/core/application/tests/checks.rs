//! What may an app declare as a check? What is wrong with a declaration is in `fixtures/application/problems.yaml`.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use application::{Project, read};
use model::{App, Bound, NoData, Probe, Scheme, Seconds};
use serde_json::{Value, json};

/// An Application that declares one list in its annotation, as text, and another in its spec.
fn declared(annotation: Option<&str>, spec: &Value) -> Value {
    let annotations = annotation.map(|text| json!({"tautline.dev/checks": text}));
    json!({
        "metadata": {"name": "demo", "namespace": "argocd", "annotations": annotations.unwrap_or(json!({}))},
        "spec": {
            "project": "team", "source": {"repoURL": "https://git.example.com/r", "path": "app"},
            "destination": in_namespace("web"), "syncPolicy": {"rollback": {"checks": spec}},
        },
    })
}

fn in_namespace(namespace: &str) -> Value {
    json!({"server": "https://kubernetes.default.svc", "namespace": namespace})
}

fn annotated(text: &str) -> App {
    read(&declared(Some(text), &json!([]))).unwrap()
}

#[test]
fn checks_stand_in_an_annotation_or_in_the_spec() {
    let list = json!([
        {"name": "web", "http": {"service": "web", "port": 80}},
        {"name": "api", "http": {
            "service": "api", "namespace": "back", "port": "https", "path": "/healthz?full=1", "scheme": "https",
            "status": [200, 204], "within": "250ms",
        }},
        {"name": "errors", "query": {"expr": "sum(rate(errors[1m]))", "atMostTimes": 1.5, "noData": "pass"}},
        {"name": "up", "query": {"expr": "up", "above": 0}},
        {"name": "smoke", "job": {"name": "smoke"}},
    ]);
    let of_spec = read(&declared(None, &list)).unwrap();
    assert_eq!(of_spec.not_yet, []);
    assert_eq!(annotated(&list.to_string()).checks, of_spec.checks);
    assert_eq!(annotated(&serde_yaml::to_string(&list).unwrap()).checks, of_spec.checks);
    let probes: Vec<Probe> = of_spec.checks.into_iter().map(|check| check.probe).collect();
    let Probe::Http(web) = &probes[0] else { panic!("{probes:?}") };
    assert_eq!((web.namespace.as_str(), web.port.as_str(), web.path.as_str()), ("web", "80", "/"));
    assert_eq!((web.statuses.as_slice(), web.within), ([200].as_slice(), Seconds::new(1)));
    let Probe::Http(api) = &probes[1] else { panic!("{probes:?}") };
    assert_eq!((api.namespace.as_str(), api.port.as_str(), api.scheme), ("back", "https", Scheme::Https));
    let Probe::Query(errors) = &probes[2] else { panic!("{probes:?}") };
    assert_eq!((errors.bound, errors.no_data), (Bound::AtMostTimes(1.5), NoData::Pass));
    let Probe::Query(up) = &probes[3] else { panic!("{probes:?}") };
    assert_eq!((up.bound, up.no_data), (Bound::Above(0.0), NoData::Fail));

    assert_eq!(read(&declared(Some("[]"), &list)).unwrap().checks, [], "the annotation wins");
    let many: Vec<Value> = (0..17).map(|n| json!({"name": n.to_string()})).collect();
    let problems = read(&declared(Some(&json!(many).to_string()), &json!([]))).unwrap_err();
    let told = "metadata.annotations[tautline.dev/checks]: are 17 checks, of which 16 are the most";
    assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [told]);
}

// N48: aliases that unfold in an annotation
#[test]
fn checks_that_unfold_without_end_are_refused_soon() {
    let level = |n: usize| {
        let items = if n == 0 { ["x"; 10].join(", ") } else { vec![format!("*a{}", n - 1); 10].join(", ") };
        format!("a{n}: &a{n} [{items}]\n")
    };
    let text: String = (0..30).map(level).collect();
    for text in [text, "[".repeat(10_000), format!("- {}", "x".repeat(20_000))] {
        let problems = read(&declared(Some(&text), &json!([]))).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].to_string().len() < 300, "{problems:?}");
    }
}

#[test]
fn a_check_reaches_nothing_that_the_project_does_not_permit() {
    let only_web = json!({"sourceRepos": ["*"], "destinations": [in_namespace("web")]});
    let project = Project::read(&json!({"metadata": {"name": "team"}, "spec": only_web})).unwrap();
    let refused = |namespace: &str| {
        let checks = json!([
            {"name": "up", "query": {"expr": "up", "above": 0}},
            {"name": "web", "http": {"service": "web", "namespace": namespace, "port": 80}},
        ]);
        let app = declared(None, &checks);
        let problems = project.settle_rollback(&mut read(&app).unwrap());
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(refused("web"), "");
    assert_eq!(
        refused("kube-system"),
        "tautline.dev/checks: check web: namespace kube-system is not permitted in project 'team' (not in spec.destinations; see \
         spec.destinations of AppProject team)"
    );
}
