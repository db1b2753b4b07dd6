//! What does a status of Argo CD tell us?

use application::status::is_listed_by_argo_cd;
use serde_json::{Value, json};

#[test]
fn who_lists_the_objects_is_told_by_the_managed_fields() {
    let entry = |manager: &str, status: Value| json!({"manager": manager, "operation": "Update", "fieldsV1": {"f:status": status}});
    let by = |entries: &[Value]| is_listed_by_argo_cd(&Value::from(entries));
    let argo_cd = "argocd-application-controller";
    assert!(by(&[entry("kubectl", json!({})), entry(argo_cd, json!({"f:resources": {}}))]));
    assert!(!by(&[entry(argo_cd, json!({"f:health": {}})), entry("tautline", json!({"f:resources": {}}))]));
    assert!(!by(&[entry("kubectl-edit", json!({"f:resources": {}}))]));
    assert!(!is_listed_by_argo_cd(&Value::Null));
}

#[test]
fn a_status_of_argo_cd_tells_what_we_do_not_act_on() {
    let fields = |status: Value| -> Vec<String> {
        let not_yet = application::status::deployed_not_yet(&json!({"status": status}));
        not_yet.into_iter().map(|not_yet| not_yet.field).collect()
    };
    let entry = |name: &str| json!({"kind": "ConfigMap", "namespace": "shop", "name": name});
    let with = |name: &str, field: &str, value: Value| {
        let mut entry = entry(name);
        entry[field] = value;
        entry
    };
    let resources = json!([
        entry("plain"),
        with("zero", "syncWave", json!(0)),
        with("odd", "syncWave", json!("x")),
        with("late", "syncWave", json!(2)),
        with("after", "hook", json!(true)),
    ]);
    assert_eq!(
        fields(json!({"sourceType": "Helm", "resources": resources})),
        [
            "a Helm source",
            "ConfigMap shop/late: argocd.argoproj.io/sync-wave: 2",
            "ConfigMap shop/after: argocd.argoproj.io/hook",
        ]
    );
    assert!(fields(json!({"sourceType": "Directory", "resources": [entry("plain")]})).is_empty());
    assert!(fields(json!({})).is_empty());
}
