//! Who scales Argo CD's own application controller up? A person who goes back to it, and never we: it would write beside us.

use crate::replicas;
use model::{IgnoreRule, Object, names};
use serde_json::Value;
use std::collections::BTreeSet;

/// What runs it.
const KINDS: [&str; 2] = ["StatefulSet", "Deployment"];

/// Returns whether an object runs Argo CD's application controller in the control namespace: by its name, or by the labels
/// that Argo CD's manifests, its chart and its operator give it. It is a `StatefulSet`, or a Deployment where clusters are
/// distributed dynamically.
pub fn is_argo_cd(object: &Object, control_namespace: &str) -> bool {
    let key = object.key();
    let label = |name: &str| object.label(&format!("app.kubernetes.io/{name}"));
    let is_labelled = label("name") == Some(names::ARGO_CD_CONTROLLER)
        || (label("component"), label("part-of")) == (Some("application-controller"), Some("argocd"));
    KINDS.iter().any(|kind| key.is_kind("apps", kind))
        && key.namespace == control_namespace
        && (is_labelled || key.name == names::ARGO_CD_CONTROLLER)
}

/// Takes the replicas of Argo CD's application controller in the control namespace out of what Git wants, where Git has
/// any; returns a sentence about it. Nothing is written while the controller has replicas, so whatever is applied meets it
/// scaled to zero, or makes it so.
pub fn keep_down(desired: &mut Object, control_namespace: &str) -> Option<String> {
    if !is_argo_cd(desired, control_namespace) || replicas::of(desired).and_then(Value::as_i64) == Some(0) {
        return None;
    }
    let spec = desired.fields_mut().get_mut("spec").and_then(Value::as_object_mut)?;
    spec.insert("replicas".into(), 0.into());
    Some(format!(
        "{} is applied with 0 replicas, whatever Git says: it is Argo CD's controller and would write beside Tautline; to go \
         back to it, scale it up by hand",
        desired.key()
    ))
}

/// Returns the rules by which a controller that somebody scales up is no drift: one of Argo CD's own name, or of one that
/// it is known to have.
pub fn rules(control_namespace: &str, known: BTreeSet<String>) -> impl Iterator<Item = IgnoreRule> {
    let mut all = known;
    all.insert(names::ARGO_CD_CONTROLLER.into());
    all.into_iter().flat_map(move |name| {
        KINDS.iter().map(move |kind| IgnoreRule {
            group: "apps".into(),
            kind: (*kind).into(),
            namespace: control_namespace.into(),
            name: name.clone(),
            json_pointers: vec!["/spec/replicas".into()],
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules_for;
    use serde_json::json;

    fn workload(kind: &str, namespace: &str, name: &str, spec: &Value) -> Object {
        Object::from_value(json!({"apiVersion": "apps/v1", "kind": kind,
            "metadata": {"name": name, "namespace": namespace}, "spec": spec}))
        .unwrap()
    }

    fn labelled(labels: &Value) -> Object {
        let mut object = workload("StatefulSet", "argocd", "other", &json!({"replicas": 1}));
        object.metadata_mut().insert("labels".into(), labels.clone());
        object
    }

    #[test]
    fn the_controller_is_applied_without_replicas_whatever_git_says() {
        let name = "argocd-application-controller";
        for kind in KINDS {
            for spec in [json!({"replicas": 2, "paused": true}), json!({"paused": true})] {
                let mut object = workload(kind, "argocd", name, &spec);
                assert!(keep_down(&mut object, "argocd").unwrap().contains("0 replicas"));
                assert_eq!(object.get("spec"), Some(&json!({"replicas": 0, "paused": true})));
                assert_eq!(keep_down(&mut object, "argocd"), None, "Git says so already");
            }
            let all: Vec<IgnoreRule> = rules("argocd", BTreeSet::new()).collect();
            let key = workload(kind, "argocd", name, &json!({})).key();
            assert_eq!(rules_for(&all, &key).pointers, ["/spec/replicas"]);
        }
    }

    #[test]
    fn a_known_controller_of_another_name_may_be_scaled_up_too() {
        let all: Vec<IgnoreRule> = rules("argocd", BTreeSet::from(["argo-cd-controller".into()])).collect();
        for (namespace, name, pointers) in
            [("argocd", "argo-cd-controller", 1), ("argocd", "other", 0), ("shop", "argo-cd-controller", 0)]
        {
            let key = workload("StatefulSet", namespace, name, &json!({})).key();
            assert_eq!(rules_for(&all, &key).pointers.len(), pointers, "{namespace}/{name}");
        }
    }

    #[test]
    fn a_controller_of_another_name_is_known_by_its_labels() {
        for labels in [
            json!({"app.kubernetes.io/name": "argocd-application-controller"}),
            json!({"app.kubernetes.io/component": "application-controller", "app.kubernetes.io/part-of": "argocd"}),
        ] {
            assert!(is_argo_cd(&labelled(&labels), "argocd"), "{labels}");
            assert!(!is_argo_cd(&labelled(&labels), "elsewhere"), "{labels}");
        }
        for labels in [
            json!({"app.kubernetes.io/name": "argocd-applicationset-controller"}),
            json!({"app.kubernetes.io/component": "application-controller", "app.kubernetes.io/part-of": "other"}),
            json!({"app.kubernetes.io/component": "server", "app.kubernetes.io/part-of": "argocd"}),
        ] {
            assert!(!is_argo_cd(&labelled(&labels), "argocd"), "{labels}");
        }
    }

    #[test]
    fn others_are_left_as_git_has_them() {
        let spec = json!({"replicas": 2});
        for (namespace, name) in [("elsewhere", "argocd-application-controller"), ("argocd", "argocd-redis")]
        {
            let mut object = workload("StatefulSet", namespace, name, &spec);
            assert_eq!(keep_down(&mut object, "argocd"), None);
            assert_eq!(object.get("spec"), Some(&spec));
            let all: Vec<IgnoreRule> = rules("argocd", BTreeSet::new()).collect();
            assert!(rules_for(&all, &object.key()).pointers.is_empty());
        }
        assert!(!is_argo_cd(&workload("DaemonSet", "argocd", names::ARGO_CD_CONTROLLER, &spec), "argocd"));
    }
}
